"""What a training step costs: `python -m zoo.bench`. What it runs stands in `bench/`, beside the package."""

from __future__ import annotations

import sys
from pathlib import Path

from zoo.core.command import EXIT_BAD_INPUT

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Hand over to `bench.command` of the checkout; an installed package does not carry it."""
    if not (ROOT / "bench" / "command.py").is_file():
        print(
            f"zoo.bench: {ROOT} has no folder bench: the benchmark is part of the repository, not of the "
            "installed package; expected a checkout",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT
    sys.path.insert(0, str(ROOT))
    from bench.command import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
