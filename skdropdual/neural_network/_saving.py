"""Fitted estimators in files without pickle: parameters as JSON, weights as safetensors."""

import numbers
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator

from .. import __version__, penalties
from ._checkpoint import flatten, unflatten
from ._files import load_tensors, save_tensors
from .routes import ROUTES

_FITTED = ("classes_", "n_features_in_", "feature_names_in_", "n_outputs_", "_multilabel", "_flat")


def save(estimator, path):
    """Write a fitted estimator; see `SparseNetReports.save`."""
    known = {name: getattr(estimator, name) for name in _FITTED if hasattr(estimator, name)}
    meta = {
        "class": type(estimator).__name__,
        "version": __version__,
        "params": _encode("params", estimator.get_params(deep=False)),
        "fitted": _encode("fitted", known),
        "history": estimator.net_.history.to_list(),
        "precision": str(next(estimator.module_.parameters()).dtype).removeprefix("torch."),
    }
    tensors, module = flatten(estimator.module_.state_dict())
    save_tensors(path, tensors, {"estimator": meta, "module": module})


def load(cls, path, device):
    """Return the estimator in a file; see `SparseNetReports.load`."""
    tensors, meta = load_tensors(path)
    if "estimator" not in meta:
        raise ValueError(f"{str(path)!r} holds no estimator.")
    saved = meta["estimator"]
    if saved["class"] != cls.__name__:
        raise ValueError(f"{str(path)!r} holds a {saved['class']}, not a {cls.__name__}.")
    estimator = cls(**_decode(saved["params"])).set_params(device=device)
    vars(estimator).update(_decode(saved["fitted"]))
    weights = unflatten(tensors, meta["module"])
    widths = [w.shape[0] for name, w in weights.items() if name.endswith("weight")]
    sizes = [estimator.n_features_in_, *widths]
    estimator._restore(sizes, weights, saved["history"], getattr(torch, saved["precision"]))
    return estimator


def _encode(name, value):
    # As JSON; what is not JSON's own becomes {"kind": ..., ...}.
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, np.ndarray):
        entries = [_encode(name, v) for v in value.tolist()]
        return {"kind": "array", "dtype": value.dtype.str, "values": entries}
    if isinstance(value, dict):
        items = [[_encode(name, k), _encode(k, v)] for k, v in value.items()]
        return {"kind": "dict", "items": items}
    if isinstance(value, list | tuple):
        kind = type(value).__name__
        return {"kind": kind, "values": [_encode(name, v) for v in value]}
    if isinstance(value, Path | torch.device):
        return str(value)
    if _is_ours(value):
        params = _encode(name, value.get_params(deep=False))
        return {"kind": "object", "class": type(value).__name__, "params": params}
    raise ValueError(
        f"{name}={value!r} cannot be written to a file without pickle; numbers, strings, arrays, "
        "penalties and methods of the library can."
    )


def _classes():
    known = [getattr(penalties, name) for name in penalties.__all__] + list(ROUTES.values())
    return {c.__name__: c for c in known if isinstance(c, type)}


def _is_ours(value):
    return isinstance(value, BaseEstimator) and _classes().get(type(value).__name__) is type(value)


def _decode(value):
    if not isinstance(value, dict):
        return value
    kind = value["kind"]
    if kind == "dict":
        return {_decode(k): _decode(v) for k, v in value["items"]}
    if kind == "object":
        return _classes()[value["class"]](**_decode(value["params"]))
    values = [_decode(v) for v in value["values"]]
    if kind == "array":
        return np.array(values, dtype=np.dtype(value["dtype"]))
    return tuple(values) if kind == "tuple" else values
