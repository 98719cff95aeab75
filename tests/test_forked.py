"""What runs the tests of the planted errors: does it see an error, and the lack of one?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, sys
from pathlib import Path
import pytest
import forked
test = ("tests/test_a.py::test_twice[of two]",)
jobs = [
    forked.Job("sound", test),
    forked.Job("wrong", test, "zoo/a.py", "def twice(x):\\n    return 3 * x\\n"),
    forked.Job("other words", test, "zoo/a.py", "def twice(x):\\n    return x + x\\n"),
    forked.Job("does not load", test, "zoo/a.py", "def twice(x)\\n"),
    forked.Job("no such test", ("tests/test_a.py::test_thrice",)),
]
ended = list(forked.outcomes(jobs, Path(sys.argv[1]), 2))
forked.TIMEOUT = 1.0
jobs = [forked.Job("for ever", test, "zoo/a.py", "def twice(x):\\n    while True:\\n        pass\\n")]
ended += forked.outcomes(jobs, Path(sys.argv[1]), 2)
found = {job.name: (out.by, out.problem) for job, out in ended}
print(json.dumps(found))
"""


def test_what_is_seen_what_is_not_and_what_cannot_run(tmp_path: Path) -> None:
    """On a package of one function, with one test of it; the sound copy stays as it was."""
    sound = tmp_path / "sound"
    for name, text in {
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\n",
        "zoo/__init__.py": "",
        "zoo/a.py": "def twice(x):\n    return 2 * x\n",
        "tests/test_a.py": (
            "import pytest\nfrom zoo.a import twice\n\n"
            "@pytest.mark.parametrize('x', [2], ids=['of two'])\n"
            "def test_twice(x):\n    assert twice(x) == 4\n"
        ),
    }.items():
        (sound / name).parent.mkdir(parents=True, exist_ok=True)
        (sound / name).write_text(text)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(sound)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parent, timeout=60,
    )  # fmt: skip
    found = json.loads(run.stdout)
    seen = "tests/test_a.py::test_twice[of two]"
    assert found["sound"] == [None, None]
    assert found["wrong"] == [seen, None]
    assert found["other words"] == [None, None]
    assert found["for ever"] == [None, "nothing finished within 1 s"], "which no test has seen"
    assert found["does not load"][0] is None
    assert "SyntaxError" in found["does not load"][1]
    assert found["no such test"][0] is None
    assert "0 tests passed" in found["no such test"][1]
    assert (sound / "zoo/a.py").read_text() == "def twice(x):\n    return 2 * x\n"
    assert [path.name for path in tmp_path.iterdir()] == ["sound"], "the copies are gone"
