"""The ways of minimising a penalty in a deep net (theory, section 6), by what they do to weights.

A route is two or three elementwise functions on one `SparseWeight` (its group dimensions, strength,
penalty and the parameters that the route keeps there) and its raw weight. Those that work by noise
are in `_noise`.
"""

import math
from numbers import Integral, Real

import torch
from sklearn.base import BaseEstimator
from torch import nn

from .._sklearn import Interval, validate_parameter_constraints
from ..exceptions import InvalidParameterError
from ..penalties import L0, HardThreshold, Lp, Penalty

LEAST_KEEP_PROB = 1e-3
_BLOCK = 32_000  # entries of a piece
_MOST_LOG_ODDS = 30.0  # of rho, the log of the odds of the keep probability
_STEEP = 10.0  # and its natural gradient from below
MOST_RIDGE = (1 - LEAST_KEEP_PROB) / LEAST_KEEP_PROB


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
        The default strength is this over the number of samples.
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

    def with_density(self, density):
        """Return the route for a target density, and whether weights are pruned to get there."""
        return self, True

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

    def add_gradients(self, state, weight):
        """Add to ``weight.grad`` and to those of the parameters in `state`."""

    def after_step(self, pairs, optimizer):
        """Move the weights after a step of the optimizer."""


class Dense(Route):
    """The plain net: every weight counts."""

    sparse = False


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

    def with_density(self, density):
        return type(self)(density), False

    def begin(self, pairs):
        size = sum(weight.numel() for _, weight in pairs)
        penalty = pairs[0][0].penalty
        wanted = penalty.k if isinstance(penalty, HardThreshold) else self.density * size
        self._wanted = max(round(wanted), 1)
        self.after_step(pairs, None)

    def prepare(self, state, weight):
        state.register_buffer("largest", torch.ones_like(state.mask))

    @torch.no_grad()
    def after_step(self, pairs, optimizer):
        scores = [state.norm(weight) / state.factor for state, weight in pairs]
        sizes = [
            torch.full_like(score.flatten(), round(state.factor**2))
            for score, (state, _) in zip(scores, pairs, strict=True)
        ]
        flat = torch.cat([score.flatten() for score in scores])
        order = torch.argsort(flat, descending=True, stable=True)
        inside = torch.cumsum(torch.cat(sizes)[order].double(), 0) <= self._wanted
        chosen = torch.zeros_like(inside).index_copy_(0, order, inside)
        for (state, _), part in zip(pairs, chosen.split([s.numel() for s in scores]), strict=True):
            state.largest.copy_(part.reshape(state.largest.shape))

    def training_weight(self, state, weight):
        return weight + (weight * state.largest - weight).detach()

    def mean_weight(self, state, weight):
        return weight * state.largest

    def keep_prob(self, state, weight):
        return state.largest.to(weight.dtype)

    def score(self, state, weight):
        return state.norm(weight) / state.factor


class _PenaltyRoute(Route):
    takes_penalty = True
    alpha_scale = 4.0

    def check_penalty(self, penalty):
        if penalty.constraint or not penalty.separable or isinstance(penalty, L0):
            raise InvalidParameterError(
                f"method={self._method!r} needs a penalty of each weight that has a slope; "
                f"{type(penalty).__name__} has none. For a fixed number of weights there is "
                "method='hardthreshold'; method='adaprox' takes L0."
            )
        return penalty

    @property
    def _method(self):
        return next(name for name, cls in ROUTES.items() if cls is type(self))

    def prepare(self, state, weight):
        slope = state.penalty.slope(state.norm(weight * 0), state.strength)
        state.finite = bool(torch.isfinite(slope).all())

    def keep_prob(self, state, weight):
        return state.penalty.keep_prob(state.norm(weight), state.strength)


class Penalised(_PenaltyRoute):
    """The penalty is added to the loss; its gradient, P'(|w|) sign(w), in closed form."""

    def add_gradients(self, state, weight):
        for w, gradient in blocks(state, weight, weight.grad):
            norm = state.norm(w)
            slope = state.penalty.slope(norm, state.strength)
            if not state.finite:
                slope = torch.where(norm > 0, slope, 0.0)
            gradient.addcmul_(slope, state.direction(w, norm))


class AdaTikhonov(_PenaltyRoute):
    r"""A ridge of :math:`\alpha/\hat\eta(w)` on each weight, refreshed at every step.

    No gradient runs through :math:`\hat\eta`. Keep probabilities are clamped at 1e-3.
    """

    def add_gradients(self, state, weight):
        for w, gradient in blocks(state, weight, weight.grad):
            ridge = state.penalty.ridge(state.norm(w), state.strength)
            gradient.addcmul_(ridge.clamp_(max=MOST_RIDGE), w)


