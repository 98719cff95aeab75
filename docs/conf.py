"""Sphinx: pages in Markdown, some of them made from the code when the site is built (`_ext/`)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "UEGR"
author = "The UEGR reference authors"
copyright = "2026, the UEGR reference authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "uegr_site"]
default_role = "code"  # single backticks in docstrings
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "UEGR"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
exclude_patterns = ["_build", "_ext", "notes"]  # notes are parts of the pages of results
suppress_warnings = ["myst.header"]  # pages of tables begin where their generator says
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
pygments_dark_style = "github-dark"
