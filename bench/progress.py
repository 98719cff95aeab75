"""What is being measured, as a line on standard error."""

from __future__ import annotations

import sys
import time


class Progress:
    """What is being measured, on standard error, once two seconds have passed."""

    def __init__(self) -> None:
        self.began = self.last = time.perf_counter()
        self.terminal = sys.stderr.isatty()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def __call__(self, text: str) -> None:
        """Say what comes next; shown if the last one was shown long enough ago."""
        now = time.perf_counter()
        pause = 0.1 if self.terminal else 10.0
        if now - self.began < 2 or now - self.last < pause:
            return
        self.last = now
        text = f"{now - self.began:.0f} s  {text}"
        if self.terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
