"""A net as the chain of its layers, for what needs to know each of them."""

import copy

from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from . import _stack

CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
IDLE = (
    nn.Identity,
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)
ELEMENTWISE = (
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardshrink,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.Sigmoid,
    nn.SiLU,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Tanh,
    nn.Tanhshrink,
    nn.Threshold,
)


def layers_of(module):
    """Return the layers of `module` in the order the data pass them, as copies that predict.

    Parametrizations are baked into the weights; a layer that is used twice is two copies.

    Parameters
    ----------
    module : torch.nn.Module
        A layer, or an ``nn.Sequential`` of them, nested at will.

    Returns
    -------
    list of (str, torch.nn.Module)
        Name (as in ``module.named_modules()``) and layer, in evaluation mode.
    """
    return [(name, _baked(layer)) for name, layer in _walk(getattr(module, "_orig_mod", module))]


def layer_type(layer):
    """Return the class of `layer`, parametrized or not."""
    return parametrize.type_before_parametrizations(layer)


def linear_part(layer, inputs, weight):
    """Return what a linear or convolutional layer makes of inputs with another weight, less bias.

    Parameters
    ----------
    layer : torch.nn.Module
        Linear, convolution, or a stack of linear ones.
    inputs : torch.Tensor
        Of the layer.
    weight : torch.Tensor
        In place of its own.

    Returns
    -------
    torch.Tensor
        Of the shape of the outputs.
    """
    if isinstance(layer, nn.Linear):
        return functional.linear(inputs, weight)
    if isinstance(layer, CONV):
        return layer._conv_forward(inputs, weight, None)
    return _stack.linear(inputs, weight)


def _walk(module, prefix=""):
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(f"{_label(prefix, module)} has forward hooks; remove them first.")
    if not isinstance(module, nn.Sequential):
        yield prefix, module
        return
    if type(module).forward is not nn.Sequential.forward:
        raise unsupported(prefix, module, "an nn.Sequential with its own forward")
    # named_children() would pass over a layer that is used for the second time.
    for name, child in module._modules.items():
        yield from _walk(child, f"{prefix}.{name}" if prefix else name)


def _baked(layer):
    layer = copy.deepcopy(layer).eval()
    if parametrize.is_parametrized(layer):
        bake(layer)
    return layer


def bake(layer):
    """Give a parametrized layer the plain parameters that it computes with now.

    ``remove_parametrizations`` would change the class of the layer, which copies share.

    Parameters
    ----------
    layer : torch.nn.Module
        Changed in place.
    """
    parametrizations = layer.parametrizations
    values = {name: getattr(layer, name).detach().clone() for name in parametrizations}
    learns = {name: parametrizations[name].original.requires_grad for name in values}
    layer.__class__ = layer_type(layer)
    del layer.parametrizations
    for name, value in values.items():
        layer.register_parameter(name, nn.Parameter(value, requires_grad=learns[name]))


def unsupported(name, layer, supported):
    """Return the error for a layer that the caller cannot treat.

    Parameters
    ----------
    name : str
        Its name in the net.
    layer : torch.nn.Module
        The layer.
    supported : str
        What is supported; or what is wrong with the layer.

    Returns
    -------
    ValueError
        To be raised.
    """
    return ValueError(f"{_label(name, layer)} is not supported here: {supported}.")


def _label(name, layer):
    return f"module {name!r} ({layer_type(layer).__name__})" if name else layer_type(layer).__name__
