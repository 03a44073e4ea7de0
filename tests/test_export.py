"""A net in another form computes the same; a file is whole or an error."""

import copy
import dataclasses
import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import expit, softmax
from torch import nn
from torch.nn.utils import parametrize

from skdropdual._sparse_net import ACTIVATIONS
from skdropdual.neural_network import _files
from skdropdual.neural_network._compact import compact
from skdropdual.neural_network._export import to_onnx, to_scipy
from skdropdual.neural_network._files import load_tensors, save_tensors
from skdropdual.neural_network._nodes import SelectInputs
from skdropdual.neural_network._sparse_linear import SparseLinear, to_torch_csr

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-6}
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def sparsified(net, density, seed=0, dtype=torch.float64):
    """Return `net` with random weights of this density, biases and statistics, in evaluation."""
    rng = torch.Generator().manual_seed(seed)
    net = net.to(dtype)
    for name, tensor in net.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0, generator=rng)
        elif tensor.is_floating_point():
            tensor.normal_(generator=rng).mul_(0.3)
    for layer in net.modules():
        if isinstance(layer, WEIGHTED):
            kept = torch.rand(layer.weight.shape, generator=rng) < density
            layer.weight.data.mul_(kept)
    return net.eval()


def rows(*shape, n=6, seed=1, dtype=torch.float64):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def weighted(net):
    return [layer for layer in net if isinstance(layer, WEIGHTED)]


def assert_same(first, second, x):
    with torch.no_grad():
        expected = second(x)
        difference = (first(x) - expected).abs().max().item()
    assert first(x).dtype is expected.dtype
    assert difference <= TOLERANCE[x.dtype] * max(1.0, expected.abs().max().item())


def mlp(*sizes, activation=nn.ReLU):
    layers = [nn.Linear(sizes[0], sizes[1])]
    for before, after in itertools.pairwise(sizes[1:]):
        layers += [activation(), nn.Linear(before, after)]
    return nn.Sequential(*layers)


def with_zeros(net, **zeros):
    """Zero ``net[l].weight[index]`` for each ``_l=index``."""
    for name, index in zeros.items():
        net[int(name[1:])].weight.data[index] = 0.0
    return net


# compact


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.GELU, nn.ELU])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.1, 0.4, 1.0])
def test_compact_mlp_is_the_same_function(density, activation, dtype):
    for seed in range(4):
        net = sparsified(mlp(12, 20, 15, 10, 3, activation=activation), density, seed, dtype)
        small, report = compact(net)
        assert_same(small, net, rows(12, dtype=dtype))
        for layer in weighted(small):
            nonzero = layer.weight != 0
            assert nonzero.any(0).all() or layer.in_features == 1
            assert nonzero.any(1).all() or layer is small[-1] or layer.out_features == 1
        assert report.parameters[1] == sum(p.numel() for p in small.parameters())
        assert compact(small)[1].parameters == (report.parameters[1],) * 2


CONVOLUTIONAL = {
    "1d": (lambda: [nn.Conv1d(3, 8, 3), nn.ReLU(), nn.Conv1d(8, 8, 3, stride=2)], (3, 15)),
    "1d dilated": (
        lambda: [nn.Conv1d(3, 8, 3, dilation=2), nn.ReLU(), nn.Conv1d(8, 4, 2)],
        (3, 15),
    ),
    "2d padded": (
        lambda: [nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 8, 3, padding=1)],
        (3, 7, 6),
    ),
    "2d sigmoid": (
        lambda: [
            *(
                nn.Conv2d(3, 8, 3, padding=1),
                nn.BatchNorm2d(8),
                nn.Sigmoid(),
                nn.MaxPool2d(2, padding=1),
            ),
            *(nn.Conv2d(8, 8, (3, 1), padding=(1, 0)), nn.PReLU(8), nn.AvgPool2d(2, padding=1)),
            *(nn.Conv2d(8, 8, 2, padding_mode="circular", padding=1), nn.SiLU()),
            *(nn.Conv2d(8, 6, 1, padding="same"), nn.BatchNorm2d(6)),
        ],
        (3, 9, 8),
    ),
    "2d same": (
        lambda: [nn.Conv2d(2, 8, 3, padding="same"), nn.ELU(), nn.Conv2d(8, 5, 2, padding="valid")],
        (2, 7, 6),
    ),
    "2d pads": (
        lambda: [
            *(nn.Conv2d(2, 8, 3), nn.Softplus(), nn.ZeroPad2d(1), nn.Conv2d(8, 8, 2), nn.Sigmoid()),
            *(nn.ReflectionPad2d(1), nn.Conv2d(8, 8, 2), nn.Tanh(), nn.ConstantPad2d(1, 0.5)),
            *(nn.AvgPool2d(2, divisor_override=3), nn.Conv2d(8, 4, 2), nn.AdaptiveAvgPool2d(1)),
        ],
        (2, 9, 8),
    ),
    "3d": (
        lambda: [
            *(
                nn.Conv3d(2, 6, 2, stride=(1, 2, 1)),
                nn.LeakyReLU(),
                nn.AvgPool3d(2, ceil_mode=True),
            ),
            *(nn.Conv3d(6, 4, (1, 2, 2), padding=(0, 1, 1)), nn.GELU()),
        ],
        (2, 6, 7, 5),
    ),
    "grouped": (
        lambda: [
            nn.Conv2d(4, 8, 3),
            nn.Sigmoid(),
            nn.Conv2d(8, 8, 2, groups=4),
            nn.Conv2d(8, 4, 1),
        ],
        (4, 6, 6),
    ),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.05, 0.2])
