"""Linear layers that store and multiply nonzero weights only, in torch."""

import copy
import warnings

import torch
from torch import nn

from ._chain import layer_type

with warnings.catch_warnings():
    # torch says once a process that its CSR is "in beta state"; said here, it does not come later.
    warnings.simplefilter("ignore")
    torch.zeros(1, 1).to_sparse_csr()


class SparseLinear(nn.Module):
    """A linear layer whose weight is stored by its nonzeros; for prediction only.

    Parameters
    ----------
    weight : torch.Tensor of shape (out_features, in_features)
        The weight, dense.
    bias : torch.Tensor of shape (out_features,) or None
        The bias.

    Examples
    --------
    >>> import torch
    >>> from skdropdual.neural_network._sparse_linear import SparseLinear
    >>> layer = SparseLinear(torch.tensor([[0.0, 2.0], [0.0, 0.0]]), torch.tensor([1.0, 1.0]))
    >>> layer
    SparseLinear(in_features=2, out_features=2, n_nonzero=1)
    >>> layer(torch.tensor([[3.0, 4.0]]))
    tensor([[9., 1.]])
    """

    def __init__(self, weight, bias=None):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        csr = weight.detach().to_sparse_csr()
        # Its parts: a CSR buffer could be neither deep-copied nor loaded from a state dict.
        self.register_buffer("crow_indices", csr.crow_indices())
        self.register_buffer("col_indices", csr.col_indices())
        self.register_buffer("values", csr.values())
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    @property
    def weight(self):
        """The weight as a torch CSR tensor of shape (out_features, in_features)."""
        parts = self.crow_indices, self.col_indices, self.values
        return torch.sparse_csr_tensor(
            *parts, (self.out_features, self.in_features), check_invariants=False
        )

    def forward(self, x):
        """Return x W' + b.

        Parameters
        ----------
        x : torch.Tensor of shape (..., in_features)
            The input.

        Returns
        -------
        torch.Tensor of shape (..., out_features)
            The output.
        """
        outputs = (self.weight @ x.reshape(-1, self.in_features).T).T
        outputs = outputs if self.bias is None else outputs + self.bias
        return outputs.reshape(*x.shape[:-1], self.out_features)

    def extra_repr(self):
        """Return what ``repr`` shows.

        Returns
        -------
        str
            The sizes.
        """
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, n_nonzero={len(self.values)}"


def to_torch_csr(module):
    """Return a copy of a net, for prediction, whose linear layers are :class:`SparseLinear`.

    Parameters
    ----------
    module : torch.nn.Module
        Any module whose Linear children are called, not read; it stays as it is. Convolutions
        stay dense: torch has no sparse ones.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, same outputs to rounding, same dtype and device.

    Examples
    --------
    >>> import torch
    >>> from skdropdual.neural_network._sparse_linear import to_torch_csr
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    >>> with torch.no_grad():
    ...     _ = net[0].weight[:, 1:].zero_()
    >>> to_torch_csr(net)
    Sequential(
      (0): SparseLinear(in_features=3, out_features=2, n_nonzero=2)
      (1): ReLU()
    )
    """
    return _with_sparse_linears(copy.deepcopy(module)).eval()


def _with_sparse_linears(module):
    if layer_type(module) is nn.Linear:
        return SparseLinear(module.weight, module.bias)
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = _with_sparse_linears(child)
    return module
