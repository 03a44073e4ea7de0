"""A module whose weights are being sparsified: which weights, in which groups, by which route."""

import copy
import math

import torch
from torch import nn
from torch.nn.utils import parametrize

from ..duality import effective_penalty
from ..exceptions import InvalidParameterError
from ._chain import bake
from ._random import Random
from ._ranking import closest
from ._stack import StackedLinear
from .routes import Dense

# What a group spans besides the weight itself, and where it is looked for.
STRUCTURES = ("weight", "input", "neuron", "channel")

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LINEAR = (nn.Linear, StackedLinear)
_LAYERS = (*_LINEAR, *_CONVOLUTIONS)
_RANDOM = Random()
_NO_STRENGTH = 1e-12  # until it is set


class SparseWeight(nn.Module):
    """One weight on its way to zeros: a parametrization with the parameters of its route.

    Parameters
    ----------
    route : Route
        How the penalty is minimised.
    penalty : Penalty
        What is minimised.
    weight : torch.Tensor
        The weight at the start.
    dims : tuple of int
        Dimensions that a group spans, counted from the end; empty where each weight is its own.
    tol : float
        Weights with a smaller keep probability count, and evaluate, as zero.
    random : Random
        Makes the noise.
    lead : int, default=0
        Leading axes of the weight that number nets.

    Attributes
    ----------
    strength : torch.Tensor
        The penalty's, times the root of the size of a group; for many nets of shape (n_nets, 1, 1).
    mask : torch.Tensor of bool
        False where a weight has been taken out for good.
    """

    def __init__(self, route, penalty, weight, dims, tol, random, lead=0):
        super().__init__()
        self.route, self.penalty, self.dims, self.tol = route, penalty, dims, tol
        self.random, self.lead = random, lead
        size = math.prod(weight.shape[d] for d in dims)
        self.factor = math.sqrt(size)
        groups = [1 if d - weight.ndim in dims else n for d, n in enumerate(weight.shape)]
        self.register_buffer("mask", torch.ones(groups, dtype=torch.bool))
        strength = torch.full(weight.shape[:lead], _NO_STRENGTH, dtype=weight.dtype)
        self.register_buffer("strength", self.per_net(strength), persistent=False)
        self.masked = False  # whether the mask has taken anything out
        self.by_mask = False  # whether the mask alone says what is zero
        self.start = route.prepare(self, weight)
        self.to(weight.device)

    def forward(self, weight):
        """Return the weight of the next training step, or the one that counts."""
        if self.training:
            return self.route.training_weight(self, weight)
        return self.route.mean_weight(self, weight) * self.kept(weight)

    def right_inverse(self, weight):
        """Return the raw weight that training starts from."""
        return weight if self.start is None else self.start

    def per_net(self, values):
        """Return a value of each net in a shape that goes with the weight."""
        return values.reshape(-1, *(1,) * (self.mask.ndim - 1)) if self.lead else values

    def norm(self, weight):
        """Return the magnitude that the penalty acts on, one for each group."""
        if not self.dims:
            return abs(weight)
        return torch.linalg.vector_norm(weight, dim=self.dims, keepdim=True)

    def direction(self, weight, norm):
        """Return the derivative of the norm; 0 at 0."""
        return torch.sign(weight) if not self.dims else weight / norm.clamp(min=1e-30)

    @torch.no_grad()
    def kept(self, weight):
        """Return which weights count as nonzero."""
        if self.by_mask:
            return self.mask
        return (self.route.keep_prob(self, weight) >= self.tol) & self.mask

    @torch.no_grad()
    def score(self, weight):
        """Return what ranks the groups: the last to go has the largest."""
        return torch.where(self.mask, self.route.score(self, weight), -math.inf)


