"""Sphinx: the pages are Markdown, made from the code by commands and checked by tests."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx

project = "UEGR"
author = "The UEGR reference authors"
copyright = "2026, the UEGR reference authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "UEGR"
exclude_patterns = ["_build", "results_notes.md"]  # the notes are included in results.md
myst_heading_anchors = 3


def _with_the_pictures(app: Sphinx, exception: Exception | None) -> None:
    """The page of pictures is HTML already: it is copied as it is."""
    if exception is None:
        shutil.copytree(Path(app.srcdir, "explore"), Path(app.outdir, "explore"), dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("build-finished", _with_the_pictures)
