"""The two faces of one classification: a penalty, and the dropout rule that is its dual."""

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .._sklearn import (
    LinearClassifierMixin,
    SparseCoefMixin,
    StrOptions,
    check_sample_weight,
    make_loss,
)
from ._base import LinearEstimator
from ._data import FLOATS
from ._faces import DropoutFace, PenaltyFace
from ._path import SHARED, PathMethod


class LinearClassifier(LinearClassifierMixin, SparseCoefMixin, ClassifierMixin, LinearEstimator):
    """Fit and predict; `_penalty_parameter` names what holds the penalty."""

    _parameter_constraints = {
        **LinearEstimator._parameter_constraints,
        "alpha": [LinearEstimator._parameter_constraints["alpha"][0], None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data; float32 is solved in a float64 copy and gives float32 coefficients.
        y : array-like of shape (n_samples,)
            Classes: numbers, strings, booleans.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0; only their ratios matter.

        Returns
        -------
        self
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, getattr(self, self._penalty_parameter))

    def _validate(self, X, y, sample_weight):
        X, y = validate_data(self, X, y, dtype=FLOATS, accept_sparse=["csc", "csr"])
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must have at least two classes; got one class only, {self.classes_[0]!r}."
            )
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if self.class_weight is not None:
            weight = weight * compute_sample_weight(self.class_weight, y)
        present = np.bincount(labels, weights=weight) > 0
        if weight.any() and not present.all():
            raise ValueError(
                "Each class needs a row of positive weight; there is none for "
                f"{self.classes_[~present].tolist()}."
            )
        return X, labels, weight

    def _make_loss(self, y):
        return make_loss("log_loss", np.arange(len(self.classes_)))

    def _advice(self):
        return (
            f"{super()._advice()} If the classes are separable, a bounded penalty leaves no "
            "minimum: increase alpha or choose an unbounded penalty."
        )

    def _set_attributes(self, data, penalty, found):
        super()._set_attributes(data, penalty, found)
        for name in ("coef_", "eta_", "keep_prob_"):
            setattr(self, name, np.atleast_2d(getattr(self, name)))
        self.intercept_ = np.atleast_1d(self.intercept_)

    def predict_proba(self, X):
        r"""Return the probability of each class.

        With scores s of `decision_function`, :math:`1 / (1 + e^{-s})` for the second of two
        classes, else :math:`e^{s_k} / \sum_m e^{s_m}`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        check_is_fitted(self)
        scores = self.decision_function(X)
        if scores.ndim == 1:
            return np.stack([expit(-scores), expit(scores)], axis=1)
        return softmax(scores, axis=1)

    def predict_log_proba(self, X):
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


class EffectivePenaltyClassifier(PenaltyFace, LinearClassifier):
    r"""Logistic regression with any penalty of the library.

    Minimises, over coefficients W and unpenalised intercepts b,

    .. math::

        \frac{1}{\sum_i s_i} \sum_i s_i \ell(y_i, W x_i + b) + \sum_{kj} P_\alpha(|w_{kj}|\, d_j)

    with the log loss of two classes (one row w) or the multinomial loss of more (one row each),
    sample weights s times class weights, and d as in `EffectivePenaltyRegressor`.

    Parameters
    ----------
    penalty : str or Penalty, default="logsum"
        A name from `list_penalties` or a penalty object.
    alpha : float >= 0 or None, default=0.01
        Strength; 0 is the maximum of the likelihood. None leaves it to `n_nonzero`.
    n_nonzero : int > 0, default=None
        As in `EffectivePenaltyRegressor`.
    class_weight : dict, "balanced" or None, default=None
        Factors on the weights of classes, as in scikit-learn.
    fit_intercept : bool, default=True
        Whether to fit b.
    standardize : bool, default=True
        Penalise ``coef_ * d`` or ``coef_`` itself.
    positive : bool, default=False
        Constrain coefficients to be >= 0.
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that enter together, as in `EffectivePenaltyRegressor`.
    penalize : {"coefficient", "feature"}, default="coefficient"
        With three or more classes: each coefficient by itself, or the norm of each column's
        coefficients, so that a column is in or out for all classes.
    solver : {"auto", "coordinate_descent", "reweighted"}, default="auto"
        As in `EffectivePenaltyRegressor`.
    tol : float >= 0, default=1e-6
        Bound on ``stationarity_``.
    max_iter : int, default=1000
        Largest number of iterations.
    warm_start : bool, default=False
        Start from ``coef_`` if there is one.
    random_state : int, RandomState or None, default=None
        Unused.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients, exact zeros included.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    alpha_ : float
        Strength of the solution.
    n_iter_ : int
        Working sets of the last solve.
    eta_, keep_prob_ : ndarray, shape of `coef_`
        Dual variables and keep probabilities at the solution.
    objective_ : float
        Loss plus penalty.
    stationarity_ : float
        Largest violation of the first-order conditions, relative to the largest gradient of the
        model without columns.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    See Also
    --------
    AdaptiveDropoutClassifier : The same model as adaptive dropout.

    References
    ----------
    LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin. arXiv:2106.07769.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdropdual import EffectivePenaltyClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = EffectivePenaltyClassifier("mcp", alpha=0.03).fit(X, y)
    >>> int((model.coef_ != 0).sum())
    8
    """

    _parameter_constraints = {
        **LinearClassifier._parameter_constraints,
        **PenaltyFace._face_constraints,
    }
    path = PathMethod(SHARED | {"penalty": "penalty", "solver": "solver"}, loss="log_loss")

    def __init__(
        self,
        penalty="logsum",
        alpha=0.01,
        *,
        n_nonzero=None,
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
        warm_start=False,
        random_state=None,
    ):
        self.penalty = penalty
        self.alpha = alpha
        self.n_nonzero = n_nonzero
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
        self.warm_start = warm_start
        self.random_state = random_state


class AdaptiveDropoutClassifier(DropoutFace, LinearClassifier):
    r"""Logistic regression by dropout whose keep probabilities adapt to the weights.

    As `AdaptiveDropoutRegressor`, with the log loss of two classes or the multinomial loss of more.
    Beyond the squared error, dropout is no longer exactly a ridge: ``masks="expected"`` takes the
    second-order form of the expected loss,

    .. math::

        \mathbb{E}_s L(s \odot u) \approx L(w) + \tfrac12 \sum_{kj} d_{kj} r_{kj} w_{kj}^2,
        \qquad d_{kj} = \sum_i s_i h_{ik} x_{ij}^2 / \sum_i s_i

    with h the curvature of the loss at each row. The rule sees :math:`\sqrt{d_{kj}} |w_{kj}|`, the
    size that noise on this weight has in the loss, with d at the solution. Masks that are really
    sampled are exact in expectation.

    Parameters
    ----------
    rule : str, Penalty or callable, default="vardrop"
        What `effective_penalty` takes: a penalty (its dual rule) or a keep probability of \|w\|.
    alpha : float >= 0 or None, default=0.01
        Strength; 0 keeps everything: the maximum of the likelihood. None leaves it to `n_nonzero`.
    n_nonzero : int > 0, default=None
        As in `EffectivePenaltyRegressor`.
    masks : {"expected", "bernoulli", "gaussian"}, default="expected"
        "expected" integrates masks out to second order; the others sample them, a new one for each
        row, and average the second half of `max_iter` rounds (at most 100).
    n_masks : int, default=10
        Masks for each row and round when they are sampled.
    class_weight : dict, "balanced" or None, default=None
        Factors on the weights of classes, as in scikit-learn.
    fit_intercept : bool, default=True
        Whether to fit intercepts; they are never dropped.
    standardize : bool, default=True
        As in `AdaptiveDropoutRegressor`; where it is False, d leaves out the variance of columns.
    positive : bool, default=False
        Constrain coefficients to be >= 0 (expected masks only).
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that are dropped together, as in `EffectivePenaltyRegressor`.
    penalize : {"coefficient", "feature"}, default="coefficient"
        As in `EffectivePenaltyClassifier`.
    tol : float >= 0, default=1e-6
        Bound on ``stationarity_``.
    max_iter : int, default=1000
        Largest number of reweightings.
    warm_start : bool, default=False
        Start from ``coef_`` if there is one.
    random_state : int, RandomState or None, default=None
        Source of sampled masks.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Effective coefficients, exact zeros included.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    alpha_ : float
        Strength of the solution.
    n_iter_ : int
        Reweightings of the last solve.
    eta_, keep_prob_ : ndarray, shape of `coef_`
        Dual variables and keep probabilities at the solution.
    objective_ : float
        Loss plus effective penalty, with d at the solution.
    stationarity_ : float
        Largest violation of the first-order conditions, relative to the largest gradient of the
        model without columns.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    See Also
    --------
    EffectivePenaltyClassifier : The same model as a penalised classification.

    References
    ----------
    Wager, Wang, Liang (2013). Dropout training as adaptive regularization. NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skdropdual import AdaptiveDropoutClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = AdaptiveDropoutClassifier("mcp", alpha=0.03).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _parameter_constraints = {
        **LinearClassifier._parameter_constraints,
        **DropoutFace._face_constraints,
    }

    def __init__(
        self,
        rule="vardrop",
        alpha=0.01,
        *,
        n_nonzero=None,
        masks="expected",
        n_masks=10,
        class_weight=None,
        fit_intercept=True,
        standardize=True,
        positive=False,
        feature_weights=None,
        groups=None,
        penalize="coefficient",
        tol=1e-6,
        max_iter=1000,
        warm_start=False,
        random_state=None,
    ):
        self.rule = rule
        self.alpha = alpha
        self.n_nonzero = n_nonzero
        self.masks = masks
        self.n_masks = n_masks
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.feature_weights = feature_weights
        self.groups = groups
        self.penalize = penalize
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state