class Sparsifier:
    """The weights of a module under one route; `finish` leaves plain weights with exact zeros.

    Parameters
    ----------
    module : torch.nn.Module
        The net; its weights are parametrized until `finish`.
    route : Route
        How the penalty is minimised.
    penalty : str, Penalty or callable
        What `effective_penalty` takes.
    weights : "all", list of str or callable, default="all"
        Every weight of a Linear or ConvNd, those with these names ("0.weight"), or those for which
        ``weights(name, layer)`` is true.
    structure : {"weight", "input", "neuron", "channel"}, default="weight"
        What goes together: see `SparseMLPClassifier`.
    tol : float, default=0.05
        Smallest keep probability that counts as nonzero.
    random : Random, default=Random()
        Makes the noise.

    Attributes
    ----------
    layers : dict
        The layers by the names of their weights.
    """

    def __init__(
        self,
        module,
        route,
        penalty,
        *,
        weights="all",
        structure="weight",
        tol=0.05,
        random=_RANDOM,
    ):
        penalty = route.check_penalty(effective_penalty(penalty))
        found = find_weights(module, weights)
        self.module, self.route = module, route
        self.layers, self._handles = {}, []
        for name, dims in _grouped(found, structure).items():
            layer = found[name]
            lead = layer.weight.ndim - _ndim(layer)
            state = SparseWeight(route, penalty, layer.weight.detach(), dims, tol, random, lead)
            parametrize.register_parametrization(layer, "weight", state)
            self._handles += route.attach(layer, state)
            self.layers[name] = layer
        self._pairs = [
            (layer.parametrizations.weight[0], layer.parametrizations.weight.original)
            for layer in self.layers.values()
        ]
        state, weight = self._pairs[0]
        nets = weight.shape[: state.lead]
        self.size = sum(weight.numel() for _, weight in self._pairs) // math.prod(nets)
        self._scale = weight.new_ones(nets)
        route.begin(self._pairs)

    def set_strength(self, alpha):
        """Set the strength of the penalty, a number or one for each net."""
        strength = alpha * self._scale
        for state, _ in self._pairs:
            torch.mul(state.per_net(strength), state.factor, out=state.strength)

    def loss_term(self):
        """Return what the route adds to the loss for autograd, or None."""
        terms = [self.route.loss_term(state, weight) for state, weight in self._pairs]
        terms = [term for term in terms if term is not None]
        return sum(terms) if terms else None

    @torch.no_grad()
    def add_gradients(self, penalised=True):
        """Add the gradients of what the route minimises beside the loss, in closed form."""
        for state, weight in self._pairs:
            if weight.grad is not None:
                self.route.after_backward(state, weight)
                if penalised:
                    self.route.add_gradients(state, weight)

    @torch.no_grad()
    def after_step(self, optimizer, penalised=True):
        """Move the weights as the route does after a step of the optimizer; masks stay."""
        if penalised:
            self.route.after_step(self._pairs, optimizer)
        for state, weight in self._pairs:
            if state.masked:
                weight.mul_(state.mask)

    @torch.no_grad()
    def density(self):
        """Return the fraction of the weights that count as nonzero, of many nets a list."""
        count = sum(
            state.kept(weight).expand_as(weight).flatten(state.lead).sum(-1)
            for state, weight in self._pairs
        )
        return (count.double() / self.size).tolist()

    @torch.no_grad()
    def prune_to(self, density):
        """Take out, for good, all weights but the given fraction with the largest scores.

        Where the penalty alone leaves fewer, it is eased.

        Parameters
        ----------
        density : float or torch.Tensor
            The fraction, or that of each net.
        """
        scores = [state.score(weight) for state, weight in self._pairs]
        sizes = [round(state.factor**2) for state, _ in self._pairs]
        alive = [
            (score > -math.inf) & (state.route.keep_prob(state, weight) >= state.tol)
            for score, (state, weight) in zip(scores, self._pairs, strict=True)
        ]
        left = sum(
            a.flatten(state.lead).sum(-1) * n
            for a, n, (state, _) in zip(alive, sizes, self._pairs, strict=True)
        )
        density = torch.as_tensor(density, dtype=torch.float64, device=left.device)
        wanted = (density * self.size).round().clamp(min=1)
        ratio = left / wanted
        eased = torch.where(ratio < 1, ratio.clamp(min=0.5), 1.1).to(self._scale.dtype)
        self._scale.mul_(eased).clamp_(max=1.0)
        norms = [state.norm(weight) for state, weight in self._pairs]
        masks = closest(scores, norms, sizes, wanted, self._scale.ndim)
        for (state, weight), mask in zip(self._pairs, masks, strict=True):
            state.mask.copy_(mask)
            state.masked = state.by_mask = True
            weight.mul_(state.mask)

    @torch.no_grad()
    def heal(self):
        """Go on without the route: from the weights that count, the others zero for good."""
        for handle in self._handles:
            handle.remove()
        self.route, self._handles = Dense(), []
        for state, weight in self._pairs:
            kept = state.kept(weight)
            weight.copy_(state.route.mean_weight(state, weight) * kept)
            state.mask.copy_(kept)
            state.route, state.masked, state.by_mask = self.route, True, True

    def plain_state(self):
        """Return the state dictionary that the module would have after `finish`."""
        return self.snapshot().state_dict()

    @torch.no_grad()
    def load_plain_state(self, state_dict):
        """Load the state dictionary of the plain module; what is zero there stays so."""
        self.heal()
        rest = dict(state_dict)
        for name, (state, weight) in zip(self.layers, self._pairs, strict=True):
            weight.copy_(rest.pop(name))
            state.mask.copy_(state.norm(weight) > 0)
        self.module.load_state_dict({**self.module.state_dict(), **rest})

    def route_state(self):
        """Return the parameters and masks that the route keeps beside the weights."""
        pairs = zip(self.layers, self._pairs, strict=True)
        return {
            name: {key: value.clone() for key, value in state.state_dict().items()}
            for name, (state, _) in pairs
        }

    def load_route_state(self, saved):
        """Set what `route_state` returned."""
        for name, (state, _) in zip(self.layers, self._pairs, strict=True):
            state.load_state_dict(saved[name])

    @property
    def masked(self):
        """Whether weights have been taken out for good."""
        return any(state.masked for state, _ in self._pairs)

    def state(self):
        """Return what is not in the state of the module."""
        return {
            "scale": self._scale.clone(),
            "masked": self.masked,
        }

    def load_state(self, saved):
        """Set what `state` returned, before the state of the module is loaded."""
        self._scale.copy_(saved["scale"])
        for state, _ in self._pairs:
            state.masked = state.by_mask = bool(saved["masked"])

    def finish(self):
        """Give the module plain weights: those that count, exact zeros elsewhere."""
        for handle in self._handles:
            handle.remove()
        _bake(self.module, self.layers)

    def snapshot(self):
        """Return a copy of the module as `finish` would leave it."""
        copied = copy.deepcopy(self.module)
        _bake(copied, {name: copied.get_submodule(_layer(name)) for name in self.layers})
        return copied


