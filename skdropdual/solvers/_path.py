"""One problem at many strengths, each solution starting the next."""

import numpy as np

from ._reweighted import Reweighting
from ._working_set import WorkingSet


def make_engine(problem, penalty, alpha, masks, **options):
    """Return what solves the problem at one strength.

    Parameters
    ----------
    problem : LeastSquares or Moments
        Loss and data.
    penalty : Penalty
        Bound to the design if it depends on it.
    alpha : float > 0
        Strength.
    masks : bool
        Majorise by the ridge of the dropout rule; else by weighted L1 where that is possible.
    **options
        Of `Engine`.

    Returns
    -------
    Engine
        A `Reweighting` or a `WorkingSet`.
    """
    zero = np.zeros(problem.n_features)
    ridged = masks or not (penalty.majorizer(zero, alpha)[0] > 0).any()
    return (Reweighting if ridged else WorkingSet)(problem, penalty, alpha, **options)


def solve_path(problem, penalty, alphas, masks=False, start=None, **options):
    """Yield the solution at each strength, each starting the next.

    Parameters
    ----------
    problem : LeastSquares or Moments
        Loss and data.
    penalty : Penalty
        Bound to the design if it depends on it.
    alphas : iterable of float
        Strengths > 0, from the largest down.
    masks : bool, default=False
        As in `make_engine`.
    start : ndarray of shape (n_features,), default=None
        Coefficients to start from; zeros by default.
    **options
        Of `Engine`.

    Yields
    ------
    Solution
        Without an objective, and not refined beyond ``tol``.
    """
    w, gradient = np.zeros(problem.n_features) if start is None else start, None
    for alpha in alphas:
        engine = make_engine(problem, penalty, float(alpha), masks, **options)
        solution = engine.solve(w, gradient, finish=False)
        w, gradient = solution.w, solution.gradient
        yield solution
