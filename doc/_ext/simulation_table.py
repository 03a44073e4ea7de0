"""The directive ``simulation-table``: a measure of the simulation, the best of a column bold."""

import csv
from pathlib import Path

import numpy as np
from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[1] / "simulations" / "which_penalty.csv"

# What is best: as small, as large, or as near to 0 as can be.
GOOD = {"error": np.asarray, "found": np.negative, "false": np.asarray, "shrinkage": np.abs}


def rows(measure):
    """Return the cells of the table, its header first."""
    with RESULTS.open(newline="") as file:
        found = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["penalty"] for row in found))
    settings = list(dict.fromkeys((row["correlation"], row["ratio"]) for row in found))
    value = {(row["penalty"], row["correlation"], row["ratio"]): row[measure] for row in found}
    table = np.array([[float(value[name, *setting]) for setting in settings] for name in names])
    cost = GOOD[measure](table)
    best = cost == cost.min(axis=0)
    yield ["correlation / ratio", *(f"{float(c):g} / {float(r):g}" for c, r in settings)]
    for name, numbers, wins in zip(names, table, best, strict=True):
        cells = [f"{x:.2f}" if abs(x) >= 0.1 else f"{x:.3f}" for x in numbers]
        yield [f"``{name}``", *(f"**{c}**" if w else c for c, w in zip(cells, wins, strict=True))]


class SimulationTable(SphinxDirective):
    """Make the table of one measure."""

    required_arguments = 1

    def run(self):
        """Return the nodes."""
        self.env.note_dependency(str(RESULTS))
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for cells in rows(self.arguments[0]):
            lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app):
    """Register the directive."""
    app.add_directive("simulation-table", SimulationTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
