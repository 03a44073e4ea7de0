"""The directive ``speed-table``: times out of what ``benchmarks/run.py`` wrote."""

import json
from pathlib import Path

from sphinx.util.docutils import SphinxDirective

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results.json"


def seconds(x):
    """Format a time."""
    return f"{x * 1e3:.3g} ms" if x < 1 else f"{x:.3g} s"


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
            times = peer["times"]
            yield [
                *((cell["problem"], f"``{cell['penalty']}``") if k == 0 else ("", "")),
                name,
                seconds(peer["median"]),
                f"{seconds(min(times))} to {seconds(max(times))}" if len(times) > 1 else "one run",
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
                times = [seconds(time) for time in (min(peer["times"]), max(peer["times"]))]
                median, whole = seconds(peer["median"]), seconds(peer["process"])
                yield [peer["peer"], median, " to ".join(times), whole]


TABLES = {"paths": paths, "absent": absent, "first": first}


class SpeedTable(SphinxDirective):
    """Make one of the tables, or with the argument ``about`` the line that says what was run."""

    required_arguments = 1

    def run(self):
        """Return the nodes."""
        self.env.note_dependency(str(RESULTS))
        results = json.loads(RESULTS.read_text())
        if self.arguments[0] == "about":
            about = results["about"]
            versions = ", ".join(f"{name} {v}" for name, v in about["versions"].items())
            text = (
                f"Measured {about['date']} on {about['machine']}, {about['threads']} threads, "
                f"{about['repeats']} repeats, Python {about['python']}; {versions}."
            )
            return self.parse_text_to_nodes(text)
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for cells in TABLES[self.arguments[0]](results["cells"]):
            lines += [f"   {'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app):
    """Register the directive."""
    app.add_directive("speed-table", SpeedTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
