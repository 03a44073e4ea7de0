"""The directive ``speed-table``: times out of what ``run.py`` and ``nets.py`` wrote.

Both are in ``benchmarks``, with their files ``results.json`` and ``nets.json``.
"""

import json
import statistics
import sys
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from tables import seconds, spread  # noqa: E402


def paths(cells):
    """Yield the rows of the paths: a library each, the fastest first."""
    yield ["Problem", "Penalty", "Library", "Median", "Range", "Time / ours", "Residual", "Excess"]
    for cell in cells:
        if cell["task"] != "path":
            continue
        good = [peer for peer in cell["peers"] if peer["status"] == "ok"]
        ours = next(peer["median"] for peer in good if peer["peer"] == "skdropdual")
        for k, peer in enumerate(sorted(good, key=lambda peer: peer["median"])):
            name = f"**{peer['peer']}**" if peer["peer"] == "skdropdual" else peer["peer"]
            yield [
                *((cell["problem"], f"``{cell['penalty']}``") if k == 0 else ("", "")),
                name,
                seconds(peer["median"]),
                spread(peer["times"]),
                f"{peer['median'] / ours:.2f}",
                f"{peer['residual']:.1e}",
                f"{peer['excess_max']:.0e}",
            ]


def absent(cells):
    """Yield the rows of those that are missing, with the reason."""
    yield ["Problem", "Penalty", "Library", "Why it has no time"]
    for cell in cells:
        reasons = {}
        for peer in cell["peers"] if cell["task"] == "path" else []:
            if peer["status"] != "ok":
                reason = peer["status"].removeprefix("left out: ")
                reasons.setdefault(reason, []).append(peer["peer"])
        for reason, names in reasons.items():
            yield [cell["problem"], f"``{cell['penalty']}``", ", ".join(names), reason]


def first(cells):
    """Yield the rows of first fits in a fresh process, the fastest first."""
    yield ["Library", "Import and fit", "Range", "Whole process"]
    for cell in cells:
        if cell["task"] == "first":
            good = [peer for peer in cell["peers"] if peer["status"] == "ok"]
            for peer in sorted(good, key=lambda peer: peer["median"]):
                median, whole = seconds(peer["median"]), seconds(peer["process"])
                yield [peer["peer"], median, spread(peer["times"]), whole]


def epochs(times):
    """Yield the rows of the epochs of a net, the fastest first."""
    yield ["Loop or method", "Median", "Range", "Time / plain loop"]
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name in sorted(medians, key=medians.get):
        ours = "plain" not in name and name != "skorch"
        ratio = f"{medians[name] / medians['plain loop']:.2f}"
        label = f"``{name}``" if ours else name
        yield [label, seconds(medians[name]), spread(times[name]), ratio]


TABLES = {"paths": paths, "absent": absent, "first": first}


class SpeedTable(SphinxDirective):
    """Make a table; ``about`` is the line that says what was run, ``nets`` has its own line."""

    required_arguments = 1

    def run(self):
        """Return the nodes."""
        (kind,) = self.arguments
        path = BENCHMARKS / ("nets.json" if kind == "nets" else "results.json")
        self.env.note_dependency(str(path))
        results = json.loads(path.read_text())
        if kind == "nets":
            lines = []
            for run in results.values():
                lines += [said(run["about"]), "", *table(epochs(run["seconds"])), ""]
        elif kind == "about":
            lines = [said(results["about"])]
        else:
            lines = table(TABLES[kind](results["cells"]))
        return self.parse_text_to_nodes("\n".join(lines))


def said(about):
    """Return the line that says how something was measured."""
    versions = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
    threads = "1 thread" if about["threads"] == 1 else f"{about['threads']} threads"
    return (
        f"Measured {about['date']} on {about['machine']}, {threads}, "
        f"{about['repeats']} repeats, Python {about['python']}; {versions}."
    )


def table(rows):
    """Yield the lines of a table, the first row its header."""
    yield from (".. list-table::", "   :header-rows: 1", "")
    for cells in rows:
        yield from (f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells))


def setup(app):
    """Register the directive."""
    app.add_directive("speed-table", SpeedTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
