"""Masks: moments, draws, inverses, and dropout as a ridge."""

import itertools

import mpmath
import numpy as np
import pytest
from sklearn.base import clone

from skdropdual.masks import Bernoulli, Gaussian, HardConcrete, Mask

SHAPES = [
    {},
    {"beta": 0.3, "gamma": -0.5, "zeta": 1.2},
    {"beta": 2.0, "gamma": -0.01, "zeta": 1.02},
    {"beta": 0.1, "gamma": -0.2, "zeta": 1.5},
]

MASKS = [
    Bernoulli(0.3),
    Bernoulli(0.9),
    Bernoulli(0.3, scaled=False),
    Gaussian(0.2),
    Gaussian(3.0),
    HardConcrete(-1.0),
    HardConcrete(0.7),
    HardConcrete(0.3, **SHAPES[1]),
]


@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_moments_match_monte_carlo(mask):
    n = 200_000
    s = mask.sample((n,), np.random.default_rng(0))
    m, var = float(mask.mean), float(mask.relative_variance * mask.mean**2)
    centred = s - m
    assert abs(centred.mean()) < 5 * centred.std() / n**0.5
    assert abs((centred**2).mean() - var) < 5 * (centred**2).std() / n**0.5
    assert centred.std() > 0.1


@pytest.mark.parametrize("keep", [0.01, 0.3, 1.0])
def test_bernoulli_closed_form(keep):
    assert Bernoulli(keep).mean == 1
    assert Bernoulli(keep, scaled=False).mean == keep
    for scaled in (True, False):
        r = Bernoulli(keep, scaled=scaled).relative_variance
        assert r == pytest.approx((1 - keep) / keep, rel=1e-15)


def test_gaussian_closed_form():
    assert Gaussian(2.5).mean == 1
    assert Gaussian(2.5).relative_variance == 2.5


