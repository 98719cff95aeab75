"""Freed memory stays in the process: taking a large block again costs no page faults."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from zoo.fast.memory import keep_freed_memory

SCRIPT = """
import resource, sys
from zoo.fast.memory import keep_freed_memory
keep = sys.argv[1] == "keep"
done = keep_freed_memory(keep)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    before = faults()
    block = bytearray(b"x") * (64 << 20)
    del block
print(done, faults() - before)
"""
glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc, nothing to set")


def faults(mode: str) -> int:
    run = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True)
    done, count = run.stdout.split()
    assert done == "True"
    return int(count)


@glibc
def test_a_second_block_is_free() -> None:
    assert faults("keep") < 100
    assert faults("give back") > 100  # 64 MiB are 16,384 pages, or 32 huge ones and what is around them


def test_elsewhere_it_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert keep_freed_memory() is False
