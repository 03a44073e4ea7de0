"""Newton's method on the nonzero coefficients of a working set."""

import numpy as np

from .._array import nonzeros


def newton(quadratic, gradient, w, penalty, alpha, goal, max_steps=20):
    """Take Newton steps among the nonzeros of `w`; a sign that would change stops at zero.

    Parameters
    ----------
    quadratic : GramQuadratic or ColumnQuadratic
        The loss on the working set.
    gradient, w : ndarray of shape (k,)
        Minus the gradient of the loss, and the coefficients; both are updated in place.
    penalty : Penalty
        Penalty of these k coefficients.
    alpha : float
        Strength.
    goal : float
        Largest force on a nonzero at which to stop.
    max_steps : int, default=20
        Largest number of steps.

    Returns
    -------
    float
        Smallest pivot of the last Hessian, relative to its diagonal; 0 if it was not positive
        definite, inf if there was nothing to do.
    """
    pivot = np.inf
    for _ in range(max_steps):
        support = nonzeros(w)
        if support.size == 0:
            return pivot
        active = penalty._take(support)
        old = w[support]
        force = gradient[support] - active.slope(old, alpha) * np.sign(old)
        worst = np.abs(force).max()
        if worst <= goal:
            return pivot
        step, pivot = quadratic.solve(support, active.curvature(old, alpha), force)
        if step is None:
            return 0.0
        if not _line_search(quadratic, gradient, w, active, alpha, support, step, worst):
            break
    return pivot


def _line_search(quadratic, gradient, w, active, alpha, support, step, worst):
    # Halve the step until the objective falls; at its rounding level the force decides.
    old = w[support]
    before = active.value(old, alpha)
    level = 1e-13 * (np.abs(gradient[support] * old).sum() + before.sum())
    for size in 0.5 ** np.arange(6):
        new = old + size * step
        crosses = new * old < 0
        new[crosses] = 0.0
        move = new - old
        pull = quadratic.pull(support, move)
        change = (pull[support] / 2 - gradient[support]) @ move
        change += (active.value(new, alpha) - before).sum()
        if change < -level:
            break
        if change <= level and not crosses.any():
            left = gradient[support] - pull[support] - active.slope(new, alpha) * np.sign(new)
            if np.abs(left).max() < 0.5 * worst:
                break
            return False
    else:
        return False
    w[support] = new
    gradient -= pull
    return True
