"""Selection of features that stay selected when half of the rows is left out."""

from collections.abc import Callable
from numbers import Integral, Real
from operator import attrgetter

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier, is_regressor
from sklearn.feature_selection import SelectorMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    check_is_fitted,
    has_fit_parameter,
    validate_data,
)

from ._estimator import unchanged_on_error
from ._sklearn import (
    Interval,
    InvalidParameterError,
    check_method_params,
    check_sample_weight,
    validate_parameter_constraints,
)

__all__ = ["StabilitySelection"]

# Two rows in each half: fewer have no spread.
_LEAST_ROWS = 4
# At a threshold of one half or less the bound says nothing.
_LEAST_THRESHOLD = 0.5
# Seeds are drawn below this, which every random state takes.
_SEED_END = np.iinfo(np.int32).max


def _split(labels, rng):
    """Return two disjoint halves of the rows, each with half of every class.

    Parameters
    ----------
    labels : ndarray of int of shape (n_samples,)
        Class of each row, 0 to n_classes - 1.
    rng : RandomState
        Source of the permutation.

    Returns
    -------
    ndarray of shape (2, n_samples // 2)
        Rows of each half.
    """
    n_rows = len(labels)
    counts = np.bincount(labels)
    classes = rng.permutation(len(counts))
    # Rows go to the halves in turn, class by class, so two rows of a class are never together. An
    # odd number of rows loses one of the last class: the largest one, and never one of two rows.
    classes = classes[np.argsort(np.where(counts == 2, 0, counts)[classes], kind="stable")]
    rank = np.empty_like(classes)
    rank[classes] = np.arange(len(classes))
    rows = rng.permutation(n_rows)
    rows = rows[np.argsort(rank[labels[rows]], kind="stable")]
    return rows[: n_rows - n_rows % 2].reshape(-1, 2).T


def _read_importances(estimator, getter):
    """Return what `getter` reads from a fitted estimator, dense."""
    if callable(getter):
        found = getter(estimator)
    elif getter != "auto":
        found = attrgetter(getter)(estimator)
    else:
        found = getattr(estimator, "coef_", None)
        if found is None:
            found = getattr(estimator, "feature_importances_", None)
        if found is None:
            raise ValueError(
                f"{type(estimator).__name__} has neither coef_ nor feature_importances_ after fit; "
                "give importance_getter."
            )
    return found.toarray() if issparse(found) else np.asarray(found)


def _selected(estimator, getter, n_features):
    """Return which columns have an importance other than zero, for any output."""
    importances = _read_importances(estimator, getter)
    if importances.ndim not in (1, 2) or importances.shape[-1] != n_features:
        raise ValueError(
            f"Importances must have the shape ({n_features},) or (n_outputs, {n_features}); got "
            f"{importances.shape}."
        )
    if not np.isfinite(importances).all():
        raise ValueError(f"{type(estimator).__name__} has importances that are not finite.")
    return (np.atleast_2d(importances) != 0).any(axis=0)


def _seed(estimator, rng):
    """Give the random states that are None a seed, as the ensembles of scikit-learn do."""
    unset = [
        name
        for name, value in sorted(estimator.get_params().items())
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    ]
    return estimator.set_params(**{name: rng.randint(_SEED_END) for name in unset})


def _select_in_halves(estimator, X, y, params, labels, getter, seed):
    """Return the selected columns of each half of one pair, of shape (2, n_features)."""
    rng = np.random.RandomState(seed)
    selected = []
    for rows in _split(labels, rng):
        model = _seed(clone(estimator), rng)
        model.fit(X[rows], y[rows], **check_method_params(X, params, rows))
        selected.append(_selected(model, getter, X.shape[1]))
    return np.stack(selected)


