"""The layers of a net as nodes that know what they pass on and what they need.

Constants flow forward: a unit whose incoming weights are all zero has one value for every row of
data, which the next layer takes into its bias, so that its column is zero as well, and so on.
Needs flow backward: a unit is needed if a needed unit reads it. One pass each way reaches the fixed
point, since constants depend only on what comes before and needs, once the constants are known,
only on what comes after.
"""

import torch
from torch import nn
from torch.nn.functional import batch_norm

from ._chain import CONV, ELEMENTWISE, IDLE, NORM, unsupported


def _in_1_to_3_dimensions(*names):
    return tuple(getattr(nn, f"{name}{d}d") for name in names for d in (1, 2, 3))


_AVG_POOL = _in_1_to_3_dimensions("AvgPool")
_CONSTANT_PAD = _in_1_to_3_dimensions("ConstantPad", "ZeroPad")
_FAITHFUL = _in_1_to_3_dimensions(
    *("MaxPool", "AdaptiveMaxPool", "AdaptiveAvgPool"),
    *("ReflectionPad", "ReplicationPad", "CircularPad"),
)
_SUPPORTED = (
    "compact() knows nn.Sequential of Linear, Conv1d/2d/3d, Flatten, pooling, padding, batch "
    "normalisation, dropout, elementwise activations, softmax, layer and group normalisation"
)


class SelectInputs(nn.Module):
    """Keep some entries of one axis: ``x.index_select(dim, index)``.

    Parameters
    ----------
    index : torch.Tensor of int64, shape (n_kept,)
        The entries that are kept, in this order.
    dim : int, default=-1
        The axis; -1 is the features of a linear layer.

    Examples
    --------
    >>> import torch
    >>> from skdropdual.neural_network._nodes import SelectInputs
    >>> SelectInputs(torch.tensor([0, 2]))(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 3.]])
    """

    def __init__(self, index, dim=-1):
        super().__init__()
        self.dim = dim
        self.register_buffer("index", index)

    def forward(self, x):
        """Return the selected entries of `x`.

        Parameters
        ----------
        x : torch.Tensor
            The input.

        Returns
        -------
        torch.Tensor
            Its entries `index` along `dim`.
        """
        return x.index_select(self.dim, self.index)

    def extra_repr(self):
        """Return what ``repr`` shows.

        Returns
        -------
        str
            The number of entries kept and the axis.
        """
        return f"{len(self.index)}, dim={self.dim}"


_MIXING = (nn.Softmax, nn.LogSoftmax, nn.LayerNorm, nn.GroupNorm, nn.Unflatten, SelectInputs)


def nodes_of(layers):
    """Return the nodes of a chain of layers.

    Parameters
    ----------
    layers : list of (str, torch.nn.Module)
        Names and layers in float64, which the nodes will change.

    Returns
    -------
    list
        A node for each layer, with ``forward``, ``needed``, ``shrink`` and ``modules``.

    Raises
    ------
    ValueError
        If a layer is not supported.
    """
    # `axis` says which axis the units are on, if they are known at all: features or channels.
    nodes: list = []
    axis = units = None
    for position, (name, layer) in enumerate(layers):
        kind = type(layer)
        if kind in _MIXING or (kind in CONV and layer.groups != 1):
            nodes.append(Mixing(layer))
            axis = units = None
        elif kind is nn.Linear or kind in CONV:
            nodes.append(Weighted(name, layer))
            wanted = "features" if kind is nn.Linear else "channels"
            _check(name, layer, axis in (None, wanted), "a Flatten belongs between Conv and Linear")
            axis, units = wanted, len(layer.weight)
        elif kind is nn.Flatten:
            whole = layer.start_dim == 1 and layer.end_dim == -1
            _check(name, layer, whole, "Flatten takes all axes but the first")
            block = _width(layers[position + 1 :], units) // (units or 1)
            _check(name, layer, axis != "features" or block == 1, "it mixes rows of a Linear layer")
            nodes.append(_Flatten(layer, block))
            axis, units = axis and "features", units and units * block
        elif kind in _AVG_POOL + _CONSTANT_PAD + _FAITHFUL:
            _check(name, layer, axis != "features", "it would mix the features of a Linear layer")
            nodes.append(_Spatial(layer))
        elif kind in (*NORM, nn.PReLU):
            running = kind is nn.PReLU or layer.running_mean is not None
            _check(name, layer, running, "it needs running statistics")
            nodes.append(_PerUnit(layer))
        else:
            _check(name, layer, kind in IDLE + ELEMENTWISE, _SUPPORTED)
            nodes.append(_Node(layer))
    return nodes


class _Constants:
    """Which units are constant, and their values (0 where they are not)."""

    def __init__(self, known, value):
        self.known = known
        self.value = torch.where(known, value, 0.0)

    def only(self, exact):
        return _Constants(self.known & exact, self.value)

    def repeat(self, block):
        return _Constants(*(each.repeat_interleave(block) for each in (self.known, self.value)))

    def map(self, function):
        return _Constants(self.known, function(self.value.clone()[None])[0])


