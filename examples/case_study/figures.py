"""The paper's Figure 2 from our runs, and error against density."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import paper
import search

# Okabe and Ito's colours, which the colour-blind tell apart, with grey for their yellow, and wine.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
COLOURS += ("#882255",)
MARKERS = "os^vDP*Xp"
# Of names that would lie on each other, in points.
_SHIFTS = {"AdaTikhonov": (-5, -9), "LogSum": (-5, 4), "AdaProx": (6, -6)}
LINES = ("-", "--", "-.", ":")


def style(i):
    """Return colour, line and marker of the i-th thing drawn."""
    colour, line = COLOURS[i % len(COLOURS)], LINES[i % len(LINES)]
    return {"color": colour, "linestyle": line, "marker": MARKERS[i % len(MARKERS)]}


def over_epochs(records, note=""):
    """Return the figure of test error and fraction of nonzero weights over the epochs."""
    fig, (errors, densities) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    first = {record["name"]: record for record in reversed(records)}
    for i, name in enumerate(name for name in paper.settings() if name in first):
        history = first[name]["history"]
        epochs = 1 + np.arange(len(history["density"]))
        look = style(i) | {"markevery": max(1, len(epochs) // 8), "markersize": 5, "label": name}
        errors.plot(epochs, history[paper.published_as(name)], **look)
        densities.plot(epochs, history["density"], **look)
    errors.set(xlabel="epoch", ylabel="test error, %")
    last = [paper.published_error(r) for r in first.values()]
    errors.set_ylim(0.8 * min(last), 2.5 * max(last))
    densities.set(xlabel="epoch", ylabel="fraction of weights not zero", yscale="log")
    errors.legend(loc="upper right", fontsize="small")
    errors.set_title("as in the paper: small weights left in but for VarDrop", fontsize="medium")
    if note:
        fig.suptitle(note)
    return fig


def error_by_density(stages, note="", published=True):
    """Return the figure of test error against density: ours, the paper's, others'."""
    fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    if published:
        _published(ax, stages.get("paper", []))
    curves = {"ours": stages.get("final", [])}
    for record in stages.get("rivals", []):
        curves.setdefault(record.get("curve", record["name"]), []).append(record)
    for i, (name, records) in enumerate(curves.items()):
        points = sorted(summarised(records).values())
        if points:
            x, y, spread = (np.array(part) for part in zip(*points, strict=True))
            ax.errorbar(x, y, spread, **style(i), capsize=3, label=name, linewidth=1.2)
    ax.set(
        xscale="log",
        xlim=(0.006, 1.3),
        xlabel="fraction of weights not zero",
        ylabel="test error, %",
    )
    ax.legend(fontsize="small")
    if note:
        ax.set_title(note)
    return fig


def _published(ax, records):
    # The paper's points with their names, and a line from each to the same row here.
    grey = {"color": "0.45", "linestyle": "none"}
    errors, densities = zip(*paper.PUBLISHED.values(), strict=True)
    ax.plot(densities, errors, **grey, marker="x", label="the paper")
    for name, (error, density) in paper.PUBLISHED.items():
        shift = _SHIFTS.get(name, (5, 3))
        side = {
            "xytext": shift,
            "textcoords": "offset points",
            "ha": "left" if shift[0] > 0 else "right",
        }
        ax.annotate(name, (density, error), **side, fontsize=7, color="0.35")
    ax.plot(list(search.GOALS), list(search.GOALS.values()), "k_", markersize=14, label="goals")
    repeated = [r for r in records if r["name"] in paper.PUBLISHED]
    for i, record in enumerate(repeated):
        error, density = paper.PUBLISHED[record["name"]]
        here = record["density"], paper.published_error(record)
        ax.plot([density, here[0]], [error, here[1]], color="0.75", linewidth=0.8, zorder=0)
        ax.plot(*here, **grey, marker="+", label="its rows, repeated" if i == 0 else None)


def summarised(records):
    """Return (density, mean test error, its standard error) of records by name."""
    groups = {}
    for record in records:
        groups.setdefault(record["name"], []).append(record)
    return {name: mean_error(group) for name, group in groups.items()}


def mean_error(records):
    """Return density, mean test error and its standard error over seeds (0 for one)."""
    errors = np.array([record["test_error"] for record in records])
    spread = errors.std(ddof=1) / len(errors) ** 0.5 if len(errors) > 1 else 0.0
    return float(np.mean([r["density"] for r in records])), float(errors.mean()), float(spread)
