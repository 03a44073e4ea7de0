"""Regressors whose strength and penalty cross-validation or an information criterion chooses."""

from functools import partial

import numpy as np

from ._path import effective_penalty_path
from ._regressor import AdaptiveDropoutRegressor, EffectivePenaltyRegressor, LinearRegressor
from ._search import PENALTIES, Search, search_constraints


class _RegressorSearch(Search, LinearRegressor):
    """Errors are mean squares, or mean deviances of another loss."""

    _constraints = search_constraints(LinearRegressor._parameter_constraints)
    _multi_output = False
    penalize = "coefficient"

    def _errors(self, X, y, weight, coefs, intercepts):
        raw = X @ coefs.T + intercepts
        total, loss = weight.sum(), self._make_loss(y)
        if loss is None:
            return weight @ (y[:, None] - raw) ** 2 / total
        errors = [
            loss.loss(y.astype(np.float64), np.ascontiguousarray(column), weight).sum()
            for column in raw.T.astype(np.float64)
        ]
        return 2 * (np.array(errors) + weight @ loss.constant_to_optimal_zero(y)) / total

    def _keep_errors(self, errors):
        self.mse_path_ = errors

    def _keep_coefs(self, coefs):
        self.coefs_path_ = coefs.T


class EffectivePenaltyRegressorCV(_RegressorSearch, EffectivePenaltyRegressor):
    r"""`EffectivePenaltyRegressor` with strength and penalty chosen from the data.

    Fits the path of `effective_penalty_path` on all rows and, for the squared errors of
    cross-validation, on each fold.

    Parameters
    ----------
    penalty : str, Penalty or list of them, default="logsum"
        Names from `list_penalties` or penalty objects.
    penalty_params : dict of lists, default=None
        Parameters to search, as in `sklearn.model_selection.ParameterGrid`, set on each penalty.
    alphas : int or array-like of shape (n_alphas,), default=100
        Strengths > 0, or their number: equal ratios from the smallest that leaves no coefficient.
    eps : float in (0, 1), default=1e-3
        Smallest strength over the largest, where `alphas` is a number.
    selection : {"min", "1se", "aic", "bic", "ebic"}, default="min"
        "min" takes the least mean squared error over folds; "1se" the largest strength within one
        standard error of it (of the same penalty). The criteria need no folds: with d nonzero
        coefficients, :math:`n \log(\mathrm{RSS}/n) + c\, d`, c = 2 ("aic") or :math:`\log n`
        ("bic"), plus :math:`2 \log \binom{p}{d}` ("ebic"), over models with :math:`d \le n/2`;
        beyond the squared error, twice the loss of all rows in place of the first term.
    cv : int, splitter or iterable, default=None
        Folds, as in scikit-learn; None is 5.
    n_jobs : int, default=None
        Folds that run at once, in threads; worth it where single steps are long (many rows).
    max_nonzero : int, default=None
        End paths before the first model, on all rows, with more coefficients.
    fit_intercept, standardize, positive : bool
        As in `EffectivePenaltyRegressor`.
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that enter together, as in `EffectivePenaltyRegressor`.
    loss : {"squared_error", "huber", "poisson", "gamma", "tweedie"}, default="squared_error"
        Loss of one prediction, as in `EffectivePenaltyRegressor`.
    huber_epsilon : float > 0, default=1.35
        Absolute error beyond which ``loss="huber"`` is linear.
    tweedie_power : float, default=1.5
        Power of the variance for ``loss="tweedie"``.
    solver : {"auto", "coordinate_descent", "reweighted"}, default="auto"
        As in `EffectivePenaltyRegressor`.
    tol : float >= 0, default=1e-6
        Bound on the stationarity residual.
    max_iter : int, default=1000
        Largest number of iterations at each strength.
    random_state : int, RandomState or None, default=None
        Unused; the folds have theirs in `cv`.

    Attributes
    ----------
    alpha_ : float
        Strength chosen.
    penalty_ : Penalty
        Penalty chosen.
    alphas_ : ndarray of shape (n_alphas,) or (n_penalties, n_alphas)
        Strengths searched, from the largest down.
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_penalties, n_alphas, n_folds)
        Mean squared errors of the rows left out, or mean deviances (twice the loss, less its
        least) of another loss; nan beyond the end of a path.
    criterion_path_ : ndarray of shape (n_alphas,) or list of them
        The criterion, if one selects.
    coefs_path_ : ndarray of shape (n_features, n_alphas)
        Coefficients on all rows with the penalty chosen.
    coef_ : ndarray of shape (n_features,)
        Coefficients.
    intercept_ : float
        Intercept.
    eta_, keep_prob_ : ndarray of shape (n_features,)
        Dual variables and keep probabilities of the model chosen.
    objective_, stationarity_ : float
        Of the model chosen.
    n_iter_ : int
        Iterations of the last fit.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    References
    ----------
    Chen, Chen (2008). Extended Bayesian information criteria for model selection. Biometrika 95.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual.linear_model import EffectivePenaltyRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = EffectivePenaltyRegressorCV("mcp", selection="1se").fit(X, y)
    >>> int((model.coef_ != 0).sum())
    5
    """

    _parameter_constraints = {
        **_RegressorSearch._constraints,
        "penalty": PENALTIES,
        "solver": EffectivePenaltyRegressor._parameter_constraints["solver"],
    }
    path = staticmethod(effective_penalty_path)

    def __init__(
        self,
        penalty="logsum",
        *,
        penalty_params=None,
        alphas=100,
        eps=1e-3,
        selection="min",
        cv=None,
        n_jobs=None,
        max_nonzero=None,
        fit_intercept=True,
        standardize=True,
        positive=False,
        feature_weights=None,
        groups=None,
        loss="squared_error",
        huber_epsilon=1.35,
        tweedie_power=1.5,
        solver="auto",
        tol=1e-6,
        max_iter=1000,
        random_state=None,
    ):
        self.penalty = penalty
        self.penalty_params = penalty_params
        self.alphas = alphas
        self.eps = eps
        self.selection = selection
        self.cv = cv
        self.n_jobs = n_jobs
        self.max_nonzero = max_nonzero
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.feature_weights = feature_weights
        self.groups = groups
        self.loss = loss
        self.huber_epsilon = huber_epsilon
        self.tweedie_power = tweedie_power
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state