class _Node:
    """A layer whose outputs are its inputs, unit by unit; None stands for "all, as they are"."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, constants):
        return constants and constants.map(self.layer)

    def needed(self, needed):
        return needed

    def shrink(self, kept):
        return kept

    def modules(self):
        return [self.layer]


class _PerUnit(_Node):
    """Batch normalisation, or a PReLU with a slope for each unit."""

    TENSORS = ("weight", "bias", "running_mean", "running_var")

    def forward(self, constants):
        return constants and constants.map(self._apply)

    def _apply(self, value):
        norm = self.layer
        if isinstance(norm, nn.PReLU):
            return norm(value)
        statistics = norm.running_mean, norm.running_var, norm.weight, norm.bias
        return batch_norm(value, *statistics, training=False, eps=norm.eps)

    def shrink(self, kept):
        if kept is not None and getattr(self.layer, "num_parameters", 0) != 1:
            for name in self.TENSORS:
                _replace(self.layer, name, lambda tensor: tensor[kept])
            width = "num_features" if hasattr(self.layer, "num_features") else "num_parameters"
            setattr(self.layer, width, int(kept.sum()))
        return kept


class _Spatial(_Node):
    """Pooling or padding: a constant channel stays constant unless a border of zeros enters."""

    def forward(self, constants):
        return constants and constants.only(self._exact(constants.value))

    def _exact(self, value):
        layer = self.layer
        if isinstance(layer, _CONSTANT_PAD):
            return value == layer.value
        if not isinstance(layer, _AVG_POOL):
            return torch.ones_like(value, dtype=torch.bool)
        padded = layer.count_include_pad and _any(layer.padding)
        return (value == 0) | (not padded and getattr(layer, "divisor_override", None) is None)


class _Flatten(_Node):
    """Each channel becomes a block of columns."""

    def __init__(self, layer, block):
        super().__init__(layer)
        self.block = block

    def forward(self, constants):
        return constants and constants.repeat(self.block)

    def needed(self, needed):
        return needed if needed is None else needed.view(-1, self.block).any(1)

    def shrink(self, kept):
        return kept if kept is None else kept.repeat_interleave(self.block)


class Mixing(_Node):
    """A layer that needs all its inputs and whose outputs are what they are."""

    def forward(self, constants):
        return None

    def needed(self, needed):
        return None

    def shrink(self, kept):
        return None


class Weighted(_Node):
    """Linear or convolution: rows of the weight are units, columns are inputs."""

    def __init__(self, name, layer):
        super().__init__(layer)
        self.name = name
        self.select = None
        self.shape = tuple(layer.weight.shape)
        self.nonzero = int(layer.weight.count_nonzero())

    def forward(self, constants):
        if constants is not None:
            self._fold(constants)
        weight, bias = self.layer.weight, self.layer.bias
        known = ~_any_nonzero(weight, 0)
        return _Constants(known, weight.new_zeros(len(weight)) if bias is None else bias)

    def _fold(self, constants):
        if isinstance(self.layer, CONV) and self.layer.padding_mode == "zeros" and self._padded():
            constants = constants.only(constants.value == 0)
        weight = self.layer.weight
        shift = weight.flatten(2).sum(2) if weight.ndim > 2 else weight
        shift = shift @ constants.value
        weight[:, constants.known] = 0.0
        if shift.any():
            bias = shift if self.layer.bias is None else self.layer.bias + shift
            self.layer.bias = nn.Parameter(bias)

    def _padded(self):
        if self.layer.padding == "same":
            return any(size > 1 for size in self.layer.kernel_size)
        return self.layer.padding != "valid" and _any(self.layer.padding)

    def needed(self, needed):
        weight = self.layer.weight
        self.rows = torch.ones_like(_any_nonzero(weight, 0)) if needed is None else needed
        if not self.rows.any():
            # Nothing reads this layer; one unit stays for the shape's sake and reads nothing.
            self.rows[0] = True
            weight.zero_()
        return _any_nonzero(weight[self.rows], 1)

    def shrink(self, kept):
        if kept is None:
            kept = self._select()
        _replace(self.layer, "weight", lambda weight: weight[self.rows][:, kept])
        _replace(self.layer, "bias", lambda bias: bias[self.rows])
        width = "features" if isinstance(self.layer, nn.Linear) else "channels"
        setattr(self.layer, f"in_{width}", self.layer.weight.shape[1])
        setattr(self.layer, f"out_{width}", self.layer.weight.shape[0])
        return self.rows

    def _select(self):
        read = _any_nonzero(self.layer.weight[self.rows], 1)
        read[0] |= not read.any()
        if not read.all():
            self.select = SelectInputs(read.nonzero()[:, 0], dim=1 - len(self.shape))
        return read

    def modules(self):
        return [self.layer] if self.select is None else [self.select, self.layer]


def _any_nonzero(weight, axis):
    return (weight != 0).transpose(0, axis).flatten(1).any(1)


def _any(padding):
    return any(padding) if isinstance(padding, tuple) else padding != 0


def _replace(layer, name, function):
    old = getattr(layer, name, None)
    if old is not None:
        new = function(old.detach())
        setattr(layer, name, nn.Parameter(new) if isinstance(old, nn.Parameter) else new)


def _check(name, layer, supported, message):
    if not supported:
        raise unsupported(name, layer, message)


def _width(following, default):
    """Return how many columns the next layer that says so takes."""
    for _, layer in following:
        width = getattr(layer, "in_features", getattr(layer, "num_features", None))
        if width is not None or type(layer) in _MIXING:
            return width or default or 1
    return default or 1
