"""What runs in a child process, so that a peer that hangs or crashes can be stopped.

`python worker.py SPEC` with SPEC in JSON; every answer is one line of JSON behind `MARK`.
"""

import ctypes
import gc
import json
import re
import resource
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import problems
from peers import PEERS
from stationarity import TARGET, judge, ours

MARK = "@@"
SLOW = 20.0  # seconds beyond which a run is timed once, and not run once more to warm up


def answer(**fields):
    """Send one line to the parent."""
    sys.stdout.write(f"{MARK}{json.dumps(fields)}\n")
    sys.stdout.flush()


def started(name, problem, spec):
    """Return a peer on `problem`, after a tiny fit: what compiles has compiled."""
    small = problems.tiny(problem.facts)
    start = ours(spec["penalty"]).alpha_max(small.grad0())
    warm = PEERS[name](small, spec["penalty"], spec["threads"])
    warm.solve(np.array([start / 10]), 1e-6)
    if len(spec["alphas"]) > 1:
        warm.solve(np.geomspace(start, start / 10, 5), 1e-6)
    if spec["task"] == "cv":
        warm.cross_validate(np.geomspace(start, start / 10, 5), 1e-6)
    return PEERS[name](problem, spec["penalty"], spec["threads"])


def calibrate(problem, spec):
    """Find the loosest tolerance of the peer that reaches the target; not interleaved."""
    peer = started(spec["peers"][0], problem, spec)
    alphas = np.array(spec["alphas"])
    answer(ready=True)
    for tol in peer.tolerances:
        start = time.perf_counter()
        result = peer.solve(alphas, tol)
        seconds = time.perf_counter() - start
        answer(solved=True)
        residual = judge(problem, spec["penalty"], alphas, peer.coefs(result))[0]
        answer(tol=tol, seconds=seconds, residual=residual)
        if residual <= TARGET:
            break


def measure(problem, spec):
    """Time all peers side by side, turn by turn."""
    alphas = np.array(spec["alphas"])
    cv = spec["task"] == "cv"
    peers = {name: started(name, problem, spec) for name in spec["peers"]}
    times = {name: [] for name in peers}
    last = {}
    for turn in range(spec["repeats"] + 1):
        order = list(peers)[turn % len(peers) :] + list(peers)[: turn % len(peers)]
        for name in order:
            if turn != 1 and spec["seconds"][name] > SLOW:
                continue
            last.pop(name, None)
            gc.collect()
            run = peers[name].cross_validate if cv else peers[name].solve
            start = time.perf_counter()
            last[name] = run(alphas, spec["tols"][name])
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
        answer(turn=turn)
    for name, peer in peers.items():
        row = {"peer": name, "times": times[name]}
        if cv:
            row["alpha"] = float(last[name])
        else:
            residual, objectives, nonzeros = judge(
                problem, spec["penalty"], alphas, peer.coefs(last[name])
            )
            row |= {"residual": residual, "objectives": objectives.tolist()}
            row["nonzeros"] = nonzeros.tolist()
        answer(**row)


def memory(problem, spec):
    """Tell the peak of resident memory that a fit adds, as a multiple of the size of X."""
    peer = started(spec["peers"][0], problem, spec)
    gc.collect()
    before = resident(reset=True)
    peer.solve(np.array(spec["alphas"]), TARGET)
    extra = resident() - before
    answer(bytes=extra, ratio=extra / problem.facts.nbytes)


def resident(reset=False):
    """Return the peak of resident memory in bytes; `reset` first forgets the past, on Linux.

    There getrusage would also count the parent's peak, which a child inherits.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if reset:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) * 1024


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # convergence is judged by the residual
    specification = json.loads(sys.argv[1])
    modes = {"calibrate": calibrate, "measure": measure, "memory": memory}
    modes[specification["mode"]](problems.load(specification["folder"]), specification)
