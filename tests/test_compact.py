"""A compacted net computes the same, and nothing in it is superfluous."""

import copy
import dataclasses
import json

import pytest
import torch
from nets import Residual, assert_same, mlp, rows, sparsified, weighted, with_zeros
from torch import nn
from torch.nn.utils import parametrize

from skdropdual.neural_network._compact import compact


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
