"""Many nets of one architecture as one: their parameters with a leading axis."""

import torch
from torch import nn


class StackedLinear(nn.Module):
    """The linear layers of many nets: :math:`y_k = x_k W_k^T + b_k`.

    Parameters
    ----------
    layers : list of torch.nn.Linear
        Of one shape.
    """

    def __init__(self, layers):
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers])[:, None])

    def forward(self, X):
        """Return the outputs, shape (n_nets, n_rows, n_outputs); rows may be the same for all."""
        weight = self.weight  # read once: a parametrization computes it, and may draw noise
        return torch.baddbmm(self.bias, X.expand(len(weight), *X.shape[-2:]), weight.mT)

    def copy_to(self, layers):
        """Give each net its part."""
        for layer, weight, bias in zip(layers, self.weight, self.bias, strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias[0])


def stack(modules):
    """Return one module of many.

    Parameters
    ----------
    modules : list of torch.nn.Sequential
        Of linear layers and activations, alike in all but their weights.

    Returns
    -------
    torch.nn.Sequential
        From (n_nets, n_rows, n_inputs) to (n_nets, n_rows, n_outputs).
    """
    return nn.Sequential(
        *(
            StackedLinear(layers) if isinstance(layers[0], nn.Linear) else layers[0]
            for layers in zip(*modules, strict=True)
        )
    )


@torch.no_grad()
def unstack(stacked, modules):
    """Give each module its part of the weights of a stack."""
    for layer, layers in zip(stacked, zip(*modules, strict=True), strict=True):
        if isinstance(layer, StackedLinear):
            layer.copy_to(layers)
