"""Grid searches whose nets are trained together."""

import time
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import ParameterGrid, check_cv
from sklearn.utils import check_random_state, get_tags, indexable
from sklearn.utils.validation import check_is_fitted

from .._estimator import unchanged_on_error
from .._sklearn import (
    Interval,
    StrOptions,
    safe_indexing,
    search_results,
    validate_parameter_constraints,
)
from ..exceptions import InvalidParameterError
from ._estimators import SparseMLPClassifier, SparseMLPRegressor
from ._many import fit_many
from .routes import auto_alpha, get_route

_FACTORS = 4.0 ** np.arange(-2, 3)  # of the default strength

_DOCS = """
    All candidates, folds and seeds whose nets have one architecture, and differ in nothing but
    data, seed, `alpha`, `lr` and `target_density`, are one stack: parameters with a leading axis,
    batched matrix products. Each net is what it would be alone, up to rounding (on a GPU, but for
    the noise that some methods draw). Candidates that differ otherwise are further stacks.

    Parameters
    ----------
    estimator : {cls}, default=None
        What is searched; None is the default one.
    param_grid : dict or list of dict, default=None
        Lists of values by the names of parameters, as in
        `sklearn.model_selection.GridSearchCV`; None is five strengths, the default one (of the
        rows of a fold) times 1/16, 1/4, 1, 4 and 16.
    n_seeds : int, default=1
        Nets of each candidate and fold. A single one has the `random_state` of the estimator, more
        have seeds drawn from it.
    scoring : str or callable, default=None
        A scorer, as in scikit-learn; None is the `score` of the estimator.
    cv : int, splitter or iterable, default=None
        Folds, as in scikit-learn; None is 5.
    refit : bool, default=True
        Fit the best candidate to all rows.
    return_train_score : bool, default=False
        Whether `cv_results_` has scores of the training rows.
    error_score : "raise" or float, default=nan
        The score of a net whose loss became nan.
    max_nets : int, default=None
        Nets in a stack; None is 64 on a GPU, and on a CPU as many as stay in its caches: there
        large nets are as fast one by one.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As that of `GridSearchCV`; split k is seed k % n_seeds of fold k // n_seeds.
    best_estimator_ : {cls}
        Of the best candidate, fitted to all rows.
    best_params_ : dict
        Its parameters.
    best_score_ : float
        Its mean score.
    best_index_ : int
        Its place in `cv_results_`.
    scorer_ : callable
        What made the scores.
    n_splits_ : int
        Folds times seeds.
    refit_time_ : float
        Seconds of the last fit.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X has them."""


