"""Time sparse linear models, ours and the peers', to equal stationarity.

``python benchmarks/run.py`` runs everything; see ``--help`` and README.md.
"""

import argparse
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

OPTIONS = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
)
TASKS = ("single10", "single100", "path", "cv", "first", "scaling", "memory")
POINTS, CV_POINTS, RATIO = 50, 100, 100  # of the paths: alpha_max to alpha_max/RATIO
STARTUP = 240.0  # seconds to import, compile and load
LIBRARIES = ["skdropdual", "scikit-learn", "skglm", "celer", "adelie", "glum", "pycasso", "numpy"]
LIBRARIES += ["scipy"]
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "BLIS", "VECLIB", "NUMEXPR")


def options():
    """Read the command line; sets the thread counts before anything numerical is imported."""
    add = OPTIONS.add_argument
    add("--data", default=os.environ.get("SKDROPDUAL_DATA"), help="folder of the real data")
    add("--problems", nargs="+", default=None, help="default: all that can be had")
    add("--penalties", nargs="+", default=None, help="default: all")
    add("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    add("--peers", nargs="+", default=None, help="default: all; ours alone for scaling")
    add("--repeats", type=int, default=5)
    add("--timeout", type=float, default=120.0, help="seconds for one run of one peer")
    add("--threads", type=int, default=os.cpu_count())
    add("--json", type=Path, help="file to write")
    chosen = OPTIONS.parse_args()
    for name in THREADS:
        os.environ[f"{name}_NUM_THREADS"] = str(chosen.threads)
    return chosen


class Bench:
    """Runs cells, that is (task, problem, penalty), and keeps their results."""

    def __init__(self, chosen, folder):
        self.chosen, self.folder = chosen, folder
        self.cells, self.made = [], {}

    def problem(self, name):
        """Make a problem once; keep its gradient at zero and its facts."""
        if name not in self.made:
            problem = problems.make(name, self.chosen.data)
            problem.save(self.folder / name)
            self.made[name] = problem.grad0().ravel(), problem.facts
        return self.made[name]

    def spec(self, task, name, penalty):
        """Return what the worker needs to know, all but the mode and the peers."""
        start = ours(penalty).alpha_max(self.problem(name)[0])
        points = CV_POINTS if task == "cv" else POINTS
        alphas = np.geomspace(start, start / RATIO, points)
        if task.startswith("single"):
            alphas = np.array([start / float(task.removeprefix("single"))])
        return {
            "task": task,
            "problem": name,
            "penalty": penalty,
            "alphas": alphas.tolist(),
            "folder": str(self.folder / name),
            "threads": self.chosen.threads,
            "repeats": self.chosen.repeats,
        }

    def cell(self, task, name, penalty, peers):
        """Calibrate every peer in its own process, then time those that pass in one."""
        spec = self.spec(task, name, penalty)
        found = [self.calibrate(spec, peer) for peer in peers]
        passed = {row["peer"]: row for row in found if row["status"] == "ok"}
        if passed:
            self.measure(spec, passed)
        for row in found:
            if row["status"] == "ok":
                row["median"] = float(np.median(row["times"]))
        cell = {key: spec[key] for key in ("task", "problem", "penalty", "alphas")}
        cell["peers"] = found
        self.cells.append(cell)
        self.write()
        return cell

    def calibrate(self, spec, peer):
        """Return the row of a peer, with its tolerance or why it has none."""
        missing = PEERS[peer].missing(spec["penalty"], self.problem(spec["problem"])[1])
        if missing:
            return {"peer": peer, "status": f"left out: {missing}"}
        steps = []
        spec = spec | {"mode": "calibrate", "peers": [peer]}
        failure = None
        try:
            # By turns: start or judge, then solve.
            for said in talk(spec, lambda count: self.chosen.timeout if count % 2 else STARTUP):
                steps += [said] if "residual" in said else []
        except ChildError as error:
            failure = str(error)
        best = min((step["residual"] for step in steps), default=np.nan)
        if failure and not best <= TARGET:
            status = failure if np.isnan(best) else f"{failure} (residual {best:.0e} before)"
            return {"peer": peer, "status": status}
        step = steps[-1]
        if np.isinf(best):
            return {"peer": peer, "status": "stops before the last point"}
        if best > TARGET:
            return {"peer": peer, "status": f"does not reach it (residual {best:.0e})"}
        return {"peer": peer, "status": "ok", "tol": step["tol"], "calibration": step["seconds"]}

    def measure(self, spec, rows):
        """Add times and results to the rows."""
        spec = spec | {
            "mode": "measure",
            "peers": list(rows),
            "tols": {peer: row["tol"] for peer, row in rows.items()},
            "seconds": {peer: row["calibration"] for peer, row in rows.items()},
        }
        turn = STARTUP * len(rows) + 2 * self.chosen.timeout * len(rows)
        try:
            for said in talk(spec, limits=lambda _: turn):
                if "peer" in said:
                    rows[said.pop("peer")].update(said)
        except ChildError as failure:
            for row in rows.values():
                if "times" not in row:
                    row["status"] = f"{failure}, when timed"
        for row in rows.values():
            if row["status"] == "ok" and row.get("residual", 0) > TARGET:
                row["status"] = f"does not reach it again (residual {row['residual']:.0e})"

    def first(self, peers):
        """Time fresh processes, by turns."""
        name = "100-20-5"
        alpha = str(ours("l1").alpha_max(self.problem(name)[0]) / 10)
        libraries = [peer for peer in peers if peer in FITS]
        inside = {library: [] for library in libraries}
        whole = {library: [] for library in libraries}
        failed = {}
        for _, library in itertools.product(range(self.chosen.repeats), libraries):
            start = time.perf_counter()
            args = ("first.py", library, str(self.folder / name), alpha)
            try:
                for line in lines(*args, limits=lambda _: STARTUP):
                    inside[library].append(float(line))
            except ChildError as failure:
                failed[library] = str(failure)
            whole[library].append(time.perf_counter() - start)
        rows, cell = [], {"task": "first", "problem": name, "peers": []}
        for library in libraries:
            if library in failed:
                cell["peers"].append({"peer": library, "status": failed[library]})
                continue
            a, b = float(np.median(inside[library])), float(np.median(whole[library]))
            rows.append([library, seconds(a), spread(inside[library]), seconds(b)])
            record = {"peer": library, "status": "ok", "median": a, "times": inside[library]}
            cell["peers"].append(record | {"process": b})
        self.cells.append(cell)
        self.write()
        header = ["peer", "import + fit", "min - max", "process"]
        table("first: 100 x 20, l1, alpha_max/10, a fresh process each", header, rows)
        absent(cell["peers"])

    def scaling(self, penalty, peers):
        """Fit the slope of log time in log n and log p, at 20 true coefficients."""
        sweeps = {
            "n": [(n, 1000) for n in (1000, 10_000, 100_000)],
            "p": [(1000, p) for p in (1000, 10_000, 100_000)],
        }
        for axis, sizes in sweeps.items():
            cells = []
            for n, p in sizes:
                cells.append(self.cell("single10", f"{n}-{p}-20", penalty, peers))
                cells[-1]["task"] = "scaling"
            rows = []
            for i, peer in enumerate(peers):
                times = [cell["peers"][i].get("median", np.nan) for cell in cells]
                slope = np.polyfit(np.log([s["np".index(axis)] for s in sizes]), np.log(times), 1)
                rows.append([peer, *[seconds(t) for t in times], f"{slope[0]:.2f}"])
            header = ["peer", *["x".join(map(str, size)) for size in sizes], "slope"]
            table(f"scaling in {axis}: {penalty}, alpha_max/10", header, rows)

    def memory(self, name, penalty, peers):
        """Measure each peer's peak over X, each in its own process."""
        spec = self.spec("path", name, penalty) | {"mode": "memory"}
        rows, cell = [], {"task": "memory", "problem": name, "penalty": penalty, "peers": []}
        for peer in peers:
            missing = PEERS[peer].missing(penalty, self.problem(name)[1])
            said = {"status": f"left out: {missing}"}
            if not missing:
                limit = STARTUP + self.chosen.timeout
                try:
                    said = next(talk(spec | {"peers": [peer]}, limits=lambda _, s=limit: s))
                    said["status"] = "ok"
                except (ChildError, StopIteration) as failure:
                    said = {"status": str(failure)}
            cell["peers"].append({"peer": peer, **said})
            if said["status"] == "ok":
                rows.append([peer, f"{said['bytes'] / 2**20:.1f} MiB", f"{said['ratio']:.3f}"])
        self.cells.append(cell)
        self.write()
        header = ["peer", "peak over X", "/ size of X"]
        table(f"memory: {name}, {penalty}, path at tol {TARGET:g}", header, rows)
        absent(cell["peers"])

    def write(self):
        """Write all cells so far, so that an interrupted run keeps them."""
        if self.chosen.json:
            how = {"threads": self.chosen.threads, "repeats": self.chosen.repeats}
            said = about(LIBRARIES, **how) | {"target": TARGET}
            self.chosen.json.write_text(json.dumps({"about": said, "cells": self.cells}))


def main(chosen):
    """Run the tasks."""
    peers = chosen.peers or list(PEERS)
    penalties = chosen.penalties or list(PENALTIES)
    names = chosen.problems or [n for n in problems.NAMES if chosen.data or n not in problems.REAL]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(chosen, Path(folder))
        for task in chosen.tasks:
            if task == "first":
                bench.first(peers)
            elif task == "scaling":
                for penalty in [x for x in penalties if x in ("l1", "mcp")]:
                    bench.scaling(penalty, chosen.peers or ["skdropdual"])
            elif task == "cv":
                able = [peer for peer in peers if peer in ("skdropdual", "sklearn", "celer")]
                for name in [x for x in names if x in ("a", "riboflavin")]:
                    cross_validations(bench.cell("cv", name, "l1", able))
            else:
                for name, penalty in itertools.product(names, penalties):
                    if task != "memory":
                        fits(bench.cell(task, name, penalty, peers))
                    elif name in ("a", "b", "d", "e"):
                        bench.memory(name, penalty, peers)
        bench.write()
        spreads = [
            (relative_spread(peer["times"]), cell["task"], cell["problem"], peer["peer"])
            for cell in bench.cells
            for peer in cell["peers"]
            if "times" in peer
        ]
        if spreads:
            worst, *where = max(spreads)
            say(f"\nmax spread, (max - min)/median: {worst:.2f} in {', '.join(where)}")


if __name__ == "__main__":
    CHOSEN = options()

    # After the thread counts are set.
    import numpy as np
    import problems
    from about import about
    from children import ChildError, lines, talk
    from first import FITS
    from peers import PEERS
    from stationarity import PENALTIES, TARGET, ours
    from tables import absent, cross_validations, fits, relative_spread, say, seconds, spread, table

    main(CHOSEN)