class AdaProx(_PenaltyRoute):
    r"""A step on the loss alone, then :math:`w \leftarrow w \hat\eta / (\hat\eta + s \alpha)`.

    s is the step of each weight: the learning rate of SGD, and that over the root of the second
    moment for Adam. L0, whose rule never revives a weight, moves by its prox.
    """

    def check_penalty(self, penalty):
        if isinstance(penalty, L0):
            return penalty
        return super().check_penalty(penalty)

    def after_step(self, pairs, optimizer):
        for state, weight in pairs:
            steps = optimizer_steps(optimizer, weight)
            if steps is None:
                continue
            moments, step_of = steps
            for w, *moment in blocks(state, weight, *moments):
                self._shrink(state, w, step_of(*moment))

    def _shrink(self, state, w, step):
        norm = state.norm(w)
        if not isinstance(state.penalty, L0):
            ridge = state.penalty.ridge(norm, state.strength)
            w.div_(ridge.mul(step).add_(1.0))
            return
        if state.dims and torch.is_tensor(step):
            step = step.mean(dim=state.dims, keepdim=True)
        w.mul_(state.penalty.prox(norm, step, state.strength) / norm.clamp(min=1e-30))


def blocks(state, *tensors):
    """Yield views of tensors of one shape, piece by piece.

    On a CPU the pieces are small: what is computed from them stays in the cache, and is no new
    memory of the system's each time. Elsewhere, and where weights form groups, there is one piece.

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
    whole = state.dims or of_columns or tensors[0].device.type != "cpu"
    if whole or not all(t.is_contiguous() for t in tensors):
        yield tensors
    else:
        yield from zip(*(t.view(-1).split(_BLOCK) for t in tensors), strict=True)


def optimizer_steps(optimizer, parameter):
    """Return what the step size of an optimizer in each entry of a parameter depends on, and how.

    Parameters
    ----------
    optimizer : torch.optim.SGD, Adam or AdamW
        Any other is refused.
    parameter : torch.nn.Parameter
        One of its parameters; None is returned if it has not moved yet.

    Returns
    -------
    moments : tuple of torch.Tensor
        None, or the second moments.
    step : callable
        From (parts of) these to the learning rate, times what momentum adds up to, or over the
        preconditioner.
    """
    group = next(g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))
    state, lr = optimizer.state.get(parameter), group["lr"]
    if isinstance(optimizer, torch.optim.SGD):
        # What momentum adds up to for a gradient that stays.
        gain = (1 - group["dampening"]) / (1 - group["momentum"])
        return (), lambda: lr * gain
    if not isinstance(optimizer, torch.optim.Adam | torch.optim.AdamW):
        raise InvalidParameterError(
            "method='adaprox' knows the steps of SGD, Adam and AdamW; got "
            f"{type(optimizer).__name__}."
        )
    if not state:
        return None
    second = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
    bias, epsilon = (1 - group["betas"][1] ** state["step"]) ** 0.5, group["eps"]
    return (second,), lambda part: lr / part.sqrt().div_(bias).add_(epsilon)


class EtaTrick(_PenaltyRoute):
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

    alpha_scale = 5.0
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
        state.log_odds.grad = gradient

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
        with torch.enable_grad():
            rho = rho.detach().requires_grad_()
            dual = state.penalty.dual(state.strength * rho.exp(), state.strength)
            return torch.autograd.grad(dual.sum(), rho)[0]

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

    alpha_scale = 5.0
    _parameter_constraints = {"depth": [Interval(Integral, 2, None, closed="left")]}

    def __init__(self, depth=2):
        self.depth = depth

    def check_penalty(self, penalty):
        return Lp(p=2 / self.depth)

    def prepare(self, state, weight):
        # Factors of the size that balanced ones of the whole layer would have.
        typical = float(state.norm(weight).square().mean().sqrt()) or 1.0
        scale = typical ** (1 / self.depth)
        shape = (self.depth - 1, *state.mask.shape)
        state.factors = nn.Parameter(torch.full(shape, scale, dtype=weight.dtype))
        return weight / scale ** (self.depth - 1)

    def training_weight(self, state, weight):
        return weight * state.factors.prod(0)

    def mean_weight(self, state, weight):
        return self.training_weight(state, weight)

    def keep_prob(self, state, weight):
        product = self.training_weight(state, weight)
        return state.penalty.keep_prob(state.norm(product), state.strength)

    def add_gradients(self, state, weight):
        weight.grad.add_(weight * state.strength)
        state.factors.grad.add_(state.factors * state.strength)


ROUTES: dict[str, type[Route]] = {
    "none": Dense,
    "penalty": Penalised,
    "adatikhonov": AdaTikhonov,
    "adaprox": AdaProx,
    "eta-trick": EtaTrick,
    "factorized": Factorized,
    "hardthreshold": HardThresholding,
    "prune": Prune,
}


def list_methods():
    """Return the names that `method` takes, sorted.

    Returns
    -------
    list of str
        Names of routes.

    Examples
    --------
    >>> from skdropdual.neural_network import list_methods
    >>> "adaprox" in list_methods()
    True
    """
    return sorted(ROUTES)


def get_route(method):
    """Return a route by its name, or the one given.

    Parameters
    ----------
    method : str or Route
        A name of `list_methods` or a route object.

    Returns
    -------
    Route
        With valid parameters.

    Raises
    ------
    InvalidParameterError
        If the name is unknown; it lists what exists.
    """
    route = ROUTES[method]() if isinstance(method, str) and method in ROUTES else method
    if not isinstance(route, Route):
        raise InvalidParameterError(
            f"method must be one of {', '.join(list_methods())}, or a route object; got {method!r}."
        )
    validate_parameter_constraints(
        route._parameter_constraints, route.get_params(deep=False), type(route).__name__
    )
    return route
