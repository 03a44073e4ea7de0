"""Classifiers whose strength and penalty cross-validation or an information criterion chooses."""

from functools import partial

import numpy as np
from sklearn.metrics import check_scoring, get_scorer_names

from .._sklearn import StrOptions
from ._classifier import AdaptiveDropoutClassifier, EffectivePenaltyClassifier, LinearClassifier
from ._path import effective_penalty_path
from ._search import PENALTIES, Search, search_constraints


class _ClassifierSearch(Search, LinearClassifier):
    """Scores are the log loss or what `scoring` says."""

    _constraints = {
        **search_constraints(LinearClassifier._parameter_constraints),
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
    }

    def _check_fold(self, y):
        missing = np.setdiff1d(np.arange(len(self.classes_)), y)
        if missing.size:
            raise ValueError(
                "Each fold must train on every class; one has no row of class "
                f"{self.classes_[missing].tolist()}. Use fewer folds, or drop rare classes."
            )

    def _errors(self, X, y, weight, coefs, intercepts):
        coefs, intercepts = _rows(coefs, 3), _rows(intercepts, 2)
        if self.scoring is None:
            loss = self._make_loss(y)
            raw = [
                X @ coef.T + intercept for coef, intercept in zip(coefs, intercepts, strict=True)
            ]
            raw = [np.squeeze(r, 1) if len(self.classes_) == 2 else r for r in raw]
            losses = [loss.loss(y.astype(np.float64), np.ascontiguousarray(r), weight) for r in raw]
            return np.array([each.sum() for each in losses]) / weight.sum()
        scorer = check_scoring(self, self.scoring)
        models = map(self._at, coefs, intercepts)
        return -np.array([scorer(model, X, self.classes_[y]) for model in models])

    def _keep_errors(self, errors):
        self.scores_ = -np.moveaxis(errors, -1, 0)

    def _keep_coefs(self, coefs):
        self.coefs_path_ = _rows(coefs, 3)


def _rows(array, ndim):
    # Two classes have one row of coefficients, which the solvers do without.
    return array if array.ndim == ndim else array[:, None]


