"""Routes by random masks: on weights, on activations, as learned gates."""

import math
from numbers import Real

import torch
from torch import nn

from ..._sklearn import Interval
from ...penalties import HardConcrete as HardConcretePenalty
from ...penalties import Standout as StandoutPenalty
from .._chain import linear_part
from ._base import Route
from ._penalty import LEAST_KEEP_PROB, MOST_RIDGE, PenaltyRoute

TINY = 1e-16


class LocalNoise:
    """Moves the noise of weights to activations: mean F(x, w), variance F(x^2, variance)."""

    def variance(self, state, weight):
        """Return the variance of each weight."""
        raise NotImplementedError

    def training_weight(self, state, weight):
        """Return the mean."""
        return weight

    def attach(self, layer, state):
        def add_noise(layer, inputs, output):
            if not layer.training:
                return output
            variance = self.variance(state, layer.parametrizations.weight.original)
            if state.masked:
                variance = variance * state.mask
            spread = linear_part(layer, inputs[0] ** 2, variance)
            return output + (spread + TINY).sqrt() * state.random.randn_like(output)

        return [layer.register_forward_hook(add_noise)]


class GaussDrop(LocalNoise, PenaltyRoute):
    r"""Weights times masks N(1, r) with :math:`r = \alpha/\hat\eta(w)` of the current weights.

    A new mask for each row, drawn as noise on the activations (which has the same distribution and
    calmer gradients). Keep probabilities are clamped at 1e-3; no gradient runs through r.
    """

    alpha_scale = 120.0

    def variance(self, state, weight):
        with torch.no_grad():
            ridge = state.penalty.ridge(state.norm(weight), state.strength)
        return ridge.clamp(max=MOST_RIDGE) * weight**2


class AdaDrop(PenaltyRoute):
    """Weights times scaled Bernoulli masks with the keep probability of the current weights.

    Keep probabilities are clamped at 1e-3. No gradient runs through them.
    """

    alpha_scale = 12.0

    def training_weight(self, state, weight):
        with torch.no_grad():
            keep = self.keep_prob(state, weight).clamp(min=LEAST_KEEP_PROB).expand_as(weight)
            drawn = state.random.rand_like(keep)
            mask = (drawn < keep) / keep  # nan stays nan, for the trainer to see
        return weight * mask


class StandoutMasks(AdaDrop):
    r"""Bernoulli masks with keep probability sigmoid(c \|w\| + b), :math:`b = -\log \alpha`.

    Shrinks, but makes no zeros.

    Parameters
    ----------
    slope : float > 0, default=1.0
        The c of the sigmoid.

    References
    ----------
    Ba, Frey (2013). Adaptive dropout for training deep neural networks.
    """

    takes_penalty = False
    sparse = False
    alpha_scale = 1.2
    _parameter_constraints = {"slope": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, slope=1.0):
        self.slope = slope

    def check_penalty(self, penalty):
        return penalty if isinstance(penalty, StandoutPenalty) else StandoutPenalty(self.slope)


class HardConcreteGates(Route):
    r"""Hard concrete gates on weights; loss plus :math:`\alpha` times their chances to be open.

    Parameters
    ----------
    start : float in (0, 1), default=0.8
        First chance of a gate to be open.

    References
    ----------
    Louizos, Welling, Kingma (2018). Learning sparse neural networks through L0 regularization.
    """

    alpha_scale = 2.5
    rate = 10.0
    _parameter_constraints = {"start": [Interval(Real, 0, 1, closed="neither")]}

    def __init__(self, start=0.8):
        self.start = start

    def check_penalty(self, penalty):
        return penalty if isinstance(penalty, HardConcretePenalty) else HardConcretePenalty()

    def prepare(self, state, weight):
        start = math.log(self.start / (1 - self.start))
        state.log_a = nn.Parameter(torch.full(state.mask.shape, start, dtype=weight.dtype))

    def _stretched(self, state, concrete):
        gamma, zeta = state.penalty.gamma, state.penalty.zeta
        return (concrete * (zeta - gamma) + gamma).clamp(0.0, 1.0)

    def training_weight(self, state, weight):
        uniform = state.random.rand_like(state.log_a).clamp_(1e-7, 1 - 1e-7)
        concrete = torch.sigmoid((torch.logit(uniform) + state.log_a) / state.penalty.beta)
        return weight * self._stretched(state, concrete)

    def mean_weight(self, state, weight):
        gate = self._gate(state)
        # Where the mask says what is zero, no gate that it lets through is shut.
        return weight * (gate.clamp(min=LEAST_KEEP_PROB) if state.by_mask else gate)

    def _gate(self, state):
        return self._stretched(state, torch.sigmoid(state.log_a))

    def keep_prob(self, state, weight):
        return self._gate(state)

    def score(self, state, weight):
        return torch.sigmoid(state.log_a)  # does not tie where gates are shut or open

    def add_gradients(self, state, weight):
        penalty = state.penalty
        shift = penalty.beta * math.log(-penalty.gamma / penalty.zeta)
        active = torch.sigmoid(state.log_a - shift)
        state.log_a.grad.add_(state.strength * active * (1 - active))
