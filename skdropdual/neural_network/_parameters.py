"""The parameters that the nets have in common: which values they take."""

from numbers import Integral, Real
from os import PathLike

import numpy as np
import torch

from .._sklearn import Interval, StrOptions, validate_parameter_constraints
from ..exceptions import InvalidParameterError
from ..penalties import Penalty
from ._mlp import ACTIVATIONS
from ._net import OPTIMIZERS
from ._schedules import LR_SCHEDULES
from ._sparsifier import STRUCTURES
from .routes import Route

CONSTRAINTS: dict = {
    "hidden_layer_sizes": ["array-like", Integral],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "method": [str, Route],
    "penalty": [str, Penalty, callable],
    "alpha": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "structure": [StrOptions(set(STRUCTURES))],
    "target_density": [Interval(Real, 0, 1, closed="right"), None],
    "keep_prob_tol": [Interval(Real, 0, 1, closed="left")],
    "optimizer": [StrOptions(set(OPTIMIZERS))],
    "lr": [Interval(Real, 0, None, closed="neither")],
    "lr_schedule": [StrOptions(set(LR_SCHEDULES))],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "warmup": ["array-like", StrOptions({"auto"})],
    "pruning_span": ["array-like"],
    "healing_epochs": [Interval(Integral, 0, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "warm_start": ["boolean"],
    "checkpoint": [str, PathLike, None],
    "compile": ["boolean"],
    "precision": [StrOptions({"float32", "float64", "bfloat16"})],
    "device": [str, torch.device],
    "callbacks": [list, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def check_parameters(estimator):
    """Refuse parameters of a multilayer perceptron that are not allowed."""
    validate_parameter_constraints(
        estimator._parameter_constraints,
        estimator.get_params(deep=False),
        type(estimator).__name__,
    )
    sizes = np.atleast_1d(np.asarray(estimator.hidden_layer_sizes))
    if sizes.size and (sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 1).any()):
        raise InvalidParameterError(
            "hidden_layer_sizes must be integers >= 1, one for each hidden layer; got "
            f"{estimator.hidden_layer_sizes!r}."
        )
    check_spans(estimator)
    resolve_device(estimator.device)


def check_spans(estimator):
    """Refuse spans of the epochs that are none."""
    for name in ("warmup", "pruning_span"):
        pair = np.asarray(getattr(estimator, name))
        if name == "warmup" and str(pair) == "auto" and hasattr(estimator, "hidden_layer_sizes"):
            continue
        numbers = pair.shape == (2,) and pair.dtype.kind in "iuf"
        if not (numbers and 0 <= pair[0] <= pair[1] <= 1):
            raise InvalidParameterError(
                f"{name} must be (start, end) with 0 <= start <= end <= 1; got "
                f"{getattr(estimator, name)!r}."
            )


def resolve_device(device):
    """Return a device that is there.

    Parameters
    ----------
    device : str or torch.device
        "auto" is CUDA where there is one, else the CPU.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    InvalidParameterError
        If it is unknown or not there.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    there = ["cpu"] + ["cuda"] * cuda + ["mps"] * mps
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if cuda else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        found = None
    count = torch.cuda.device_count() if cuda else 1
    if found is None or found.type not in there or (found.index or 0) >= count:
        raise InvalidParameterError(
            f'device must be "auto" or one that is there: {", ".join(there)}; got {device!r}.'
        )
    return found


def describe(value):
    """Return a text alike in another process: a callable by its name, the rest by its repr."""
    return f"{value.__module__}.{value.__qualname__}" if callable(value) else repr(value)