class SparseMLPSearch(MetaEstimatorMixin, BaseEstimator):
    """Template of the searches; a subclass says which nets."""

    _kind: type
    _parameter_constraints: dict = {
        "param_grid": [dict, list, None],
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "cv": ["cv_object"],
        "refit": ["boolean"],
        "return_train_score": ["boolean"],
        "error_score": [StrOptions({"raise"}), Real],
        "max_nets": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        estimator=None,
        param_grid=None,
        *,
        n_seeds=1,
        scoring=None,
        cv=None,
        refit=True,
        return_train_score=False,
        error_score=np.nan,
        max_nets=None,
    ):
        self.estimator = estimator
        self.param_grid = param_grid
        self.n_seeds = n_seeds
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.return_train_score = return_train_score
        self.error_score = error_score
        self.max_nets = max_nets

    @unchanged_on_error
    def fit(self, X, y, sample_weight=None):
        """Train the nets of all candidates, and the best one on all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0, in the fits and in the scores.

        Returns
        -------
        self : object
            Fitted.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid.
        """
        self._check_parameters()
        X, y, sample_weight = indexable(X, y, sample_weight)
        rows = (X, y, sample_weight)
        self._net()._validate(*rows, first=True)  # raises before any work
        cv = check_cv(self.cv, y, classifier=self._kind is SparseMLPClassifier)
        folds = [[_take(rows, index) for index in fold] for fold in cv.split(X, y)]
        candidates, seeds = self._candidates(folds), self._seeds()
        nets = [
            self._net().set_params(**{"random_state": seed, **clone(parameters, safe=False)})
            for parameters in candidates
            for _ in folds
            for seed in seeds
        ]
        parts = [fold for _ in candidates for fold in folds for _ in range(self.n_seeds)]
        start = time.perf_counter()
        fit_many(nets, [train for train, _ in parts], max_nets=self.max_nets)
        seconds = (time.perf_counter() - start) / len(nets)
        self.scorer_ = check_scoring(self._net(), self.scoring)
        scores = [self._scores(*pair, seconds) for pair in zip(nets, parts, strict=True)]
        self.n_splits_ = len(folds) * self.n_seeds
        self.cv_results_ = search_results(
            candidates, self.n_splits_, scores, self.return_train_score
        )
        self.best_index_ = int(self.cv_results_["rank_test_score"].argmin())
        self.best_score_ = self.cv_results_["mean_test_score"][self.best_index_]
        self.best_params_ = candidates[self.best_index_]
        self._learn(nets[0])
        if self.refit:
            start = time.perf_counter()
            best = self._net().set_params(**clone(self.best_params_, safe=False))
            self.best_estimator_ = best.fit(*rows)
            self.refit_time_ = time.perf_counter() - start
            self._learn(best)
        return self

    def _check_parameters(self):
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )
        if not isinstance(self._net(), self._kind):
            raise InvalidParameterError(
                f"estimator must be a {self._kind.__name__}; got {self.estimator!r}."
            )

    def _net(self):
        return self._kind() if self.estimator is None else clone(self.estimator)

    def _seeds(self):
        state = self._net().random_state
        if self.n_seeds == 1:
            return [state]
        return check_random_state(state).randint(2**31 - 1, size=self.n_seeds).tolist()

    def _candidates(self, folds):
        grid = self.param_grid
        if grid is None:
            n_rows = len(folds[0][0][1])
            grid = {"alpha": auto_alpha(get_route(self._net().method), n_rows) * _FACTORS}
        return list(ParameterGrid(grid))

    def _scores(self, net, fold, seconds):
        start = time.perf_counter()
        names = ["test_scores", "train_scores"] if self.return_train_score else ["test_scores"]
        scores = {
            name: self._score(net, *part) for name, part in zip(names, reversed(fold), strict=False)
        }
        return scores | {"fit_time": seconds, "score_time": time.perf_counter() - start}

    def _score(self, net, X, y, weight):
        if np.isfinite(net.loss_curve_[-1]):
            given = {} if weight is None else {"sample_weight": weight}
            return self.scorer_(net, X, y, **given)
        message = f"The loss became nan in the fit of {net}."
        if self.error_score == "raise":
            raise ValueError(message)
        warnings.warn(f"{message} Its score is {self.error_score}.", FitFailedWarning, stacklevel=5)
        return self.error_score

    def _learn(self, net):
        for name in ("n_features_in_", "feature_names_in_", "classes_"):
            if hasattr(net, name):
                setattr(self, name, getattr(net, name))

    def _best(self):
        check_is_fitted(self)
        if not self.refit:
            raise AttributeError(
                f"This {type(self).__name__} was fitted with refit=False: it has best_params_, but "
                "no net that predicts."
            )
        return self.best_estimator_

    def predict(self, X):
        """Predict with the best net.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            What its `predict` returns.
        """
        return self._best().predict(X)

    def score(self, X, y, sample_weight=None):
        """Return the score of the best net, by `scoring`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.

        Returns
        -------
        float
            The score.
        """
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.scorer_(self._best(), X, y, **given)

    def __sklearn_tags__(self):
        tags, of_net = super().__sklearn_tags__(), get_tags(self._kind())
        tags.estimator_type, tags.target_tags = of_net.estimator_type, of_net.target_tags
        tags.classifier_tags, tags.regressor_tags = of_net.classifier_tags, of_net.regressor_tags
        tags.input_tags.sparse = of_net.input_tags.sparse
        return tags


def _take(rows, index):
    return tuple(None if part is None else safe_indexing(part, index) for part in rows)


class SparseMLPClassifierCV(SparseMLPSearch):
    __doc__ = rf"""`SparseMLPClassifier` with a cross-validated grid, trained at once.
{_DOCS.format(cls="SparseMLPClassifier")}
    classes_ : ndarray of shape (n_classes,)
        The classes.

    See Also
    --------
    SparseMLPClassifier : With parameters that are given.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from skdropdual.neural_network import SparseMLPClassifier, SparseMLPClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> net = SparseMLPClassifier((16,), lr=1e-2, max_epochs=30, random_state=0)
    >>> search = SparseMLPClassifierCV(net, {{"alpha": [1e-3, 1e-2, 1.0]}}, cv=3).fit(scale(X), y)
    >>> bool(search.best_score_ > 0.9), search.best_params_["alpha"] < 1
    (True, True)
    """

    _kind = SparseMLPClassifier

    def predict_proba(self, X):
        """Return the probabilities of the best net.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        return self._best().predict_proba(X)

    def predict_log_proba(self, X):
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities.
        """
        return self._best().predict_log_proba(X)

    def decision_function(self, X):
        """Return the scores of the best net.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores.
        """
        return self._best().decision_function(X)


class SparseMLPRegressorCV(SparseMLPSearch):
    __doc__ = rf"""`SparseMLPRegressor` with a cross-validated grid, trained at once.
{_DOCS.format(cls="SparseMLPRegressor")}

    See Also
    --------
    SparseMLPRegressor : With parameters that are given.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skdropdual.neural_network import SparseMLPRegressor, SparseMLPRegressorCV
    >>> X, y = make_regression(150, 8, n_informative=3, random_state=0)
    >>> net = SparseMLPRegressor((16,), lr=1e-2, max_epochs=40, random_state=0)
    >>> search = SparseMLPRegressorCV(net, {{"alpha": [1e-3, 10.0]}}, cv=3).fit(X, y / y.std())
    >>> search.best_params_, bool(search.best_score_ > 0.8)
    ({{'alpha': 0.001}}, True)
    """

    _kind = SparseMLPRegressor
