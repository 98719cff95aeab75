"""NVIDIA's MPS, which lets processes share a GPU at once: without it they take turns.

It is looked for, and started for a run that asks for it (`--mps`): in a folder of that run's own, so that no
other user of the machine meets it, and ended with it. No setting of the card is changed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.core.errors import UserError
from zoo.core.processes import environment

CONTROL = "nvidia-cuda-mps-control"
PATIENCE = 5.0  # seconds for its answer


def how_shared(cells: int, mps: bool) -> str:
    """One line: how so many cells on each GPU will share it.

    Raises:
        UserError: MPS is asked for, and missing.
    """
    found = shutil.which(CONTROL) is not None
    if not mps:
        other = "--mps: in processes that share it" if found else f"MPS is missing: no {CONTROL}"
        return f"{cells} cells on each GPU in turn, in one process, on streams of their own ({other})"
    if not found:
        raise UserError(
            f"--mps: {CONTROL} is not found; expected NVIDIA's MPS, or no --mps: cells then run in turn, in "
            "one process, on streams of their own"
        )
    runs = "which runs" if _runs() else "started for this run"
    return f"{cells} cells on each GPU in processes that share it through MPS, {runs}"


@contextmanager
def served() -> Iterator[None]:
    """MPS for the processes that are started inside the block: the one that runs, or one of the block's own.

    Raises:
        UserError: it does not start.
    """
    if _runs():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="uegr-mps-") as folder:
        places = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        with environment(places):
            started = _asked([CONTROL, "-d"], "")
            if started is None or started.returncode != 0:
                said = (started.stderr or started.stdout).strip() if started else "no answer"
                raise UserError(f"--mps: {CONTROL} -d does not start it ({said}); expected MPS, or no --mps")
            try:
                yield
            finally:
                _asked([CONTROL], "quit\n")


def _runs() -> bool:
    """Whether a daemon answers."""
    asked = _asked([CONTROL], "get_server_list\n") if shutil.which(CONTROL) else None
    return asked is not None and asked.returncode == 0


def _asked(command: list[str], text: str) -> subprocess.CompletedProcess[str] | None:
    """How the command ended; None where it cannot be run or does not answer."""
    try:
        return subprocess.run(
            command, input=text, text=True, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
