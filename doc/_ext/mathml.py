"""Formulas as MathML, which browsers draw by themselves: no script, no network."""

import re

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

# What the converter reads otherwise than TeX does.
_BAR = r"(?<!\\)(?<!left)(?<!right)\|"
READ = (
    (re.compile(r"(\\[td]?frac)\s*(\w)(\w)"), r"\1{\2}{\3}"),  # \tfrac12
    (re.compile(rf"{_BAR}([^|]*?){_BAR}"), r"\\left|\1\\right|"),  # bars that belong together
    (re.compile(r"\\\|([^|]*?)\\\|"), r"\\left\\|\1\\right\\|"),
    (re.compile(r"0\+\)"), r"0^+)"),
)


def _mathml(node, as_block):
    tex = node.astext()
    if "\\\\" in tex and "\\begin" not in tex:
        tex = f"\\begin{{aligned}}{tex}\\end{{aligned}}"
    for pattern, replacement in READ:
        tex = pattern.sub(replacement, tex)
    return tex2mathml(tex, as_block=as_block)


def _inline(visitor, node):
    visitor.body.append(_mathml(node, as_block=False))
    raise SkipNode


def _display(visitor, node):
    visitor.body.append(f'<div class="formula">{_mathml(node, as_block=True)}</div>')
    raise SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
