"""The directive ``penalty-table``: a row for each name out of ``list_penalties``."""

import inspect

from sphinx.util.docutils import SphinxDirective

from skdropdual.penalties import get_penalty, list_penalties

HEADER = ("Name", "What it is", "Parameters", "Facts")

# What an attribute says of a penalty.
FACTS = {
    "convex": "convex",
    "sparse": "exact zeros",
    "joint": "its shape depends on alpha",
    "constraint": "a constraint: alpha plays no part",
}


def row(name):
    """Return the cells of a penalty: its name, the first line of its docstring, its facts."""
    penalty = get_penalty(name)
    cls = type(penalty)
    first = inspect.getdoc(cls).splitlines()[0]
    parameters = inspect.signature(cls).parameters.values()
    defaults = ", ".join(f"``{p.name}={_short(p.default)}``" for p in parameters)
    facts = "; ".join(text for fact, text in FACTS.items() if getattr(penalty, fact))
    link = f':class:`"{name}" <skdropdual.penalties.{cls.__name__}>`'
    return [link, first, defaults, facts]


def _short(value):
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


class PenaltyTable(SphinxDirective):
    """Make the table."""

    def run(self):
        """Return the nodes."""
        lines = [".. list-table::", "   :header-rows: 1", "   :class: facts", ""]
        for cells in (HEADER, *map(row, list_penalties())):
            lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app):
    """Register the directive."""
    app.add_directive("penalty-table", PenaltyTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
