"""A net in another form computes the same."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from nets import TOLERANCE, Residual, mlp, rows, sparsified, weighted
from scipy import sparse
from scipy.special import expit, softmax
from torch import nn

from skdropdual._sparse_net import ACTIVATIONS
from skdropdual.neural_network._compact import compact
from skdropdual.neural_network._export import to_onnx, to_scipy
from skdropdual.neural_network._nodes import SelectInputs
from skdropdual.neural_network._sparse_linear import SparseLinear, to_torch_csr

# to_scipy


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_scipy_net_agrees_with_torch(sparse_rows, dtype):
    net = sparsified(mlp(12, 20, 10, 3, activation=nn.LeakyReLU), 0.2, dtype=dtype)
    x = rows(12, n=9, dtype=dtype) * (rows(12, n=9, seed=2) > 0)
    x = x.to(dtype)
    logits = net(x).detach().numpy()
    X = sparse.csr_array(x.numpy()) if sparse_rows else x.numpy()
    predictor = to_scipy(net, kind="multiclass", classes=["a", "b", "c"])
    tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(predictor.decision_function(X), logits, **tolerance)
    np.testing.assert_allclose(predictor.predict_proba(X), softmax(logits, axis=1), **tolerance)
    np.testing.assert_array_equal(predictor.predict(X), np.array(["a", "b", "c"])[logits.argmax(1)])
    assert predictor.decision_function(X).dtype == logits.dtype
    assert predictor.n_nonzero_ == sum(int(layer.weight.count_nonzero()) for layer in weighted(net))


ACTIVATION_LAYERS = [
    *(nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.ELU(0.7), nn.CELU(0.7), nn.SELU(), nn.SiLU()),
    *(nn.GELU(), nn.GELU("tanh"), nn.Mish(), nn.Tanh(), nn.Sigmoid(), nn.LogSigmoid()),
    *(nn.Softplus(), nn.Softplus(2.0, 5.0), nn.Softsign(), nn.Hardtanh(-0.3, 0.4)),
    *(nn.Hardsigmoid(), nn.Hardswish(), nn.Softmax(1), nn.LogSoftmax(-1), nn.BatchNorm1d(7)),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("layer", ACTIVATION_LAYERS, ids=str)
def test_scipy_activations_agree_with_torch(layer, dtype):
    net = sparsified(nn.Sequential(nn.Linear(5, 7), layer, nn.Linear(7, 2)), 1.0, dtype=dtype)
    x = 30 * rows(5, n=40, dtype=dtype)  # far into the tails
    predictor = to_scipy(net, kind="regression")
    expected = net(x).detach().numpy()
    assert predictor.predict(x.numpy()).dtype == expected.dtype
    tolerance = 4 * TOLERANCE[dtype] * max(1.0, abs(expected).max())
    np.testing.assert_allclose(predictor.predict(x.numpy()), expected, rtol=0, atol=tolerance)


def test_every_scipy_activation_is_tested():
    names = {type(layer).__name__.lower() for layer in ACTIVATION_LAYERS}
    assert names - {"batchnorm1d"} | {"affine"} == set(ACTIVATIONS)


def test_scipy_net_of_one_output_and_of_labels():
    x = rows(4)
    one, two = sparsified(mlp(4, 5, 1), 0.5), sparsified(mlp(4, 5, 2), 0.5)
    first, second = one(x).detach().numpy()[:, 0], two(x).detach().numpy()
    binary = to_scipy(one, kind="multiclass", classes=[3, 7])
    np.testing.assert_allclose(binary.predict_proba(x)[:, 1], expit(first), rtol=1e-12)
    np.testing.assert_allclose(binary.predict_proba(x).sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(binary.predict(x), np.where(first > 0, 7, 3))
    np.testing.assert_allclose(binary.decision_function(x), first, rtol=1e-12)
    labels = to_scipy(nn.Sequential(two, nn.Sigmoid()), kind="multilabel")
    np.testing.assert_allclose(labels.predict_proba(x), expit(second), rtol=1e-12)
    np.testing.assert_array_equal(labels.predict(x), second > 0)
    assert to_scipy(one, kind="regression").predict(x).shape == (6,)
    assert to_scipy(two, kind="regression").predict(x).shape == (6, 2)


@pytest.mark.parametrize(
    ("net", "end", "kind"),
    [
        (mlp(3, 4, 3), nn.Softmax(1), "multiclass"),
        (mlp(3, 4, 3), nn.LogSoftmax(1), "multiclass"),
        (mlp(3, 4, 1), nn.Sigmoid(), "multiclass"),
        (mlp(3, 4, 3), nn.Sigmoid(), "multilabel"),
    ],
)
def test_scipy_net_understands_probabilities_at_the_end(net, end, kind):
    classes = range(max(2, net[-1].out_features)) if kind == "multiclass" else None
    plain = to_scipy(net, kind=kind, classes=classes)
    ended = to_scipy(nn.Sequential(net, end), kind=kind, classes=classes)
    x = rows(3).float()
    np.testing.assert_array_equal(ended.predict_proba(x), plain.predict_proba(x))
    np.testing.assert_array_equal(ended.decision_function(x), plain.decision_function(x))


ALONE = """
import importlib.util, pickle, sys

