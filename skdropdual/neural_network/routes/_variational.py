"""Variational dropout: the noise on weights is learned."""

import math
from numbers import Real

import torch
from torch import nn

from ..._sklearn import Interval
from ...penalties import VarDrop as VarDropPenalty
from ._base import Route, blocks, set_gradient
from ._noise import TINY, LocalNoise

_LOG_R = 10.0  # log r is clamped to plus and minus this


class VariationalDropout(Route):
    r"""Variational dropout: weights N(w, r w^2), log r learned, loss plus :math:`\alpha` KL(r).

    The divergence is Molchanov's approximation unless the penalty is a `VarDrop`, which says
    otherwise.

    Parameters
    ----------
    start : float, default=-5.0
        First log r.
    alpha_scale : float > 0, default=2.5
        The c of the default strength c/(n + 250).

    References
    ----------
    Kingma, Salimans, Welling (2015). Variational dropout and the local reparameterization trick.
    Molchanov, Ashukha, Vetrov (2017). Variational dropout sparsifies deep neural networks.
    """

    rate = 10.0
    _parameter_constraints = {
        "start": [Real],
        "alpha_scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, start=-5.0, alpha_scale=2.5):
        self.start = start
        self.alpha_scale = alpha_scale

    def check_penalty(self, penalty):
        return penalty if isinstance(penalty, VarDropPenalty) else VarDropPenalty("molchanov")

    def prepare(self, state, weight):
        start = torch.full(state.mask.shape, float(self.start), dtype=weight.dtype)
        state.log_r = nn.Parameter(start)

    def log_ratio(self, state, weight):
        """Return log r."""
        return state.log_r

    def training_weight(self, state, weight):
        deviation = (0.5 * state.log_r).exp() * weight
        return weight + deviation * state.random.randn_like(weight)

    def keep_prob(self, state, weight):
        return torch.sigmoid(-self.log_ratio(state, weight))

    def add_gradients(self, state, weight):
        for part, gradient in blocks(state, state.log_r, state.log_r.grad):
            gradient.addcmul_(state.penalty.divergence_slope(part), state.strength)

    def after_step(self, pairs, optimizer):
        for state, _ in pairs:
            state.log_r.clamp_(-_LOG_R, _LOG_R)


class LocalVariationalDropout(LocalNoise, VariationalDropout):
    """Variational dropout with the noise moved to activations."""

    def prepare(self, state, weight):
        super().prepare(state, weight)
        state.product = torch.empty_like(weight)
        state.spread = torch.empty_like(weight).requires_grad_()

    def variance(self, state, weight):
        # A leaf of the graph: its gradient becomes that of weight and log r without new memory.
        with torch.no_grad():
            # By powers of 2: MKL's exp takes some CPUs several times as long.
            torch.mul(state.log_r.expand_as(weight), math.log2(math.e), out=state.product)
            state.product.exp2_().mul_(weight)
            torch.mul(state.product, weight, out=state.spread)
        state.spread.grad = None
        return state.spread

    def after_backward(self, state, weight):
        if state.spread.grad is None:  # no noise was drawn
            return
        spread = state.spread.detach()
        for by_weight, by_spread, product, part in blocks(
            state, weight.grad, state.spread.grad, state.product, spread
        ):
            by_weight.addcmul_(by_spread, product, value=2.0)
            by_spread.mul_(part)
        set_gradient(state.log_r, state.spread.grad.sum_to_size(state.log_r.shape))


class AdditiveVariationalDropout(LocalNoise, VariationalDropout):
    r"""The same with the variance itself as the parameter: :math:`r = \sigma^2/w^2`.

    Parameters
    ----------
    start : float, default=-10.0
        First :math:`\log \sigma^2`.
    alpha_scale : float > 0, default=1.2
        The c of the default strength c/(n + 250).
    """

    rate = 1.0

    def __init__(self, start=-10.0, alpha_scale=1.2):
        super().__init__(start, alpha_scale)

    def log_ratio(self, state, weight):
        return self._log_ratio(state.log_r, self._square(state, weight))

    def _square(self, state, weight):
        # That of each weight, or the mean of its group.
        square = weight**2
        return (square.mean(state.dims, keepdim=True) if state.dims else square).add_(TINY)

    def _log_ratio(self, log_s, square):
        return (log_s - torch.log(square)).clamp_(-_LOG_R, _LOG_R)

    def variance(self, state, weight):
        return state.log_r.exp().expand_as(weight)

    def add_gradients(self, state, weight):
        for w, log_s, by_w, by_s in blocks(
            state, weight, state.log_r, weight.grad, state.log_r.grad
        ):
            square = self._square(state, w)
            slope = state.penalty.divergence_slope(self._log_ratio(log_s, square))
            by_s.add_(slope.mul_(state.strength))
            by_w.addcdiv_(slope * w, square, value=-2 / state.factor**2)

    def after_step(self, pairs, optimizer):
        """Nothing: log r is clamped where it is used."""
