"""NVIDIA's MPS, which lets processes share a GPU at once: without it they take turns.

It is looked for and never started: it is a service of the machine's, and who shares the card may mind.
"""

from __future__ import annotations

import shutil
import subprocess

CONTROL = "nvidia-cuda-mps-control"
PATIENCE = 5.0  # seconds for its answer


def how_shared(cells: int) -> str:
    """One line: how so many processes on each GPU will share it, and what would help."""
    control = shutil.which(CONTROL)
    if control is not None and _runs(control):
        return f"MPS runs: {cells} cells share each GPU at once"
    turns = f"{cells} cells on each GPU take turns, which gains little"
    if control is None:
        return f"MPS is missing ({CONTROL} not found): {turns}"
    return f"MPS does not run: {turns}; to start it: {CONTROL} -d"


def _runs(control: str) -> bool:
    """Whether a daemon answers."""
    try:
        asked = subprocess.run(
            [control],
            input="get_server_list\n",
            text=True,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
