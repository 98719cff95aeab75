"""What decides a result beside its settings: the machine's kind, the program's version and commit.

Training in float32 gives other numbers where other vector instructions add in another order: on one machine a
run repeats bit for bit, on another kind of processor it does not. So results carry the kind.
"""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.core.identity import plain
from zoo.core.result import Machine

if TYPE_CHECKING:
    import torch

# Set before torch is imported, these keep torch's own kernels to AVX2, oneDNN to AVX and MKL to what it
# computes alike on every x86 processor, so that training is the same bit for bit from Intel's Haswell and
# AMD's first EPYC on. `python -m zoo.bench portable` shows it on emulated processors; docs/performance.md
# says the price.
PORTABLE = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX", "MKL_CBWR": "COMPATIBLE"}


def is_portable() -> bool:
    """Whether this process was started with the variables of `PORTABLE`."""
    return all(os.environ.get(name) == value for name, value in PORTABLE.items())


def machine(device: torch.device) -> Machine:
    """The machine as a result records it."""
    import torch

    from zoo.fast.linear import mkl_by_avx2, mkl_is_fast, onednn_product

    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return Machine(torch.cuda.get_device_name(device), f"sm_{major}{minor}", "cuBLAS", (), 1)
    taken = {
        "oneDNN products": onednn_product() is not None,
        "MKL steps": mkl_is_fast(),
        "not Intel's MKL": mkl_by_avx2(),
    }
    return Machine(
        f"cpu ({platform.machine()})",
        torch.backends.cpu.get_cpu_capability() + (" (portable)" if is_portable() else ""),
        _blas(),
        tuple(name for name, is_taken in taken.items() if is_taken),
        torch.get_num_threads(),
    )


def _blas() -> str:
    import torch

    lines = torch.__config__.show().splitlines()
    for name in ("Math Kernel Library", "OpenBLAS", "BLAS_INFO"):
        for line in lines:
            if name in line:
                return line.strip(" -").split(" for ")[0].split(",")[0]
    return "unknown"


@cache
def made_by() -> dict[str, Any]:
    """Version and commit of this program: None outside of a checkout, with "+changes" if it was edited."""
    import zoo

    return {"version": zoo.__version__, "commit": _commit(Path(zoo.__file__).parents[1])}


def _commit(folder: Path) -> str | None:
    if not (folder / ".git").exists():
        return None

    def git(*words: str) -> str:
        run = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "zoo", "uegr", "data")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def who(device: torch.device) -> dict[str, Any]:
    """What must be the same for a training to go on in another turn: program, machine, libraries."""
    found: dict[str, Any] = plain(
        {"made_by": made_by(), "machine": asdict(machine(device)), "with": versions()}
    )
    return found


def versions() -> dict[str, str]:
    """Versions of the libraries that can change a result."""
    import numpy as np
    import torch

    found = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
    if torch.cuda.is_available():
        found |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    return found
