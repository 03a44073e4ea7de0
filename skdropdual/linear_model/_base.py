"""What the linear estimators share: validate, centre, scale, solve, set attributes."""

import warnings
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from .._sklearn import Interval, validate_parameter_constraints
from ..duality import effective_penalty
from ..exceptions import ConvergenceWarning
from ..penalties import Weighted
from ..solvers._design import make_design
from ..solvers._engine import Solution
from ..solvers._path import make_engine
from ..solvers._problem import LeastSquares

_FLOATS = [np.float64, np.float32]


class LinearEstimator(BaseEstimator):
    """Template of the linear estimators; a subclass names its penalty and solves."""

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "standardize": ["boolean"],
        "positive": ["boolean"],
        "feature_weights": ["array-like", None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    def _solve(self, problem, penalty, alpha, start):
        """Return the `Solution` of one problem."""
        raise NotImplementedError

    def _engine(self, problem, penalty, alpha, masks):
        options = {"positive": self.positive, "tol": self.tol, "max_iter": self.max_iter}
        return make_engine(problem, penalty, alpha, masks, **options)

    def _fit(self, X, y, sample_weight, penalty):
        with _unchanged_on_error(self):
            validate_parameter_constraints(
                self._parameter_constraints, self.get_params(deep=False), type(self).__name__
            )
            penalty = effective_penalty(penalty)
            X, y = validate_data(
                self, X, y, dtype=_FLOATS, y_numeric=True, accept_sparse=["csc", "csr"]
            )
            data = _Standardized(X, y, sample_weight, self.fit_intercept, self.standardize)
            penalty = self._weigh_features(penalty, X.shape[1])
            start = None
            if self.warm_start and hasattr(self, "coef_") and self.coef_.shape == data.scale.shape:
                start = data.standardize_coef(self.coef_)
                start = np.maximum(start, 0.0) if self.positive else start
            alpha = 1.0 if penalty.constraint else float(self.alpha)
            if alpha == 0:
                solution = _least_squares(data.problem, self.positive)
            else:
                penalty = penalty.bind(data.problem.design)
                penalty.slope(np.zeros(X.shape[1]), alpha)  # refuses a wrong number of columns
                solution = self._solve(data.problem, penalty, alpha, start)
            self._warn_if_not_converged(solution)
            self._set_attributes(data, penalty, alpha, solution)
        return self

    def _weigh_features(self, penalty, n_features):
        if self.feature_weights is None:
            return penalty
        weights = np.asarray(self.feature_weights, dtype=float)
        if weights.shape != (n_features,):
            raise ValueError(
                f"feature_weights must have one entry per column, shape ({n_features},); got shape "
                f"{weights.shape}."
            )
        weighted = Weighted(penalty, weights)
        weighted._validate()
        return weighted

    def _warn_if_not_converged(self, solution):
        if solution.stationarity > self.tol:
            warnings.warn(
                f"{type(self).__name__} stopped after {solution.n_iter} iterations with a "
                f"stationarity residual of {solution.stationarity:.3g} > tol = {self.tol:.3g}. "
                f"{self._advice()}",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _advice(self):
        return "Increase max_iter or tol."

    def _set_attributes(self, data, penalty, alpha, solution):
        w = solution.w
        self.coef_ = data.original_coef(w)
        self.intercept_ = data.intercept(self.coef_)
        self.n_iter_ = solution.n_iter
        self.objective_ = solution.objective
        self.stationarity_ = solution.stationarity
        if alpha > 0:
            self.eta_, self.keep_prob_ = penalty.eta(w, alpha), penalty.keep_prob(w, alpha)
        else:  # nothing is penalised, nothing is dropped
            self.eta_, self.keep_prob_ = np.full(w.shape, np.inf), np.ones_like(w)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _decision_function(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_FLOATS, accept_sparse=["csr", "csc"], reset=False)
        return X @ self.coef_ + self.intercept_


class _Standardized:
    """The data as the solvers want it, and the way back to the original scale."""

    def __init__(self, X, y, sample_weight, fit_intercept, standardize):
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if not weight.sum() > 0:
            raise ValueError("sample_weight must have a positive sum; got only zeros.")
        weight = weight / weight.sum()
        y = y.astype(np.float64)
        self.dtype = X.dtype
        self.target_mean = float(weight @ y) if fit_intercept else 0.0
        design = make_design(X, weight, fit_intercept=fit_intercept, standardize=standardize)
        self.mean, self.scale = design.center, design.scale
        self.problem = LeastSquares(design, np.sqrt(weight) * (y - self.target_mean))

    def standardize_coef(self, coef):
        useful = (self.problem.curvature > 0) & np.isfinite(self.scale)
        return np.where(useful, coef, 0.0) * np.where(useful, self.scale, 1.0)

    def original_coef(self, w):
        return (w / self.scale).astype(self.dtype)

    def intercept(self, coef):
        return self.target_mean - float(self.mean @ coef)


def _least_squares(problem, positive):
    # No penalty: the least-norm solution of least squares.
    w = problem.least_norm(positive)
    gradient = problem.gradient(w)
    excess = np.where((w == 0) & positive, np.maximum(gradient, 0), np.abs(gradient))
    return Solution(w, problem.loss(w), excess.max(initial=0.0) / problem.scale, 1, gradient)


@contextmanager
def _unchanged_on_error(estimator):
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
