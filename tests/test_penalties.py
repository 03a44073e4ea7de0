"""What the contract leaves open: ends of the range, autograd at zero, gates, groups, bound ARD."""

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.base import clone

from skdropdual.exceptions import InvalidParameterError
from skdropdual.masks import hard_concrete_moments
from skdropdual.penalties import (
    ARD,
    MCP,
    SCAD,
    EffectivePenalty,
    ElasticNet,
    Group,
    HardConcrete,
    HardThreshold,
    LogSquareSum,
    LogSum,
    Lp,
    Scaled,
    Standout,
    Sum,
    VarDrop,
    Weighted,
    get_penalty,
    list_penalties,
)


def power(w):
    return w**1.5 / (1 + w**1.5)


def jump(w):
    return np.where(w < 1, 0.2, 0.7)


PENALTIES = {name: get_penalty(name) for name in list_penalties() if get_penalty(name).separable}
PENALTIES |= {
    "lp 0.3": Lp(0.3),
    "lp 1.5": Lp(1.5),
    "ridge": Lp(2.0),
    "no lasso": ElasticNet(0.0),
    "sharp logsum": LogSum(1e-6),
    "hard mcp": MCP(0.5),
    "hard scad": SCAD(2.1),
    "flat standout": Standout(0.01),
    "molchanov": VarDrop("molchanov"),
    "cold gates": HardConcrete(beta=0.3),
    "hot gates": HardConcrete(beta=5.0),
    "ard 2": ARD(2.0),
    "smooth rule": EffectivePenalty(power),
    "rule with a jump": EffectivePenalty(jump),
    "sum": Sum("logsum", "mcp"),
    "mixed sum": Sum("l1", "standout"),
}
each = pytest.mark.parametrize("name", PENALTIES)
METHODS = ("value", "slope", "eta", "keep_prob", "dual", "prox")

# The range ----------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("alpha", [1e-12, 1.0, 1e12])
def test_ends_of_the_range(name, alpha):
    # Squares of the weights do not overflow below 1e150; strengths come on top.
    p, w = PENALTIES[name], np.r_[0, 10.0 ** np.arange(-300, 141, 20)]
    for method in METHODS:
        strength = (1.0, alpha) if method == "prox" else (alpha,)
        found = getattr(p, method)(w, *strength)
        assert (found >= 0).all(), method  # also: not nan
        if method != "slope":
            assert (found[:-1] <= found[1:] * (1 + 1e-9)).all(), method
        tensor = getattr(p, method)(torch.tensor(w), *strength)
        np.testing.assert_allclose(tensor, found, rtol=1e-11, atol=1e-300, err_msg=method)
    assert (p.prox(w, 1.0, alpha) <= w * (1 + 1e-15)).all()
    assert (p.keep_prob(w, alpha) <= 1).all()
    slope = p.slope(w, alpha)
    expected = np.divide(w, w + slope, out=np.zeros_like(w), where=w > 0)
    np.testing.assert_allclose(p.keep_prob(w, alpha)[1:], expected[1:], rtol=1e-10, atol=1e-300)


@each
def test_float32(name):
    p, w = PENALTIES[name], np.linspace(0.01, 5, 150).astype(np.float32)
    wide = w.astype(float)
    for method in ("value", "slope", "keep_prob", "dual"):
        if name == "rule with a jump" and method == "dual":
            continue  # inf beyond the ridge of the rule, where rounding decides
        found, expected = getattr(p, method)(w, 0.4), getattr(p, method)(wide, 0.4)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=method)
    for step, alpha in ((0.3, 2.0), (1.0, 0.4), (4.0, 0.4)):
        best = (p.prox(wide, step, alpha) - wide) ** 2 / 2
        best += step * p.value(p.prox(wide, step, alpha), alpha)
        for moved in (p.prox(w, step, alpha), p.prox(torch.tensor(w), step, alpha).numpy()):
            assert moved.dtype == np.float32
            moved = moved.astype(float)
            found = (moved - wide) ** 2 / 2 + step * p.value(moved, alpha)
            assert (found <= best + 2e-6 * wide**2 + 1e-8).all()