def hard_concrete_reference(log_a, beta=2 / 3, gamma=-0.1, zeta=1.1):
    with mpmath.workdps(30):
        log_a, beta, gamma, zeta = map(mpmath.mpf, (log_a, beta, gamma, zeta))

        def above(t):
            return 1 / (1 + mpmath.exp(beta * mpmath.log((t - gamma) / (zeta - t)) - log_a))

        pieces = [0, 0.25, 0.5, 0.75, 1]
        e = mpmath.quad(above, pieces)
        e2 = mpmath.quad(lambda t: 2 * t * above(t), pieces)
        return float(e), float(e2 / e**2 - 1), float(above(mpmath.mpf(0)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_hard_concrete_matches_quadrature(shape):
    log_a = np.array([-5.0, -2.0, 0.0, 0.5, 3.0, 5.0])
    mask = HardConcrete(log_a, **shape)
    expected = np.array([hard_concrete_reference(a, **shape) for a in log_a]).T
    found = np.array([mask.mean, mask.relative_variance, mask.active_prob])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_hard_concrete_active_prob_is_the_rate_of_nonzeros():
    mask, n = HardConcrete(-0.5), 100_000
    rate = np.mean(mask.sample((n,), np.random.default_rng(1)) > 0)
    p = float(mask.active_prob)
    assert 0.2 < p < 0.9
    assert abs(rate - p) < 5 * (p * (1 - p) / n) ** 0.5


@pytest.mark.parametrize(
    ("family", "parameters"),
    [(Bernoulli, {}), (Bernoulli, {"scaled": False}), (Gaussian, {})]
    + [(HardConcrete, shape) for shape in SHAPES],
)
def test_from_relative_variance_inverts(family, parameters):
    r = np.logspace(-6, 6, 61)
    mask = family.from_relative_variance(r, **parameters)
    assert type(mask) is family
    np.testing.assert_allclose(mask.relative_variance, r, rtol=1e-9)
    assert all(getattr(mask, name) == value for name, value in parameters.items())
    assert float(family.from_relative_variance(2).relative_variance) == pytest.approx(2, rel=1e-9)


@pytest.mark.parametrize("family", [Bernoulli, Gaussian, HardConcrete])
def test_relative_variance_zero_is_no_noise(family):
    mask = family.from_relative_variance(0.0)
    assert mask.relative_variance == 0
    assert mask.mean == 1
    np.testing.assert_array_equal(mask.sample((50,), np.random.default_rng(0)), 1.0)


@pytest.mark.parametrize("family", [Bernoulli, HardConcrete])
def test_relative_variance_inf_is_always_zero(family):
    mask = family.from_relative_variance(np.inf)
    assert mask.relative_variance == np.inf
    assert mask.mean == 0
    np.testing.assert_array_equal(mask.sample((50,), np.random.default_rng(0)), 0.0)


def test_gaussian_has_no_infinite_variance():
    with pytest.raises(ValueError, match="variance must be finite"):
        Gaussian.from_relative_variance(np.inf).sample((2,), np.random.default_rng(0))


@pytest.mark.parametrize("scaled", [True, False])
def test_bernoulli_values(scaled):
    s = Bernoulli(0.4, scaled=scaled).sample((200,), np.random.default_rng(0))
    np.testing.assert_array_equal(np.unique(s), [0.0, 1 / 0.4 if scaled else 1.0])


@pytest.mark.parametrize("scaled", [True, False])
def test_keep_prob_zero_and_one(scaled):
    mask = Bernoulli([0.0, 1.0], scaled=scaled)
    np.testing.assert_array_equal(mask.mean, [0.0, 1.0])
    np.testing.assert_array_equal(mask.relative_variance, [np.inf, 0.0])
    s = mask.sample((100, 2), np.random.default_rng(0))
    np.testing.assert_array_equal(s, np.tile([0.0, 1.0], (100, 1)))


ARRAYS = [
    (Bernoulli, "keep_prob", [0.05, 0.5, 0.95]),
    (Gaussian, "variance", [0.01, 1.0, 25.0]),
    (HardConcrete, "log_a", [-3.0, 0.0, 3.0]),
]


@pytest.mark.parametrize(("family", "name", "values"), ARRAYS)
def test_array_parameters_broadcast(family, name, values):
    mask = family(**{name: np.array(values)})
    s = mask.sample((4000, 3), np.random.default_rng(0))
    assert s.shape == (4000, 3)
    variance = mask.relative_variance * mask.mean**2
    np.testing.assert_allclose(s.var(axis=0), variance, rtol=0.3)
    alone = [float(family(**{name: v}).relative_variance) for v in values]
    np.testing.assert_allclose(mask.relative_variance, alone, rtol=1e-14)
    with pytest.raises(ValueError, match="shape"):
        mask.sample((3, 2), np.random.default_rng(0))


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_numpy_generators_repeat(mask, make):
    first, again, other = (mask.sample((40,), make(seed)) for seed in (3, 3, 4))
    assert first.dtype == np.float64
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("family", "name", "values"), ARRAYS)
def test_torch(family, name, values, dtype):
    torch = pytest.importorskip("torch")
    dtype = getattr(torch, dtype)
    mask = family(**{name: torch.tensor(values, dtype=dtype)})
    exact = family(**{name: np.array(values)})
    draw = mask.sample((4000, 3), torch.Generator().manual_seed(0))
    assert mask.mean.dtype == mask.relative_variance.dtype == draw.dtype == dtype
    first, again = (mask.sample((4000, 3), torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, again)
    np.testing.assert_allclose(mask.mean.numpy(), exact.mean, rtol=1e-6)
    np.testing.assert_allclose(mask.relative_variance.numpy(), exact.relative_variance, rtol=1e-5)
    error = (exact.relative_variance * exact.mean**2 / 4000) ** 0.5
    assert (abs(first.double().numpy().mean(axis=0) - exact.mean) < 5 * error).all()
    back = family.from_relative_variance(mask.relative_variance)
    assert getattr(back, name).dtype == dtype
    np.testing.assert_allclose(back.relative_variance.numpy(), exact.relative_variance, rtol=1e-5)


@pytest.mark.parametrize(("family", "name", "values"), ARRAYS)
def test_the_generator_decides_the_library(family, name, values):
    torch = pytest.importorskip("torch")
    for parameter in (values[1], np.array(values), torch.tensor(values)):
        mask = family(**{name: parameter})
        assert mask.sample((2, 3), torch.Generator().manual_seed(0)).shape == (2, 3)
        assert isinstance(mask.sample((2, 3), torch.Generator().manual_seed(0)), torch.Tensor)
        assert isinstance(mask.sample((2, 3), np.random.default_rng(0)), np.ndarray)


def test_global_generators_are_left_alone():
    torch = pytest.importorskip("torch")
    before, torch_before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    for mask in MASKS:
        mask.sample((5,), np.random.default_rng(0))
        mask.sample((5,), np.random.RandomState(0))
        mask.sample((5,), torch.Generator().manual_seed(0))
    after = np.random.get_state()  # noqa: NPY002
    np.testing.assert_array_equal(after[1], before[1])
    assert after[2:] == before[2:]
    assert torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.parametrize("rng", [None, 0, "seed"])
@pytest.mark.parametrize("mask", [Bernoulli(), Gaussian(), HardConcrete()], ids=str)
def test_rng_must_be_a_generator(mask, rng):
    with pytest.raises(TypeError, match="rng must be"):
        mask.sample((2,), rng)


BAD = [
    (Bernoulli, "keep_prob", [-0.1, 1.1, np.nan, [0.5, np.nan], [0.5, 2.0]]),
    (Gaussian, "variance", [-1e-3, np.nan, np.inf, [1.0, -1.0]]),
    (HardConcrete, "log_a", [np.nan, [0.0, np.inf]]),
    (HardConcrete, "beta", [0.0, -1.0, np.nan, np.inf]),
    (HardConcrete, "gamma", [0.0, 0.1, np.nan, -np.inf]),
    (HardConcrete, "zeta", [1.0, 0.5, np.nan, np.inf]),
]


@pytest.mark.parametrize(
    ("family", "name", "value"),
    [(family, name, value) for family, name, values in BAD for value in values],
)
def test_bad_parameters(family, name, value):
    mask = family(**{name: value})  # as everywhere in scikit-learn, not checked here
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        _ = mask.mean
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        _ = mask.relative_variance
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        mask.sample((2,), np.random.default_rng(0))


@pytest.mark.parametrize("r", [-1.0, np.nan, [1.0, -0.5]])
@pytest.mark.parametrize("family", [Bernoulli, Gaussian, HardConcrete])
def test_bad_relative_variance(family, r):
    with pytest.raises(ValueError, match="relative_variance must be >= 0"):
        family.from_relative_variance(r)


@pytest.mark.parametrize(("name", "value"), [("beta", 0.0), ("gamma", 0.0), ("zeta", 1.0)])
def test_inverse_checks_the_other_parameters(name, value):
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        HardConcrete.from_relative_variance(1.0, **{name: value})


@pytest.mark.parametrize("scaled", [True, False])
def test_dropout_is_a_ridge(scaled):
    # D1, with the expectation over all 2^p masks done exactly.
    rng = np.random.default_rng(0)
    n, p = 12, 4
    X, y, u = rng.standard_normal((n, p)), rng.standard_normal(n), rng.standard_normal(p)
    keep = np.array([0.2, 0.5, 0.85, 1.0])
    mask = Bernoulli(keep, scaled=scaled)

    def loss(w):
        return np.sum((y - X @ w) ** 2) / (2 * n)

    expected = 0.0
    for kept in itertools.product([0.0, 1.0], repeat=p):
        kept = np.array(kept)
        probability = np.prod(np.where(kept == 1, keep, 1 - keep))
        expected += probability * loss(kept * (1 / keep if scaled else 1.0) * u)
    w = mask.mean * u
    ridge = np.sum((X**2).sum(axis=0) / n * mask.relative_variance * w**2) / 2
    assert ridge > 0.1
    assert loss(w) + ridge == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_clone_and_repr(mask):
    twin = clone(mask)
    assert twin is not mask
    assert twin.get_params() == mask.get_params()
    assert eval(repr(mask)).get_params() == mask.get_params()  # noqa: S307
    assert isinstance(mask, Mask)
    draws = [m.sample((5,), np.random.default_rng(0)) for m in (mask, twin)]
    np.testing.assert_array_equal(*draws)


def test_the_base_class_is_abstract():
    for call in (
        lambda m: m.mean,
        lambda m: m.relative_variance,
        lambda m: m.sample((1,), np.random.default_rng(0)),
        lambda m: m.from_relative_variance(1.0),
    ):
        with pytest.raises(NotImplementedError):
            call(Mask())