@pytest.mark.parametrize("case", CONVOLUTIONAL)
def test_compact_convolutions_are_the_same_function(case, density, dtype):
    features, shape = CONVOLUTIONAL[case]
    for seed in range(4):
        body = nn.Sequential(*features())
        width = body.eval()(torch.zeros(2, *shape)).flatten(1).shape[1]
        head = nn.Sequential(nn.Dropout(), nn.Linear(width, 9), nn.Sigmoid(), nn.Linear(9, 3))
        net = sparsified(nn.Sequential(body, nn.Flatten(), head), density, seed, dtype)
        x = rows(*shape, dtype=dtype)
        assert_same(compact(net)[0], net, x)
        assert_same(compact(body)[0], body, x)


def test_compact_folds_a_constant_neuron_into_the_next_bias():
    net = sparsified(mlp(3, 4, 2, activation=nn.Sigmoid), 1.0)
    constant = with_zeros(net, _0=1)[2].weight[:, 1] * torch.sigmoid(net[0].bias[1])
    small, _ = compact(net)
    assert small[0].out_features == 3
    torch.testing.assert_close(small[2].bias, net[2].bias + constant, rtol=1e-14, atol=1e-15)


def test_compact_cascades_forward_and_backward():
    net = sparsified(mlp(4, 3, 3, 2), 1.0)
    # Input 0 feeds only neuron 0, which feeds only neuron 0 of the next layer, which nothing reads.
    with_zeros(net, _0=(slice(1, None), 0), _2=(slice(1, None), 0), _4=(slice(None), 0))
    _, report = compact(net)
    assert report.inputs_kept == [1, 2, 3]
    assert [layer.units for layer in report.layers] == [(3, 2), (3, 2), (2, 2)]
    # A constant neuron is all that neuron 1 of the next layer reads: constant too.
    net = sparsified(mlp(4, 3, 3, 2, activation=nn.Tanh), 1.0)
    with_zeros(net, _0=0, _2=(1, slice(1, None)))
    small, report = compact(net)
    assert [layer.units for layer in report.layers] == [(3, 2), (3, 2), (2, 2)]
    assert_same(small, net, rows(4))


def test_compact_gives_a_constant_net_where_all_is_zero():
    for zeros in ({"_0": ...}, {"_2": ...}, {"_4": ...}, {"_0": ..., "_4": ...}):
        net = with_zeros(sparsified(mlp(5, 6, 6, 2, activation=nn.Softplus), 1.0), **zeros)
        small, report = compact(net)
        assert_same(small, net, rows(5))
        assert [layer.units[1] for layer in report.layers] == [1, 1, 2]
        assert len(report.inputs_kept) == 1


@pytest.mark.parametrize("padding_mode", ["zeros", "circular", "replicate"])
@pytest.mark.parametrize(
    ("padding", "size", "pads"),
    [(0, 3, False), (1, 3, True), ("same", 3, True), ("same", 1, False), ("valid", 3, False)],
)
def test_a_constant_channel_stays_only_where_zero_padding_shows(padding, size, pads, padding_mode):
    first = nn.Conv2d(2, 4, 3)
    second = nn.Conv2d(4, 3, size, padding=padding, padding_mode=padding_mode)
    net = with_zeros(sparsified(nn.Sequential(first, nn.ReLU(), second), 1.0), _0=slice(0, 2))
    first.bias.data[:2] = torch.tensor([0.7, -0.7])  # constants 0.7, and 0, which is always exact
    small, report = compact(net)
    assert report.layers[0].units == (4, 3 if pads and padding_mode == "zeros" else 2)
    assert_same(small, net, rows(2, 7, 7))


