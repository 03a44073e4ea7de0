"""The strength, and the penalty, chosen by cross-validation or an information criterion."""

from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import gammaln
from sklearn.base import clone
from sklearn.callback import with_callbacks
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_sample_weight, validate_data

from .._sklearn import StrOptions, validate_parameter_constraints
from ..duality import effective_penalty
from ..penalties import Penalty, list_penalties
from ..solvers._path import alpha_grid, solve_path
from ._base import LinearEstimator, unchanged_on_error
from ._data import FLOATS, Data, FoldMoments, weigh_features
from ._path import PATH_CONSTRAINTS, check_alphas, effective_penalty_path, warn_of_path
from ._regressor import AdaptiveDropoutRegressor, EffectivePenaltyRegressor, LinearRegressor

_CRITERIA = ("aic", "bic", "ebic")
# What an estimator is told and a search finds.
_FOUND = ("alpha", "n_nonzero", "warm_start")


class _LinearRegressorCV(LinearRegressor):
    """Search over strengths and penalties; comes before the regressor it searches for."""

    alphas: Any
    eps: float
    selection: str
    cv: Any
    n_jobs: int | None
    max_nonzero: int | None
    penalty_params: dict | None

    _search_constraints: dict = {
        **{k: v for k, v in LinearEstimator._parameter_constraints.items() if k not in _FOUND},
        **PATH_CONSTRAINTS,
        "penalty_params": [dict, None],
        "selection": [StrOptions({"min", "1se", *_CRITERIA})],
        "cv": ["cv_object"],
        "n_jobs": [Integral, None],
    }

    @unchanged_on_error
    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Choose a model and fit it on all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0, in the fits and in the errors of the folds.

        Returns
        -------
        self
            The fitted estimator.
        """
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )
        alphas, candidates = check_alphas(self.alphas), self._candidates()
        X, y = validate_data(self, X, y, dtype=FLOATS, y_numeric=True, accept_sparse=["csc", "csr"])
        candidates = [weigh_features(p, self.feature_weights, X.shape[1]) for p in candidates]
        if hasattr(X, "tocsc"):
            X = X.tocsc()
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        data = Data(X, y, weight, self.fit_intercept, self.standardize)
        candidates = [p.bind(data.problem.design) for p in candidates]
        # Sums over rows serve all candidates, or the design does: one form for the whole search.
        problem = data.path_problem(min(candidates, key=lambda p: p.separable))
        grids = [alpha_grid(problem, p, alphas, self.eps, self.positive) for p in candidates]
        folds = self._folds(X, y, data, problem)
        tasks = self._init_callback_context(
            max_subtasks=len(candidates) * (len(folds) + 1), sequential_subtasks=True
        )
        tasks.call_on_fit_task_begin(estimator=self, X=X, y=y)
        paths = [
            self._path(data, problem, p, grid, _subtask(tasks, grid), self.max_nonzero)
            for p, grid in zip(candidates, grids, strict=True)
        ]
        grids = [grid[: len(path.alphas)] for grid, path in zip(grids, paths, strict=True)]
        jobs = [
            delayed(self._fold_errors)(fold, X, y, weight, p, grid, _subtask(tasks, grid))
            for p, grid in zip(candidates, grids, strict=True)
            for fold in folds
        ]
        errors = Parallel(n_jobs=self.n_jobs, prefer="threads")(jobs)
        reached = np.concatenate([path.stationarity for path in paths])
        warn_of_path(type(self).__name__, reached, self.tol, stacklevel=5)
        best, at = self._select(data, paths, errors, folds, weight)
        self._keep(data, candidates, grids, paths, best, at)
        tasks.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    def _candidates(self):
        given = getattr(self, self._penalty_parameter)
        given = given if isinstance(given, list | tuple) else [given]
        if not given:
            raise ValueError(f"{self._penalty_parameter} must not be an empty list.")
        grid = list(ParameterGrid(self.penalty_params or {}))
        return [clone(effective_penalty(p)).set_params(**params) for p in given for params in grid]

    def _folds(self, X, y, data, problem):
        if self.selection in _CRITERIA:
            return []
        splits = list(check_cv(self.cv, y, classifier=False).split(X, y))
        if not splits:
            raise ValueError("cv yields no folds.")
        return [
            (train, test, (data, problem) if hasattr(problem, "gram") else None)
            for train, test in splits
        ]

    def _path(self, data, problem, penalty, alphas, task, max_nonzero=None):
        path = _Path(problem.n_features, len(alphas))
        task.call_on_fit_task_begin(estimator=self)
        options = self._options() | {"max_nonzero": max_nonzero}
        solutions = solve_path(problem, penalty, alphas, self._masks, **options)
        for alpha in alphas:
            point = task.subcontext(task_name="alpha")
            point.call_on_fit_task_begin(estimator=self)
            solution = next(solutions, None)
            point.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
            if solution is None:
                break
            path.add(alpha, solution, data.original_coef(solution.w))
        task.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
        return path

    def _fold_errors(self, fold, X, y, weight, penalty, alphas, task):
        # Mean squared error at each strength on the rows left out.
        train, test, whole = fold
        data: Data | FoldMoments
        if whole is None:
            inside = np.zeros_like(weight)
            np.add.at(inside, train, weight[train])
            data = Data(X, y, inside, self.fit_intercept, self.standardize)
            penalty = penalty.bind(data.problem.design)
            problem = data.path_problem(penalty)
        else:
            data = FoldMoments(X, y, weight, train, self.fit_intercept, self.standardize, *whole)
            problem = data.problem
        coefs = self._path(data, problem, penalty, alphas, task).coefs
        residual = y[test, None] - X[test] @ coefs - data.intercept(coefs)
        total = weight[test].sum()
        if total == 0:
            return np.zeros(len(alphas))
        return weight[test] @ residual**2 / total

    def _select(self, data, paths, errors, folds, weight):
        if self.selection in _CRITERIA:
            scores = [self._criterion(data, path) for path in paths]
            best = int(np.argmin([score.min() for score in scores]))
            self.criterion_path_ = scores if len(scores) > 1 else scores[0]
            return best, int(np.argmin(scores[best]))
        size = [weight[test].sum() for _, test, _ in folds]
        errors = [
            np.stack(errors[k : k + len(folds)], axis=-1) for k in range(0, len(errors), len(folds))
        ]
        means = [np.average(error, axis=-1, weights=size) for error in errors]
        best = int(np.argmin([mean.min() for mean in means]))
        at = int(np.argmin(means[best]))
        if self.selection == "1se" and len(folds) > 1:
            spread = errors[best][at].std(ddof=1) / np.sqrt(len(folds))
            at = int(np.argmax(means[best] <= means[best][at] + spread))
        self.mse_path_ = _stack(errors) if len(paths) > 1 else errors[0]
        return best, at

    def _criterion(self, data, path):
        n, p = data.n_effective, len(path.coefs)
        size = np.count_nonzero(path.coefs, axis=0)
        score = n * np.log(np.maximum(2 * path.losses, np.finfo(float).tiny))
        score += (2.0 if self.selection == "aic" else np.log(n)) * size
        if self.selection == "ebic":
            score += 2 * (gammaln(p + 1) - gammaln(size + 1) - gammaln(p - size + 1))
        return np.where(size <= n / 2, score, np.inf)

    def _keep(self, data, candidates, grids, paths, best, at):
        penalty, alpha = candidates[best], float(grids[best][at])
        start = data.standardize_coef(paths[best].coefs[:, at])
        solution = self._solve(data.problem, penalty, alpha, start)
        self._warn_if_not_converged(solution)
        self._set_attributes(data, penalty, alpha, solution)
        self.penalty_ = penalty
        self.alphas_ = _stack(grids) if len(grids) > 1 else grids[0]
        self.coefs_path_ = paths[best].coefs


class _Path:
    """What is kept of a path."""

    def __init__(self, n_features, n_alphas):
        self._coefs = np.zeros((n_features, n_alphas), order="F")
        self.alphas, self._reached, self._losses = [], [], []

    def add(self, alpha, solution, coef):
        self._coefs[:, len(self.alphas)] = coef
        self.alphas.append(alpha)
        self._reached.append(solution.stationarity)
        self._losses.append(solution.loss)

    coefs = property(lambda self: self._coefs[:, : len(self.alphas)])
    stationarity = property(lambda self: np.array(self._reached))
    losses = property(lambda self: np.array(self._losses))


def _subtask(tasks, alphas):
    return tasks.subcontext(task_name="path", max_subtasks=len(alphas))


def _stack(rows):
    # One array; paths that ended early are filled up with nan.
    longest = max(len(row) for row in rows)
    filled = np.full((len(rows), longest, *rows[0].shape[1:]), np.nan)
    for out, row in zip(filled, rows, strict=True):
        out[: len(row)] = row
    return filled


class EffectivePenaltyRegressorCV(_LinearRegressorCV, EffectivePenaltyRegressor):
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
        ("bic"), plus :math:`2 \log \binom{p}{d}` ("ebic"), over models with :math:`d \le n/2`.
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
        Mean squared errors of the rows left out; nan beyond the end of a path.
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
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
        **_LinearRegressorCV._search_constraints,
        "penalty": [StrOptions(set(list_penalties())), Penalty, list, tuple],
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
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state


class AdaptiveDropoutRegressorCV(_LinearRegressorCV, AdaptiveDropoutRegressor):
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
        Mean squared errors of the rows left out; nan beyond the end of a path.
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
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
        **_LinearRegressorCV._search_constraints,
        "rule": [StrOptions(set(list_penalties())), Penalty, callable, list, tuple],
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
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
