"""Bias, support recovery and prediction of penalties, against correlation and noise.

``python doc/simulations/which_penalty.py`` writes which_penalty.csv beside itself: for each
penalty, correlation and signal-to-noise ratio the means over repeats. Five folds choose strengths.

y = X b + noise; 100 rows, 200 columns of AR(1) correlation, 10 coefficients +1 or -1 anywhere.
"""

import argparse
import csv
import itertools
from pathlib import Path

import numpy as np

from skdropdual import EffectivePenaltyRegressorCV
from skdropdual.penalties import L1, MCP, SCAD, ElasticNet, LogSum, Lp, VarDrop

ROWS, COLUMNS, TRUE = 100, 200, 10
CORRELATIONS, RATIOS = (0.0, 0.5, 0.9), (1.0, 4.0, 16.0)
PENALTIES = {
    "l1": L1(),
    "elasticnet": ElasticNet(),
    "logsum": LogSum(),
    "logsum, epsilon 0.1": LogSum(epsilon=0.1),
    "mcp": MCP(),
    "scad": SCAD(),
    "vardrop": VarDrop(),
    "lp 0.5": Lp(p=0.5),
}
MEASURES = ("shrinkage", "found", "false", "error")
HERE = Path(__file__).parent


def problem(correlation, ratio, rng):
    """Return X, y, the true coefficients and the covariance of the columns."""
    distance = np.abs(np.subtract.outer(np.arange(COLUMNS), np.arange(COLUMNS)))
    covariance = correlation**distance
    X = rng.standard_normal((ROWS, COLUMNS)) @ np.linalg.cholesky(covariance).T
    b = np.zeros(COLUMNS)
    b[rng.choice(COLUMNS, TRUE, replace=False)] = rng.choice([-1.0, 1.0], TRUE)
    noise = np.sqrt(b @ covariance @ b / ratio)
    return X, X @ b + noise * rng.standard_normal(ROWS), b, covariance


def measure(w, b, covariance):
    """Return how much true coefficients shrink, shares found and false, and excess error.

    The error is that of the prediction over that of predicting the mean, noise left out of both.
    """
    hits = (w != 0) & (b != 0)
    return {
        "shrinkage": 1 - (w[hits] / b[hits]).mean() if hits.any() else np.nan,
        "found": hits.sum() / TRUE,
        "false": np.mean(b[w != 0] == 0) if w.any() else 0.0,
        "error": (w - b) @ covariance @ (w - b) / (b @ covariance @ b),
    }


def main(repeats):
    """Write the table."""
    rows = []
    for correlation, ratio in itertools.product(CORRELATIONS, RATIOS):
        found = {name: [] for name in PENALTIES}
        for seed in range(repeats):
            X, y, b, covariance = problem(correlation, ratio, np.random.default_rng(seed))
            for name, penalty in PENALTIES.items():
                model = EffectivePenaltyRegressorCV(penalty, alphas=50).fit(X, y)
                found[name].append(measure(model.coef_, b, covariance))
        for name, measures in found.items():
            means = {m: np.nanmean([one[m] for one in measures]) for m in MEASURES}
            rows.append([name, correlation, ratio, *(f"{means[m]:.3f}" for m in MEASURES)])
    with (HERE / "which_penalty.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["penalty", "correlation", "ratio", *MEASURES])
        writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    main(parser.parse_args().repeats)