def test_compact_drops_the_columns_of_a_channel_and_dead_channels_of_the_input():
    conv, linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 4, 2)
    net = sparsified(nn.Sequential(conv, nn.ReLU(), nn.Flatten(), linear), 1.0)
    conv.weight.data[:, 1] = 0.0
    linear.weight.data[:, 8:12] = 0.0  # channel 2
    linear.weight.data[:, 13] = 0.0  # one position of channel 3
    small, report = compact(net)
    assert report.inputs_kept == [0, 2]
    assert [layer.inputs for layer in report.layers] == [(3, 2), (16, 12)]
    assert small[0].dim == -3
    assert_same(small, net, rows(3, 4, 4))


def test_compact_reports_in_json_what_the_layers_became():
    net = with_zeros(sparsified(mlp(5, 4, 2), 1.0), _0=(slice(None), 0), _2=(slice(None), 3))
    small, report = compact(nn.Sequential(net))
    facts = json.loads(json.dumps(dataclasses.asdict(report)))
    assert facts["inputs_kept"] == [1, 2, 3, 4]
    assert facts["parameters"] == [34, sum(p.numel() for p in small.parameters())]
    assert facts["layers"][0] == {
        **{"name": "0.0", "kind": "Linear", "inputs": [5, 4], "units": [4, 3]},
        **{"weights": [20, 12], "nonzero": 16},
    }
    assert str(report).splitlines()[1] == "0.0 Linear: inputs 5 -> 4, units 4 -> 3"
    assert compact(mlp(2, 2))[1].inputs_kept is None


def test_compact_leaves_the_module_and_the_random_state_alone():
    net = with_zeros(mlp(5, 4, 2), _0=0).train()
    parts = copy.deepcopy(net.state_dict())
    state = torch.get_rng_state()
    small, _ = compact(net)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.training
    assert not small.training
    assert all(torch.equal(parts[name], tensor) for name, tensor in net.state_dict().items())
    small(rows(5, dtype=torch.float32)).sum().backward()
    assert net[0].weight.grad is None
    assert small[0].weight.grad is not None


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def test_compact_sees_parametrized_and_shared_layers():
    shared = nn.Linear(6, 6)
    net = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), shared, nn.Tanh(), shared, nn.Linear(6, 1))
    net = sparsified(net, 0.25)
    parametrize.register_parametrization(net[0], "weight", Doubled())
    small, report = compact(net)
    assert len(report.layers) == 4
    assert_same(small, net, rows(6))
    assert parametrize.is_parametrized(net[0])


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return x + self.inner(x)


class OwnForward(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Linear(3, 3), Residual()), r"module '1' \(Residual\).*Linear, Conv1d"),
        (nn.Sequential(nn.Sequential(nn.LSTM(3, 3))), r"module '0.0' \(LSTM\)"),
        (OwnForward(nn.Linear(3, 3)), "OwnForward.*its own forward"),
        (Residual(), "Residual"),
        (nn.Sequential(nn.Conv1d(2, 3, 2), nn.Linear(4, 2)), r"'1' \(Linear\).*Flatten belongs"),
        (nn.Sequential(nn.Linear(2, 3), nn.Conv1d(2, 3, 2)), r"'1' \(Conv1d\).*Flatten belongs"),
        (nn.Sequential(nn.Linear(2, 3), nn.Flatten(), nn.Linear(12, 1)), "Flatten"),
        (nn.Sequential(nn.Linear(2, 4), nn.AvgPool1d(2), nn.Linear(2, 1)), "AvgPool1d"),
        (nn.Sequential(nn.Flatten(2), nn.Linear(2, 1)), "all axes but the first"),
        (nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False)), "running statistics"),
    ],
)
def test_compact_names_what_it_cannot_treat(net, message):
    with pytest.raises(ValueError, match=message):
        compact(net)


def test_compact_refuses_hooks():
    net = mlp(2, 2)
    net[0].register_forward_hook(lambda module, inputs, output: output + 1)
    with pytest.raises(ValueError, match=r"'0' \(Linear\) has forward hooks"):
        compact(net)


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


# save_tensors, load_tensors


def some_tensors():
    base = torch.arange(12.0).reshape(3, 4)
    dtypes = (torch.bfloat16, torch.float16, torch.float64, torch.int8, torch.int64, torch.bool)
    return {
        "transposed": base.T,
        "view": base[1],
        "strided": base[:, ::2],
        "again": base,
        "channels last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
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
