"""Sparse deep nets (extra ``nn``): penalties and dropout rules on the weights of torch modules."""

try:
    import skorch as _skorch  # noqa: F401
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"skdropdual.neural_network needs torch and skorch ({error}): "
        'python -m pip install "skdropdual[nn]"'
    ) from error


from ._estimators import SparseMLPClassifier, SparseMLPRegressor
from ._own_module import SparseNeuralNetClassifier, SparseNeuralNetRegressor
from ._search import SparseMLPClassifierCV, SparseMLPRegressorCV
from .routes import list_methods

__all__ = [
    "SparseMLPClassifier",
    "SparseMLPClassifierCV",
    "SparseMLPRegressor",
    "SparseMLPRegressorCV",
    "SparseNeuralNetClassifier",
    "SparseNeuralNetRegressor",
    "list_methods",
]