class StabilitySelection(SelectorMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Select the features that a sparse model selects in most random halves of the rows.

    B random permutations of the rows are each cut into two disjoint halves of n // 2 rows (a
    complementary pair), and a copy of the estimator is fitted to each half. With S the columns of
    nonzero importance in a half, the selection probability of column j, and the selected set, are

    .. math::

        \hat\Pi_j = \frac{1}{2B} \sum_{b=1}^{2B} 1\{j \in S_b\}, \qquad
        \hat S = \{j : \hat\Pi_j \ge \pi\}.

    If the noise columns are exchangeable in their selection, and the estimator is not worse than
    random guessing, the expected number V of noise columns in :math:`\hat S` is bounded by

    .. math::

        \mathbb{E}[V] \le \frac{1}{2\pi - 1} \frac{q^2}{p}

    where q is the expected number of columns selected in a half, of p.

    Parameters
    ----------
    estimator : estimator
        Sparse model to select with; it is cloned, and not changed. Its random states that are None
        get seeds that follow from `random_state`.
    n_pairs : int > 0, default=50
        Number B of complementary pairs; there are twice as many fits. For a classifier with one
        label per row the halves share the rows of each class evenly.
    max_features : int > 0, default=None
        Largest number of nonzero coefficients in a half, for each target where the estimator fits
        its targets independently: given to the estimator as ``n_nonzero``, with ``alpha=None``.
        None is the estimator as it is.
    threshold : float in (0.5, 1], default=0.7
        Least selection probability :math:`\pi` of a selected column.
    importance_getter : str or callable, default="auto"
        Where importances are: "auto" is ``coef_``, else ``feature_importances_``; another string
        the name of an attribute, with dots for nested ones; a callable takes the fitted estimator.
        Columns whose importance is zero, for every output, are not selected.
    n_jobs : int, default=None
        Number of jobs that fit pairs; the result does not depend on it.
    random_state : int, RandomState or None, default=None
        Source of the pairs.

    Attributes
    ----------
    selection_probabilities_ : ndarray of shape (n_features,)
        Fraction of the halves in which each column is selected, in [0, 1].
    simultaneous_probabilities_ : ndarray of shape (n_features,)
        Fraction of the pairs in which both halves select the column; at most
        `selection_probabilities_`, and at least twice that minus 1.
    support_ : ndarray of bool of shape (n_features,)
        Whether the selection probability is at least `threshold`.
    n_selected_ : float
        Mean number of columns selected in a half, which estimates q.
    error_bound_ : float
        The bound on the expected number of selected noise columns, with `n_selected_` for q. It
        holds under the two assumptions above, which data cannot show.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    See Also
    --------
    sklearn.feature_selection.SelectFromModel : Selection by one fit to all rows.

    References
    ----------
    Meinshausen, Bühlmann (2010). Stability selection. Journal of the Royal Statistical Society,
    Series B 72, 417-473.

    Shah, Samworth (2013). Variable selection with error control: another look at stability
    selection. Journal of the Royal Statistical Society, Series B 75, 55-80.

    Examples
    --------
    >>> import numpy as np
    >>> from skdropdual import EffectivePenaltyRegressor
    >>> from skdropdual.feature_selection import StabilitySelection
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((80, 100))
    >>> y = X[:, 3] - X[:, 7] + 0.5 * rng.standard_normal(80)
    >>> selector = StabilitySelection(
    ...     EffectivePenaltyRegressor("l1"), n_pairs=10, max_features=5, random_state=0
    ... ).fit(X, y)
    >>> selector.get_support(indices=True)
    array([3, 7])
    >>> selector.error_bound_ < 1
    True
    """

    _parameter_constraints = {
        "n_pairs": [Interval(Integral, 1, None, closed="left")],
        "max_features": [Interval(Integral, 1, None, closed="left"), None],
        "threshold": [Interval(Real, _LEAST_THRESHOLD, 1, closed="right")],
        "importance_getter": [str, Callable],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        n_pairs=50,
        max_features=None,
        threshold=0.7,
        importance_getter="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.n_pairs = n_pairs
        self.max_features = max_features
        self.threshold = threshold
        self.importance_getter = importance_getter
        self.n_jobs = n_jobs
        self.random_state = random_state

    @unchanged_on_error
    def fit(self, X, y, **fit_params):
        """Fit the estimator to each half of each pair, and select.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data, of at least four rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target, as the estimator takes it.
        **fit_params : dict
            Parameters of the estimator's ``fit``, routed to it where metadata routing is enabled;
            arrays with an entry for each row are halved with the rows. Rows of ``sample_weight`` 0
            are in no half; any other row is drawn once whatever its weight.

        Returns
        -------
        self
            The fitted selector.

        Raises
        ------
        ValueError
            If a parameter or the data is out of range, the estimator has no ``fit``, takes no
            weights, or has no ``n_nonzero`` for `max_features`, or its importances do not fit the
            columns.
        """
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )
        estimator = self._make_estimator()
        params = self._route(fit_params)
        X, y, params = self._validate(X, y, params)
        labels = self._strata(y)
        seeds = check_random_state(self.random_state).randint(_SEED_END, size=self.n_pairs)
        pairs = Parallel(n_jobs=self.n_jobs)(
            delayed(_select_in_halves)(
                estimator, X, y, params, labels, self.importance_getter, seed
            )
            for seed in seeds
        )
        self._set_attributes(np.stack(pairs))
        return self

    def get_metadata_routing(self):
        """Say that the parameters of ``fit`` go to the estimator's.

        Returns
        -------
        MetadataRouter
            As scikit-learn wants it.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)

    def _route(self, fit_params):
        """Return what goes to the estimator."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **fit_params).estimator.fit
        if "sample_weight" in fit_params and not has_fit_parameter(self.estimator, "sample_weight"):
            name = type(self.estimator).__name__
            raise ValueError(f"The fit method of {name} takes no sample_weight.")
        return fit_params

    def _make_estimator(self):
        """Return the copy that every half clones."""
        name = type(self.estimator).__name__
        if isinstance(self.estimator, type) or not hasattr(self.estimator, "fit"):
            raise InvalidParameterError(
                "The 'estimator' parameter of StabilitySelection must be an object with a fit "
                f"method. Got {self.estimator!r} instead."
            )
        estimator = clone(self.estimator)
        if self.max_features is None:
            return estimator
        if not {"n_nonzero", "alpha"} <= estimator.get_params(deep=False).keys():
            raise ValueError(
                "max_features needs an estimator with the parameters n_nonzero and alpha, which "
                f"{name} has not; limit the features by its own parameters, with max_features=None."
            )
        return estimator.set_params(n_nonzero=self.max_features, alpha=None)

    def _validate(self, X, y, params):
        """Return checked data, without the rows of weight zero."""
        allow_nan = get_tags(self.estimator).input_tags.allow_nan
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            ensure_all_finite="allow-nan" if allow_nan else True,
            ensure_min_samples=_LEAST_ROWS,
            multi_output=True,
            y_numeric=is_regressor(self.estimator),
        )
        if is_classifier(self.estimator):
            check_classification_targets(y)
        if params.get("sample_weight") is None:
            return X, y, params
        weight = check_sample_weight(params["sample_weight"], X, ensure_non_negative=True)
        used = weight > 0
        if np.count_nonzero(used) < _LEAST_ROWS:
            raise ValueError(
                f"sample_weight must be positive for at least {_LEAST_ROWS} rows; it is for "
                f"{np.count_nonzero(used)}."
            )
        params = check_method_params(X, params | {"sample_weight": weight}, np.flatnonzero(used))
        return X[used], y[used], params

    def _strata(self, y):
        """Return the class of each row as an integer, 0 where there are no classes."""
        if is_classifier(self.estimator) and not issparse(y) and y.size == y.shape[0]:
            return np.unique(y.ravel(), return_inverse=True)[1]
        return np.zeros(y.shape[0], dtype=int)

    def _set_attributes(self, selected):
        # selected: pairs, halves, columns.
        self.selection_probabilities_ = selected.mean(axis=(0, 1))
        self.simultaneous_probabilities_ = selected.all(axis=1).mean(axis=0)
        self.support_ = self.selection_probabilities_ >= self.threshold
        self.n_selected_ = float(selected.sum(axis=2).mean())
        excess = 2 * self.threshold - 1
        self.error_bound_ = self.n_selected_**2 / (excess * selected.shape[2])

    def _get_support_mask(self):
        check_is_fitted(self)
        return self.support_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        # An estimator that is none has no tags; fit says so.
        if hasattr(self.estimator, "__sklearn_tags__") and not isinstance(self.estimator, type):
            inner = get_tags(self.estimator).input_tags
            tags.input_tags.sparse = inner.sparse
            tags.input_tags.allow_nan = inner.allow_nan
        return tags
