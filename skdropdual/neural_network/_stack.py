"""Many nets of one architecture as one: their parameters with a leading axis."""

import torch
from torch import nn

from .._array import compiling


class _Linear(torch.autograd.Function):
    # Torch's own gradient of the weight lies in memory as the transposed weight does: it is copied.

    @staticmethod
    def forward(ctx, inputs, weight, bias):
        ctx.save_for_backward(inputs, weight)
        if bias is not None and not compiling():
            return torch.baddbmm(bias, inputs, weight.mT)
        product = inputs @ weight.mT  # a compiler adds the bias where the outputs are used
        return product if bias is None else product + bias.to(product.dtype)

    @staticmethod
    def backward(ctx, gradient):
        inputs, weight = (saved.to(gradient.dtype) for saved in ctx.saved_tensors)  # of autocast
        by_inputs = gradient @ weight if ctx.needs_input_grad[0] else None
        by_bias = gradient.sum(1, keepdim=True) if ctx.needs_input_grad[2] else None
        return by_inputs, gradient.mT @ inputs, by_bias


def linear(inputs, weight, bias=None):
    """Return :math:`x_k W_k^T + b_k` of many nets, as `torch.nn.functional.linear` of one.

    Parameters
    ----------
    inputs : torch.Tensor of shape (n_nets, n_rows, n_inputs)
        The rows of each net.
    weight : torch.Tensor of shape (n_nets, n_outputs, n_inputs)
        The weight of each net.
    bias : torch.Tensor of shape (n_nets, 1, n_outputs), default=None
        The bias of each net.

    Returns
    -------
    torch.Tensor of shape (n_nets, n_rows, n_outputs)
        The outputs.
    """
    return _Linear.apply(inputs, weight, bias)


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
        return linear(X.expand(len(weight), *X.shape[-2:]), weight, self.bias)

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