def _bake(module, layers):
    # Only weights that predict are left, in evaluation mode.
    training = module.training
    module.eval()
    for layer in layers.values():
        bake(layer)
    module.train(training)


def _layer(name):
    return name.removesuffix("weight").removesuffix(".")


def find_weights(module, weights="all"):
    """Return the layers whose weights are meant, by the names of their weights.

    Parameters
    ----------
    module : torch.nn.Module
        The net.
    weights : "all", list of str or callable
        As in `Sparsifier`.

    Returns
    -------
    dict
        Layers by names such as "0.weight", in the order of the module.
    """
    found = {
        f"{name}.weight".lstrip("."): layer
        for name, layer in module.named_modules()
        if isinstance(layer, _LAYERS)
    }
    if callable(weights):
        chosen = {name: layer for name, layer in found.items() if weights(name, layer)}
    elif isinstance(weights, str) and weights == "all":
        chosen = found
    else:
        names = [weights] if isinstance(weights, str) else list(weights)
        unknown = sorted(set(names) - set(found))
        if unknown:
            raise InvalidParameterError(
                f"weights names {unknown}; the Linear and Conv layers have {sorted(found)}."
            )
        chosen = {name: layer for name, layer in found.items() if name in names}
    if not chosen:
        raise InvalidParameterError(
            f"weights={weights!r} finds nothing to sparsify in {type(module).__name__}: it needs a "
            "weight of a Linear or Conv layer."
        )
    return chosen


def _grouped(found, structure):
    # The weights that a structure concerns, with the dimensions that their groups span.
    spans = {name: tuple(range(-_ndim(layer), 0)) for name, layer in found.items()}
    if structure == "weight":
        return dict.fromkeys(found, ())
    if structure == "input":  # the first layer, a group for each of its inputs
        first = next(iter(found))
        return {first: (spans[first][0], *spans[first][2:])}
    if structure not in STRUCTURES:
        raise InvalidParameterError(
            f"structure must be one of {', '.join(STRUCTURES)}; got {structure!r}."
        )
    kinds = _LINEAR if structure == "neuron" else _CONVOLUTIONS
    outputs = list(found)[-1]  # the outputs of the net must stay
    chosen = {
        name: spans[name][1:]
        for name, layer in found.items()
        if isinstance(layer, kinds) and name != outputs
    }
    if not chosen:
        raise InvalidParameterError(
            f"structure={structure!r} finds no hidden {structure}s in this module."
        )
    return chosen


def _ndim(layer):
    # Axes of the weight of one net.
    return 2 if isinstance(layer, _LINEAR) else layer.weight.ndim
