"""One problem at many strengths, each solution starting the next."""

from numbers import Integral

import numpy as np

from ._grouped import Grouped
from ._reweighted import Reweighting
from ._second_order import SecondOrder, rescaled
from ._working_set import WorkingSet


def make_engine(problem, penalty, alpha, masks, second_order=False, **options):
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
    second_order : bool, default=False
        Beyond the squared error, let the rule see what noise does to the loss: `SecondOrder`.
    **options
        Of `Engine`.

    Returns
    -------
    Engine
        A `Reweighting`, a `WorkingSet`, `Grouped` or `SecondOrder`.
    """
    zero = np.zeros(problem.n_features)
    if second_order and not problem.exact:
        return SecondOrder(problem, penalty, alpha, **options)
    if not masks and penalty.concave_in_norms:
        return Grouped(problem, penalty, alpha, **options)
    # A constraint leaves least squares on the columns it lets in: a ridge of strength 0.
    ridged = masks or penalty.constraint or not (penalty.majorizer(zero, alpha)[0] > 0).any()
    return (Reweighting if ridged else WorkingSet)(problem, penalty, alpha, **options)


def solve_path(problem, penalty, alphas, masks=False, start=None, max_nonzero=None, **options):
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
    max_nonzero : int, default=None
        End before the first solution with more nonzeros.
    **options
        Of `make_engine`.

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
        if max_nonzero is not None and np.count_nonzero(w) > max_nonzero:
            return
        yield solution


def alpha_grid(problem, penalty, alphas, eps, positive, second_order=False):
    """Return the strengths of a path, from the largest down.

    Parameters
    ----------
    problem : LeastSquares or Moments
        Loss and data.
    penalty : Penalty
        Bound to the design if it depends on it.
    alphas : int or ndarray
        Strengths, or how many: equal ratios from the smallest that leaves no coefficient.
    eps : float
        Smallest of them over the largest.
    positive : bool
        Coefficients are constrained to be >= 0.
    second_order : bool, default=False
        As in `make_engine`.

    Returns
    -------
    ndarray
        Strengths.
    """
    if penalty.constraint:
        raise ValueError(f"{type(penalty).__name__} has no strength, and so no path over alphas.")
    if not isinstance(alphas, Integral):
        return np.sort(alphas)[::-1]
    pull = problem.correlation
    if second_order and not problem.exact:
        penalty = rescaled(penalty, np.sqrt(problem.spread(np.zeros(problem.n_features))))
    largest = penalty.alpha_max(np.maximum(pull, 0.0) if positive else pull)
    if not np.isfinite(largest):
        raise ValueError(
            f"alphas must be given for {type(penalty).__name__}: no finite strength makes all "
            "coefficients zero, where a path would start."
        )
    largest = largest or np.finfo(float).tiny ** 0.5  # no column has anything to say
    return np.geomspace(largest, largest * eps, alphas)