@each
@pytest.mark.parametrize("method", [*METHODS, "curvature"])
def test_scalars_lists_and_strengths_per_entry(name, method):
    call = getattr(PENALTIES[name], method)
    for w in (2, 2.0, np.float64(2), np.array(2.0), torch.tensor(2.0, dtype=torch.float64)):
        assert np.shape(call(w, alpha=0.4)) == ()
        assert float(call(w, alpha=0.4)) == pytest.approx(call([2.0], alpha=0.4)[0], rel=1e-12)
    w, alpha = np.array([0.5, 2.0]), np.array([0.3, 3.0])
    single = [float(call(x, alpha=a)) for x, a in zip(w.tolist(), alpha.tolist(), strict=True)]
    np.testing.assert_allclose(call(w, alpha=alpha), single, rtol=1e-12)
    found = call(torch.tensor(w), alpha=torch.tensor(alpha))
    np.testing.assert_allclose(found, single, rtol=1e-12)


def test_prox_of_a_power_may_underflow():
    assert Lp(1.5).prox(1e-300, 1.0, 1e12) == 0
    # w + s w^(1/2) = z with s^2 >> z: w = (z / s)^2.
    assert Lp(1.5).prox(1e-100, 1.0, 10.0) == pytest.approx(1e-202, rel=1e-12)


# Autograd at exact zeros --------------------------------------------------------------------------

GROUPED = {"group": Group("logsum", [0, 0, 1, 1]), "weighted": Weighted("vardrop", [0, 0, 1, 2])}


ANY = {**PENALTIES, **GROUPED}
FINITE = [name for name, p in ANY.items() if np.isfinite(p.slope(np.zeros(4))).all()]


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_at_zero_are_finite(name, dtype):
    p = ANY[name]
    w = torch.tensor([0.0, 0.0, -2.0, 0.0], dtype=dtype, requires_grad=True)
    p.value(w, 0.4).sum().backward()
    at_zero = [w.grad[j].item() for j in (0, 1, 3)]
    assert at_zero == [0.0, 0.0, 0.0]  # the subgradient an optimiser stays with
    assert w.grad[2].item() == pytest.approx(-p.slope(w.detach(), 0.4)[2].item(), rel=1e-5)


# Gates --------------------------------------------------------------------------------------------

GATES = [
    (2 / 3, -0.1, 1.1), (0.3, -0.1, 1.1), (0.02, -0.1, 1.1), (1.0, -0.1, 1.1), (5.0, -0.1, 1.1),
    (2 / 3, -1e-4, 1.1), (2 / 3, -0.1, 1.001), (2 / 3, -2.0, 3.0),
]  # fmt: skip


@pytest.mark.parametrize("shape", GATES)
def test_gates_against_a_search(shape):
    # P is the least of the lines in v^2/2, one for each log a, and of the open gate's cost 1.
    p, v = HardConcrete(*shape), np.logspace(-3, 1, 200)
    log_a = np.arange(-35, 40, 1e-3)
    _, r, active, _, _ = hard_concrete_moments(log_a, *shape)
    brute = np.minimum(1, [np.min(r * x**2 / 2 + active) for x in v])
    gap = brute / p.value(v) - 1
    assert (gap >= -1e-13).all()
    assert (gap <= 1e-6).all()
    assert p.value(1e3) == pytest.approx(1, rel=1e-12)
    assert p.slope(1e3) == 0
    assert (np.diff(p.slope(v)) <= 1e-12).all()  # the flag `concave`


@pytest.mark.parametrize("log_a", [-9.0, -4.0, -1.0, 0.2])
def test_gates_in_high_precision(log_a):
    beta, gamma, zeta = mp.mpf(2) / 3, mp.mpf(-1) / 10, mp.mpf(11) / 10
    p = HardConcrete(float(beta), float(gamma), float(zeta))
    with mp.workdps(30):

        def above(t, a):
            return 1 / (1 + mp.exp(beta * mp.log((t - gamma) / (zeta - t)) - a))

        def noise(a):
            parts = [0, 0.25, 0.5, 0.75, 1]
            e = mp.quad(lambda t: above(t, a), parts)
            return mp.quad(lambda t: 2 * t * above(t, a), parts) / e**2 - 1

        a = mp.mpf(log_a)
        u = -mp.diff(lambda a: above(0, a), a) / mp.diff(noise, a)
        v, r, cost = mp.sqrt(2 * u), noise(a), noise(a) * u + above(0, a)
    assert cost < 1  # left of the jump
    for alpha in (1e-6, 0.5, 30.0):
        w = float(v) * alpha**0.5
        assert float(p.value(w, alpha)) == pytest.approx(alpha * float(cost), rel=1e-12)
        assert float(p.slope(w, alpha)) == pytest.approx(w * float(r), rel=1e-10)
        assert float(p.eta(w, alpha)) == pytest.approx(alpha / float(r), rel=1e-10)


