"""A dropout rule is a penalty and a penalty is a dropout rule."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import expit

from skdropdual import check_duality, effective_penalty, keep_prob_rule
from skdropdual.penalties import (
    L1,
    MCP,
    EffectivePenalty,
    LogSum,
    Lp,
    Penalty,
    Sum,
    get_penalty,
    list_penalties,
)

ALPHAS = [0.05, 1.0, 7.0]
SEPARABLE = [name for name in list_penalties() if get_penalty(name).separable]


def smooth(w):
    return w / (w + 1)


def clipped(w):
    return np.minimum(1, w / 3)


def jump(w):
    return np.where(w < 2, w / (w + 1), 1.0)


def sigmoid(w):
    return expit(2 * w - 1)


def power(w):
    return w**1.5 / (1 + w**1.5)


def half(w):
    return np.full_like(w, 0.5)


RULES = [smooth, clipped, jump, sigmoid, power, half]
SMOOTH = [smooth, sigmoid, power, half]


class Toy(Penalty):
    """Log-sum with epsilon 1, as a user would write it."""

    def value(self, w, alpha=1.0):
        return alpha * np.log1p(np.abs(w))

    def slope(self, w, alpha=1.0):
        return alpha / (1 + np.abs(w))


class WrongSlope(Toy):
    def slope(self, w, alpha=1.0):
        return 1.01 * alpha / (1 + np.abs(w))


class WrongShape(Toy):
    def value(self, w, alpha=1.0):
        return alpha * np.log1p(np.abs(w)) ** 1.01


class WrongEta(Toy):
    def eta(self, w, alpha=1.0):
        return 1.01 * super().eta(w, alpha)


class WrongKeepProb(Toy):
    def keep_prob(self, w, alpha=1.0):
        return super().keep_prob(w, alpha) ** 1.01


class WrongDual(Toy):
    def dual(self, eta, alpha=1.0):
        return 1.01 * super().dual(eta, alpha)


# check_duality


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("name", SEPARABLE)
def test_check_duality_of_penalties(name, alpha):
    assert check_duality(name, alpha) < 1e-9


def test_every_kind_of_penalty_is_checked():
    assert {"l1", "mcp", "scad", "logsum", "vardrop", "hardconcrete"} <= set(SEPARABLE)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("rule", RULES)
def test_check_duality_of_rules(rule, alpha):
    assert check_duality(rule, alpha) < 1e-9


def test_check_duality_of_a_users_penalty():
    assert check_duality(Toy(), 0.7) < 1e-9
    assert check_duality(Sum(Toy(), Lp(p=2.0)), 0.7) < 1e-9


@pytest.mark.parametrize("broken", [WrongSlope, WrongShape, WrongEta, WrongKeepProb, WrongDual])
def test_check_duality_finds_what_is_broken(broken):
    for alpha in ALPHAS:
        assert check_duality(broken(), alpha) > 1e-3


def test_check_duality_takes_weights_in_any_order():
    assert check_duality("scad", w=[[5.0, 0.1], [2.0, 1.0]]) < 1e-12
    assert check_duality(WrongSlope(), w=[5.0, 0.1, 2.0]) > 1e-3


@pytest.mark.parametrize("w", [[], [0.0, 1.0], [-1.0, 1.0], [np.nan]])
def test_check_duality_needs_positive_weights(w):
    with pytest.raises(ValueError, match="weights > 0"):
        check_duality("l1", w=w)


def test_check_duality_needs_a_separable_penalty():
    with pytest.raises(ValueError, match="separable"):
        check_duality("hardthreshold")


# The numeric defaults

W = np.array([-40.0, -3.0, -1e-3, 0.2, 1.0, 5.0])


@pytest.mark.parametrize("alpha", ALPHAS)
def test_defaults_match_closed_forms(alpha):
    toy = Toy()
    eta = np.abs(W) * (np.abs(W) + 1)
    np.testing.assert_allclose(toy.eta(W, alpha), eta, rtol=1e-14)
    np.testing.assert_allclose(toy.keep_prob(W, alpha), eta / (eta + alpha), rtol=1e-14)
    np.testing.assert_allclose(toy.ridge(W, alpha), alpha / eta, rtol=1e-14)
    np.testing.assert_allclose(toy.curvature(W, alpha), -alpha / (1 + np.abs(W)) ** 2, rtol=1e-6)
    np.testing.assert_allclose(toy.dual(eta, alpha), LogSum().dual(eta, alpha), rtol=1e-9)
    assert toy.total(W, alpha) == pytest.approx(alpha * np.log1p(np.abs(W)).sum(), rel=1e-14)
    assert toy.keep_prob(0.0, alpha) == 0
    assert toy.dual(0.0, alpha) == 0


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("step", [0.3, 2.0])
def test_default_prox_beats_a_grid(step, alpha):
    toy, z = Toy(), np.array([-30.0, -4.0, -1.5, -0.01, 0.0, 0.3, 1.0, 2.0, 7.0])

    def objective(w):
        return (w - z) ** 2 / 2 + step * toy.value(w, alpha)

    w = toy.prox(z, step, alpha)
    grid = np.linspace(-1, 1, 20_001)[:, None] * np.abs(z)
    best = grid[np.argmin(objective(grid), axis=0), np.arange(z.size)]
    assert (objective(w) <= objective(best) + 1e-12).all()
    np.testing.assert_allclose(w, best, atol=3.1e-3)
    np.testing.assert_array_equal(toy.prox(-z, step, alpha), -w)
    zero = LogSum().prox(z, step, alpha) == 0
    np.testing.assert_array_equal(w == 0, zero)  # exact zeros


@pytest.mark.parametrize("alpha", ALPHAS)
def test_default_dual_is_the_supremum(alpha):
    toy, eta = Toy(), np.array([0.01, 0.5, 2.0, 100.0])
    w = np.logspace(-6, 4, 200_001)[:, None]
    brute = (2 * toy.value(w, alpha) / alpha - w**2 / eta).max(axis=0)
    np.testing.assert_allclose(toy.dual(eta, alpha), brute, rtol=1e-7)
    assert (toy.dual(eta, alpha) >= brute * (1 - 1e-12)).all()


def test_default_alpha_max_is_where_the_prox_vanishes():
    for largest in (0.3, 3.0, 50.0):
        grad = np.array([largest / 2, -largest, 0.0])
        alpha = Toy().alpha_max(grad)
        assert not Toy().prox(grad, 1.0, alpha * (1 + 1e-5)).any()
        assert Toy().prox(grad, 1.0, alpha * (1 - 1e-5)).any()
    assert Toy().alpha_max(np.zeros(3)) == 0


# Strategy -> penalty -> strategy


@pytest.mark.parametrize("rule", SMOOTH)
def test_round_trip(rule):
    w = np.logspace(-8, 8, 400)
    found = effective_penalty(rule).keep_prob(w)
    np.testing.assert_allclose(found, rule(w), rtol=1e-8)
    again = effective_penalty(keep_prob_rule(rule)).keep_prob(w)
    np.testing.assert_allclose(again, rule(w), rtol=1e-8)


@pytest.mark.parametrize("rule", [clipped, jump])
def test_round_trip_across_a_kink_or_jump(rule):
    w = np.concatenate([np.linspace(1.9, 2.1, 50), np.linspace(2.9, 3.1, 50)])
    np.testing.assert_allclose(effective_penalty(rule).keep_prob(w), rule(w), rtol=1e-8)


@pytest.mark.parametrize("rule", SMOOTH)
def test_strength_multiplies_the_odds_of_dropping(rule):
    w, alpha = np.array([0.1, 1.0, 4.0]), 3.0
    odds = (1 - rule(w)) / rule(w)
    found = keep_prob_rule(rule, alpha)(w)
    np.testing.assert_allclose((1 - found) / found, alpha * odds, rtol=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("name", [name for name in SEPARABLE if name != "l0"])
def test_penalty_is_recovered_from_its_rule(name, alpha):
    w = np.logspace(-2, 1.5, 40)
    penalty, back = get_penalty(name), effective_penalty(keep_prob_rule(name, alpha))
    np.testing.assert_allclose(back.value(w), penalty.value(w, alpha), rtol=1e-9)
    np.testing.assert_allclose(back.value(-w), penalty.value(w, alpha), rtol=1e-9)


# Closed forms

T = np.array([-9.0, -0.5, 0.0, 1e-3, 1.0, 2.5, 6.0])


def test_the_lasso_is_a_rule():
    penalty = effective_penalty(smooth)
    for alpha in ALPHAS:
        np.testing.assert_allclose(penalty.value(T, alpha), alpha * np.abs(T), rtol=1e-12)
        np.testing.assert_allclose(penalty.slope(T, alpha), alpha, rtol=1e-12)
        np.testing.assert_allclose(penalty.prox(T, 1.0, alpha), L1().prox(T, 1.0, alpha), rtol=1e-9)
    assert penalty.sparse
    assert penalty.convex
    assert penalty.concave
    assert penalty.alpha_max([2.0, -3.0]) == pytest.approx(3.0, rel=1e-6)


@pytest.mark.parametrize("c", [0.5, 3.0])
def test_the_clipped_linear_rule_has_slope_c_minus_w(c):
    penalty = effective_penalty(lambda w: np.minimum(1, w / c))
    m = np.minimum(np.abs(T), c)
    np.testing.assert_allclose(penalty.slope(T), c - m, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(penalty.value(T), c * m - m**2 / 2, rtol=1e-12)
    assert penalty.concave
    assert not penalty.convex
    assert penalty.sparse


@pytest.mark.parametrize("a", [0.1, 0.5, 0.9])
def test_plain_dropout_is_the_ridge(a):
    penalty = effective_penalty(lambda w: np.full_like(w, a))
    np.testing.assert_allclose(penalty.value(T), (1 - a) / a * T**2 / 2, rtol=1e-12)
    np.testing.assert_allclose(penalty.prox(T), T / (1 + (1 - a) / a), rtol=1e-9)
    assert penalty.convex
    assert not penalty.concave
    assert not penalty.sparse
    assert penalty.alpha_max([1.0]) == np.inf


def test_the_jump_saturates():
    penalty = effective_penalty(jump)
    np.testing.assert_allclose(penalty.value(T), np.minimum(np.abs(T), 2), rtol=1e-12)
    np.testing.assert_array_equal(penalty.slope([2.5, 6.0]), 0.0)
    np.testing.assert_array_equal(penalty.eta([2.5, 6.0]), np.inf)


def test_always_keeping_is_no_penalty():
    penalty = effective_penalty(np.ones_like)
    np.testing.assert_array_equal(penalty.value(T), 0.0)
    np.testing.assert_array_equal(penalty.keep_prob([0.5, 6.0]), 1.0)


def test_a_rule_that_is_zero_on_an_interval_forbids():
    penalty = effective_penalty(lambda w: np.where(w < 1, 0.0, 0.5))
    np.testing.assert_array_equal(penalty.value([0.0, 0.5, 2.0]), [0.0, np.inf, np.inf])
    np.testing.assert_array_equal(penalty.slope([0.5]), np.inf)
    np.testing.assert_allclose(penalty.keep_prob([0.5, 2.0]), [0.0, 0.5], rtol=1e-12)


# What is refused


def scalar_only(w):
    return 0.3 if w < 1 else 0.6


def nan_above_two(w):
    return np.where(w > 2, np.nan, 0.5)


def dip(w):
    return smooth(w) - 0.05 * np.exp(-400 * np.log(w / 7) ** 2)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda w: np.where(w < 3, 0.8, 0.5), "falls from 0.8 at w = 3 to 0.5 at w = 3"),
        (lambda w: 1 / (1 + w), "nondecreasing"),
        (dip, r"falls from 0\.8\d+ at w = 6\.\d+ to"),
        (lambda w: w, r"in \[0, 1\]; it is 1e\+30 at w = 1e\+30"),
        (lambda w: np.minimum(1, w - 0.5), r"in \[0, 1\]; it is -0.5 at w = 1e-30"),
        (lambda w: np.where((w > 5) & (w < 6), 1.5, 0.5), r"in \[0, 1\]; it is 1.5 at w = 5\."),
        (nan_above_two, r"it is nan at w = "),
        (lambda w: np.where((w > 5) & (w < 6), np.nan, 0.5), r"it is nan at w = 5\."),
        (lambda w: 0.5, "vectorised"),
        (lambda w: w[:2] / (1 + w[:2]), "vectorised"),
        (lambda w: None, "vectorised"),
        (lambda w: math.exp(-1 / w), "vectorised"),
        (lambda w: w.item() / (1 + w.item()), "vectorised"),
        (lambda w: {}[0], "vectorised"),
        (scalar_only, "vectorised"),
    ],
)
def test_bad_rules_are_refused(rule, message):
    for call in (
        effective_penalty,
        keep_prob_rule,
        check_duality,
        lambda r: EffectivePenalty(r).slope(1.0),
    ):
        with pytest.raises(ValueError, match=rf"keep_prob must be .*{message}"):
            call(rule)


@pytest.mark.parametrize("rule", ["no such penalty", 3, None, [smooth]])
def test_what_is_no_rule(rule):
    for call in (effective_penalty, keep_prob_rule, check_duality):
        with pytest.raises(ValueError, match="penalty must be"):
            call(rule)


@pytest.mark.parametrize("alpha", [0, 0.0, -1.0, float("nan"), np.float64(-2)])
@pytest.mark.parametrize("rule", ["l1", smooth, Toy()])
def test_strength_must_be_positive(rule, alpha):
    for call in (keep_prob_rule, check_duality):
        with pytest.raises(ValueError, match="alpha, the strength of a penalty, must be > 0"):
            call(rule, alpha)


# keep_prob_rule


def test_keep_prob_rule_takes_names_objects_and_callables():
    w = np.array([-4.0, 0.0, 0.5, 2.0])
    expected = np.abs(w) / (np.abs(w) + 0.25)
    for penalty in ("l1", L1(), smooth, effective_penalty(smooth)):
        np.testing.assert_allclose(keep_prob_rule(penalty, 0.25)(w), expected, rtol=1e-12)
    mcp = keep_prob_rule(MCP(gamma=2.0), 0.5)
    np.testing.assert_allclose(mcp([0.5, 3.0]), [0.5 / 0.75, 1.0], rtol=1e-14)
    assert mcp(0.5).shape == ()


def test_effective_penalty_keeps_penalties():
    penalty = MCP(gamma=2.0)
    assert effective_penalty(penalty) is penalty
    assert isinstance(effective_penalty("mcp"), MCP)


def test_rules_take_tensors():
    torch = pytest.importorskip("torch")
    w = torch.tensor([-4.0, 0.5, 2.0], dtype=torch.float64)
    for penalty in ("l1", smooth):
        found = keep_prob_rule(penalty, 0.25)(w)
        assert isinstance(found, torch.Tensor)
        np.testing.assert_allclose(found.numpy(), [4 / 4.25, 0.5 / 0.75, 2 / 2.25], rtol=1e-12)


def test_torch_is_not_imported():
    code = "import sys, skdropdual.duality; print('torch' in sys.modules, 'numpy' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert out.stdout.split() == ["False", "True"]
