"""Files that are whole or absent: written aside and renamed, read with every fault named."""

import contextlib
import json
import os
import secrets
from pathlib import Path

import torch

_FORMAT, _VERSION = "skdropdual", 1
_DTYPES = (
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
)


def replace_file(path, data):
    """Write the bytes `data` to `path`, all or nothing.

    They go to a temporary file in the same folder, reach the disk, and take the name of `path`:
    at any moment `path` holds the old content or the new.

    Parameters
    ----------
    path : str or os.PathLike
        The file; a symbolic link is followed.
    data : bytes
        Its content.
    """
    path = Path(os.path.realpath(path))
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder):
    # The rename itself reaches the disk with its folder, where the system can say so.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def save_tensors(path, tensors, meta):
    """Write tensors and their description to one safetensors file, all or nothing.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    tensors : dict of str to torch.Tensor
        Dense tensors on any device and in any layout, of any boolean, integer or floating dtype.
    meta : dict
        What JSON can say: dicts with str keys, lists, str, numbers (nan and inf too), bool, None.

    Raises
    ------
    ValueError
        If a tensor or `meta` cannot be stored; the file is then as it was.

    Examples
    --------
    >>> import tempfile, torch
    >>> from skdropdual.neural_network._files import load_tensors, save_tensors
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/state.safetensors"
    ...     save_tensors(path, {"w": torch.eye(2)}, {"epoch": 3})
    ...     tensors, meta = load_tensors(path)
    >>> tensors["w"]
    tensor([[1., 0.],
            [0., 1.]])
    >>> meta
    {'epoch': 3}
    """
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.dtype not in _DTYPES:
            raise ValueError(
                f"tensor {name!r} is {tensor.layout} of {tensor.dtype}; a file holds dense "
                f"tensors of {', '.join(str(dtype).removeprefix('torch.') for dtype in _DTYPES)}."
            )
    try:
        described = json.dumps(meta)
    except (TypeError, ValueError) as error:
        raise ValueError(f"meta must be what JSON can say: {error}.") from error
    # Copies, since safetensors takes neither views nor tensors that share memory.
    copies = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    header = {"format": _FORMAT, "version": str(_VERSION), "meta": described}
    replace_file(path, _safetensors().save(copies, header))


def load_tensors(path):
    """Read what :func:`save_tensors` wrote.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        The tensors, on the CPU.
    meta : dict
        Their description.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, of another kind or of another version.
    """
    safetensors = _safetensors()
    data = Path(path).read_bytes()
    try:
        tensors = safetensors.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except Exception as error:  # whatever safetensors finds wrong with foreign bytes
        reason = f"it is not a whole safetensors file ({error})"
        raise ValueError(f"cannot read {str(path)!r}: {reason}.") from error
    return tensors, _described(path, header.get("__metadata__", {}))


def _described(path, header):
    if header.get("format") != _FORMAT or "meta" not in header:
        raise ValueError(f"cannot read {str(path)!r}: it was not written by skdropdual.")
    if header.get("version") != str(_VERSION):
        raise ValueError(
            f"cannot read {str(path)!r}: its format is version {header.get('version')}, "
            f"this skdropdual reads version {_VERSION}."
        )
    return json.loads(header["meta"])


def _safetensors():
    try:
        import safetensors.torch
    except ImportError as error:
        raise missing("safetensors", "nn") from error
    return safetensors.torch


def missing(package, extra):
    """Return the error that names the command which installs a missing package.

    Parameters
    ----------
    package : str
        What could not be imported.
    extra : str
        The extra of skdropdual that brings it.

    Returns
    -------
    ImportError
        To be raised from the original error.
    """
    return ImportError(f"{package} is not installed: pip install 'skdropdual[{extra}]'")
