"""Routes whose weights, or gates on them, are random while the net trains."""

import math
from numbers import Real

import torch
from torch import nn
from torch.nn import functional

from .._sklearn import Interval
from ..penalties import HardConcrete as HardConcretePenalty
from ..penalties import Standout as StandoutPenalty
from ..penalties import VarDrop as VarDropPenalty
from ._routes import LEAST_KEEP_PROB, MOST_RIDGE, ROUTES, Route, _PenaltyRoute, blocks

_LOG_R = 10.0  # log r is clamped to plus and minus this
_TINY = 1e-16


class _LocalNoise:
    """Moves the noise of weights to activations: mean F(x, w), variance F(x^2, variance)."""

    def variance(self, state, weight):
        """Return the variance of each weight."""
        raise NotImplementedError

    def attach(self, layer, state):
        def add_noise(layer, inputs, output):
            if not layer.training:
                return output
            variance = self.variance(state, layer.parametrizations.weight.original)
            if state.masked:
                variance = variance * state.mask
            square = inputs[0] ** 2
            if isinstance(layer, nn.Linear):
                spread = functional.linear(square, variance)
            else:
                spread = layer._conv_forward(square, variance, None)
            return output + (spread + _TINY).sqrt() * torch.randn_like(output)

        return [layer.register_forward_hook(add_noise)]


class GaussDrop(_LocalNoise, _PenaltyRoute):
    r"""Weights times masks N(1, r) with :math:`r = \alpha/\hat\eta(w)` of the current weights.

    A new mask for each row, drawn as noise on the activations (which has the same distribution and
    calmer gradients). Keep probabilities are clamped at 1e-3; no gradient runs through r.
    """

    alpha_scale = 100.0

    def variance(self, state, weight):
        with torch.no_grad():
            ridge = state.penalty.ridge(state.norm(weight), state.strength)
        return ridge.clamp(max=MOST_RIDGE) * weight**2


class AdaDrop(_PenaltyRoute):
    """Weights times scaled Bernoulli masks with the keep probability of the current weights.

    Keep probabilities are clamped at 1e-3. No gradient runs through them.
    """

    alpha_scale = 10.0

    def training_weight(self, state, weight):
        with torch.no_grad():
            keep = self.keep_prob(state, weight).clamp(min=LEAST_KEEP_PROB).expand_as(weight)
            mask = (torch.rand_like(keep) < keep) / keep  # nan stays nan, for the trainer to see
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
    alpha_scale = 1.0
    _parameter_constraints = {"slope": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, slope=1.0):
        self.slope = slope

    def check_penalty(self, penalty):
        return penalty if isinstance(penalty, StandoutPenalty) else StandoutPenalty(self.slope)


class VariationalDropout(Route):
    r"""Variational dropout: weights N(w, r w^2), log r learned, loss plus :math:`\alpha` KL(r).

    The divergence is Molchanov's approximation unless the penalty is a `VarDrop`, which says
    otherwise.

    Parameters
    ----------
    start : float, default=-5.0
        First log r.

    References
    ----------
    Kingma, Salimans, Welling (2015). Variational dropout and the local reparameterization trick.
    Molchanov, Ashukha, Vetrov (2017). Variational dropout sparsifies deep neural networks.
    """

    alpha_scale = 2.0
    rate = 10.0
    _parameter_constraints = {"start": [Real]}

    def __init__(self, start=-5.0):
        self.start = start

    def check_penalty(self, penalty):
        return penalty if isinstance(penalty, VarDropPenalty) else VarDropPenalty("molchanov")

    def prepare(self, state, weight):
        start = torch.full(state.mask.shape, float(self.start), dtype=weight.dtype)
        state.log_r = nn.Parameter(start)
        state.workspace = torch.empty_like(weight), torch.empty_like(weight)

    def log_ratio(self, state, weight):
        """Return log r."""
        return state.log_r

    def variance(self, state, weight):
        """Return the variance of each weight, r w^2."""
        return _Variance.apply(weight, state.log_r, *state.workspace)

    def training_weight(self, state, weight):
        deviation = (0.5 * state.log_r).exp() * weight
        return weight + deviation * torch.randn_like(weight)

    def keep_prob(self, state, weight):
        return torch.sigmoid(-self.log_ratio(state, weight))

    def add_gradients(self, state, weight):
        for part, gradient in blocks(state, state.log_r, state.log_r.grad):
            gradient.add_(state.penalty.divergence_slope(part).mul_(state.strength))

    def after_step(self, pairs, optimizer):
        for state, _ in pairs:
            state.log_r.clamp_(-_LOG_R, _LOG_R)


class _Variance(torch.autograd.Function):
    # exp(log_r) w^2, in few passes over the weights and without new memory.

    @staticmethod
    def forward(ctx, weight, log_r, product, variance):
        torch.mul(log_r.exp(), weight, out=product)
        torch.mul(product, weight, out=variance)
        ctx.save_for_backward(product, variance)
        ctx.shape = log_r.shape
        return variance.detach()

    @staticmethod
    def backward(ctx, gradient):
        product, variance = ctx.saved_tensors
        by_log = (gradient * variance).sum_to_size(ctx.shape)
        return product.mul_(gradient).mul_(2.0), by_log, None, None


class LocalVariationalDropout(_LocalNoise, VariationalDropout):
    """Variational dropout with the noise moved to activations."""

    def variance(self, state, weight):
        return VariationalDropout.variance(self, state, weight)

    def training_weight(self, state, weight):
        return weight


class AdditiveVariationalDropout(LocalVariationalDropout):
    r"""The same with the variance itself as the parameter: :math:`r = \sigma^2/w^2`.

    Parameters
    ----------
    start : float, default=-10.0
        First :math:`\log \sigma^2`.
    """

    alpha_scale = 1.0
    rate = 1.0

    def __init__(self, start=-10.0):
        super().__init__(start)

    def log_ratio(self, state, weight):
        # That of each weight, or of the mean square of its group.
        square = weight**2 if not state.dims else (weight**2).mean(state.dims, keepdim=True)
        return (state.log_r - torch.log(square + _TINY)).clamp_(-_LOG_R, _LOG_R)

    def variance(self, state, weight):
        return state.log_r.exp().expand_as(weight)

    def add_gradients(self, state, weight):
        for w, log_s, by_w, by_s in blocks(
            state, weight, state.log_r, weight.grad, state.log_r.grad
        ):
            square = w**2 if not state.dims else (w**2).sum(state.dims, keepdim=True)
            size = 1 if not state.dims else round(state.factor**2)
            log_r = (log_s - torch.log(square / size + _TINY)).clamp_(-_LOG_R, _LOG_R)
            slope = state.penalty.divergence_slope(log_r).mul_(state.strength)
            by_s.add_(slope)
            by_w.sub_(slope.mul(2.0) * w / (square + _TINY))

    def after_step(self, pairs, optimizer):
        """Nothing: log r is clamped where it is used."""


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

    alpha_scale = 2.0
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
        uniform = torch.rand_like(state.log_a).clamp_(1e-7, 1 - 1e-7)
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


ROUTES.update(
    {
        "gaussdrop": GaussDrop,
        "adadrop": AdaDrop,
        "standout": StandoutMasks,
        "vardrop": VariationalDropout,
        "vardrop-lr": LocalVariationalDropout,
        "vardrop-lr-ar": AdditiveVariationalDropout,
        "hardconcrete": HardConcreteGates,
    }
)
