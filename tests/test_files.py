"""A file of tensors is whole, or an error that says why not."""

import pickle
import sys

import numpy as np
import pytest
import torch
from nets import rows
from torch import nn

from skdropdual.neural_network import _files
from skdropdual.neural_network._files import load_tensors, save_tensors


def some_tensors():
    base = torch.arange(12.0).reshape(3, 4)
    dtypes = (torch.bfloat16, torch.float16, torch.float64, torch.int8, torch.int64, torch.bool)
    return {
        "transposed": base.T,
        "view": base[1],
        "strided": base[:, ::2],
        "again": base,
        "channels last": rows(3, 4, 5).contiguous(memory_format=torch.channels_last),
        "scalar": torch.tensor(2.5, dtype=torch.bfloat16),
        "empty": torch.zeros(0, 3),
        "state": torch.get_rng_state(),
        "parameter": nn.Parameter(base + 0.1),
        "special": torch.tensor([torch.nan, torch.inf, -0.0]),
        **{str(dtype): torch.arange(5).to(dtype) for dtype in dtypes},
    }


def test_tensors_and_meta_come_back_as_they_were(tmp_path):
    tensors = some_tensors()
    meta = {"loss": [1.5, float("inf")], "name": 'é"\n', "none": None, "deep": {"a": [True, 1]}}
    save_tensors(tmp_path / "a.safetensors", tensors, meta)
    loaded, meta_loaded = load_tensors(str(tmp_path / "a.safetensors"))
    assert meta_loaded == meta
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype is tensor.dtype
        torch.testing.assert_close(loaded[name], tensor.detach(), rtol=0, atol=0, equal_nan=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    save_tensors(tmp_path / "a.safetensors", {}, {})
    assert load_tensors(tmp_path / "a.safetensors") == ({}, {})


def test_a_truncated_file_is_an_error_at_every_length(tmp_path):
    path = tmp_path / "whole"
    save_tensors(path, {"w": torch.eye(3), "b": torch.zeros(2)}, {"epoch": 3})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"cannot read .*whole'.*not a whole safetensors file"):
            load_tensors(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ValueError, match="cannot read"):
        load_tensors(path)


def test_foreign_files_are_named_errors(tmp_path):
    from safetensors.torch import save

    foreign = {
        "empty": b"",
        "pickle": pickle.dumps({"w": [1.0]}),
        "json": b'{"epoch": 3}',
        "random": np.random.default_rng(0).bytes(5000),
        "zeros": bytes(5000),
        "huge header": (2**62).to_bytes(8, "little") + b"{}",
        "no metadata": save({"w": torch.eye(2)}),
        "other metadata": save({"w": torch.eye(2)}, {"format": "pt"}),
        "only format": save({"w": torch.eye(2)}, {"format": "skdropdual"}),
    }
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(
            ValueError, match=rf"cannot read .*{name}'.*(not written by|not a whole)"
        ):
            load_tensors(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="absent"):
        load_tensors(tmp_path / "absent")


def test_another_version_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(_files, "_VERSION", 7)
    save_tensors(tmp_path / "new", {}, {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"new'.*version 7, this skdropdual reads version 1"):
        load_tensors(tmp_path / "new")


def test_a_failed_save_leaves_the_file(tmp_path, monkeypatch):
    path = tmp_path / "state"
    save_tensors(path, {"w": torch.ones(2)}, {"epoch": 1})
    with pytest.raises(ValueError, match="meta must be what JSON can say"):
        save_tensors(path, {}, {"rng": np.random.default_rng(0)})
    with pytest.raises(ValueError, match=r"tensor 'w' is torch.sparse_coo"):
        save_tensors(path, {"w": torch.eye(2).to_sparse()}, {})
    with pytest.raises(ValueError, match=r"tensor 'w' is torch.strided of torch.complex128"):
        save_tensors(path, {"w": torch.ones(2, dtype=torch.complex128)}, {})

    def full_disk(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(_files.os, "fsync", full_disk)
    with pytest.raises(OSError, match="disk full"):
        save_tensors(path, {"w": torch.zeros(2)}, {"epoch": 2})
    monkeypatch.undo()
    assert load_tensors(path)[1] == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        save_tensors(tmp_path / "absent" / "state", {}, {})


def test_a_save_through_a_link_writes_its_target(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    save_tensors(tmp_path / "link", {}, {"epoch": 2})
    assert (tmp_path / "link").is_symlink()
    assert load_tensors(tmp_path / "target")[1] == {"epoch": 2}


def test_safetensors_missing_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"pip install 'skdropdual\[nn\]'"):
        load_tensors(tmp_path / "state")
