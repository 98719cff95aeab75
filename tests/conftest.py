from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# Helpers shared by tests (`import tiny`); importlib mode puts no test folder on the path by itself.
sys.path.insert(0, str(Path(__file__).parent / "zoo"))
# `bench` stands beside the package and is not installed with it.
sys.path.insert(0, str(Path(__file__).parents[1]))

# HYPOTHESIS_PROFILE chooses how hard the laws are tried; no deadlines, as machines are shared and noisy.
settings.register_profile("dev", max_examples=10, deadline=None)
settings.register_profile("ci", max_examples=60, deadline=None)
settings.register_profile("thorough", max_examples=2_000, deadline=None)
# For tests/mutants.py, which asks whether a test fails and not for the smallest example on which it does; the
# same examples every time.
settings.register_profile(
    "mutants", max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """torch's own generator starts each test alike: what a test draws hangs on no test before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
