"""What a route is, and no route at all."""

import torch
from sklearn.base import BaseEstimator

from ...penalties import Penalty

_PRIOR_ROWS = 250
_BLOCK = 131_072  # entries of a piece


class Route(BaseEstimator):
    """How a penalty is minimised; by itself, no penalty at all (`method="none"`).

    Attributes
    ----------
    takes_penalty : bool
        Whether it takes any penalty of the library; the others bring their own.
    sparse : bool
        Whether it makes zeros.
    needs_density : float or None
        The target density it takes where none is given.
    alpha_scale : float
        The c of `auto_alpha`.
    rate : float or None
        The learning rate of the parameters of the route, which does not fall, in units of the
        largest of the weights; None: they have that of the weights.
    """

    takes_penalty: bool = False
    sparse: bool = True
    needs_density: float | None = None
    alpha_scale: float = 1.0
    rate: float | None = None

    _parameter_constraints: dict = {}

    def check_penalty(self, penalty):
        """Return the penalty that is minimised, given what the user asks for."""
        return penalty

    def prepare(self, state, weight):
        """Give `state` the parameters of the route; return another raw weight, or None."""

    def attach(self, layer, state):
        """Add hooks to a layer; return their handles."""
        return []

    def begin(self, pairs):
        """See all states and raw weights once they are there."""

    def with_density(self, target):
        """Return the route for a target density or None, and the density to prune to or None."""
        return self, target or self.needs_density

    def training_weight(self, state, weight):
        """Return the weight of a training step."""
        return weight

    def mean_weight(self, state, weight):
        """Return the weight that predicts, before zeros are made."""
        return weight

    def keep_prob(self, state, weight):
        """Return the keep probability of each group, at strength `state.strength`."""
        return (weight != 0).to(weight.dtype) if not state.dims else 1.0 * (state.norm(weight) > 0)

    def score(self, state, weight):
        """Return what ranks groups for pruning."""
        return self.keep_prob(state, weight)

    def loss_term(self, state, weight):
        """Return what is added to the loss, or None."""

    def after_backward(self, state, weight):
        """Make gradients of weights of those that autograd was given instead."""

    def add_gradients(self, state, weight):
        """Add to ``weight.grad`` and to those of the parameters in `state`."""

    def after_step(self, pairs, optimizer):
        """Move the weights after a step of the optimizer."""


def auto_alpha(route, n):
    """Return the default strength, c/(n + 250).

    It falls like 1/n, as a prior does; with few rows, whose loss is fitted to nothing soon, less.

    Parameters
    ----------
    route : Route
        Gives c, its `alpha_scale`.
    n : float
        Number of training rows.

    Returns
    -------
    float
        The strength.
    """
    return route.alpha_scale / (n + _PRIOR_ROWS)


class Dense(Route):
    """The plain net: every weight counts."""

    sparse = False


def set_gradient(parameter, gradient):
    """Give a parameter its gradient, in its own layout: fused optimizers take that for granted."""
    if gradient.stride() != parameter.stride():
        gradient = torch.empty_like(parameter).copy_(gradient)
    parameter.grad = gradient


def blocks(state, *tensors):
    """Yield views of tensors of one shape, piece by piece.

    On a CPU the pieces are small: what is computed from them stays in the cache, and is no new
    memory of the system's each time. Elsewhere, and where weights form groups or are of many nets,
    there is one piece.

    Parameters
    ----------
    state : SparseWeight
        Of the weights.
    *tensors : torch.Tensor
        A weight and what has its shape.

    Yields
    ------
    tuple of torch.Tensor
        Views.
    """
    of_columns = type(state.penalty)._take is not Penalty._take  # Weighted knows its columns
    whole = state.dims or state.lead or of_columns or tensors[0].device.type != "cpu"
    if whole or not all(t.is_contiguous() for t in tensors):
        yield tensors
    else:
        yield from zip(*(t.view(-1).split(_BLOCK) for t in tensors), strict=True)
