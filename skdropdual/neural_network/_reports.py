"""What a fitted sparse net tells of itself, and the other forms it takes."""

import copy

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from . import _saving
from ._compact import compact
from ._export import to_onnx, to_scipy
from ._sparse_linear import to_torch_csr
from ._sparsifier import find_weights


class TwoClasses(nn.Module):
    """The probabilities of two classes, from the score of the second."""

    def forward(self, scores):
        """Return ``(sigmoid(-s), sigmoid(s))``, shape (n_samples, 2)."""
        return torch.cat([torch.sigmoid(-scores), torch.sigmoid(scores)], dim=-1)


class SparseNetReports:
    """Reports and exports of an estimator with a `module_` of plain layers."""

    module_: nn.Sequential
    history_: list
    n_features_in_: int

    def _set_reports(self):
        layers = find_weights(self.module_)
        weights = {name: layer.weight.detach().cpu().numpy() for name, layer in layers.items()}
        self.coefs_ = [w.T.copy() for w in weights.values()]
        self.intercepts_ = [layer.bias.detach().cpu().numpy().copy() for layer in layers.values()]
        self.sparsity_ = [layer_sparsity(name, w) for name, w in weights.items()]
        self.density_ = self.history_[-1]["density"]
        alive = np.ones(self.coefs_[-1].shape[1], dtype=bool)
        for coefs in reversed(self.coefs_):
            alive = (coefs[:, alive] != 0).any(axis=1)
        self.selected_features_ = np.flatnonzero(alive)

    @property
    def feature_importances_(self):
        """Norm of the first weights of each input; 0 for inputs that reach no output."""
        check_is_fitted(self)
        importances = np.zeros(self.n_features_in_)
        kept = self.selected_features_
        importances[kept] = np.linalg.norm(self.coefs_[0][kept], axis=1)
        return importances

    def _output_layers(self):
        """Return the layers that turn scores into predictions."""
        return []

    @property
    def _kind(self):
        """What `to_scipy` calls the outputs."""
        raise NotImplementedError

    def compact(self, *, scores=False):
        """Return a smaller dense net that predicts alike.

        Inputs, neurons and, in other nets, channels without a say are taken out; constant ones
        are folded into the next bias.

        Parameters
        ----------
        scores : bool, default=False
            Whether the outputs are scores; by default they are what `predict_proba` returns, for a
            regressor what `predict` returns.

        Returns
        -------
        torch.nn.Sequential
            Takes all `n_features_in_` columns. Its attribute `report` says what was taken out.
        """
        check_is_fitted(self)
        small, report = compact(self.module_)
        if not scores:
            small = nn.Sequential(*small, *self._output_layers()).eval()
        small.report = report
        return small

    def to_scipy(self):
        """Return a predictor that needs only NumPy and SciPy.

        Returns
        -------
        SparseNet
            With `predict`, and `predict_proba` and `decision_function` of a classifier.
        """
        check_is_fitted(self)
        return to_scipy(self.module_, kind=self._kind, classes=getattr(self, "classes_", None))

    def to_torch_csr(self):
        """Return the net with its weights as sparse CSR tensors; its outputs are scores.

        Returns
        -------
        torch.nn.Sequential
            For inference.
        """
        check_is_fitted(self)
        return to_torch_csr(self.module_)

    def to_onnx(self, path):
        """Write the net as an ONNX file; its output is `predict_proba`, or a regressor's `predict`.

        Parameters
        ----------
        path : str or os.PathLike
            The file, replaced as a whole.

        Raises
        ------
        ImportError
            If onnx is not installed; it names the command.
        """
        check_is_fitted(self)
        module = nn.Sequential(*copy.deepcopy(self.module_).cpu(), *self._output_layers())
        to_onnx(module, path, self.n_features_in_)

    def save(self, path):
        """Write the fitted estimator to one safetensors file, without pickle.

        Parameters
        ----------
        path : str or os.PathLike
            The file, replaced as a whole.

        Raises
        ------
        ValueError
            If a parameter (a callable, say) cannot be written.
        """
        check_is_fitted(self)
        _saving.save(self, path)

    @classmethod
    def load(cls, path, device="cpu"):
        """Return the estimator that `save` wrote.

        Parameters
        ----------
        path : str or os.PathLike
            The file.
        device : str, default="cpu"
            Where its net goes.

        Returns
        -------
        object
            Fitted; it predicts as the one that was saved.

        Raises
        ------
        ValueError
            If the file is truncated, foreign or of another estimator.
        """
        return _saving.load(cls, path, device)


def layer_sparsity(name, weight):
    """Return what is left of one layer.

    Parameters
    ----------
    name : str
        Of its weight.
    weight : ndarray of shape (n_outputs, n_inputs, ...)
        The weight.

    Returns
    -------
    dict
        "layer", "weights", "nonzero", "density", and "dead_inputs" and "dead_neurons", the inputs
        that are not read and the units (or channels) that read nothing.
    """
    kept = weight != 0
    spans = tuple(range(2, kept.ndim))
    table = kept.any(axis=spans) if spans else kept
    return {
        "layer": name,
        "weights": kept.size,
        "nonzero": int(kept.sum()),
        "density": float(kept.mean()),
        "dead_inputs": int((~table.any(axis=0)).sum()),
        "dead_neurons": int((~table.any(axis=1)).sum()),
    }
