"""Which array library an argument belongs to: NumPy, or torch for tensors.

Penalties are written once, on the functions that NumPy and torch name alike. torch is never
imported here: a tensor can only come from a process that has it already.
"""

import functools
import sys

import numpy as np


def namespace(*arrays):
    """Return the module (``numpy`` or ``torch``) whose functions take these arrays."""
    torch = sys.modules.get("torch")
    if torch is not None and any(isinstance(array, torch.Tensor) for array in arrays):
        return torch
    return np


def compiling():
    """Whether torch.compile is tracing this call."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()


def as_float(array):
    """Return `array` as a floating array of its own library; integers become float64."""
    if namespace(array) is np:
        array = np.asarray(array)
        return array if array.dtype.kind == "f" else array.astype(np.float64)
    return array if array.is_floating_point() else array.double()


def as_double(array):
    """Return the floating `array` in float64."""
    return array.astype(np.float64) if namespace(array) is np else array.double()


def like_dtype(array, other):
    """Return `array` in the dtype of `other`, of the same library."""
    return array.astype(other.dtype) if namespace(array) is np else array.to(other.dtype)


def like(other, array):
    """Return `other` with the library, dtype and device of `array`; a number becomes a float."""
    if namespace(other) is np and np.ndim(other) == 0:
        return float(other)
    if namespace(array) is np:
        return np.asarray(other, dtype=array.dtype)
    return namespace(array).as_tensor(other, dtype=array.dtype, device=array.device)


def detach(array):
    """Return `array` without its autograd history."""
    return array if namespace(array) is np else array.detach()


def to_numpy(array):
    """Return `array` as a NumPy array."""
    return np.asarray(array) if namespace(array) is np else array.detach().cpu().numpy()


def nonzeros(w):
    """Return the places of the nonzeros of a row; `np.flatnonzero` takes many times longer."""
    return (w != 0).nonzero()[0]


def silent(function, array, *others):
    """Return ``function(array, *others)``; overflow and 0/0 at the ends of the range are meant."""
    if namespace(array) is not np:  # torch says nothing, and its compiler knows no errstate
        return function(array, *others)
    with np.errstate(all="ignore"):
        return function(array, *others)


def _keep_nan(result, argument):
    xp = namespace(argument)
    if xp is np:
        nan = np.isnan(argument)
        result = np.where(nan, argument, result) if nan.any() else np.asarray(result)
        return result[()]
    # Where a look costs no wait for a device, a sum tells fast that there is no nan.
    looks = argument.device.type == "cpu" and not compiling()
    if looks and not bool(xp.isnan(detach(argument).sum())):
        return result
    return xp.where(xp.isnan(argument), argument, result)


def on_magnitude(method):
    """Let a penalty's ``method(self, w, alpha)`` see |w| as a float array; nan stays nan."""

    @functools.wraps(method)
    def wrapper(self, w, alpha=1.0):
        self._validate(alpha)
        w = as_float(w)
        return _keep_nan(silent(functools.partial(method, self), abs(w), like(alpha, w)), w)

    return wrapper


def odd(method):
    """Let ``method(self, z, step, alpha)`` see |z| only and give its result the sign of z."""

    @functools.wraps(method)
    def wrapper(self, z, step=1.0, alpha=1.0):
        self._validate(alpha)
        z = as_float(z)
        result = silent(functools.partial(method, self), abs(z), like(step, z), like(alpha, z))
        return _keep_nan(namespace(z).sign(z) * result, z)

    return wrapper
