"""How the documentation is built: ``sphinx-build -W -b html doc doc/_build/html``."""

import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ.setdefault("MPLBACKEND", "agg")

import skdropdual  # noqa: E402

project = "skdropdual"
author = "The skdropdual developers"
copyright = author
release = version = skdropdual.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "matplotlib.sphinxext.plot_directive",
    "mathml",
    "penalty_table",
    "simulation_table",
    "speed_table",
]
html_math_renderer = "mathml"
templates_path = ["_templates"]
exclude_patterns = ["_build", "_ext", "**/GALLERY_HEADER.rst"]
default_role = "autolink"

# API

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False


def skip_plumbing(app, what, name, obj, skip, options):
    """Leave out what scikit-learn adds to every estimator; it links to pages of its own."""
    plumbing = name.endswith(("_request", "_routing")) or name == "set_output"
    return True if plumbing else skip


def unlink_foreign_pages(app, what, name, obj, options, lines):
    """Keep the words of links to pages of scikit-learn's, which inherited docstrings have."""
    text = re.sub(r":ref:`([^<`]*?)\s*<[^`]*>`", r"\1", "\n".join(lines))
    lines[:] = text.split("\n")


def setup(app):
    """Connect to the build."""
    app.connect("autodoc-skip-member", skip_plumbing)
    app.connect("autodoc-process-docstring", unlink_foreign_pages)


# Examples

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skdropdual",),
    "within_subsection_order": "ExampleTitleSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "min_reported_time": 20,
    "image_scrapers": ("matplotlib",),
    "plot_gallery": "True",
    "abort_on_example_error": True,
}
plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 110)]
plot_pre_code = ""

# Pages

html_theme = "pydata_sphinx_theme"
html_title = "skdropdual"
html_static_path = ["_static"]
html_css_files = ["page.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": False,
    "navbar_align": "left",
    "navbar_persistent": [],
    "navbar_end": ["search-button", "theme-switcher"],
    "header_links_before_dropdown": 9,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {
    page: [] for page in ("index", "get_started", "which_penalty", "theory", "speed", "faq")
}