class EffectivePenaltyClassifierCV(_ClassifierSearch, EffectivePenaltyClassifier):
    r"""`EffectivePenaltyClassifier` with strength and penalty chosen from the data.

    Fits the path of `effective_penalty_path` on all rows and, for the scores of cross-validation,
    on each fold.

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
        As in `EffectivePenaltyRegressorCV`, of the mean score over folds.
    scoring : str, callable or None, default=None
        As in scikit-learn; None is "neg_log_loss".
    cv : int, splitter or iterable, default=None
        Folds, as in scikit-learn; None is 5, stratified.
    n_jobs : int, default=None
        Folds that run at once, in threads; worth it where single steps are long (many rows).
    max_nonzero : int, default=None
        End paths before the first model, on all rows, with more coefficients.
    class_weight : dict, "balanced" or None, default=None
        Factors on the weights of classes, as in scikit-learn.
    fit_intercept, standardize, positive : bool
        As in `EffectivePenaltyClassifier`.
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that enter together.
    penalize : {"coefficient", "feature"}, default="coefficient"
        As in `EffectivePenaltyClassifier`.
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
    classes_ : ndarray of shape (n_classes,)
        Classes.
    alpha_ : float
        Strength chosen.
    penalty_ : Penalty
        Penalty chosen.
    alphas_ : ndarray of shape (n_alphas,) or (n_penalties, n_alphas)
        Strengths searched, from the largest down.
    scores_ : ndarray of shape (n_folds, n_alphas) or (n_folds, n_penalties, n_alphas)
        Scores on the rows left out, greater is better; nan beyond the end of a path.
    criterion_path_ : ndarray of shape (n_alphas,) or list of them
        The criterion, if one selects.
    coefs_path_ : ndarray of shape (n_alphas, 1 or n_classes, n_features)
        Coefficients on all rows with the penalty chosen.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    eta_, keep_prob_ : ndarray, shape of `coef_`
        Dual variables and keep probabilities of the model chosen.
    objective_, stationarity_ : float
        Of the model chosen.
    n_iter_ : int
        Iterations of the last fit.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdropdual.linear_model import EffectivePenaltyClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = EffectivePenaltyClassifierCV("mcp", alphas=20, selection="1se").fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    _parameter_constraints = {
        **_ClassifierSearch._constraints,
        "penalty": PENALTIES,
        "solver": EffectivePenaltyClassifier._parameter_constraints["solver"],
    }
    path = staticmethod(partial(effective_penalty_path, loss="log_loss"))

    def __init__(
        self,
        penalty="logsum",
        *,
        penalty_params=None,
        alphas=100,
        eps=1e-3,
        selection="min",
        scoring=None,
        cv=None,
        n_jobs=None,
        max_nonzero=None,
        class_weight=None,
        fit_intercept=True,
        standardize=True,
        positive=False,
        feature_weights=None,
        groups=None,
        penalize="coefficient",
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
        self.scoring = scoring
        self.cv = cv
        self.n_jobs = n_jobs
        self.max_nonzero = max_nonzero
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.feature_weights = feature_weights
        self.groups = groups
        self.penalize = penalize
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state


class AdaptiveDropoutClassifierCV(_ClassifierSearch, AdaptiveDropoutClassifier):
    r"""`AdaptiveDropoutClassifier` with strength and rule chosen from the data.

    Fits the path of the expected masks (to second order) on all rows and, for the scores of
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
        As in `EffectivePenaltyRegressorCV`, of the mean score over folds.
    scoring : str, callable or None, default=None
        As in scikit-learn; None is "neg_log_loss".
    cv : int, splitter or iterable, default=None
        Folds, as in scikit-learn; None is 5, stratified.
    n_jobs : int, default=None
        Folds that run at once, in threads; worth it where single steps are long (many rows).
    max_nonzero : int, default=None
        End paths before the first model, on all rows, with more coefficients.
    class_weight : dict, "balanced" or None, default=None
        Factors on the weights of classes, as in scikit-learn.
    fit_intercept, standardize, positive : bool
        As in `AdaptiveDropoutClassifier`.
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that enter together.
    penalize : {"coefficient", "feature"}, default="coefficient"
        As in `AdaptiveDropoutClassifier`.
    tol : float >= 0, default=1e-6
        Bound on the stationarity residual.
    max_iter : int, default=1000
        Largest number of iterations at each strength.
    random_state : int, RandomState or None, default=None
        Unused; the folds have theirs in `cv`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    alpha_ : float
        Strength chosen.
    penalty_ : Penalty
        Rule chosen, as the penalty it amounts to.
    alphas_ : ndarray of shape (n_alphas,) or (n_rules, n_alphas)
        Strengths searched, from the largest down.
    scores_ : ndarray of shape (n_folds, n_alphas) or (n_folds, n_rules, n_alphas)
        Scores on the rows left out, greater is better; nan beyond the end of a path.
    criterion_path_ : ndarray of shape (n_alphas,) or list of them
        The criterion, if one selects.
    coefs_path_ : ndarray of shape (n_alphas, 1 or n_classes, n_features)
        Coefficients on all rows with the rule chosen.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    eta_, keep_prob_ : ndarray, shape of `coef_`
        Dual variables and keep probabilities of the model chosen.
    objective_, stationarity_ : float
        Of the model chosen.
    n_iter_ : int
        Iterations of the last fit.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdropdual.linear_model import AdaptiveDropoutClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = AdaptiveDropoutClassifierCV("l1", alphas=5, eps=0.1, cv=3).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _parameter_constraints = {
        **_ClassifierSearch._constraints,
        "rule": [*PENALTIES, callable],
    }
    masks = "expected"

    def __init__(
        self,
        rule="vardrop",
        *,
        penalty_params=None,
        alphas=100,
        eps=1e-3,
        selection="min",
        scoring=None,
        cv=None,
        n_jobs=None,
        max_nonzero=None,
        class_weight=None,
        fit_intercept=True,
        standardize=True,
        positive=False,
        feature_weights=None,
        groups=None,
        penalize="coefficient",
        tol=1e-6,
        max_iter=1000,
        random_state=None,
    ):
        self.rule = rule
        self.penalty_params = penalty_params
        self.alphas = alphas
        self.eps = eps
        self.selection = selection
        self.scoring = scoring
        self.cv = cv
        self.n_jobs = n_jobs
        self.max_nonzero = max_nonzero
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.feature_weights = feature_weights
        self.groups = groups
        self.penalize = penalize
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
