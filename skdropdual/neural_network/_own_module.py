"""skorch nets that sparsify a module of the user's own."""

from skorch import NeuralNetClassifier, NeuralNetRegressor

from . import _docs
from ._skorch import SparseNetMixin


class SparseNeuralNetClassifier(SparseNetMixin, NeuralNetClassifier):
    __doc__ = rf"""A skorch classifier that sparsifies a module of your own.

    The criterion of skorch, plus a penalty on the weights of Linear and Conv layers (biases are
    free), minimised by a route of `SparseMLPClassifier`. All that skorch has is there: callbacks,
    ``module__*``, history, checkpoints. By default it neither holds rows out nor prints.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        The net. The default criterion is skorch's, `torch.nn.NLLLoss` of probabilities.{_docs.NET}
    **kwargs : dict
        What `skorch.NeuralNetClassifier` takes.
{_docs.NET_ATTRIBUTES}

    See Also
    --------
    SparseMLPClassifier : A multilayer perceptron with scikit-learn's interface.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skdropdual.neural_network import SparseNeuralNetClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype("float32")
    >>> _ = torch.manual_seed(0)
    >>> module = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)
    ... )
    >>> net = SparseNeuralNetClassifier(
    ...     module, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam,
    ...     lr=0.02, batch_size=16, max_epochs=40, target_density=0.25,
    ... ).fit(X, y)
    >>> bool(net.score(X, y) > 0.9), net.density_
    (True, 0.25)
    """


class SparseNeuralNetRegressor(SparseNetMixin, NeuralNetRegressor):
    __doc__ = rf"""A skorch regressor that sparsifies a module of your own.

    As `SparseNeuralNetClassifier`, for numbers; skorch wants y of shape (n_samples, n_outputs).

    Parameters
    ----------
    module : torch.nn.Module class or instance
        The net. The default criterion is skorch's, `torch.nn.MSELoss`.{_docs.NET}
    **kwargs : dict
        What `skorch.NeuralNetRegressor` takes.
{_docs.NET_ATTRIBUTES}

    See Also
    --------
    SparseMLPRegressor : A multilayer perceptron with scikit-learn's interface.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import make_regression
    >>> from skdropdual.neural_network import SparseNeuralNetRegressor
    >>> X, y = make_regression(200, 10, n_informative=3, random_state=0)
    >>> X, y = X.astype("float32"), (y / y.std()).astype("float32")[:, None]
    >>> _ = torch.manual_seed(0)
    >>> net = SparseNeuralNetRegressor(
    ...     torch.nn.Linear(10, 1), method="penalty", penalty="l1", alpha=0.02,
    ...     optimizer=torch.optim.Adam, lr=0.02, max_epochs=60,
    ... ).fit(X, y)
    >>> bool(net.score(X, y) > 0.9), bool(net.density_ < 1)
    (True, True)
    """
