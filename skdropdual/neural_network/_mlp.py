"""The net of the estimators, and its losses."""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

ACTIVATIONS = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "identity": nn.Identity,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}


def build_mlp(sizes, activation="relu"):
    """Return a multilayer perceptron.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of inputs, of the units of each hidden layer, and of outputs.
    activation : str, default="relu"
        A name of `ACTIVATIONS`.

    Returns
    -------
    torch.nn.Sequential
        Linear layers with activations between them.
    """
    layers = []
    for n_inputs, n_outputs in pairwise(sizes):
        layers += [nn.Linear(n_inputs, n_outputs), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


class LogLoss(nn.Module):
    """The multinomial log loss of scores, mean over rows."""

    def forward(self, scores, y, weight=None):
        """Return the loss, rows weighted by `weight` of mean 1."""
        losses = functional.cross_entropy(scores.flatten(0, -2), y.flatten(), reduction="none")
        return _mean(losses.reshape(y.shape), weight)


class BinaryLogLoss(nn.Module):
    """The log loss of two classes, or of several labels (summed), mean over rows."""

    def forward(self, scores, y, weight=None):
        """Return the loss, rows weighted by `weight` of mean 1."""
        y = y.reshape(scores.shape)
        losses = functional.binary_cross_entropy_with_logits(scores, y, reduction="none")
        return _mean(losses.sum(-1), weight)


class HalfSquaredError(nn.Module):
    """Half the squared error, summed over outputs, mean over rows."""

    def forward(self, predicted, y, weight=None):
        """Return the loss, rows weighted by `weight` of mean 1."""
        return _mean(0.5 * ((predicted - y.reshape(predicted.shape)) ** 2).sum(-1), weight)


def _mean(losses, weight):
    # Over rows; the scores of many nets have a leading axis.
    return losses.mean(-1) if weight is None else (losses * weight).mean(-1)


@torch.no_grad()
def set_output_bias(module, bias):
    """Start a net from the predictions of the empty model; a linear one has no weights then."""
    module[-1].bias.copy_(torch.as_tensor(bias))
    if len(module) == 1:
        module[0].weight.zero_()
