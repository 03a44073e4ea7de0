"""Routes that learn what makes weights small: eta, or factors."""

import math
from numbers import Integral, Real

import torch
from torch import nn

from ..._array import compiling
from ..._sklearn import Interval
from ...penalties import Lp
from ._base import Route, set_gradient
from ._penalty import MOST_RIDGE, PenaltyRoute, optimizer_steps

_MOST_LOG_ODDS = 30.0  # of rho, the log of the odds of the keep probability
_STEEP = 10.0  # and its natural gradient from below


class EtaTrick(PenaltyRoute):
    r"""Weights and :math:`\rho = \log(\eta/\alpha)` learn together.

    .. math::

        L(w) + \tfrac12 \sum e^{-\rho} w^2 + \tfrac{\alpha}{2} \sum f(\alpha e^{\rho})

    Parameters
    ----------
    start : float, default=5.0
        First :math:`\rho`; the keep probability is its sigmoid.
    decay : float >= 0, default=0.0
        Weight decay on :math:`\rho`, inside the factor :math:`\alpha/2` (1e-3 in the paper).
    natural : bool, default=True
        Divide the gradient in :math:`\rho` by that of the dual term alone. It has the same zeros,
        but does not fade where weights do; False is the gradient itself (the paper).
    """

    alpha_scale = 6.0
    rate = 10.0
    _parameter_constraints = {
        "start": [Real],
        "decay": [Interval(Real, 0, None, closed="left")],
        "natural": ["boolean"],
    }

    def __init__(self, start=5.0, decay=0.0, natural=True):
        self.start = start
        self.decay = decay
        self.natural = natural

    def prepare(self, state, weight):
        super().prepare(state, weight)
        rho = torch.full(state.mask.shape, float(self.start), dtype=weight.dtype)
        state.log_odds = nn.Parameter(rho)

    def add_gradients(self, state, weight):
        rho, alpha = state.log_odds, state.strength
        square = weight**2 if not state.dims else (weight**2).sum(state.dims, keepdim=True)
        gain = 0.5 * alpha * (self._dual_slope(state, rho) + 2 * self.decay * rho)
        gradient = gain - 0.5 * (-rho).exp() * square
        if self.natural:
            gradient = torch.nan_to_num(gradient / abs(gain), 0.0, 1.0, -1.0).clamp_(-_STEEP, 1.0)
        set_gradient(state.log_odds, gradient)

    @torch.no_grad()
    def after_step(self, pairs, optimizer):
        # The ridge is as stiff as a weight is small: its step is implicit, as that of AdaProx.
        for state, weight in pairs:
            steps = optimizer_steps(optimizer, weight)
            if steps is not None:
                moments, step_of = steps
                state.log_odds.clamp_(-math.log(MOST_RIDGE), _MOST_LOG_ODDS)
                weight.div_((-state.log_odds).exp() * step_of(*moments) + 1.0)

    def _dual_slope(self, state, rho):
        # The derivative of f(alpha e^rho) with respect to rho.
        def dual(rho):
            return state.penalty.dual(state.strength * rho.exp(), state.strength).sum()

        if compiling():  # the compiler takes no autograd.grad; to run it, that is the faster one
            return torch.func.grad(dual)(rho)
        with torch.enable_grad():
            rho = rho.detach().requires_grad_()
            return torch.autograd.grad(dual(rho), rho)[0]

    def keep_prob(self, state, weight):
        return torch.sigmoid(state.log_odds)

    def score(self, state, weight):
        # A weight without a gradient fades before its rho does.
        return self.keep_prob(state, weight) * (state.norm(weight) > 0)


class Factorized(Route):
    r"""Each weight is a product of factors with weight decay.

    .. math::

        \min_{u_1 \cdots u_D = w} \tfrac{\alpha}{2} \sum_d u_d^2 = \alpha \tfrac{D}{2} |w|^{2/D}

    which is `Lp` with p = 2/D. In a group the factors after the first are shared.

    Parameters
    ----------
    depth : int >= 2, default=2
        Number of factors D.

    References
    ----------
    Ziyin, Wang (2023). spred: Solving L1 penalty with SGD. ICML.
    Kolb, Weber, Bischl, Ruegamer (2025). Deep weight factorization. ICLR.
    """

    alpha_scale = 6.0
    _parameter_constraints = {"depth": [Interval(Integral, 2, None, closed="left")]}

    def __init__(self, depth=2):
        self.depth = depth

    def check_penalty(self, penalty):
        return Lp(p=2 / self.depth)

    def prepare(self, state, weight):
        # Factors of the size that balanced ones of the whole layer would have.
        typical = state.norm(weight).square().flatten(state.lead).mean(-1).sqrt()
        scale = state.per_net(torch.where(typical > 0, typical, 1.0) ** (1 / self.depth))
        shape = (*state.mask.shape, self.depth - 1)
        state.factors = nn.Parameter(scale[..., None].expand(shape).contiguous())
        return weight / scale ** (self.depth - 1)

    def training_weight(self, state, weight):
        for factor in state.factors.unbind(-1):  # the gradient of prod waits for the GPU
            weight = weight * factor
        return weight

    def mean_weight(self, state, weight):
        return self.training_weight(state, weight)

    def keep_prob(self, state, weight):
        product = self.training_weight(state, weight)
        return state.penalty.keep_prob(state.norm(product), state.strength)

    def add_gradients(self, state, weight):
        weight.grad.add_(weight * state.strength)
        state.factors.grad.add_(state.factors * state.strength[..., None])
