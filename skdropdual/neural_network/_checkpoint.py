"""Training that goes on where it was killed: states in one safetensors file."""

import json
from pathlib import Path

import torch

from ._files import load_tensors, save_tensors


class Checkpoint:
    """The file that a fit keeps its state in.

    Parameters
    ----------
    path : str, os.PathLike or None
        The file; None keeps nothing.
    fingerprint : dict
        What must be alike for the fit to continue: parameters, data, version.

    Raises
    ------
    ValueError
        If the file is no checkpoint or belongs to another fit.
    """

    def __init__(self, path, fingerprint):
        self.path = None if path is None else Path(path)
        self._fingerprint = json.loads(json.dumps(fingerprint))
        if self.path is not None and self.path.is_dir():
            raise ValueError(f"checkpoint={str(self.path)!r} is a folder; it must name a file.")
        self.saved = self._load() if self.path is not None and self.path.exists() else None
        if self.path is not None and not self.path.parent.is_dir():
            raise ValueError(f"checkpoint={str(self.path)!r}: there is no such folder.")

    def save(self, state):
        """Replace the file by one with this state."""
        if self.path is not None:
            tensors, meta = flatten(state)
            save_tensors(self.path, tensors, {"fit": self._fingerprint, "state": meta})

    def _load(self):
        tensors, meta = load_tensors(self.path)
        if "fit" not in meta or "state" not in meta:
            raise ValueError(f"checkpoint={str(self.path)!r} is a file of another kind.")
        differing = [
            key
            for key in {**self._fingerprint, **meta["fit"]}
            if self._fingerprint.get(key) != meta["fit"].get(key)
        ]
        if differing:
            raise ValueError(
                f"checkpoint={str(self.path)!r} belongs to another fit: {', '.join(differing)} "
                "differ. Remove the file or give another path."
            )
        return unflatten(tensors, meta["state"])


def flatten(state):
    """Return the tensors of nested dictionaries and lists, and the rest as JSON has it.

    Parameters
    ----------
    state : dict
        Of dicts, lists, tuples, tensors, numbers, strings and None.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        By number.
    meta : object
        The nesting, each tensor replaced by ``{"tensor": number}``, dicts by ``{"items": [...]}``.
    """
    tensors: dict[str, torch.Tensor] = {}

    def strip(value):
        if torch.is_tensor(value):
            tensors[str(len(tensors))] = value
            return {"tensor": str(len(tensors) - 1)}
        if isinstance(value, dict):
            return {"items": [[key, strip(v)] for key, v in value.items()]}
        if isinstance(value, list | tuple):
            return [strip(v) for v in value]
        return value

    meta = strip(state)
    return tensors, meta


def unflatten(tensors, meta):
    """Return what was given to `flatten`; tuples come back as lists."""
    if isinstance(meta, dict):
        if "tensor" in meta:
            return tensors[meta["tensor"]]
        return {key: unflatten(tensors, value) for key, value in meta["items"]}
    if isinstance(meta, list):
        return [unflatten(tensors, value) for value in meta]
    return meta
