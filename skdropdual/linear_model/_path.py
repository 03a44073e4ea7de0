"""The solutions of one regression at many strengths."""

import warnings
from functools import partial, wraps
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_X_y

from .._sklearn import LOSSES, Interval, StrOptions, make_loss, validate_parameter_constraints
from ..duality import effective_penalty
from ..exceptions import ConvergenceWarning
from ..penalties import Penalty, list_penalties
from ..solvers._path import alpha_grid, solve_path
from ._data import FLOATS, Data, arrange_penalty

PATH_CONSTRAINTS = {
    "alphas": ["array-like", Interval(Integral, 1, None, closed="left")],
    "eps": [Interval(Real, 0, 1, closed="neither")],
    "max_nonzero": [Interval(Integral, 0, None, closed="left"), None],
}

# Parameters of a path, and of an estimator, that are one; those of losses other than the log loss.
SHARED = {
    name: name
    for name in (
        *("fit_intercept", "standardize", "positive", "feature_weights", "groups", "penalize"),
        *("tol", "max_iter"),
    )
}
SHARED_OF_LOSSES = {name: name for name in ("loss", "huber_epsilon", "tweedie_power")}


def check_alphas(alphas):
    """Return `alphas` if it is a number of strengths, else as an array of valid ones."""
    if isinstance(alphas, Integral):
        return alphas
    alphas = np.asarray(alphas, dtype=np.float64)
    if alphas.ndim != 1 or alphas.size == 0 or not np.all((alphas > 0) & np.isfinite(alphas)):
        raise ValueError(f"alphas must be a 1-D array of finite strengths > 0; got {alphas!r}.")
    return alphas