class Blocked:
    def find_spec(name, path, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ImportError(name)

sys.meta_path.insert(0, Blocked)
{load}
with open(sys.argv[1], "rb") as file:
    predictor = pickle.load(file)
print(predictor.predict([[1.0, 2.0, 3.0]]).tolist())
"""
FROM_ITS_FILE = """
import types
spec = importlib.util.spec_from_file_location("skdropdual._sparse_net", sys.argv[2])
sys.modules["skdropdual"] = types.ModuleType("skdropdual")
sys.modules["skdropdual._sparse_net"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""


@pytest.mark.parametrize(
    ("blocked", "load"),
    [(["torch", "skorch"], ""), (["torch", "skorch", "sklearn"], FROM_ITS_FILE)],
    ids=["without torch", "numpy and scipy alone"],
)
def test_scipy_net_is_unpickled_without_torch(tmp_path, blocked, load):
    predictor = to_scipy(sparsified(mlp(3, 4, 1), 0.6), kind="regression")
    (tmp_path / "net.pickle").write_bytes(pickle.dumps(predictor))
    source = sys.modules["skdropdual._sparse_net"].__file__
    script = ALONE.format(blocked=blocked, load=load)
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "net.pickle"), source]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert json.loads(printed) == predictor.predict([[1.0, 2.0, 3.0]]).tolist()


def test_scipy_net_says_what_is_wrong():
    net = mlp(3, 4, 2)
    with pytest.raises(ValueError, match=r"module '0' \(Conv1d\) is not supported"):
        to_scipy(
            nn.Sequential(nn.Conv1d(1, 2, 2), nn.Flatten(), nn.Linear(4, 2)), kind="regression"
        )
    with pytest.raises(ValueError, match=r"kind must be one of multiclass.*'proba'"):
        to_scipy(net, kind="proba")
    with pytest.raises(ValueError, match="needs the 2 classes of the outputs; got 3"):
        to_scipy(net, kind="multiclass", classes=[1, 2, 3])
    with pytest.raises(ValueError, match="got none"):
        to_scipy(net, kind="multiclass")
    with pytest.raises(ValueError, match="no Linear layer"):
        to_scipy(nn.Sequential(nn.ReLU()), kind="regression")
    predictor = to_scipy(net, kind="regression")
    with pytest.raises(ValueError, match=r"shape \(n_samples, 3\), got \(2, 4\)"):
        predictor.predict(np.zeros((2, 4)))
    with pytest.raises(AttributeError, match="predict_proba"):
        predictor.predict_proba(np.zeros((2, 3)))


