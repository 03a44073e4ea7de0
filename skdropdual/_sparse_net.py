"""A trained sparse net that predicts with NumPy and SciPy alone.

This file imports nothing else, neither torch nor the rest of the library; it works by itself.
"""

import numpy as np
from scipy import sparse
from scipy.special import erf, expit, log_expit, log_softmax, softmax

__all__ = ["ACTIVATIONS", "SparseNet"]


def _dense(h):
    return h.toarray() if sparse.issparse(h) else h


def _softplus(h, beta=1.0, threshold=20.0):
    return np.where(beta * h > threshold, h, np.logaddexp(0, beta * h) / beta)


def _gelu(h, approximate="none"):
    if approximate == "tanh":
        return 0.5 * h * (1 + np.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h**3)))
    return 0.5 * h * (1 + erf(h / 2**0.5))


def _elu(h, alpha=1.0):
    return np.where(h > 0, h, alpha * np.expm1(np.minimum(h, 0)))


def _hardtanh(h, min_val=-1.0, max_val=1.0):
    return np.clip(h, min_val, max_val)


# Each takes (units, rows); the names and arguments are torch's. Python floats keep float32.
ACTIVATIONS = {
    "affine": lambda h, scale, shift: scale[:, None] * h + shift[:, None],
    "elu": _elu,
    "celu": lambda h, alpha=1.0: np.where(h > 0, h, alpha * np.expm1(np.minimum(h, 0) / alpha)),
    "gelu": _gelu,
    "hardsigmoid": lambda h: np.clip(h / 6 + 0.5, 0, 1),
    "hardswish": lambda h: h * np.clip(h / 6 + 0.5, 0, 1),
    "hardtanh": _hardtanh,
    "leakyrelu": lambda h, negative_slope=0.01: np.where(h > 0, h, negative_slope * h),
    "logsigmoid": log_expit,
    "logsoftmax": lambda h: log_softmax(h, axis=0),
    "mish": lambda h: h * np.tanh(_softplus(h)),
    "relu": lambda h: np.maximum(h, 0),
    "relu6": _hardtanh,
    "selu": lambda h: 1.0507009873554805 * _elu(h, 1.6732632423543772),
    "sigmoid": expit,
    "silu": lambda h: h * expit(h),
    "softmax": lambda h: softmax(h, axis=0),
    "softplus": _softplus,
    "softsign": lambda h: h / (1 + np.abs(h)),
    "tanh": np.tanh,
}


class SparseNet:
    r"""Predict with a sparse feed-forward net: :math:`h_{l+1} = \phi_l(W_l h_l + b_l)`.

    Made by ``to_scipy``; picklable, and its pickle is read without torch.

    Parameters
    ----------
    steps : list of tuple
        ``(W, b)`` for a linear layer, W a CSR array of shape (units, inputs) and b an array of
        shape (units,), and ``(name, arguments)`` for an activation, a key of ``ACTIVATIONS``.
    kind : {"multiclass", "multilabel", "regression"}
        What the outputs are: the logits of the classes (a single one: of the second class of
        two), a logit for each label, or the predicted values.
    classes : ndarray of shape (n_classes,), default=None
        The classes, for "multiclass".

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; only for "multiclass".
    n_features_in_ : int
        Columns of X.
    n_nonzero_ : int
        Weights that are stored: all others are zero.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skdropdual._sparse_net import SparseNet
    >>> hidden = csr_array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]), np.zeros(2)
    >>> output = csr_array([[1.0, 2.0]]), np.array([0.5])
    >>> net = SparseNet([hidden, ("relu", {}), output], kind="regression")
    >>> net.predict([[3.0, 0.0, -1.0], [-3.0, 9.0, 1.0]])
    array([5.5, 0.5])
    >>> net.n_nonzero_
    4
    """

    def __init__(self, steps, kind, classes=None):
        self.steps = steps
        self.kind = kind
        weights = [step[0] for step in steps if sparse.issparse(step[0])]
        self.n_features_in_ = weights[0].shape[1]
        self.n_nonzero_ = sum(weight.nnz for weight in weights)
        self._dtype = weights[0].dtype
        if classes is not None:
            self.classes_ = np.asarray(classes)

    def __repr__(self):
        weights = [step[0] for step in self.steps if sparse.issparse(step[0])]
        sizes = [self.n_features_in_, *(weight.shape[0] for weight in weights)]
        layers = " -> ".join(map(str, sizes))
        return f"SparseNet({layers}, kind={self.kind!r}, n_nonzero={self.n_nonzero_})"

    def decision_function(self, X):
        """Return the outputs of the net, before any softmax or sigmoid.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            The data; a sparse X is not densified.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs), or (n_samples,) for a single output
            The logits; the values for "regression".
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 and self.kind != "multilabel" else outputs

    def predict_proba(self, X):
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Rows sum to 1 for "multiclass"; independent probabilities for "multilabel".
        """
        if self.kind == "regression":
            raise AttributeError(
                "predict_proba is for classification; this net is kind='regression'."
            )
        outputs = self._outputs(X)
        if self.kind == "multilabel":
            return expit(outputs)
        if outputs.shape[1] == 1:
            return expit(np.hstack([-outputs, outputs]))
        return softmax(outputs, axis=1)

    def predict(self, X):
        """Return the likeliest class, the labels whose probability exceeds 1/2, or the values.

        Parameters
        ----------
        X : array-like or sparse of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,), (n_samples, n_labels) or (n_samples, n_outputs)
            The prediction.
        """
        outputs = self.decision_function(X)
        if self.kind == "regression":
            return outputs
        if self.kind == "multilabel":
            return (outputs > 0).astype(int)
        index = (outputs > 0).astype(int) if outputs.ndim == 1 else outputs.argmax(axis=1)
        return self.classes_[index]

    def _outputs(self, X):
        # Units are rows here, as SciPy's product of a CSR array wants them.
        h = self._validated(X).T
        for step in self.steps:
            if sparse.issparse(step[0]):
                weight, bias = step
                h = _dense(weight @ h) + bias[:, None]
            else:
                name, arguments = step
                h = ACTIVATIONS[name](_dense(h), **arguments)
        return np.ascontiguousarray(h.T)

    def _validated(self, X):
        X = sparse.csr_array(X) if sparse.issparse(X) else np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X must have shape (n_samples, {self.n_features_in_}), got {X.shape}."
            )
        return X.astype(self._dtype, copy=False)
