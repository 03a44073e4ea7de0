"""What the dropout estimators share: masks integrated out (or to second order), or sampled."""

from numbers import Integral

from sklearn.utils import check_random_state

from .. import masks
from .._sklearn import Interval, StrOptions
from ..penalties import Penalty, list_penalties
from ..solvers._second_order import SecondOrder
from ..solvers._stochastic import SampledDropout, SampledGlmDropout
from ._base import solve_once

CONSTRAINTS = {
    "rule": [StrOptions(set(list_penalties())), Penalty, callable],
    "masks": [StrOptions({"expected", "bernoulli", "gaussian"})],
    "n_masks": [Interval(Integral, 1, None, closed="left")],
}


def solve_dropout(estimator, problem, penalty, alpha, start, **options):
    """Return the solution of one problem for an estimator with `masks`.

    Parameters
    ----------
    estimator : LinearEstimator
        Its parameters say how.
    problem : LeastSquares, Targets or Glm
        Loss and data.
    penalty : Penalty
        The rule, as the penalty it amounts to.
    alpha : float > 0
        Strength.
    start : ndarray of shape (n_features,) or None
        Coefficients to start from.
    **options
        Of `Engine`, before the estimator's own.

    Returns
    -------
    Solution
        What the masks lead to.
    """
    options = estimator._options() | options
    if estimator.masks == "expected":
        if problem.exact:
            return solve_once(problem, penalty, alpha, True, start, **options)
        return SecondOrder(problem, penalty, alpha, **options).solve(start)
    if estimator.positive:
        raise ValueError(f'positive=True needs masks="expected"; got masks={estimator.masks!r}.')
    if problem.n_outputs > 1 and (problem.exact or penalty.separable):
        raise ValueError(
            f"masks={estimator.masks!r} are drawn for columns: with several outputs they need "
            'penalize="feature" and, for the squared error, masks="expected".'
        )
    batch_size = getattr(estimator, "batch_size", None)
    kind = SampledDropout if problem.exact else SampledGlmDropout
    sampled = kind(
        problem,
        penalty,
        alpha,
        mask={"bernoulli": masks.Bernoulli, "gaussian": masks.Gaussian}[estimator.masks],
        n_masks=estimator.n_masks,
        n_rounds=min(estimator.max_iter, 100),
        batch_size=None if batch_size is None else min(batch_size, problem.design.shape[0]),
        tol=estimator.tol,
        rng=check_random_state(estimator.random_state),
    )
    return sampled.solve(start)


def advice(estimator):
    """Return what to do about a solution that did not converge."""
    if estimator.masks == "expected":
        return "Increase max_iter or tol."
    return "Increase n_masks (the error of sampled masks falls like its inverse root) or tol."
