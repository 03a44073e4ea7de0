"""Variational dropout: the noise on weights is learned."""

from numbers import Real

import torch
from torch import nn

from ...penalties import VarDrop as VarDropPenalty
from ._base import Route, blocks
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

    References
    ----------
    Kingma, Salimans, Welling (2015). Variational dropout and the local reparameterization trick.
    Molchanov, Ashukha, Vetrov (2017). Variational dropout sparsifies deep neural networks.
    """

    alpha_scale = 2.5
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
        return weight + deviation * state.random.randn_like(weight)

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


class LocalVariationalDropout(LocalNoise, VariationalDropout):
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

    alpha_scale = 1.2
    rate = 1.0

    def __init__(self, start=-10.0):
        super().__init__(start)

    def log_ratio(self, state, weight):
        # That of each weight, or of the mean square of its group.
        square = weight**2 if not state.dims else (weight**2).mean(state.dims, keepdim=True)
        return (state.log_r - torch.log(square + TINY)).clamp_(-_LOG_R, _LOG_R)

    def variance(self, state, weight):
        return state.log_r.exp().expand_as(weight)

    def add_gradients(self, state, weight):
        for w, log_s, by_w, by_s in blocks(
            state, weight, state.log_r, weight.grad, state.log_r.grad
        ):
            square = w**2 if not state.dims else (w**2).sum(state.dims, keepdim=True)
            size = 1 if not state.dims else round(state.factor**2)
            log_r = (log_s - torch.log(square / size + TINY)).clamp_(-_LOG_R, _LOG_R)
            slope = state.penalty.divergence_slope(log_r).mul_(state.strength)
            by_s.add_(slope)
            by_w.sub_(slope.mul(2.0) * w / (square + TINY))

    def after_step(self, pairs, optimizer):
        """Nothing: log r is clamped where it is used."""
