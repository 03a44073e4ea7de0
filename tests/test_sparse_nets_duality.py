"""The duality in torch: a net without hidden units is the linear model of the same penalty."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.preprocessing import StandardScaler

from skdropdual import EffectivePenaltyClassifier, EffectivePenaltyRegressor
from skdropdual.neural_network import SparseMLPClassifier, SparseMLPRegressor
from skdropdual.penalties import MCP, VarDrop, get_penalty, list_penalties

# MCP bends less than the log loss does, so that there is one minimum to find.
PENALTIES = {"l1": "l1", "logsum": "logsum", "mcp": MCP(3.0), "flat mcp": MCP(20.0)}
ALPHA = {"regression": 0.08, "binary": 0.05, "multinomial": 0.05}
# Full batches, no warm-up, and a rate that falls to 0: AdaProx and the penalty in the loss reach
# zeros only as their steps shrink.
CONVERGED = {
    "precision": "float64",
    "batch_size": 300,
    "warmup": (0, 0),
    "lr": 0.05,
    "lr_schedule": "cosine",
    "random_state": 0,
}


def problem(kind, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((300, 10))
    for j in range(1, 10):
        X[:, j] = 0.4 * X[:, j - 1] + np.sqrt(1 - 0.4**2) * X[:, j]
    X = StandardScaler().fit_transform(X)
    if kind == "multinomial":
        truth = np.zeros((10, 3))
        truth[[0, 3, 6]] = [[2, 0, 0], [0, 2, -2], [0, 0, 2]]
        return X, (X @ truth + rng.gumbel(size=(300, 3))).argmax(axis=1)
    score = X[:, [0, 3, 6]] @ [1.5, -1, 0.7]
    if kind == "regression":
        y = score + rng.normal(0, 1, 300)
        return X, y / y.std()
    return X, (score + rng.logistic(size=300) > 0).astype(int)


def objective(kind, X, y, coef, intercept, penalty):
    scores = X @ coef + intercept
    if kind == "regression":
        loss = 0.5 * np.mean((y - scores[:, 0]) ** 2)
    elif kind == "binary":
        loss = np.mean(np.logaddexp(0, -(2 * y - 1) * scores[:, 0]))
    else:
        loss = -np.mean(log_softmax(scores, axis=1)[np.arange(len(y)), y])
    return loss + get_penalty(penalty).value(coef, ALPHA[kind]).sum()


def linear(kind, penalty, X, y):
    cls = EffectivePenaltyRegressor if kind == "regression" else EffectivePenaltyClassifier
    model = cls(penalty, ALPHA[kind], tol=1e-9).fit(X, y)
    return np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)


def net(kind, penalty, method, **options):
    cls = SparseMLPRegressor if kind == "regression" else SparseMLPClassifier
    settings = {"penalty": penalty, "method": method, "alpha": ALPHA[kind], "max_epochs": 500}
    return cls((), **CONVERGED | settings | options)


@pytest.mark.parametrize("method", ["penalty", "adaprox", "adatikhonov", "eta-trick"])
@pytest.mark.parametrize("name", ["l1", "logsum", "mcp"])
@pytest.mark.parametrize("kind", ALPHA)
def test_a_net_without_hidden_units_is_the_linear_model(kind, name, method):
    penalty = PENALTIES["flat mcp" if name == "mcp" and kind != "regression" else name]
    X, y = problem(kind)
    coef, intercept = linear(kind, penalty, X, y)
    # AdaProx leaves weights of the size of its step where the gradient nearly reaches the slope:
    # they fade the more slowly the nearer it is.
    more = {"keep_prob_tol": 0.3} if (kind, method) == ("multinomial", "adaprox") else {}
    model = net(kind, penalty, method, **more).fit(X, y)
    found, bias = model.coefs_[0], model.intercepts_[0]
    assert 0 < np.count_nonzero(coef) < coef.size / 2
    np.testing.assert_array_equal(found != 0, coef != 0)
    best = objective(kind, X, y, coef, intercept, penalty)
    reached = objective(kind, X, y, found, bias, penalty)
    assert abs(reached / best - 1) < 1e-3
    np.testing.assert_allclose(found, coef, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("method", ["adaprox", "adatikhonov", "penalty", "eta-trick"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_optimizer_does_not_change_what_is_minimised(method, optimizer):
    # Momentum and preconditioning both scale steps, those on the penalty alike.
    X, y = problem("regression")
    coef, intercept = linear("regression", "l1", X, y)
    model = net("regression", "l1", method, optimizer=optimizer, lr=0.02).fit(X, y)
    best = objective("regression", X, y, coef, intercept, "l1")
    reached = objective("regression", X, y, model.coefs_[0], model.intercepts_[0], "l1")
    assert abs(reached / best - 1) < 1e-3
    np.testing.assert_array_equal(model.coefs_[0] != 0, coef != 0)


@pytest.mark.parametrize("kind", ALPHA)
def test_factors_with_weight_decay_are_the_lasso(kind):
    X, y = problem(kind)
    coef, intercept = linear(kind, "l1", X, y)
    model = net(kind, "l1", "factorized").fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0] != 0, coef != 0)
    best = objective(kind, X, y, coef, intercept, "l1")
    reached = objective(kind, X, y, model.coefs_[0], model.intercepts_[0], "l1")
    assert abs(reached / best - 1) < 1e-6


@pytest.mark.parametrize("method", ["penalty", "adaprox", "adatikhonov"])
def test_groups_of_weights_are_a_group_penalty(method):
    # One group per input over three outputs: P acts on root(3) times the norm's strength.
    X, y = problem("multinomial")
    model = net("multinomial", "l1", method, structure="input", alpha=0.05).fit(X, y)
    coef, bias = model.coefs_[0], model.intercepts_[0]
    proba = np.exp(log_softmax(X @ coef + bias, axis=1))
    gradient = X.T @ (proba - np.eye(3)[y]) / len(y)
    norms, strength = np.linalg.norm(coef, axis=1), 0.05 * np.sqrt(3)
    alive = norms > 0
    assert 0 < alive.sum() < 10
    expected = -strength * coef[alive] / norms[alive, None]
    np.testing.assert_allclose(gradient[alive], expected, atol=2e-3)
    assert np.linalg.norm(gradient[~alive], axis=1).max() < strength * 1.01


def test_no_method_at_no_strength_is_the_maximum_of_the_likelihood():
    X, y = problem("regression")
    model = net("regression", "l1", "none").fit(X, y)
    best = np.linalg.lstsq(np.c_[X, np.ones(300)], y, rcond=None)[0]
    np.testing.assert_allclose(model.coefs_[0][:, 0], best[:-1], atol=1e-6)
    np.testing.assert_allclose(model.intercepts_[0], best[-1], atol=1e-6)


# The same mathematics in torch as in NumPy --------------------------------------------------------

SEPARABLE = [name for name in list_penalties() if get_penalty(name).separable]
W = np.r_[0.0, np.logspace(-3, 1.5, 40)]
STRENGTHS = np.array([0.05, 0.7, 3.0])[:, None, None]  # as for many nets trained as one


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("method", ["value", "slope", "eta", "keep_prob", "ridge"])
@pytest.mark.parametrize("name", SEPARABLE)
def test_penalties_in_torch_equal_those_in_numpy(name, method, dtype):
    if method == "eta" and dtype is torch.float32:
        method = "keep_prob"  # where eta is nearly inf, a last digit of w is many of its own
    penalty, rows = get_penalty(name), np.stack([W, -W])
    tolerance = 1e-12 if dtype is torch.float64 else 1e-6
    rows = torch.tensor(rows, dtype=dtype).double().numpy()  # as float32 has them
    weights = torch.tensor(np.broadcast_to(rows, (3, *rows.shape)).copy(), dtype=dtype)
    strengths = torch.tensor(STRENGTHS, dtype=dtype)
    together = getattr(penalty, method)(weights, strengths)
    assert together.dtype == dtype
    for k, alpha in enumerate(strengths.double().flatten().tolist()):
        expected = getattr(penalty, method)(rows, alpha)
        for found in (
            together[k],
            getattr(penalty, method)(weights[k], alpha),
            getattr(penalty, method)(weights[k], strengths[k, 0, 0]),
        ):
            assert found.dtype == dtype
            np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", SEPARABLE)
def test_the_dual_in_torch_equals_that_in_numpy(name, dtype):
    penalty, eta = get_penalty(name), np.logspace(-1.5, 1.5, 25)
    tolerance = 1e-12 if dtype is torch.float64 else 1e-6
    eta = torch.tensor(eta, dtype=dtype).double().numpy()
    for alpha in (0.5, 2.0):
        expected = penalty.dual(eta, alpha)
        for strength in (alpha, torch.tensor(alpha, dtype=dtype)):
            found = penalty.dual(torch.tensor(eta, dtype=dtype), strength)
            assert found.dtype == dtype
            np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", SEPARABLE)
def test_autograd_of_the_value_is_the_slope(name):
    penalty = get_penalty(name)
    w = torch.tensor(np.r_[-W[:0:-1], W[1:]], requires_grad=True)
    for alpha in (0.3, torch.tensor(0.3, dtype=torch.float64)):
        (gradient,) = torch.autograd.grad(penalty.value(w, alpha).sum(), w)
        expected = penalty.slope(w.detach().numpy(), 0.3) * np.sign(w.detach().numpy())
        finite = np.isfinite(expected) & ((name != "l0") | (expected == 0))
        np.testing.assert_allclose(gradient.numpy()[finite], expected[finite], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("kl", ["exact", "molchanov"])
def test_divergence_of_variational_dropout(kl, dtype):
    penalty = VarDrop(kl)
    tolerance = 1e-12 if dtype is torch.float64 else 1e-6
    log_r = torch.linspace(-10, 10, 401, dtype=dtype)
    expected = penalty.divergence(log_r.double().numpy())
    np.testing.assert_allclose(
        penalty.divergence(log_r).numpy(), expected, rtol=tolerance, atol=tolerance
    )
    variable = log_r.double().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(penalty.divergence(variable).sum(), variable)
    np.testing.assert_allclose(
        gradient.numpy(), penalty.divergence_slope(variable.detach()).numpy(), atol=1e-9
    )
    if kl == "molchanov":
        r, (k1, k2, k3) = np.exp(log_r.double().numpy()), (0.63576, 1.87320, 1.48695)
        published = k1 - k1 / (1 + np.exp(-k2 - k3 * np.log(r))) + 0.5 * np.log1p(1 / r)
        np.testing.assert_allclose(expected, published, atol=1e-12)
    else:  # f(1/r)/2, the eta-trick's dual at strength 1
        eta = np.exp(-log_r.double().numpy())
        np.testing.assert_allclose(expected, penalty.dual(eta, 1.0) / 2, rtol=1e-9, atol=1e-12)
