from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent

# `import browser`; importlib mode puts no test folder on the path by itself. And what makes the site, which
# asks for the table of equations.
sys.path[:0] = [str(HERE), str(HERE.parent / "uegr_ref"), str(HERE.parents[1] / "docs" / "_ext")]
