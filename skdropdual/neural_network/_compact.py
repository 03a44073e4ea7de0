"""A smaller dense net that computes what a sparse one does."""

import dataclasses
import math

import torch
from torch import nn

from ._chain import layers_of
from ._nodes import Mixing, Weighted, nodes_of


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """What became of one layer.

    Attributes
    ----------
    name, kind : str
        Its name in the given net, and its class.
    inputs, units : (int, int)
        Inputs (columns or channels) and units (neurons or channels), before and after.
    weights : (int, int)
        Entries of its weight, before and after.
    nonzero : int
        How many of those before were nonzero.
    """

    name: str
    kind: str
    inputs: tuple[int, int]
    units: tuple[int, int]
    weights: tuple[int, int]
    nonzero: int


@dataclasses.dataclass(frozen=True)
class CompactReport:
    """What :func:`compact` removed; ``dataclasses.asdict(report)`` is ready for JSON.

    Attributes
    ----------
    layers : list of LayerReport
        One for each linear or convolutional layer, in order.
    inputs_kept : list of int or None
        The inputs (columns, or channels) that are read; None: all of them.
    parameters : (int, int)
        Parameters of the net, before and after.
    """

    layers: list[LayerReport]
    inputs_kept: list[int] | None
    parameters: tuple[int, int]

    def __str__(self):
        lines = [f"{self.parameters[0]} -> {self.parameters[1]} parameters"]
        for layer in self.layers:
            inputs, units = ("{} -> {}".format(*pair) for pair in (layer.inputs, layer.units))
            lines.append(f"{layer.name} {layer.kind}: inputs {inputs}, units {units}")
        return "\n".join(lines)


def compact(module):
    """Return a smaller dense net without dead inputs, neurons and channels, and what became of it.

    A unit is removed if all its outgoing weights are zero, and if all its incoming ones are: its
    constant output goes into the next bias. Not so where zero padding lets a constant that is not
    zero end at the border: such a channel stays. Both cascade. The result equals `module` in
    evaluation mode to rounding, on finite inputs.

    Parameters
    ----------
    module : torch.nn.Module
        An ``nn.Sequential``, nested at will, of Linear, Conv1d/2d/3d, Flatten, pooling, padding,
        batch normalisation, dropout and elementwise activations; it stays as it is. Layers that mix
        units (softmax, layer norm, grouped convolutions) are kept whole.

    Returns
    -------
    compacted : torch.nn.Sequential
        In evaluation mode, same dtype and device. Begins with (or has before its first layer)
        ``SelectInputs`` if inputs are dead. A layer keeps one unit even if none is needed.
    report : CompactReport
        Units, inputs and parameters before and after.

    Raises
    ------
    ValueError
        If a layer is not supported.

    Examples
    --------
    >>> import torch
    >>> from skdropdual.neural_network._compact import compact
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> with torch.no_grad():
    ...     _ = net[0].weight[:, 1].zero_()  # an input
    ...     _ = net[0].weight[2].zero_()  # a neuron: constant
    >>> small, report = compact(net)
    >>> small
    Sequential(
      (0): SelectInputs(3, dim=-1)
      (1): Linear(in_features=3, out_features=2, bias=True)
      (2): ReLU()
      (3): Linear(in_features=2, out_features=2, bias=True)
    )
    >>> x = torch.ones(1, 4)
    >>> bool(torch.allclose(small(x), net(x)))
    True
    >>> print(report)
    23 -> 14 parameters
    0 Linear: inputs 4 -> 3, units 3 -> 2
    2 Linear: inputs 3 -> 2, units 2 -> 2
    """
    layers = layers_of(module)
    before, like = _size(layers), _first_parameter(layers)
    nodes = nodes_of([(name, layer.to("cpu", torch.float64)) for name, layer in layers])
    with torch.no_grad():
        constants = needed = kept = None
        for node in nodes:
            constants = node.forward(constants)
        for node in reversed(nodes):
            needed = node.needed(needed)
        for node in nodes:
            kept = node.shrink(kept)
    compacted = nn.Sequential(*(layer for node in nodes for layer in node.modules())).eval()
    after = _size(compacted.named_children())
    reports = [_layer_report(node) for node in nodes if isinstance(node, Weighted)]
    return compacted.to(like), CompactReport(reports, _inputs_kept(nodes), (before, after))


def _size(layers):
    return sum(parameter.numel() for _, layer in layers for parameter in layer.parameters())


def _first_parameter(layers):
    # Copied: the layers are about to change their dtype in place.
    parameters = (parameter for _, layer in layers for parameter in layer.parameters())
    return torch.empty_like(next(parameters, torch.empty(0)))


def _inputs_kept(nodes):
    first = next((node for node in nodes if isinstance(node, (Weighted, Mixing))), None)
    select = getattr(first, "select", None)
    return None if select is None else select.index.tolist()


def _layer_report(node):
    before, after = node.shape, tuple(node.layer.weight.shape)
    return LayerReport(
        name=node.name,
        kind=type(node.layer).__name__,
        inputs=(before[1], after[1]),
        units=(before[0], after[0]),
        weights=(math.prod(before), math.prod(after)),
        nonzero=node.nonzero,
    )