def test_gates_are_linear_at_zero():
    p, w = HardConcrete(), np.array([1e-300, 1e-100, 1e-59, 1e-20])
    np.testing.assert_allclose(p.slope(w), p.slope(0.0), rtol=1e-12)
    np.testing.assert_allclose(p.value(w), p.slope(0.0) * w, rtol=1e-12)


# Groups and weights -------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["l1", LogSum(0.3), MCP(0.5), "vardrop", "logsquaresum"])
@pytest.mark.parametrize("step", [0.5, 3.0])
def test_group_prox_on_a_plane(inner, step):
    p, alpha = Group(inner, [0, 0]), 0.4
    for z in ([0.9, -0.4], [2.0, 1.0], [0.1, 0.05], [-3.0, 0.0]):
        z = np.array(z)
        found = p.prox(z, step, alpha)
        grid = np.stack(np.meshgrid(*[np.linspace(-0.1, 1.1, 241) * x for x in z]), axis=-1)

        def objective(w, z=z):
            return ((w - z) ** 2).sum(axis=-1) / 2 + step * p.value(w, alpha).sum(axis=-1)

        assert objective(found) <= objective(grid).min() + 1e-9
        tensor = p.prox(torch.tensor(z), step, alpha)
        np.testing.assert_allclose(tensor, found, rtol=1e-12)
    np.testing.assert_array_equal(p.prox(np.zeros(2), step, alpha), 0)


def test_group_rows_are_vectors_of_their_own():
    p, w = Group("mcp", ["b", "a", "b"]), np.array([[3.0, 0.1, 4.0], [0.0, 0.2, 0.0]])
    for method in ("value", "slope", "eta", "keep_prob", "prox", "dual", "curvature"):
        rows = np.stack([getattr(p, method)(row) for row in w])
        np.testing.assert_array_equal(getattr(p, method)(w), rows)
    assert len(set(p.eta(w)[0, [0, 2]])) == 1


@each
def test_alpha_max_rounds_to_the_zero_side(name):
    p = PENALTIES[name]
    for size in 10 ** np.random.default_rng(0).uniform(-3, 2, 3):
        top = p.alpha_max([-size, size / 2])
        assert np.isinf(top) == (not p.sparse)
        if p.sparse:
            assert not p.prox([-size, size / 2], 1.0, top).any()
            assert p.prox([-size, size / 2], 1.0, top * (1 - 1e-8))[0] < 0


@pytest.mark.parametrize("inner", ["l1", "logsum", MCP(0.5), "vardrop", Sum("l1", "logsum")])
def test_alpha_max_of_vectors_is_exact(inner):
    grad = np.array([0.3, -2.0, 0.9, 0.0])
    for p in (
        get_penalty(inner),
        Weighted(inner, [0.1, 1.0, 0.5, 2.0]),
        Group(inner, [0, 1, 0, 1]),
        Group(inner, [[0, 1], [2, 3]]),
    ):
        top = p.alpha_max(grad)
        assert not p.prox(grad, 1.0, top).any()
        assert p.prox(grad, 1.0, top * (1 - 1e-8)).any()
        assert p.alpha_max(0 * grad) == 0


