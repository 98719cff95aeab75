"""Keep freed memory in the process, so that the next step need not get it from the system again.

glibc gives large blocks back as soon as they are freed. A training step frees and takes the same blocks
every time, and the system must clear each page anew: on a CPU that can cost more than the arithmetic
(docs/performance.md). The process then stays as large as its largest step.
"""

from __future__ import annotations

import ctypes

# Numbers of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4


def keep_freed_memory(keep: bool = True) -> bool:
    """Serve large blocks from the heap and keep them when freed (or undo it); False where there is no glibc.

    Undone, blocks of 32 MiB and more come fresh from the system again, as in a process that has run a while.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mallopt.argtypes, mallopt.restype = [ctypes.c_int, ctypes.c_int], ctypes.c_int
    done = mallopt(_TRIM_THRESHOLD, 2**31 - 1) and mallopt(_MMAP_THRESHOLD, 2**25)
    return bool(done and mallopt(_MMAP_MAX, 0 if keep else 65_536))
