"""How Sphinx makes a site of these pages: ``sphinx-build docs docs/_build``."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

project = "mailserver"
author = "the mailserver authors"
copyright = "the mailserver authors"
extensions = ["sphinx.ext.autodoc", "zope_interfaces"]
exclude_patterns = ["_build", "benchmarks/*"]
default_role = "literal"                # `name` is a name; docstrings write it so
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
html_theme = "alabaster"
html_theme_options = {"description": "A mail server whose every decision can be a plugin", "fixed_sidebar": True}
html_show_sourcelink = False
