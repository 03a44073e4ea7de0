"""The paper's Figure 2 from our runs, and error against density."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import paper
import search

# Okabe and Ito's colours, which the colour-blind tell apart, with black for a ninth.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MARKERS = "os^vDP*X"
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
        errors.plot(epochs, history["test_error_unzeroed"], **look)
        densities.plot(epochs, history["density"], **look)
    errors.set(xlabel="epoch", ylabel="test error, %", ylim=(0, None))
    last = [r["history"]["test_error_unzeroed"][-1] for r in first.values()]
    errors.set_ylim(0.8 * min(last), 2.5 * max(last))
    densities.set(xlabel="epoch", ylabel="fraction of weights not zero", yscale="log")
    densities.legend(fontsize="small")
    errors.set_title("small weights left in, as in the paper", fontsize="medium")
    if note:
        fig.suptitle(note)
    return fig


def error_by_density(stages, note=""):
    """Return the figure of test error against density: ours, the paper's, others'."""
    fig, ax = plt.subplots(figsize=(7, 5), layout="constrained")
    grey = {"color": "0.45", "linestyle": "none", "marker": "x"}
    published = list(paper.PUBLISHED.items())
    ax.plot(
        [d for _, (_, d) in published], [e for _, (e, _) in published], **grey, label="the paper"
    )
    for name, (error, density) in published:
        ax.annotate(
            name,
            (density, error),
            fontsize=7,
            color="0.35",
            xytext=(4, 3),
            textcoords="offset points",
        )
    ax.plot(list(search.GOALS), list(search.GOALS.values()), "k_", markersize=14, label="goals")
    curves = {"ours": stages.get("final", [])}
    for record in stages.get("rivals", []):
        curves.setdefault(record.get("curve", record["name"]), []).append(record)
    for i, (name, records) in enumerate(curves.items()):
        points = sorted(summarised(records).values())
        if points:
            x, y, spread = (np.array(part) for part in zip(*points, strict=True))
            ax.errorbar(x, y, spread, **style(i), capsize=3, label=name, linewidth=1.2)
    ax.set(xscale="log", xlabel="fraction of weights not zero", ylabel="test error, %")
    ax.legend(fontsize="small")
    if note:
        ax.set_title(note)
    return fig


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
