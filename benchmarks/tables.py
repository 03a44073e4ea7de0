"""Plain text tables."""

import sys

import numpy as np


def say(text=""):
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def table(title, header, rows):
    """Print rows of strings; the first column is left-aligned."""
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    say(f"\n{title}")
    for row in [header, *rows]:
        cells = [str(x).rjust(width) for x, width in zip(row, widths, strict=True)]
        cells[0] = str(row[0]).ljust(widths[0])
        say("  ".join(cells).rstrip())


def absent(peers):
    """Print the peers that have no result, with the reason, those with the same reason together."""
    reasons = {}
    for peer in peers:
        if peer["status"] != "ok":
            reasons.setdefault(peer["status"], []).append(peer["peer"])
    for reason, names in reasons.items():
        say(f"  {', '.join(names)}: {reason}")


def seconds(x):
    """Format a time."""
    return f"{x * 1e3:.3g} ms" if x < 1 else f"{x:.3g} s"


def spread(times):
    """Format a range of times; one run has none."""
    return f"{seconds(min(times))} - {seconds(max(times))}" if len(times) > 1 else "one run"


def relative_spread(times):
    """Return (max - min) / median."""
    return (max(times) - min(times)) / float(np.median(times)) if len(times) > 1 else 0.0


def fits(cell):
    """Print one cell of single fits or a path; also adds the excess of the objectives to it."""
    rows = []
    good = [peer for peer in cell["peers"] if peer["status"] == "ok"]
    if good:
        best = np.min([peer["objectives"] for peer in good], axis=0)
    own = next((p["median"] for p in good if p["peer"] == "skdropdual"), None)
    for peer in good:
        excess = np.asarray(peer["objectives"]) / best - 1
        peer["excess_max"], peer["excess_median"] = float(excess.max()), float(np.median(excess))
        rows.append(
            [
                peer["peer"],
                seconds(peer["median"]),
                spread(peer["times"]),
                f"{peer['median'] / own:.2f}" if own else "",
                f"{peer['tol']:.0e}",
                f"{peer['residual']:.1e}",
                f"{peer['objectives'][-1]:.10f}",
                f"{peer['excess_max']:.1e} ({peer['excess_median']:.0e})",
                peer["nonzeros"][-1],
            ]
        )
    header = ["peer", "median", "min - max", "/ ours", "tol", "residual", "objective"]
    header += ["excess (median)", "nonzeros"]
    table(f"{cell['task']}: {cell['problem']}, {cell['penalty']}", header, rows)
    absent(cell["peers"])


def cross_validations(cell):
    """Print one cell of cross-validation."""
    rows = []
    good = [peer for peer in cell["peers"] if peer["status"] == "ok"]
    reference = next((p["alpha"] for p in good if p["peer"] == "sklearn"), None)
    for peer in good:
        off = f"{abs(peer['alpha'] / reference - 1):.1e}" if reference else ""
        rows.append(
            [
                peer["peer"],
                seconds(peer["median"]),
                spread(peer["times"]),
                f"{peer['tol']:.0e}",
                f"{peer['alpha']:.8g}",
                off,
            ]
        )
    header = ["peer", "median", "min - max", "tol", "alpha_", "off sklearn"]
    table(f"cv: {cell['problem']}, {cell['penalty']}", header, rows)
    absent(cell["peers"])
