"""The search that the estimators with CV in their names share: strengths, penalties, folds."""

from copy import copy
from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import gammaln
from sklearn.base import clone
from sklearn.callback import with_callbacks
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils.parallel import Parallel, delayed

from .._estimator import unchanged_on_error
from .._sklearn import StrOptions, check_sample_weight, validate_parameter_constraints
from ..duality import effective_penalty
from ..penalties import Penalty, list_penalties
from ..solvers._path import alpha_grid, solve_path
from ._base import LinearEstimator
from ._data import FoldMoments
from ._path import PATH_CONSTRAINTS, check_alphas, warn_of_path

# What may stand for a penalty or a rule.
PENALTIES = [StrOptions(set(list_penalties())), Penalty, list, tuple]

_CRITERIA = ("aic", "bic", "ebic")
# What an estimator is told and a search finds.
_FOUND = ("alpha", "n_nonzero", "warm_start")


class Search(LinearEstimator):
    """Search over strengths and penalties; comes before the estimator it searches for."""

    alphas: Any
    eps: float
    selection: str
    cv: Any
    n_jobs: int | None
    max_nonzero: int | None
    penalty_params: dict | None
    _penalty_parameter: str

    _search_constraints: dict = {
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
            Data; float32 gives float32 coefficients. For a loss other than the squared error it is
            solved in a float64 copy.
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
        X, y, weight = self._validate(X, y, sample_weight)
        if hasattr(X, "tocsc"):
            X = X.tocsc()
        weight = check_sample_weight(weight, X, dtype=np.float64)
        data = self._prepare(X, y, weight)
        # ARD depends on the rows: each fold binds it anew.
        penalties = [self._arrange(p, data) for p in candidates]
        # Sums over rows serve all candidates, or the design does: one form for the whole search.
        problem = data.path_problem(min(penalties, key=lambda p: p.separable))
        grids = [
            alpha_grid(problem, p, alphas, self.eps, self.positive, self._second_order)
            for p in penalties
        ]
        folds = self._folds(X, y, data, problem)
        tasks = self._init_callback_context(
            max_subtasks=len(penalties) * (len(folds) + 1), sequential_subtasks=True
        )
        tasks.call_on_fit_task_begin(estimator=self, X=X, y=y)
        paths = [
            self._path(data, problem, p, grid, _subtask(tasks, grid), self.max_nonzero)
            for p, grid in zip(penalties, grids, strict=True)
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
        self._keep(data, penalties, grids, paths, best, at)
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
        splits = list(check_cv(self.cv, y, classifier=hasattr(self, "classes_")).split(X, y))
        if not splits:
            raise ValueError("cv yields no folds.")
        for train, _ in splits:
            self._check_fold(y[train])
        return [
            (train, test, (data, problem) if hasattr(problem, "gram") else None)
            for train, test in splits
        ]

    def _check_fold(self, y):
        """Refuse the target of a fold that no model can be fitted to."""

    def _path(self, data, problem, penalty, alphas, task, max_nonzero=None):
        path = _Path()
        task.call_on_fit_task_begin(estimator=self)
        options = self._options() | {"max_nonzero": max_nonzero}
        options["second_order"] = self._second_order
        solutions = solve_path(problem, penalty, alphas, self._masks, **options)
        for alpha in alphas:
            point = task.subcontext(task_name="alpha")
            point.call_on_fit_task_begin(estimator=self)
            solution = next(solutions, None)
            point.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
            if solution is None:
                break
            path.add(alpha, solution, *data.solution([solution.w]))
        task.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
        return path

    def _fold_errors(self, fold, X, y, weight, penalty, alphas, task):
        # The error at each strength on the rows left out.
        train, test, whole = fold
        data: Any
        if whole is None:
            inside = np.zeros_like(weight)
            np.add.at(inside, train, weight[train])
            data = self._prepare(X, y, inside)
            penalty = self._arrange(penalty, data)
            problem = data.path_problem(penalty)
        else:
            data = FoldMoments(X, y, weight, train, self.fit_intercept, self.standardize, *whole)
            penalty, problem = self._arrange(penalty, whole[0]), data.problem
        path = self._path(data, problem, penalty, alphas, task)
        if weight[test].sum() == 0:
            return np.zeros(len(alphas))
        return self._errors(X[test], y[test], weight[test], path.coefs, path.intercepts)

    def _errors(self, X, y, weight, coefs, intercepts):
        """Return the mean error at each strength."""
        raise NotImplementedError

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
        self._keep_errors(stack(errors) if len(paths) > 1 else errors[0])
        return best, at

    def _keep_errors(self, errors):
        """Set the attribute that holds the errors, shape ([n_penalties,] n_alphas, n_folds)."""
        raise NotImplementedError

    def _criterion(self, data, path):
        n, p = data.n_effective, path.coefs[0].size
        size = np.count_nonzero(path.coefs.reshape(len(path.coefs), -1), axis=1)
        if data.problem.exact:
            score = n * np.log(np.maximum(2 * path.losses, np.finfo(float).tiny))
        else:
            score = 2 * n * path.losses
        score = score + (2.0 if self.selection == "aic" else np.log(n)) * size
        if self.selection == "ebic":
            score += 2 * (gammaln(p + 1) - gammaln(size + 1) - gammaln(p - size + 1))
        return np.where(size <= n / 2, score, np.inf)

    def _keep(self, data, penalties, grids, paths, best, at):
        penalty, alpha = penalties[best], float(grids[best][at])
        start = data.standardize_coef(paths[best].coefs[at])[0]
        solution = self._solve(data.problem, penalty, alpha, start)
        self._warn_if_not_converged(solution)
        self._set_attributes(data, penalty, [(alpha, solution)])
        self.penalty_ = penalty
        self.alphas_ = stack(grids) if len(grids) > 1 else grids[0]
        self._keep_coefs(paths[best].coefs)

    def _keep_coefs(self, coefs):
        """Set the attribute that holds the coefficients at each strength."""
        raise NotImplementedError

    def _at(self, coef, intercept):
        """Return a copy of this estimator with other coefficients, to score."""
        model = copy(self)
        model.coef_, model.intercept_ = coef, intercept
        model.__dict__.pop("feature_names_in_", None)  # the rows of the folds are an array
        return model


def search_constraints(base):
    """Return the parameter constraints of a search for an estimator with the constraints `base`."""
    kept = {name: valid for name, valid in base.items() if name not in _FOUND}
    return kept | Search._search_constraints


class _Path:
    """What is kept of a path."""

    def __init__(self):
        self.alphas, self._coefs, self._intercepts = [], [], []
        self._reached, self._losses = [], []

    def add(self, alpha, solution, coef, intercept):
        self.alphas.append(alpha)
        self._coefs.append(coef)
        self._intercepts.append(intercept)
        self._reached.append(solution.stationarity)
        self._losses.append(solution.loss)

    coefs = property(lambda self: np.array(self._coefs))
    intercepts = property(lambda self: np.array(self._intercepts))
    stationarity = property(lambda self: np.array(self._reached))
    losses = property(lambda self: np.array(self._losses))


def _subtask(tasks, alphas):
    return tasks.subcontext(task_name="path", max_subtasks=len(alphas))


def stack(rows):
    """Return one array of arrays; those that end early are filled up with nan."""
    longest = max(len(row) for row in rows)
    filled = np.full((len(rows), longest, *rows[0].shape[1:]), np.nan)
    for out, row in zip(filled, rows, strict=True):
        out[: len(row)] = row
    return filled
