"""Multilayer perceptrons with few weights, as scikit-learn estimators."""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data
from torch import nn

from .._sklearn import StrOptions, check_sample_weight
from . import _docs
from ._base import SparseMLP
from ._mlp import BinaryLogLoss, HalfSquaredError, LogLoss
from ._reports import TwoClasses

_FLOATS = [np.float64, np.float32]


class SparseMLPClassifier(ClassifierMixin, SparseMLP):
    __doc__ = rf"""A multilayer perceptron classifier with few weights.

    Minimises the mean log loss of the net plus a penalty on its weights W (biases are free),

    .. math::

        \frac1n \sum_i \ell(y_i, \mathrm{{net}}(x_i)) + \sum_j P_\alpha(|w_j|)

    by the routes of the duality of adaptive dropout and regularisation. Weights whose keep
    probability falls below `keep_prob_tol` are zero in every prediction.

    Parameters
    ----------{_docs.PARAMETERS}
    class_weight : dict, list of dict, "balanced" or None, default=None
        Factors on the weights of classes; for labels, a dict for each.{_docs.MORE_PARAMETERS}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes; for labels, their numbers.{_docs.ATTRIBUTES}

    See Also
    --------
    SparseMLPRegressor : The same for numbers.
    SparseNeuralNetClassifier : For a module of your own.

    References
    ----------
    LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin. arXiv:2106.07769.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdropdual.neural_network import SparseMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SparseMLPClassifier((32,), max_epochs=50, lr=1e-2, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9), bool(model.density_ < 0.5)
    (True, True)
    """

    _parameter_constraints = {
        **SparseMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    classes_: np.ndarray

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        activation="relu",
        method="adaprox",
        penalty="logsum",
        alpha="auto",
        structure="weight",
        target_density=None,
        keep_prob_tol=0.05,
        optimizer="adam",
        lr=2e-3,
        lr_schedule="constant-linear",
        weight_decay=0.0,
        max_grad_norm=None,
        batch_size="auto",
        max_epochs=100,
        warmup="auto",
        pruning_span=(0.1, 0.7),
        healing_epochs=0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        class_weight=None,
        warm_start=False,
        checkpoint=None,
        compile=False,
        precision="float32",
        device="auto",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            hidden_layer_sizes,
            activation=activation,
            method=method,
            penalty=penalty,
            alpha=alpha,
            structure=structure,
            target_density=target_density,
            keep_prob_tol=keep_prob_tol,
            optimizer=optimizer,
            lr=lr,
            lr_schedule=lr_schedule,
            weight_decay=weight_decay,
            max_grad_norm=max_grad_norm,
            batch_size=batch_size,
            max_epochs=max_epochs,
            warmup=warmup,
            pruning_span=pruning_span,
            healing_epochs=healing_epochs,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            warm_start=warm_start,
            checkpoint=checkpoint,
            compile=compile,
            precision=precision,
            device=device,
            callbacks=callbacks,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one more epoch, on these rows.

        Learning rate and strength are constant; a target density is met after `max_epochs` calls,
        by `pruning_span`. After `fit`, it goes on from its net.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Classes, or indicators of labels.
        classes : array-like of shape (n_classes,), default=None
            All classes; needed at the first call if `y` lacks some.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self : object
            Fitted.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    def _validate(self, X, y, sample_weight, first, classes=None):
        X, y = validate_data(
            self, X, y, reset=first, accept_sparse="csr", dtype=_FLOATS, multi_output=True
        )
        check_classification_targets(y)
        weight = _weight(sample_weight, X)
        if not first:
            classes = self.classes_
        self._multilabel = type_of_target(y) == "multilabel-indicator"
        if self._multilabel:
            y = np.asarray(y.toarray() if hasattr(y, "toarray") else y, dtype=np.float64)
            self.classes_ = np.arange(y.shape[1])
            weight = self._class_weighted(weight, y)
        else:
            y, weight = self._encode(column_or_1d(y, warn=True), weight, classes)
        return X, y, weight

    def _class_weighted(self, weight, y):
        if self.class_weight is None:
            return weight
        factor = compute_sample_weight(self.class_weight, y)
        return factor if weight is None else weight * factor

    def _encode(self, y, weight, classes):
        # Numbers of the classes, and the weights that go with them.
        self.classes_ = np.unique(y if classes is None else classes)
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(
                f"y has classes {unknown.tolist()} that are not among {self.classes_.tolist()}."
            )
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must have at least two classes; got one class only, {self.classes_[0]!r}."
            )
        weight = self._class_weighted(weight, y)
        codes = np.searchsorted(self.classes_, y)
        present = np.bincount(codes, weights=weight, minlength=len(self.classes_)) > 0
        if classes is None and not present.all():
            raise ValueError(
                "Each class needs a row of positive weight; there is none for "
                f"{self.classes_[~present].tolist()}."
            )
        return codes, weight

    def _stratified(self, y):
        return not self._multilabel and np.bincount(y).min() > 1

    @property
    def _kind(self):
        return "multilabel" if self._multilabel else "multiclass"

    @property
    def _two_classes(self):
        return not self._multilabel and len(self.classes_) == 2

    @property
    def _criterion(self):
        return BinaryLogLoss if self._multilabel or self._two_classes else LogLoss

    def _output_layers(self):
        if self._multilabel:
            return [nn.Sigmoid()]
        return [TwoClasses() if self._two_classes else nn.Softmax(dim=-1)]

    def _targets(self, y):
        return y.astype(np.float64) if self._two_classes else y

    def _empty_model(self, y, weight):
        # Scores of the frequencies of classes or labels, half a row added to each.
        if self._multilabel:
            weight = np.ones(len(y)) if weight is None else weight
            return np.log((weight @ y + 0.5) / (weight @ (1 - y) + 0.5))
        counts = np.bincount(y, weights=weight, minlength=len(self.classes_)) + 0.5
        score = np.log(counts)
        return score[1:] - score[:1] if self._two_classes else score - score.mean()

    def decision_function(self, X):
        """Return scores: the logits of the classes or labels, of the second of two classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores.
        """
        scores = self._scores(X)
        return scores[:, 0] if self._two_classes else scores

    def predict_proba(self, X):
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        scores = self.decision_function(X)
        if self._multilabel:
            return expit(scores)
        if self._two_classes:
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
        scores = self.decision_function(X)
        if self._multilabel:
            return log_expit(scores)
        if self._two_classes:
            return np.stack([log_expit(-scores), log_expit(scores)], axis=1)
        return log_softmax(scores, axis=1)

    def predict(self, X):
        """Return the most probable class, or the labels that are more probable than not.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Classes, or indicators of labels.
        """
        scores = self.decision_function(X)
        if self._multilabel:
            return (scores > 0).astype(int)
        chosen = (scores > 0).astype(int) if self._two_classes else scores.argmax(axis=1)
        return self.classes_[chosen]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class SparseMLPRegressor(MultiOutputMixin, RegressorMixin, SparseMLP):
    __doc__ = rf"""A multilayer perceptron regressor with few weights.

    Minimises half the mean squared error of the net, summed over outputs, plus a penalty on its
    weights W (biases are free),

    .. math::

        \frac1{{2n}} \sum_i \|y_i - \mathrm{{net}}(x_i)\|^2 + \sum_j P_\alpha(|w_j|)

    by the routes of the duality of adaptive dropout and regularisation. Targets are taken as they
    are: bring them to unit scale (`TransformedTargetRegressor`).

    Parameters
    ----------{_docs.PARAMETERS}{_docs.MORE_PARAMETERS}

    Attributes
    ----------
    n_outputs_ : int
        Number of targets.{_docs.ATTRIBUTES}

    See Also
    --------
    SparseMLPClassifier : The same for classes.
    SparseNeuralNetRegressor : For a module of your own.

    References
    ----------
    LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin. arXiv:2106.07769.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skdropdual.neural_network import SparseMLPRegressor
    >>> X, y = make_regression(200, 10, n_informative=3, random_state=0)
    >>> y = y / y.std()
    >>> model = SparseMLPRegressor((16,), max_epochs=50, lr=1e-2, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9), bool(model.density_ < 0.7)
    (True, True)
    """

    _kind = "regression"
    _criterion = HalfSquaredError
    n_outputs_: int

    def partial_fit(self, X, y, sample_weight=None):
        """Train for one more epoch, on these rows.

        Learning rate and strength are constant; a target density is met after `max_epochs` calls,
        by `pruning_span`. After `fit`, it goes on from its net.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self : object
            Fitted.
        """
        return self._partial_fit(X, y, sample_weight)

    def _validate(self, X, y, sample_weight, first):
        X, y = validate_data(
            self,
            X,
            y,
            reset=first,
            accept_sparse="csr",
            dtype=_FLOATS,
            multi_output=True,
            y_numeric=True,
        )
        weight, y = _weight(sample_weight, X), y.astype(np.float64)
        width = y.shape[1] if y.ndim == 2 else 1
        if not first and width != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} columns as before; got {width}.")
        self.n_outputs_ = width
        return X, y.reshape(len(y), width), weight

    def _empty_model(self, y, weight):
        return np.average(y, axis=0, weights=weight)

    def predict(self, X):
        """Return the predicted values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Values.
        """
        values = self._scores(X)
        return values[:, 0] if self.n_outputs_ == 1 else values


def _weight(sample_weight, X):
    if sample_weight is None:
        return None
    return check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
