"""Is training the same bit for bit on other processors? Shown on this one and on emulated ones.

A child process trains each model a few steps under UEGR and gives a digest of all weights, once with the
variables of `zoo.training.environment.PORTABLE` and once without. The emulated processors (QEMU's user mode,
Debian's package qemu-user) have neither this one's vector width nor its maker's approximations; they take a
minute each.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.cases import TABLE_IV_ARCHS, Case, Feed, make_trainee
from zoo.core.errors import UserError
from zoo.training.environment import PORTABLE

EMULATOR = "qemu-x86_64"
EMULATED = {"Intel Haswell (AVX2)": "Haswell-noTSX", "AMD EPYC of 2017 (AVX2)": "EPYC"}
STEPS, LENGTH = 6, 40


def measure_portable(report: Callable[[str], None]) -> dict[str, Any]:
    """One entry a processor: digests of the weights with the variables and without, by model.

    Raises:
        UserError: the emulator is not installed.
    """
    emulator = shutil.which(EMULATOR)
    if emulator is None:
        raise UserError(f"{EMULATOR}: not found; expected the emulator of Debian's package qemu-user")
    processors = {"this one": [sys.executable]}
    processors |= {name: [emulator, "-cpu", cpu, sys.executable] for name, cpu in EMULATED.items()}
    rows = []
    for name, command in processors.items():
        report(name)
        rows.append(
            {"processor": name, "portable": _digests(command, PORTABLE), "as_it_is": _digests(command, {})}
        )
    return {"portable": rows}


def _digests(command: list[str], variables: dict[str, str]) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if k not in PORTABLE} | variables
    run = subprocess.run(
        [*command, "-m", "bench.portable"], capture_output=True, text=True, check=False, env=environment,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    if run.returncode != 0:
        raise UserError(f"{' '.join(command)}: {(run.stderr.strip().splitlines() or ['no message'])[-1]}")
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def main() -> None:
    """Print this process's vector width, and the digest of each model's weights after a few steps."""
    import torch

    from zoo.method.step import train_step

    torch.set_num_threads(1)
    digests = {}
    for arch in TABLE_IV_ARCHS:
        case = Case(arch, "uegr", LENGTH, vocabulary=500, sizes="demo")
        trainee, optimizer = make_trainee(case)
        feed = Feed(case)
        for _ in range(STEPS):
            train_step(trainee, feed(), optimizer)
        weights = b"".join(p.detach().numpy().tobytes() for p in trainee.model.parameters())
        digests[arch] = hashlib.sha256(weights).hexdigest()[:16]
    print(json.dumps({"width": torch.backends.cpu.get_cpu_capability(), "weights": digests}))


if __name__ == "__main__":
    main()