class AdaptiveDropoutRegressorCV(_RegressorSearch, AdaptiveDropoutRegressor):
    r"""`AdaptiveDropoutRegressor` with strength and rule chosen from the data.

    Fits the path of the expected masks on all rows and, for the squared errors of
    cross-validation, on each fold.

    Parameters
    ----------
    rule : str, Penalty, callable or list of them, default="vardrop"
        What `effective_penalty` takes: a penalty (its dual rule) or a keep probability of \|w\|.
    penalty_params : dict of lists, default=None
        Parameters to search, as in `sklearn.model_selection.ParameterGrid`, set on each rule.
    alphas : int or array-like of shape (n_alphas,), default=100
        Strengths > 0, or their number: equal ratios from the smallest that leaves no coefficient.
    eps : float in (0, 1), default=1e-3
        Smallest strength over the largest, where `alphas` is a number.
    selection : {"min", "1se", "aic", "bic", "ebic"}, default="min"
        As in `EffectivePenaltyRegressorCV`.
    cv : int, splitter or iterable, default=None
        Folds, as in scikit-learn; None is 5.
    n_jobs : int, default=None
        Folds that run at once, in threads; worth it where single steps are long (many rows).
    max_nonzero : int, default=None
        End paths before the first model, on all rows, with more coefficients.
    fit_intercept, standardize, positive : bool
        As in `AdaptiveDropoutRegressor`.
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that enter together, as in `EffectivePenaltyRegressor`.
    loss : {"squared_error", "huber", "poisson", "gamma", "tweedie"}, default="squared_error"
        Loss of one prediction, as in `EffectivePenaltyRegressor`.
    huber_epsilon : float > 0, default=1.35
        Absolute error beyond which ``loss="huber"`` is linear.
    tweedie_power : float, default=1.5
        Power of the variance for ``loss="tweedie"``.
    tol : float >= 0, default=1e-6
        Bound on the stationarity residual.
    max_iter : int, default=1000
        Largest number of iterations at each strength.
    random_state : int, RandomState or None, default=None
        Unused; the folds have theirs in `cv`.

    Attributes
    ----------
    alpha_ : float
        Strength chosen.
    penalty_ : Penalty
        Rule chosen, as the penalty it amounts to.
    alphas_ : ndarray of shape (n_alphas,) or (n_rules, n_alphas)
        Strengths searched, from the largest down.
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_rules, n_alphas, n_folds)
        Mean squared errors of the rows left out, or mean deviances (twice the loss, less its
        least) of another loss; nan beyond the end of a path.
    criterion_path_ : ndarray of shape (n_alphas,) or list of them
        The criterion, if one selects.
    coefs_path_ : ndarray of shape (n_features, n_alphas)
        Coefficients on all rows with the rule chosen.
    coef_ : ndarray of shape (n_features,)
        Effective coefficients.
    intercept_ : float
        Intercept.
    eta_, keep_prob_ : ndarray of shape (n_features,)
        Dual variables and keep probabilities of the model chosen.
    objective_, stationarity_ : float
        Of the model chosen.
    n_iter_ : int
        Iterations of the last fit.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    References
    ----------
    Chen, Chen (2008). Extended Bayesian information criteria for model selection. Biometrika 95.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual.linear_model import AdaptiveDropoutRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = AdaptiveDropoutRegressorCV("mcp", selection="1se").fit(X, y)
    >>> int((model.coef_ != 0).sum())
    5
    """

    _parameter_constraints = {
        **_RegressorSearch._constraints,
        "rule": [*PENALTIES, callable],
    }
    path = partial(effective_penalty_path, solver="reweighted")
    masks = "expected"

    def __init__(
        self,
        rule="vardrop",
        *,
        penalty_params=None,
        alphas=100,
        eps=1e-3,
        selection="min",
        cv=None,
        n_jobs=None,
        max_nonzero=None,
        fit_intercept=True,
        standardize=True,
        positive=False,
        feature_weights=None,
        groups=None,
        loss="squared_error",
        huber_epsilon=1.35,
        tweedie_power=1.5,
        tol=1e-6,
        max_iter=1000,
        random_state=None,
    ):
        self.rule = rule
        self.penalty_params = penalty_params
        self.alphas = alphas
        self.eps = eps
        self.selection = selection
        self.cv = cv
        self.n_jobs = n_jobs
        self.max_nonzero = max_nonzero
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.feature_weights = feature_weights
        self.groups = groups
        self.loss = loss
        self.huber_epsilon = huber_epsilon
        self.tweedie_power = tweedie_power
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
