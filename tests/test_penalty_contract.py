"""One contract for every penalty that is found: theory, sections 1 and 4."""

import json
import pathlib
import pickle
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skdropdual import penalties
from skdropdual.exceptions import InvalidParameterError
from skdropdual.penalties import (
    ARD,
    L1,
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


def clipped(w):
    return np.minimum(1.0, w / 2)


FOUND = {name: get_penalty(name) for name in list_penalties()}
VARIED = {
    "lp 0.3": Lp(0.3),
    "lp 1": Lp(1.0),
    "lp 1.5": Lp(1.5),
    "ridge": Lp(2.0),
    "logsum 0.1": LogSum(0.1),
    "logsum 2": LogSum(2.0),
    "hard mcp": MCP(0.5),
    "logsquaresum 0.5": LogSquareSum(0.5),
    "scad 2.5": SCAD(2.5),
    "standout 2.5": Standout(2.5),
    "molchanov": VarDrop(kl="molchanov"),
    "cold gates": HardConcrete(beta=0.3),
    "ard 2": ARD(tau=2.0),
    "clipped rule": EffectivePenalty(clipped),
    "sum": Sum("logsum", Lp(2.0)),
    "weighted": Weighted("mcp", [0.5]),
    "scaled": Scaled("mcp", [2.0]),
}
ALL = {**FOUND, **VARIED}
SEPARABLE = {name: p for name, p in ALL.items() if p.separable}
CONTINUOUS = {name: p for name, p in SEPARABLE.items() if name != "l0"}
each = pytest.mark.parametrize("name", SEPARABLE)
each_continuous = pytest.mark.parametrize("name", CONTINUOUS)
strengths = pytest.mark.parametrize("alpha", [0.05, 0.7, 3.0])
W = np.r_[0.0, np.logspace(-5, 2, 57)]


def column(w):
    # One column on the last axis, which Weighted needs.
    return np.asarray(w, dtype=float)[:, None]


# Reference values ---------------------------------------------------------------------------------

REFERENCE = json.loads((pathlib.Path(__file__).parent / "reference_penalties.json").read_text())


@pytest.mark.parametrize("case", REFERENCE, ids=lambda c: f"{c['penalty']}-{c['params']}")
def test_reference_values(case):
    penalty = getattr(penalties, case["penalty"])(**case["params"])
    tolerance = 1e-8 if case["penalty"] == "HardConcrete" else 1e-10
    for w, *values in case["rows"]:
        for method, expected in zip(("value", "slope", "eta", "keep_prob"), values, strict=False):
            found = float(getattr(penalty, method)(w, case["strength"]))
            if case["penalty"] == "HardConcrete" and w > 0.6 and method in ("slope", "eta"):
                # P is flat here: the reference search stopped at a finite log a and left 1e-13.
                assert found == (0.0 if method == "slope" else np.inf)
                assert expected < 1e-12 or expected > 1e12
            else:
                assert found == pytest.approx(expected, rel=tolerance, abs=0), (method, w)


@pytest.mark.parametrize("x", [1e-12, 1e-3, 0.3, 1.0, 1.7, 5.0, 40.0])
@pytest.mark.parametrize("alpha", [1e-12, 1.0, 1e12])
def test_variational_dropout_against_its_parametric_form(x, alpha):
    with mp.workdps(40):
        x = mp.mpf(x)
        dawson = mp.sqrt(mp.pi) / 2 * mp.exp(-(x**2)) * mp.erfi(x)
        integral = x**2 / 2 * mp.hyper([1, 1], [mp.mpf(3) / 2, 2], -(x**2))
        w = float(2 * mp.sqrt(x**3 * dawson) * mp.sqrt(alpha))
        value, slope = alpha * (x * dawson + 2 * integral), mp.sqrt(alpha * dawson / x)
    assert float(VarDrop().value(w, alpha)) == pytest.approx(float(value), rel=1e-10)
    assert float(VarDrop().slope(w, alpha)) == pytest.approx(float(slope), rel=1e-10)
    assert float(VarDrop().eta(w, alpha)) == pytest.approx(float(2 * alpha * x**2), rel=1e-10)
    assert float(VarDrop().dual(2 * alpha * x**2, alpha)) == pytest.approx(
        float(4 * integral), rel=1e-9
    )


MATHEMATICS = {  # value and slope in 60 digits
    "l1": (L1(), lambda w, a: (a * w, a)),
    "lp": (Lp(0.5), lambda w, a: (2 * a * mp.sqrt(w), a / mp.sqrt(w))),
    "logsum": (LogSum(0.1), lambda w, a: (a * mp.log1p(w * 10), a / (w + mp.mpf(1) / 10))),
    "logsquaresum": (
        LogSquareSum(0.5),
        lambda w, a: (a * mp.log1p(2 * w**2), 2 * a * w / (w**2 + mp.mpf(1) / 2)),
    ),
    "mcp": (
        MCP(4.0),
        lambda w, a: (a * min(w, 4 * a) - min(w, 4 * a) ** 2 / 8, max(mp.mpf(0), a - w / 4)),
    ),
    "standout": (
        Standout(2.0),
        lambda w, a: (a / 4 * mp.gammainc(2, 0, 2 * w), a * w * mp.exp(-2 * w)),
    ),
    "ard": (
        ARD(),
        lambda w, a: (
            a / 2 * (2 * w / (w + mp.sqrt(w * w + 4 * a))
                     + mp.log1p(w * (w + mp.sqrt(w * w + 4 * a)) / (2 * a))),
            2 * a / (w + mp.sqrt(w * w + 4 * a)),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MATHEMATICS)
@pytest.mark.parametrize("alpha", [1e-12, 1e-3, 1.0, 1e12])
@pytest.mark.parametrize("w", [1e-300, 1e-150, 1e-9, 0.4, 7.0, 1e9, 1e150, 1e300])
def test_ends_of_the_range(name, alpha, w):
    penalty, formula = MATHEMATICS[name]
    with mp.workdps(700):
        value, slope = formula(mp.mpf(w), mp.mpf(alpha))
        keep = mp.mpf(w) / (mp.mpf(w) + slope)
        value, slope, keep = (float(v) for v in (value, slope, keep))
    # A subnormal result has few digits; below the smallest one 0 is right.
    for found, expected in zip(
        (penalty.value(w, alpha), penalty.slope(w, alpha), penalty.keep_prob(w, alpha)),
        (value, slope, keep),
        strict=True,
    ):
        assert float(found) == pytest.approx(expected, rel=1e-10, abs=1e-307)


# Identities ---------------------------------------------------------------------------------------


@each
@strengths
def test_shape_of_a_penalty(name, alpha):
    p, w = SEPARABLE[name], column(W)
    value, eta, keep = p.value(w, alpha), p.eta(w, alpha), p.keep_prob(w, alpha)
    assert value[0] == 0
    assert (np.diff(value, axis=0) >= -1e-12 * value[1:]).all()
    assert (
        np.diff(eta[np.isfinite(eta)]) >= -1e-12 * eta[np.isfinite(eta)][1:]
    ).all()  # subquadratic
    assert ((keep >= 0) & (keep <= 1)).all()
    assert (np.diff(keep, axis=0) >= -1e-12).all()
    np.testing.assert_array_equal(p.value(-w, alpha), value)
    np.testing.assert_array_equal(p.prox(-w, 1.0, alpha), -p.prox(w, 1.0, alpha))
    slope = p.slope(w, alpha)
    assert (slope[0, 0] > 0) == p.sparse
    positive = slope[1:][np.isfinite(slope[1:])]
    if p.concave:
        assert (np.diff(positive) <= 1e-12 * positive[:-1]).all()
    if p.convex:
        assert (np.diff(positive) >= -1e-12 * positive[:-1]).all()


@each_continuous
@strengths
def test_slope_eta_and_keep_prob(name, alpha):
    p, w = CONTINUOUS[name], column(np.logspace(-2, 1, 23))
    slope, eta = p.slope(w, alpha), p.eta(w, alpha)
    h = 1e-6 * w
    numeric = (p.value(w + h, alpha) - p.value(w - h, alpha)) / (2 * h)
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-8 * alpha)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(eta, alpha * w / slope, rtol=1e-9)
        np.testing.assert_allclose(p.keep_prob(w, alpha), w / (w + slope), rtol=1e-9)
    numeric = (p.slope(w + h, alpha) - p.slope(w - h, alpha)) / (2 * h)
    smooth = np.abs(numeric) < 1e3
    gap = np.abs(p.curvature(w, alpha) - numeric)[smooth]
    assert (gap <= 1e-4 * (np.abs(numeric[smooth]) + alpha)).mean() > 0.95  # all but kinks


@each_continuous
@strengths
def test_dual_is_the_supremum(name, alpha):
    p = CONTINUOUS[name]
    w = np.logspace(-12, 9, 200_001)
    value = p.value(column(w), alpha)[:, 0]
    for eta in (1e-3, 0.2, 1.1, 30.0):
        top = np.argmax(2 / alpha * value - w**2 / eta)
        fine = np.linspace(w[max(top - 1, 0)], w[min(top + 1, w.size - 1)], 100_001)
        best = np.max(2 / alpha * p.value(column(fine), alpha)[:, 0] - fine**2 / eta)
        found = float(p.dual(np.array([eta]), alpha)[0])
        if best > 1e6:  # the grid ends before a supremum of inf
            assert found == np.inf
        else:
            assert found == pytest.approx(max(best, 0.0), rel=1e-5, abs=1e-8)


@each
@pytest.mark.parametrize("step", [0.3, 1.0, 4.0])
@strengths
def test_prox_is_the_global_minimiser(name, step, alpha):
    p = SEPARABLE[name]
    z = np.r_[0.0, 0.01, 0.1, 0.4, 0.9, 1.3, 2.0, 3.5, 8.0]
    found = p.prox(column(z), step, alpha)[:, 0]
    assert found[0] == 0

    def objective(w, z):
        return (w - z) ** 2 / 2 + step * p.value(column(w), alpha)[:, 0]

    for zi, fi in zip(z, found, strict=True):
        grid = np.linspace(0, zi, 4001)
        best = objective(grid, zi).min()
        assert objective(np.array([fi]), zi)[0] <= best + 1e-9 * max(best, 1e-9)
        assert 0 <= fi <= zi


@each
@pytest.mark.parametrize("size", [1e-3, 1.0, 50.0])
def test_alpha_max_is_exact(name, size):
    p = SEPARABLE[name]
    grad = np.array([-size])
    top = p.alpha_max(grad)
    if not p.sparse:
        assert top == np.inf
        return
    assert (p.prox(grad, 1.0, top * (1 + 1e-12)) == 0).all()
    assert (p.prox(grad, 1.0, top * (1 - 1e-8)) != 0).all()
    assert p.alpha_max(np.zeros(1)) == 0


@each
def test_majorizer_is_above_and_tight(name):
    p, u = SEPARABLE[name], np.linspace(0, 4, 101)
    for w in (0.3, 1.1, 2.5):
        l1, l2 = (part[0] for part in p.majorizer(np.array([w]), 0.7))
        gap = l1 * (u - w) + l2 * (u**2 - w**2) / 2
        at_w = p.value(np.array([w]), 0.7)[0]
        assert (p.value(column(u), 0.7)[:, 0] <= at_w + gap + 1e-10).all()


# Arrays -------------------------------------------------------------------------------------------

METHODS = ("value", "slope", "eta", "keep_prob", "prox", "dual")


@each
@pytest.mark.parametrize("method", METHODS)
def test_torch_equals_numpy(name, method):
    p, w = SEPARABLE[name], column(np.r_[0.0, np.logspace(-3, 1, 30)])
    arguments = (0.7, 0.4) if method == "prox" else (0.4,)
    expected = getattr(p, method)(w, *arguments)
    found = getattr(p, method)(torch.tensor(w), *arguments)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-300)
    single = getattr(p, method)(w.astype(np.float32), *arguments)
    assert single.dtype == np.float32
    assert getattr(p, method)(torch.tensor(w).float(), *arguments).dtype == torch.float32
    if method in ("value", "slope", "keep_prob"):
        np.testing.assert_allclose(single, expected, rtol=2e-4, atol=1e-6)


@each_continuous
def test_autograd_gives_the_slope(name):
    p = CONTINUOUS[name]
    w = torch.logspace(-2, 1, 40, dtype=torch.float64)[:, None].requires_grad_()
    p.value(w, 0.4).sum().backward()
    np.testing.assert_allclose(w.grad, p.slope(w.detach(), 0.4), rtol=1e-9, atol=1e-12)


@each
def test_nan_shapes_and_integers(name):
    p = SEPARABLE[name]
    for method in METHODS:
        assert np.isnan(getattr(p, method)(np.array([np.nan])))
        assert getattr(p, method)(np.ones((4, 3, 1))).shape == (4, 3, 1)
        assert getattr(p, method)(np.ones((0, 1))).shape == (0, 1)
        np.testing.assert_array_equal(
            getattr(p, method)(np.array([2])), getattr(p, method)(np.array([2.0]))
        )
    assert p.total(np.ones((4, 1)), 0.5) == pytest.approx(4 * p.value(np.ones(1), 0.5)[0])


def test_numpy_calls_need_no_torch():
    code = (
        "import sys; from skdropdual.penalties import *; "
        "[get_penalty(n).value([0.5, 2.0]) for n in list_penalties()]; "
        "print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert out.stdout.strip() == "False"


# Objects ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_parameters_clone_and_pickle(name):
    p = ALL[name]
    p.value([1.0])
    for copy in (clone(p), pickle.loads(pickle.dumps(p))):  # noqa: S301
        assert repr(copy) == repr(p)
        np.testing.assert_array_equal(copy.value([1.0]), p.value([1.0]))


def test_parameters_named_like_methods():
    standout = Standout(slope=2.5)
    assert standout.get_params() == {"slope": 2.5}
    assert float(standout.slope(1.0)) == pytest.approx(np.exp(-2.5))
    assert float(standout.set_params(slope=1.0).slope(1.0)) == pytest.approx(np.exp(-1.0))
    rule = EffectivePenalty(keep_prob=clipped)
    assert rule.get_params() == {"keep_prob": clipped}
    assert float(rule.keep_prob(0.5)) == pytest.approx(0.25)
    rule.set_params(keep_prob=lambda w: w / (w + 1))
    assert float(rule.keep_prob(0.5)) == pytest.approx(1 / 3)
    nested = Weighted(LogSum(), [1.0]).set_params(penalty__epsilon=0.5)
    assert float(nested.slope([0.0])[0]) == 2.0


@pytest.mark.parametrize(
    "bad",
    [
        Lp(0), Lp(2.1), Lp("1"), ElasticNet(1.5), LogSum(0), LogSum(np.nan),
        LogSquareSum(-1), MCP(0), SCAD(2), Standout(0), VarDrop("approximate"),
        HardConcrete(beta=0), HardConcrete(gamma=0.1),
        HardConcrete(zeta=1), HardThreshold(-1), HardThreshold(1.5), ARD(0), EffectivePenalty(3),
    ],
    ids=repr,
)  # fmt: skip
def test_invalid_parameters(bad):
    with pytest.raises(InvalidParameterError, match=f"of {type(bad).__name__} must be"):
        bad.value(1.0)
    with pytest.raises(InvalidParameterError):
        get_penalty(bad)


def test_invalid_arguments():
    for alpha in (0, -1.0, np.array([1.0, -1.0])):
        with pytest.raises(ValueError, match="alpha"):
            L1().value([1.0, 2.0], alpha)
    with pytest.raises(InvalidParameterError, match="mcp, scad"):
        get_penalty("lasso")
    w = np.ones(3)
    for weights in ([1.0, 1.0], [1.0, -1.0, 1.0], [1.0, np.nan, 1.0]):
        with pytest.raises(ValueError, match="weights"):
            Weighted("l1", weights).value(w)
    for groups in ([0, 1], [[0, 1]], [[0, 1], [1, 2]], [[0, 1, 2], [3]]):
        with pytest.raises(ValueError, match="groups"):
            Group("l1", groups).value(w)
    for bad in (
        Weighted(Group("l1", [0]), [1.0]),
        Sum("l1", HardThreshold()),
        Group("hardthreshold", [0]),
    ):
        with pytest.raises(ValueError, match="separable"):
            bad.value([1.0])


# Composed -----------------------------------------------------------------------------------------


def test_weighted_scales_the_strength():
    w, p = np.array([0.5, 1.0, 2.0]), Weighted("mcp", [0.0, 1.0, 3.0])
    np.testing.assert_allclose(p.value(w, 0.4)[1:], [MCP().value(1.0, 0.4), MCP().value(2.0, 1.2)])
    assert p.value(w, 0.4)[0] == p.slope(w, 0.4)[0] == 0
    assert p.eta(w, 0.4)[0] == np.inf
    assert p.prox(w, 1.0, 0.4)[0] == 0.5
    assert p.alpha_max(np.array([0.0, 1.0, 6.0])) == pytest.approx(2.0)
    assert p.alpha_max(w) == np.inf


def test_sum_adds_slopes_and_inverse_etas():
    p, w = Sum(LogSum(0.3), Lp(2.0)), np.linspace(0.1, 3, 7)
    np.testing.assert_allclose(p.slope(w, 0.6), LogSum(0.3).slope(w, 0.6) + Lp(2.0).slope(w, 0.6))
    np.testing.assert_allclose(1 / p.eta(w), 1 / LogSum(0.3).eta(w) + 1.0)


@pytest.mark.parametrize("inner", [L1(), LogSum(0.3), MCP(3.0), VarDrop()])
def test_group_penalises_norms(inner):
    p, w = Group(inner, [0, 1, 0, 2]), np.array([3.0, 0.5, -4.0, 0.0])
    norms = np.array([5.0, 0.5, 0.0])
    assert p.total(w, 0.4) == pytest.approx(inner.total(norms, 0.4))
    np.testing.assert_allclose(p.eta(w, 0.4), inner.eta(norms, 0.4)[[0, 1, 0, 2]])
    np.testing.assert_allclose(p.total(torch.tensor(w), 0.4), p.total(w, 0.4), rtol=1e-12)
    moved = p.prox(w, 1.0, 0.4)
    np.testing.assert_allclose(np.hypot(moved[0], moved[2]), inner.prox(5.0, 1.0, 0.4), rtol=1e-9)
    assert p.alpha_max(w) == pytest.approx(inner.alpha_max([5.0]))
    assert p.value([1e300, 0.0, 1e-300, 1e-300], 0.4)[0] <= inner.value(1e300, 0.4) * (1 + 1e-9)
    same = Group(inner, [[0, 2], [1], [3]])
    np.testing.assert_array_equal(same.value(w, 0.4), p.value(w, 0.4))


def test_hard_threshold_keeps_the_largest():
    p = HardThreshold(k=2)
    np.testing.assert_array_equal(p.prox([1.0, -3.0, 2.0, 0.5]), [0, -3, 2, 0])
    assert p.total([1.0, 0.0, 2.0]) == 0
    assert p.total([1.0, 1.0, 2.0]) == np.inf
    np.testing.assert_array_equal(p.eta([1.0, 3.0, 2.0]), [0, np.inf, np.inf])
    assert p.alpha_max([1.0]) == np.inf
    assert HardThreshold(k=0).alpha_max([1.0]) == 0


def test_ard_bound_to_a_design():
    rng = np.random.default_rng(0)
    # Orthonormal: the separable formulas.
    q = np.linalg.qr(rng.standard_normal((20, 4)))[0]
    w = np.array([0.5, -2.0, 0.0, 0.01])
    bound, free = ARD(0.7).bind(q), ARD(0.7)
    assert bound.total(w, 0.3) == pytest.approx(free.total(w, 0.3), rel=1e-10)
    np.testing.assert_allclose(bound.slope(w, 0.3), free.slope(w, 0.3), rtol=1e-8)
    np.testing.assert_allclose(bound.eta(w, 0.3), free.eta(w, 0.3), rtol=1e-8)
    # Any design, more columns than rows: a minimum over eta, and its derivative.
    for design in (rng.standard_normal((6, 4)), rng.standard_normal((3, 4))):
        bound = ARD().bind(design)
        alpha = 0.2

        def by_eta(eta, design=design, alpha=alpha):
            spread = design * eta @ design.T / alpha
            logdet = np.linalg.slogdet(np.eye(len(design)) + spread)[1]
            kept = w != 0
            return alpha / 2 * ((w[kept] ** 2 / eta[kept]).sum() + logdet)

        eta = bound.eta(w, alpha)
        assert bound.total(w, alpha) == pytest.approx(by_eta(eta), rel=1e-10)
        for _ in range(50):
            assert by_eta(eta * np.exp(0.1 * rng.standard_normal(4))) >= by_eta(eta) - 1e-12
        for j in (0, 1, 3):
            h = np.zeros(4)
            h[j] = 1e-6 * w[j]
            numeric = (bound.total(w + h, alpha) - bound.total(w - h, alpha)) / (2 * abs(h[j]))
            assert bound.slope(w, alpha)[j] == pytest.approx(numeric, rel=1e-5)
        grown = w + np.array([0, 0, 1e-7, 0])
        rise = (bound.total(grown, alpha) - bound.total(w, alpha)) / 1e-7
        assert bound.slope(w, alpha)[2] == pytest.approx(rise, rel=1e-4)
        assert bound.total(np.zeros(4), alpha) == 0
