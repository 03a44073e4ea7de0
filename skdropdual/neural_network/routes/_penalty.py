"""Routes on which the penalty, or the ridge of its rule, acts on the weights themselves."""

import torch

from ..._sklearn import StrOptions
from ...exceptions import InvalidParameterError
from ...penalties import L0
from ._base import Route, blocks

LEAST_KEEP_PROB = 1e-3
MOST_RIDGE = (1 - LEAST_KEEP_PROB) / LEAST_KEEP_PROB


class PenaltyRoute(Route):
    """Takes any separable penalty with a slope."""

    takes_penalty = True
    alpha_scale = 5.0

    def check_penalty(self, penalty):
        if penalty.constraint or not penalty.separable or isinstance(penalty, L0):
            raise InvalidParameterError(
                f"{type(self).__name__} needs a penalty of each weight that has a slope; "
                f"{type(penalty).__name__} has none. For a fixed number of weights there is "
                "method='hardthreshold'; method='adaprox' takes L0."
            )
        return penalty

    def prepare(self, state, weight):
        slope = state.penalty.slope(state.norm(weight * 0), state.strength)
        state.finite = bool(torch.isfinite(slope).all())

    def keep_prob(self, state, weight):
        return state.penalty.keep_prob(state.norm(weight), state.strength)


class Penalised(PenaltyRoute):
    """The penalty is added to the loss; its gradient, P'(|w|) sign(w), in closed form."""

    def add_gradients(self, state, weight):
        for w, gradient in blocks(state, weight, weight.grad):
            norm = state.norm(w)
            slope = state.penalty.slope(norm, state.strength)
            if not state.finite:
                slope = torch.where(norm > 0, slope, 0.0)
            gradient.addcmul_(slope, state.direction(w, norm))


class AdaTikhonov(PenaltyRoute):
    r"""A ridge of :math:`\alpha/\hat\eta(w)` on each weight, refreshed at every step.

    No gradient runs through :math:`\hat\eta`. Keep probabilities are clamped at 1e-3.
    """

    def add_gradients(self, state, weight):
        for w, gradient in blocks(state, weight, weight.grad):
            ridge = state.penalty.ridge(state.norm(w), state.strength)
            gradient.addcmul_(ridge.clamp_(max=MOST_RIDGE), w)


class AdaProx(PenaltyRoute):
    r"""A step on the loss alone, then one towards 0 by the penalty's majoriser at the weight.

    .. math::

        w \leftarrow \mathrm{sign}(w) \max(|w| - s P'(|w|), 0) \qquad \text{or} \qquad
        w \leftarrow w\, \hat\eta / (\hat\eta + s \alpha)

    s is the step of each weight: the learning rate of SGD, and that over the root of the second
    moment for Adam. The first form, of penalties that are concave in \|w\|, has their zeros
    exactly; the second is the ridge of the dropout rule. L0, whose rule never revives a weight,
    moves by its prox.

    Parameters
    ----------
    majorizer : {"l1", "ridge"}, default="l1"
        "ridge" takes the second form for every penalty, as the paper does.
    """

    _parameter_constraints = {"majorizer": [StrOptions({"l1", "ridge"})]}

    def __init__(self, majorizer="l1"):
        self.majorizer = majorizer

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
        if isinstance(state.penalty, L0):
            if state.dims and torch.is_tensor(step):
                step = step.mean(dim=state.dims, keepdim=True)
            w.mul_(state.penalty.prox(norm, step, state.strength) / norm.clamp(min=1e-30))
            return
        ridge = state.penalty.ridge(norm, state.strength)
        shrinkage = ridge * step if state.dims else ridge.mul_(step)
        # Where a mask alone says what is zero, the penalty makes no other zeros.
        if self.majorizer == "l1" and state.penalty.concave and not state.by_mask:
            w.addcmul_(w, shrinkage.clamp_(max=1.0), value=-1)
        else:
            w.div_(shrinkage.add_(1.0))


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
    state, lr = optimizer.state.get(parameter), group["lr"] * group.get("rates", 1.0)
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
    bias = (1 - group["betas"][1] ** state["step"]) ** 0.5
    gain, epsilon = lr * bias, group["eps"] * bias
    # The root of 0 takes MKL many times as long; that of the least is nothing beside epsilon.
    least = torch.finfo(second.dtype).tiny
    return (second,), lambda part: gain / part.clamp(min=least).sqrt_().add_(epsilon)
