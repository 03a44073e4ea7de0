"""Is it a solution? Penalties, stationarity and objective, written apart from every solver.

The problem is min L(w) + sum_j P(|w_j|) with the loss L of a `Problem`, intercept profiled out.
"""

import numpy as np

GAMMA, A, EPSILON = 3.0, 3.7, 0.1  # of MCP, SCAD and LogSum
PENALTIES = ("l1", "mcp", "scad", "logsum", "vardrop")
TARGET = 1e-6  # residual, relative to max |L'(0)|, at which a time counts


def ours(penalty):
    """Return skdropdual's penalty of that name, with the constants above."""
    from skdropdual.penalties import L1, MCP, SCAD, LogSum, VarDrop

    return {
        "l1": lambda: L1(),
        "mcp": lambda: MCP(gamma=GAMMA),
        "scad": lambda: SCAD(a=A),
        "logsum": lambda: LogSum(epsilon=EPSILON),
        "vardrop": lambda: VarDrop(),
    }[penalty]()


def slope(penalty, w, alpha):
    """Return P'(w) of magnitudes w, at 0 its limit from the right."""
    if penalty == "l1":
        return np.full_like(w, alpha)
    if penalty == "mcp":
        return np.maximum(alpha - w / GAMMA, 0)
    if penalty == "scad":
        return np.where(w <= alpha, alpha, np.maximum(A * alpha - w, 0) / (A - 1))
    if penalty == "logsum":
        return alpha / (w + EPSILON)
    return ours(penalty).slope(w, alpha)  # VarDrop has no elementary form, and no peer


def value(penalty, w, alpha):
    """Return P(w) of magnitudes w."""
    if penalty == "l1":
        return alpha * w
    if penalty == "mcp":
        return np.where(w <= GAMMA * alpha, alpha * w - w**2 / (2 * GAMMA), GAMMA * alpha**2 / 2)
    if penalty == "scad":
        middle = (2 * A * alpha * w - w**2 - alpha**2) / (2 * (A - 1))
        flat = alpha**2 * (A + 1) / 2
        return np.where(w <= alpha, alpha * w, np.where(w <= A * alpha, middle, flat))
    if penalty == "logsum":
        return alpha * np.log1p(w / EPSILON)
    return ours(penalty).value(w, alpha)


def judge(problem, penalty, alphas, coefs):
    """Return the worst relative stationarity residual, and each point's objective and size.

    Parameters
    ----------
    problem : Problem
    penalty : str
    alphas : ndarray of shape (n_alphas,)
    coefs : ndarray of shape (n_features, n_alphas) or (n_features, n_classes, n_alphas)

    Returns
    -------
    residual : float
    objectives, nonzeros : ndarray of shape (n_alphas,)
    """
    scale = np.abs(problem.grad0()).max()
    residuals, objectives, nonzeros = [], [], []
    if not np.isfinite(coefs).all():
        coefs = np.nan_to_num(coefs)
        residuals.append(np.inf)
    for alpha, w in zip(alphas, np.moveaxis(coefs, -1, 0), strict=True):
        loss, g = problem.look(w)
        on = w != 0
        at_zero = np.abs(g[~on]) - slope(penalty, np.zeros(1), alpha)
        elsewhere = np.abs(g[on] - slope(penalty, np.abs(w[on]), alpha) * np.sign(w[on]))
        residuals.append(max(at_zero.max(initial=0.0), elsewhere.max(initial=0.0)) / scale)
        penalised = value(penalty, np.abs(w[on]), alpha).sum()
        objectives.append(loss + penalised)
        nonzeros.append(int(on.sum()))
    return float(np.max(residuals)), np.array(objectives), np.array(nonzeros)
