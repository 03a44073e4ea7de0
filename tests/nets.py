"""Sparse nets, and what is asked of two of them, that the tests share."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# What torch says of itself while it compiles.
BY_COMPILER = pytest.mark.filterwarnings(
    "ignore:`torch.jit:DeprecationWarning",
    "ignore:.*should not be instantiated:DeprecationWarning",
    "ignore:TensorFloat32:UserWarning",
)


def sparsified(net, density, seed=0, dtype=torch.float64):
    """Return `net` with random weights of this density, biases and statistics, in evaluation."""
    rng = torch.Generator().manual_seed(seed)
    net = net.to(dtype)
    for name, tensor in net.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0, generator=rng)
        elif tensor.is_floating_point():
            tensor.normal_(generator=rng).mul_(0.3)
    for layer in net.modules():
        if isinstance(layer, WEIGHTED):
            kept = torch.rand(layer.weight.shape, generator=rng) < density
            layer.weight.data.mul_(kept)
    return net.eval()


def rows(*shape, n=6, seed=1, dtype=torch.float64):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def weighted(net):
    return [layer for layer in net if isinstance(layer, WEIGHTED)]


def assert_same(first, second, x):
    with torch.no_grad():
        expected = second(x)
        difference = (first(x) - expected).abs().max().item()
    assert first(x).dtype is expected.dtype
    assert difference <= TOLERANCE[x.dtype] * max(1.0, expected.abs().max().item())


def same_weights(model, other):
    for one, two in zip(
        model.coefs_ + model.intercepts_, other.coefs_ + other.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(one, two)


def close(model, other, tol):
    for one, two in zip(
        model.coefs_ + model.intercepts_, other.coefs_ + other.intercepts_, strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=0, atol=tol)


def same(model, other):
    same_weights(model, other)
    assert [{**r, "dur": 0} for r in model.history_] == [{**r, "dur": 0} for r in other.history_]


def mlp(*sizes, activation=nn.ReLU):
    layers = [nn.Linear(sizes[0], sizes[1])]
    for before, after in itertools.pairwise(sizes[1:]):
        layers += [activation(), nn.Linear(before, after)]
    return nn.Sequential(*layers)


def with_zeros(net, **zeros):
    """Zero ``net[l].weight[index]`` for each ``_l=index``."""
    for name, index in zeros.items():
        net[int(name[1:])].weight.data[index] = 0.0
    return net


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return x + self.inner(x)