# to_torch_csr


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_torch_csr_agrees(density, dtype):
    body = nn.Sequential(nn.Linear(8, 12, bias=False), nn.Tanh(), nn.Linear(12, 3))
    net = sparsified(nn.Sequential(body, Residual()), density, dtype=dtype)
    before = copy.deepcopy(net.state_dict())
    csr = to_torch_csr(net)
    for x in (rows(8, dtype=dtype), rows(8, n=0, dtype=dtype), rows(2, 8, dtype=dtype)):
        torch.testing.assert_close(csr(x), net(x), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert sum(isinstance(layer, SparseLinear) for layer in csr.modules()) == 3
    assert not any(isinstance(layer, nn.Linear) for layer in csr.modules())
    assert list(net.state_dict()) == list(before)
    assert csr[0][0].values.numel() == int(net[0][0].weight.count_nonzero())
    assert csr[0][0].weight.layout is torch.sparse_csr


def test_torch_csr_copies_loads_and_changes_dtype():
    net = sparsified(mlp(8, 12, 3), 0.2)
    csr, x = to_torch_csr(net), rows(8)
    other = to_torch_csr(net)
    other[0].values.zero_()
    other.load_state_dict(csr.state_dict())
    for same in (copy.deepcopy(csr), pickle.loads(pickle.dumps(csr)), other):  # noqa: S301
        assert torch.equal(same(x), csr(x))
    with torch.no_grad():
        assert torch.equal(to_torch_csr(net[0])(x), csr[0](x))
    torch.testing.assert_close(csr.float()(x.float()).double(), net(x), rtol=1e-5, atol=1e-6)


def test_torch_csr_warns_of_nothing_in_a_fresh_process(tmp_path):
    csr = to_torch_csr(sparsified(mlp(3, 4, 1), 0.6))
    (tmp_path / "net.pickle").write_bytes(pickle.dumps(csr))
    script = (
        "import pathlib, pickle, sys, torch;"
        "net = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes());"
        "print(net(torch.ones(1, 3, dtype=torch.float64)).shape)"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "net.pickle")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "torch.Size([1, 1])"
    assert not done.stderr


# to_onnx


def onnx_outputs(path, x):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": x.numpy()})[0]


def convolutional():
    body = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
    return nn.Sequential(body, nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(54, 3))


@pytest.mark.parametrize("smaller", [False, True])
@pytest.mark.parametrize(
    ("make", "shape"), [(lambda: mlp(6, 9, 3, activation=nn.GELU), 6), (convolutional, (2, 7, 6))]
)
def test_onnx_agrees_for_any_number_of_rows(tmp_path, capfd, make, shape, smaller):
    pytest.importorskip("onnxscript")
    net = sparsified(make(), 0.08 if shape == 6 else 0.02, seed=3, dtype=torch.float32)
    if smaller:
        net = compact(net)[0]
        assert any(isinstance(layer, SelectInputs) for layer in net)
    net.train()
    to_onnx(net, tmp_path / "net.onnx", shape)
    assert net.training
    net.eval()
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    content = (tmp_path / "net.onnx").read_bytes()
    assert b"site-packages" not in content
    assert str(tmp_path).encode() not in content
    for n in (1, 2, 11):
        x = rows(*np.atleast_1d(shape), n=n, dtype=torch.float32)
        with torch.no_grad():
            np.testing.assert_allclose(
                onnx_outputs(tmp_path / "net.onnx", x), net(x), rtol=1e-5, atol=1e-6
            )


class Unexportable(nn.Module):
    def forward(self, x):
        return torch.from_numpy(np.asarray(x.tolist()))


def test_onnx_leaves_the_file_on_failure(tmp_path):
    pytest.importorskip("onnxscript")
    path = tmp_path / "net.onnx"
    path.write_bytes(b"before")
    with pytest.raises(Exception, match="export"):
        to_onnx(Unexportable(), path, 3)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match=r"folder of .*absent"):
        to_onnx(mlp(2, 2), tmp_path / "absent" / "net.onnx", 2)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_onnx_names_the_command_that_installs_it(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    if package == "onnxscript":
        pytest.importorskip("onnx")
    with pytest.raises(ImportError, match=rf"{package} is not .*pip install 'skdropdual\[onnx\]'"):
        to_onnx(mlp(2, 2), tmp_path / "net.onnx", 2)
