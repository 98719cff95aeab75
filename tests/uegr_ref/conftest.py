"""Hypothesis profiles of the reference's tests: HYPOTHESIS_PROFILE = dev | ci (default) | thorough."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import Phase, settings

# `import equations`; importlib mode puts no test folder on the path by itself.
sys.path.insert(0, str(Path(__file__).parent))

# The first two draw the same examples every time: a red test is a change of the code, never of the dice. This
# folder also runs alone (tests/mutants.py copies it), so it does not lean on tests/conftest.py.
settings.register_profile("dev", max_examples=10, deadline=None, derandomize=True, database=None)
settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
# For tests/mutants.py, which asks whether a test fails and not for the smallest example on which it does.
settings.register_profile("mutants", settings.get_profile("dev"), phases=[Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