def effective_penalty_path(
    X,
    y,
    *,
    penalty="logsum",
    alphas=100,
    eps=1e-3,
    coef_init=None,
    sample_weight=None,
    fit_intercept=True,
    standardize=True,
    positive=False,
    feature_weights=None,
    groups=None,
    penalize="coefficient",
    loss="squared_error",
    huber_epsilon=1.35,
    tweedie_power=1.5,
    solver="auto",
    max_nonzero=None,
    tol=1e-6,
    max_iter=1000,
    return_n_iter=False,
):
    r"""Compute the solutions of `EffectivePenaltyRegressor`, or of a classifier, at many strengths.

    .. math::

        \hat w(\alpha) \in \arg\min_w \frac{1}{\sum_i s_i} \sum_i s_i \ell(y_i, x_i^T w + b)
        + \sum_j P_\alpha(|w_j|\, d_j), \quad \alpha = \alpha_{\max} \ldots \alpha_{\min}

    Each solution starts the next, from the largest strength down.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data; float32 gives float32 coefficients. For a loss other than the squared error it is
        solved in a float64 copy.
    y : array-like of shape (n_samples,) or (n_samples, n_targets)
        Target; several with ``penalize="feature"`` alone.
    penalty : str, Penalty or callable, default="logsum"
        What `effective_penalty` takes.
    alphas : int or array-like of shape (n_alphas,), default=100
        Strengths > 0, or their number: equal ratios from the smallest strength that leaves no
        coefficient (`Penalty.alpha_max`).
    eps : float in (0, 1), default=1e-3
        Smallest strength over the largest, where `alphas` is a number.
    coef_init : array-like of shape (n_features,) or (n_outputs, n_features), default=None
        Coefficients to start from; zeros by default.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights >= 0; only their ratios matter.
    fit_intercept : bool, default=True
        Whether there is an intercept: ``mean(y) - mean(X) @ coefs`` (weighted means).
    standardize : bool, default=True
        Penalise ``coef * d``, d the standard deviation of each column, or ``coef`` itself.
    positive : bool, default=False
        Constrain coefficients to be >= 0.
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column.
    groups, penalize
        As in `EffectivePenaltyRegressor`.
    loss : str, default="squared_error"
        One of the losses of `EffectivePenaltyRegressor`, or "log_loss" for classes.
    huber_epsilon, tweedie_power
        As in `EffectivePenaltyRegressor`.
    solver : {"auto", "coordinate_descent", "reweighted"}, default="auto"
        As in `EffectivePenaltyRegressor`.
    max_nonzero : int, default=None
        End the path before the first solution with more nonzero coefficients.
    tol : float >= 0, default=1e-6
        Bound on the stationarity residual.
    max_iter : int, default=1000
        Largest number of iterations at each strength.
    return_n_iter : bool, default=False
        Whether to return the iterations too.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        Strengths, from the largest down.
    coefs : ndarray of shape (n_features, n_alphas) or (n_outputs, n_features, n_alphas)
        Coefficients on the original scale; the latter for three or more classes, or targets.
    stationarity : ndarray of shape (n_alphas,)
        Stationarity residuals reached.
    n_iter : ndarray of shape (n_alphas,)
        Iterations, if ``return_n_iter=True``.

    See Also
    --------
    EffectivePenaltyRegressorCV : Chooses the strength by cross-validation.

    References
    ----------
    Breheny, Huang (2011). Coordinate descent algorithms for nonconvex penalized regression. AOAS 5.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual.linear_model import effective_penalty_path
    >>> X, y = load_diabetes(return_X_y=True)
    >>> alphas, coefs, stationarity = effective_penalty_path(X, y, penalty="mcp", alphas=5)
    >>> [int(k) for k in (coefs != 0).sum(axis=0)]
    [0, 3, 7, 10, 10]
    """
    constraints = {
        **PATH_CONSTRAINTS,
        "penalty": [StrOptions(set(list_penalties())), Penalty, callable],
        "fit_intercept": ["boolean"],
        "standardize": ["boolean"],
        "positive": ["boolean"],
        "groups": ["array-like", None],
        "penalize": [StrOptions({"coefficient", "feature"})],
        "loss": [StrOptions({*LOSSES, "log_loss"})],
        "huber_epsilon": [Interval(Real, 0, None, closed="neither")],
        "tweedie_power": [Interval(Real, None, None, closed="neither")],
        "solver": [StrOptions({"auto", "coordinate_descent", "reweighted"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "return_n_iter": ["boolean"],
    }
    given = locals()
    validate_parameter_constraints(
        constraints, {name: given[name] for name in constraints}, "effective_penalty_path"
    )
    alphas = check_alphas(alphas)
    penalty = effective_penalty(penalty)
    joint, classes = penalize == "feature", loss == "log_loss"
    kinds = {"dtype": FLOATS, "accept_sparse": ["csc", "csr"]}
    X, y = check_X_y(X, y, **kinds, y_numeric=not classes, multi_output=joint)
    if classes:
        y = np.unique(y, return_inverse=True)[1]
    one = make_loss(loss, y, huber_epsilon, tweedie_power)
    data = Data(X, y, sample_weight, fit_intercept, standardize, one, joint)
    shape = X.shape[1], data.n_outputs
    penalty = arrange_penalty(penalty, *shape, feature_weights, groups, joint).bind(data.design)
    start = None
    if coef_init is not None:
        coef_init = np.asarray(coef_init, dtype=np.float64)
        expected = (*data.target_shape, X.shape[1])
        if coef_init.shape != expected or not np.isfinite(coef_init).all():
            raise ValueError(
                f"coef_init must be finite numbers of shape {expected}; got shape "
                f"{coef_init.shape}."
            )
        start = data.standardize_coef(coef_init)[0]
        start = np.maximum(start, 0.0) if positive else start
    problem = data.path_problem(penalty)
    alphas = alpha_grid(problem, penalty, alphas, eps, positive)
    masks = solver == "reweighted"
    options = {"positive": positive, "tol": tol, "max_iter": max_iter, "max_nonzero": max_nonzero}
    shape = (*data.target_shape, X.shape[1], len(alphas))
    coefs = np.zeros(shape, dtype=X.dtype, order="F")
    reached, n_iter = np.zeros(len(alphas)), np.zeros(len(alphas), dtype=int)
    done = 0
    for solution in solve_path(problem, penalty, alphas, masks, start, **options):
        coefs[..., done] = data.solution([solution.w])[0]
        reached[done], n_iter[done] = solution.stationarity, solution.n_iter
        done += 1
    warn_of_path("effective_penalty_path", reached[:done], tol)
    path = alphas[:done], coefs[..., :done], reached[:done]
    return (*path, n_iter[:done]) if return_n_iter else path


def warn_of_path(name, reached, tol, stacklevel=3):
    """Warn of the points of a path that did not converge."""
    late = reached > tol
    if late.any():
        warnings.warn(
            f"{name}: {late.sum()} of {late.size} points of the path did not converge; the largest "
            f"stationarity residual is {reached.max():.3g} > tol = {tol:.3g}. Increase max_iter, "
            "eps or tol.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )


class PathMethod:
    """`effective_penalty_path` as a function of the class, with the parameters of an instance."""

    def __init__(self, names, **fixed):
        self.names = names
        self.fixed = fixed

    def __get__(self, estimator, owner=None):
        """Return the function with what the estimator, if there is one, says of the problem."""
        if estimator is None:
            given = self.fixed
        else:
            parameters = estimator.get_params(deep=False)
            given = {name: parameters[own] for name, own in self.names.items()} | self.fixed
        return wraps(effective_penalty_path)(partial(effective_penalty_path, **given))