@pytest.mark.parametrize("inner", ["l1", "mcp", "logsum", LogSum(0.1), "vardrop"])
def test_groups_take_columns_of_different_units(inner):
    # What dropout beyond the squared error makes of groups.
    rng = np.random.default_rng(1)
    grad, labels = rng.standard_normal(6), [0, 0, 1, 1, 2, 2]
    scale = np.repeat(rng.uniform(0.2, 3, 3), 2)
    p = Group(Scaled(inner, scale), labels, weights="sqrt")
    top = p.alpha_max(grad)
    assert not p.prox(grad, 1.0, top).any()
    assert p.prox(grad, 1.0, 0.999 * top).any()
    w, step = rng.standard_normal(6), 1e-6
    hessian = p.hessian(w, np.array([2, 3, 4]), 0.3)
    for k, j in enumerate([2, 3, 4]):
        move = np.where(np.arange(6) == j, step, 0.0)
        force = [np.where(v > 0, 1, -1) * p.slope(v, 0.3) for v in (w + move, w - move)]
        expected = (force[0] - force[1])[[2, 3, 4]] / (2 * step)
        np.testing.assert_allclose(hessian[k], expected, atol=1e-7)


@pytest.mark.parametrize(
    "p", [Weighted("mcp", [0.2, 1.0]), Group("mcp", [0, 1]), Sum("mcp", LogSum())], ids=repr
)
def test_nested_parameters(p):
    nested = [name for name in p.get_params() if name.endswith("__epsilon")]
    assert nested == (["p2__epsilon"] if isinstance(p, Sum) else [])
    name = "p1" if isinstance(p, Sum) else "penalty"
    deep = clone(p).set_params(**{name: LogSum(epsilon=2.0)})
    before = deep.slope([0.5, 0.5])
    deep.set_params(**{f"{name}__epsilon": 0.5})
    assert (deep.slope([0.5, 0.5]) > before).all()
    fresh = clone(p).set_params(**{name: LogSum(epsilon=0.5)})
    np.testing.assert_array_equal(deep.slope([0.5, 0.5]), fresh.slope([0.5, 0.5]))


