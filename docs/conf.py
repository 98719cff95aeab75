"""Sphinx: the pages are Markdown, made from the code by commands and checked by tests."""

project = "UEGR"
author = "The UEGR reference authors"
copyright = "2026, the UEGR reference authors"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "UEGR"
exclude_patterns = ["_build", "results_notes.md"]  # the notes are included in results.md
myst_heading_anchors = 3
