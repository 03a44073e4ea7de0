"""Draw what which_penalty.py has measured, at the middle correlation."""

import csv
from pathlib import Path

import matplotlib.pyplot as plt

TITLES = {
    "error": "Error of prediction",
    "shrinkage": "Shrinkage of true coefficients",
    "found": "True columns found",
    "false": "False share of the columns found",
}
STYLES = {"l1": "-", "elasticnet": "-", "logsum": "--", "mcp": "-", "vardrop": "--", "lp 0.5": ":"}

# Beside this file, where it runs.
with Path("which_penalty.csv").open(newline="") as file:
    rows = [row for row in csv.DictReader(file) if float(row["correlation"]) == 0.5]

figure, axes = plt.subplots(2, 2, figsize=(10, 6), sharex=True, layout="constrained")
for ax, (measure, title) in zip(axes.flat, TITLES.items(), strict=True):
    for name, style in STYLES.items():
        mine = [row for row in rows if row["penalty"] == name]
        ratios = [float(row["ratio"]) for row in mine]
        ax.plot(ratios, [float(row[measure]) for row in mine], f"o{style}", ms=4, label=name)
    ax.set(xscale="log", title=title, xticks=ratios, xticklabels=[f"{r:g}" for r in ratios])
    ax.minorticks_off()
axes[0, 0].set_yscale("log")
axes[0, 0].legend(fontsize="small")
for ax in axes[1]:
    ax.set_xlabel("signal-to-noise ratio (correlation 0.5)")