SET = [
    (Lp(), "p", 1.5), (ElasticNet(), "l1_ratio", 0.9), (LogSum(), "epsilon", 0.2),
    (LogSquareSum(), "epsilon", 0.2), (MCP(), "gamma", 1.5), (SCAD(), "a", 2.5),
    (Standout(), "slope", 2.5), (VarDrop(), "kl", "molchanov"), (HardConcrete(), "beta", 0.5),
    (HardConcrete(), "gamma", -0.2), (HardConcrete(), "zeta", 1.3), (ARD(), "tau", 0.1),
    (EffectivePenalty(power), "keep_prob", jump), (HardThreshold(1), "k", 0),
    (Weighted("l1", [1.0, 1.0]), "weights", [1.0, 3.0]), (Weighted("l1", [1, 1]), "penalty", "mcp"),
    (Group("l1", [0, 0]), "groups", [0, 1]), (Group("l1", [0, 0]), "penalty", "mcp"),
    (Sum("l1", "mcp"), "p1", "logsum"), (Sum("l1", "mcp"), "p2", "logsum"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("p", "name", "value"), SET, ids=lambda x: getattr(x, "__name__", repr(x)[:25])
)
def test_set_params_takes_effect(p, name, value):
    p, w = clone(p), np.array([1.0, 1.7])
    before = p.value(w)
    p.set_params(**{name: value})
    assert p.get_params()[name] is value
    assert (p.value(w) != before).any()
    np.testing.assert_array_equal(p.value(w), clone(p).value(w))


BAD = {
    Lp: {"p": [0, -1, 2.1, np.nan, "1", None]},
    ElasticNet: {"l1_ratio": [-0.1, 1.1, np.nan, None]},
    LogSum: {"epsilon": [0, -1.0, np.nan, None]},
    LogSquareSum: {"epsilon": [0, -1.0, np.nan, None]},
    MCP: {"gamma": [0, -1.0, np.nan, None]},
    SCAD: {"a": [2, 1.0, np.nan, None]},
    Standout: {"slope": [0, -1.0, np.nan, None]},
    VarDrop: {"kl": ["approximate", 1, None]},
    HardConcrete: {
        "beta": [0, -1, np.nan, np.inf, None],
        "gamma": [0, 0.1, np.nan, -np.inf, None],
        "zeta": [1, 0.5, np.nan, np.inf, None],
    },
    HardThreshold: {"k": [-1, 1.5, None]},
    ARD: {"tau": [0, -1.0, np.nan, "auto"]},
    EffectivePenalty: {"keep_prob": [None, 0.5, "l1"]},
}


@pytest.mark.parametrize(
    ("family", "name", "value"),
    [(f, name, v) for f, names in BAD.items() for name, values in names.items() for v in values],
)
def test_each_parameter_is_checked_by_name(family, name, value):
    p = family(**{name: value})
    for method in ("value", "slope", "eta", "keep_prob", "dual", "prox", "curvature"):
        with pytest.raises(InvalidParameterError, match=rf"The '{name}' parameter of"):
            getattr(p, method)([1.0])


# ARD of a design ----------------------------------------------------------------------------------


def cost(eta, w, design, alpha, tau):
    logdet = np.linalg.slogdet(np.eye(len(design)) + design * eta @ design.T / tau)[1]
    return alpha / 2 * ((w**2 / eta).sum() + logdet)


@pytest.mark.parametrize(("n", "p"), [(20, 4), (3, 8)])
@pytest.mark.parametrize("alpha", [0.01, 0.5])
@pytest.mark.parametrize("tau", [None, 0.2, 10.0])
def test_bound_ard_is_the_minimum_over_eta(n, p, alpha, tau):
    rng = np.random.default_rng(0)
    design, w = rng.standard_normal((n, p)) / n**0.5, rng.standard_normal(p)
    bound, noise = ARD(tau).bind(design), alpha if tau is None else tau
    best = minimize(
        lambda u: cost(np.exp(u), w, design, alpha, noise), np.zeros(p), options={"gtol": 1e-9}
    )
    assert bound.total(w, alpha) == pytest.approx(best.fun, rel=1e-8)
    np.testing.assert_allclose(bound.eta(w, alpha), np.exp(best.x), rtol=1e-3)
    np.testing.assert_allclose(bound.eta(w, alpha) * bound.slope(w, alpha), alpha * abs(w))


def test_bound_ard_at_zero():
    rng = np.random.default_rng(1)
    design = rng.standard_normal((6, 3))
    bound, alpha, w = ARD(0.3).bind(design), 0.2, np.array([0.8, 0.0, 0.0])
    eta = bound.eta(w, alpha)
    np.testing.assert_array_equal(eta[1:], 0)
    spread = 0.3 * np.eye(6) + design * eta @ design.T
    z = np.einsum("ij,ij->j", design, np.linalg.solve(spread, design))
    np.testing.assert_allclose(bound.slope(w, alpha), alpha * np.sqrt(z), rtol=1e-10)
    nothing = np.zeros(3)
    assert bound.total(nothing, alpha) == 0
    np.testing.assert_allclose(
        bound.slope(nothing, alpha), alpha * np.sqrt((design**2).sum(axis=0) / 0.3)
    )


def test_bound_ard_keeps_its_digits():
    # Large weights over a small noise: x^T S^-1 x must not be a difference of large numbers.
    design = np.random.default_rng(2).standard_normal((20, 3)) / 20**0.5
    w = np.array([1e4, -2e4, 0.5e4])
    bound, alpha = ARD(1e-6).bind(design), 0.2
    np.testing.assert_allclose(bound.eta(w, alpha) * bound.slope(w, alpha), alpha * abs(w))
    h = np.array([1.0, 0, 0])
    numeric = (bound.total(w + h, alpha) - bound.total(w - h, alpha)) / 2
    assert bound.slope(w, alpha)[0] == pytest.approx(numeric, rel=1e-6)


def test_bound_ard_is_an_object_like_the_others():
    design = np.column_stack([np.ones(4)] * 3)  # collinear, too
    bound, w = ARD(0.1).bind(design), np.array([1.0, 2.0, 0.0])
    before = bound.slope(w, 0.3)
    np.testing.assert_array_equal(bound.value([1, 2, 0], 0.3), bound.value(w, 0.3))
    np.testing.assert_array_equal(bound.slope(-w, 0.3), before)
    bound.set_params(tau=5.0)
    assert (bound.slope(w, 0.3) < before).all()
    np.testing.assert_array_equal(bound.slope(w, 0.3), ARD(5.0).bind(design).slope(w, 0.3))
    np.testing.assert_array_equal(clone(bound).value(w, 0.3), bound.value(w, 0.3))
