"""What a training step costs: `python -m zoo.bench`. What it runs stands in `bench/`, beside the package."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Hand over to `bench.command` of the checkout; the wheel does not carry it."""
    if not (ROOT / "bench" / "command.py").is_file():
        print(f"zoo.bench: {ROOT}: no folder bench; expected a checkout of the repository", file=sys.stderr)
        return 2
    sys.path.insert(0, str(ROOT))
    from bench.command import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
