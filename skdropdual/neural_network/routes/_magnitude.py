"""Routes that rank weights by their magnitude."""

from numbers import Real

import torch

from ..._sklearn import Interval
from ...penalties import HardThreshold
from .._ranking import fitting
from ._base import Route


class Prune(Route):
    """Gradual magnitude pruning: the smallest weights go, on a cubic schedule.

    References
    ----------
    Zhu, Gupta (2018). To prune, or not to prune. ICLR workshop.
    """

    needs_density = 0.1

    def score(self, state, weight):
        return state.norm(weight) / state.factor


class HardThresholding(Route):
    """The k largest weights of the net predict; all learn, by straight-through gradients.

    k is that of a `HardThreshold` penalty, else a fraction `density` of the weights.

    Parameters
    ----------
    density : float in (0, 1], default=0.1
        Fraction of the weights.

    References
    ----------
    Blumensath, Davies (2009). Iterative hard thresholding for compressed sensing.
    """

    _parameter_constraints = {"density": [Interval(Real, 0, 1, closed="right")]}

    def __init__(self, density=0.1):
        self.density = density

    def with_density(self, target):
        return self if target is None else type(self)(target), None

    def begin(self, pairs):
        size = sum(weight.flatten(state.lead).shape[-1] for state, weight in pairs)
        penalty = pairs[0][0].penalty
        wanted = penalty.k if isinstance(penalty, HardThreshold) else self.density * size
        self._wanted = max(round(wanted), 1)
        self.after_step(pairs, None)

    def prepare(self, state, weight):
        state.register_buffer("largest", torch.ones_like(state.mask))

    @torch.no_grad()
    def after_step(self, pairs, optimizer):
        scores = [state.norm(weight) / state.factor for state, weight in pairs]
        sizes = [round(state.factor**2) for state, _ in pairs]
        masks = fitting(scores, sizes, self._wanted, pairs[0][0].lead)
        for (state, _), mask in zip(pairs, masks, strict=True):
            state.largest.copy_(mask)

    def training_weight(self, state, weight):
        return weight + (weight * state.largest - weight).detach()

    def mean_weight(self, state, weight):
        return weight * state.largest

    def keep_prob(self, state, weight):
        return state.largest.to(weight.dtype)

    def score(self, state, weight):
        return state.norm(weight) / state.factor
