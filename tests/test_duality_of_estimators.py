"""The two regressors are one model: theory, sections 3 and 5."""

import pathlib
import runpy

import numpy as np
import pytest
from problems import SHAPES, correlation_scale, regression_problem
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ARDRegression, ElasticNet, Lasso, Ridge

from skdropdual import AdaptiveDropoutRegressor, EffectivePenaltyRegressor, penalties
from skdropdual.penalties import Group, Lp, Sum

CONVEX = {
    "l1": ("l1", 1),
    "elasticnet": (penalties.ElasticNet(0.7), 1),
    "lp1.5": (Lp(1.5), 1),
    "ridge": (Lp(2.0), 1),
    "l1+ridge": (Sum("l1", Lp(2.0)), 1),
}
# Name -> penalty, and the power of the correlation scale that its strength is measured in.
NON_CONVEX = {
    "logsum": (penalties.LogSum(0.5), 1),
    "logsquaresum": ("logsquaresum", 1),
    "mcp": ("mcp", 1),
    "hard mcp": (penalties.MCP(gamma=0.5), 1),
    "scad": ("scad", 1),
    "standout": ("standout", 1),
    "vardrop": ("vardrop", 2),
    "molchanov": (penalties.VarDrop(kl="molchanov"), 2),
    "hardconcrete": ("hardconcrete", 2),
    "lp0.5": (Lp(0.5), 1),
    "l0": ("l0", 2),
    "hardthreshold": (penalties.HardThreshold(k=4), 1),
    "clipped rule": (lambda w: np.minimum(1.0, w / 2), 1),
    "sigmoid rule": (lambda w: 1 / (1 + np.exp(2 - 3 * w)), 1),
}


def fit_both(penalty, alpha, X, y, weight, **parameters):
    dropout = AdaptiveDropoutRegressor(penalty, alpha, **parameters)
    if callable(penalty):
        penalty = penalties.EffectivePenalty(penalty)
    penalised = EffectivePenaltyRegressor(penalty, alpha, **parameters)
    return [m.fit(X, y, sample_weight=weight) for m in (penalised, dropout)]


def distance(one, other, X):
    scale = X.std(axis=0)
    gap = np.abs(one.coef_ - other.coef_) * scale
    return gap.max() / max(np.abs(one.coef_ * scale).max(), 1e-300)


def settings(seed):
    n, p = SHAPES[seed]
    X, y, weight = regression_problem(seed, n, p)
    weight = weight if seed % 2 else None
    fit_intercept = seed % 3 != 0
    return X, y, weight, fit_intercept, correlation_scale(X, y, weight, fit_intercept)


@pytest.mark.parametrize("name", CONVEX)
@pytest.mark.parametrize("seed", range(20))
def test_convex_estimators_agree(seed, name):
    X, y, weight, fit_intercept, scale = settings(seed)
    penalty, power = CONVEX[name]
    one, other = fit_both(
        penalty, (0.1 * scale) ** power, X, y, weight, fit_intercept=fit_intercept
    )
    assert distance(one, other, X) <= 1e-6
    assert other.objective_ == pytest.approx(one.objective_, rel=1e-8)
    assert max(one.stationarity_, other.stationarity_) <= 1e-6


@pytest.mark.parametrize("name", NON_CONVEX)
@pytest.mark.parametrize("seed", range(20))
def test_non_convex_estimators_are_fixed_points_of_each_other(seed, name):
    X, y, weight, fit_intercept, scale = settings(seed)
    penalty, power = NON_CONVEX[name]
    alpha = (0.1 * scale) ** power
    one, other = fit_both(penalty, alpha, X, y, weight, fit_intercept=fit_intercept)
    assert other.objective_ == pytest.approx(one.objective_, rel=1e-8)
    assert max(one.stationarity_, other.stationarity_) <= 1e-6
    for start, moved in ((one, other), (other, one)):
        model = clone(moved).set_params(warm_start=True)
        model.coef_ = start.coef_.copy()
        model.fit(X, y, sample_weight=weight)
        assert distance(model, start, X) <= 1e-6


@pytest.mark.parametrize("penalty", ["logsum", "mcp", "vardrop", "lp"])
def test_reweighted_solver_is_the_dropout_iteration(penalty):
    X, y, _ = regression_problem(3, 100, 40)
    penalised = EffectivePenaltyRegressor(penalty, 0.3, solver="reweighted").fit(X, y)
    dropout = AdaptiveDropoutRegressor(penalty, 0.3).fit(X, y)
    np.testing.assert_array_equal(penalised.coef_, dropout.coef_)
    assert penalised.n_iter_ == dropout.n_iter_


def test_ard_estimators_agree():
    X, y, _ = regression_problem(5, 100, 30)
    one, other = fit_both("ard", 0.25 / 100, X, y, None)
    assert distance(one, other, X) <= 1e-5
    assert other.objective_ == pytest.approx(one.objective_, rel=1e-8)
    # The evidence it minimises at the Bayesian strength is that of scikit-learn's ARDRegression.
    X, y, _ = regression_problem(5, 200, 8)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    bayes = ARDRegression(tol=1e-10, max_iter=5000, threshold_lambda=1e8).fit(X, y)
    ours = EffectivePenaltyRegressor("ard", 1 / bayes.alpha_ / 200).fit(X, y)
    np.testing.assert_allclose(ours.coef_, bayes.coef_, atol=2e-3)


@pytest.mark.parametrize("masks", ["penalised", "dropout"])
def test_l1_is_the_lasso_of_scikit_learn(masks):
    for seed, (n, p) in enumerate([(50, 10), (60, 150), (300, 40)]):
        X, y, weight = regression_problem(seed, n, p)
        X /= X.std(axis=0)
        for fit_intercept in (True, False):
            lasso = Lasso(0.05, fit_intercept=fit_intercept, tol=1e-11, max_iter=1_000_000)
            lasso.fit(X, y, sample_weight=weight)
            ours = fit_both(
                "l1", 0.05, X, y, weight, standardize=False, fit_intercept=fit_intercept
            )[masks == "dropout"]
            np.testing.assert_allclose(
                ours.coef_, lasso.coef_, atol=1e-6 * np.abs(lasso.coef_).max()
            )
            assert ours.intercept_ == pytest.approx(lasso.intercept_, rel=1e-6, abs=1e-9)


def test_ridge_and_elastic_net_are_those_of_scikit_learn():
    X, y, _ = regression_problem(0, 80, 10)
    X /= X.std(axis=0)
    ridge = Ridge(alpha=0.3 * 80).fit(X, y)
    net = ElasticNet(0.1, l1_ratio=0.4, tol=1e-14, max_iter=1_000_000).fit(X, y)
    for i in range(2):
        model = fit_both(Lp(2.0), 0.3, X, y, None, standardize=False)[i]
        np.testing.assert_allclose(model.coef_, ridge.coef_, rtol=1e-9)
        model = fit_both(penalties.ElasticNet(0.4), 0.1, X, y, None, standardize=False)[i]
        np.testing.assert_allclose(model.coef_, net.coef_, atol=1e-8)


@pytest.mark.parametrize("inner", ["l1", "logsum", "mcp"])
def test_groups_go_in_and_out_together(inner):
    X, y, _ = regression_problem(2, 120, 24)
    groups = np.repeat(np.arange(8), 3)
    one, other = fit_both(Group(inner, groups), 0.5, X, y, None)
    assert distance(one, other, X) <= 1e-6
    norms = np.array([np.abs(one.coef_[groups == g]).max() for g in range(8)])
    assert 0 < (norms > 0).sum() < 8
    assert all((one.coef_[groups == g] != 0).all() for g in np.flatnonzero(norms))


@pytest.mark.parametrize("name", [*CONVEX, *NON_CONVEX])
def test_stationarity_by_finite_differences(name):
    # The objective, computed here from its definition, does not fall along any coordinate.
    X, y, weight = regression_problem(7, 60, 8)
    penalty, power = {**CONVEX, **NON_CONVEX}[name]
    alpha = (0.1 * correlation_scale(X, y, weight, True)) ** power
    model = fit_both(penalty, alpha, X, y, weight)[0]
    rule = (
        penalties.EffectivePenalty(penalty) if callable(penalty) else penalties.get_penalty(penalty)
    )
    share = weight / weight.sum()
    scale = np.sqrt(share @ (X - share @ X) ** 2)

    def objective(v):
        residual = (y - share @ y) - (X - share @ X) @ (v / scale)
        return share @ residual**2 / 2 + rule.total(v, alpha)

    v = model.coef_ * scale
    best = objective(v)
    assert best == pytest.approx(model.objective_, rel=1e-10)
    for j in range(8):
        for step in (1e-4, -1e-4, 1e-2, -1e-2):
            moved = v.copy()
            moved[j] += step
            assert objective(moved) >= best * (1 - 1e-10)


def test_feature_weights_and_positive():
    X, y, _ = regression_problem(4, 100, 10)
    weights = np.r_[0.0, np.ones(8), 2.0]
    for model in fit_both("l1", 1.0, X, y, None, feature_weights=weights):
        assert model.coef_[0] != 0
        assert model.keep_prob_[0] == 1
        assert model.eta_[0] == np.inf
    for model in fit_both("logsum", 0.2, X, -y, None, positive=True):
        assert (model.coef_ >= 0).all()
        assert (model.coef_ > 0).any()
        assert model.stationarity_ <= 1e-6
    Xs = (X - X.mean(axis=0)) / X.std(axis=0)
    lasso = Lasso(0.1, positive=True, tol=1e-14, max_iter=1_000_000).fit(Xs, y)
    for model in fit_both("l1", 0.1, Xs, y, None, positive=True):
        np.testing.assert_allclose(model.coef_, lasso.coef_, atol=1e-7)


def test_coefficients_are_zero_above_alpha_max_and_not_below():
    X, y, _ = regression_problem(6, 80, 12)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    grad0 = Z.T @ (y - y.mean()) / 80
    for name in ("l1", "mcp", "vardrop", "hardconcrete", "lp", "l0", "logsum"):
        top = penalties.get_penalty(name).alpha_max(grad0)
        for alpha, zero in ((1.001 * top, True), (0.99 * top, False)):
            for model in fit_both(name, alpha, X, y, None):
                assert (model.coef_ == 0).all() == zero, (name, alpha)


def fit_sampled(rule, X, y, **parameters):
    # Sampled masks cannot reach tol: the warning says how far they came.
    model = AdaptiveDropoutRegressor(rule, 0.3, **parameters)
    with pytest.warns(ConvergenceWarning, match="Increase n_masks"):
        return model.fit(X, y)


@pytest.mark.parametrize("masks", ["bernoulli", "gaussian"])
def test_sampled_masks_converge_like_the_inverse_root(masks):
    X, y, _ = regression_problem(8, 200, 6)
    exact = AdaptiveDropoutRegressor("logsum", 0.3).fit(X, y)
    scale, sizes, gaps = X.std(axis=0), [200, 800, 3200, 12800], []
    for n_masks in sizes:
        models = [
            fit_sampled(
                "logsum", X, y, masks=masks, n_masks=n_masks, max_iter=60, random_state=seed
            )
            for seed in range(16)
        ]
        errors = [((model.coef_ - exact.coef_) * scale) ** 2 for model in models]
        gaps.append(np.sqrt(np.mean(errors)))
    order = np.polyfit(np.log(sizes), np.log(gaps), 1)[0]
    assert -0.65 < order < -0.35, gaps
    assert gaps[-1] < 0.01 * np.abs(exact.coef_ * scale).max()


def test_sampled_masks_on_minibatches():
    X, y, _ = regression_problem(9, 300, 5)
    exact = AdaptiveDropoutRegressor("l1", 0.3).fit(X, y)
    model = fit_sampled(
        "l1", X, y, masks="bernoulli", n_masks=400, batch_size=50, max_iter=40, random_state=0
    )
    assert 0 < distance(model, exact, X) < 0.05
    again = fit_sampled(
        "l1", X, y, masks="bernoulli", n_masks=400, batch_size=50, max_iter=40, random_state=0
    )
    np.testing.assert_array_equal(model.coef_, again.coef_)


@pytest.mark.parametrize("name", ["l1", "elasticnet"])
def test_small_strengths_with_many_more_columns_than_rows(name):
    X, y, _ = regression_problem(11, 20, 1000, rho=0.95)
    penalty, _ = CONVEX[name]
    one, other = fit_both(penalty, 0.005 * correlation_scale(X, y, None, True), X, y, None)
    assert distance(one, other, X) <= 1e-6
    assert max(one.stationarity_, other.stationarity_) <= 1e-6


def test_collinear_columns_have_one_answer():
    # Lasso solutions are not unique here; both faces report the one on the first columns.
    X, y, _ = regression_problem(0, 60, 5)
    X = np.c_[X, 2 * X[:, 1], X[:, 0] - 7]
    one, other = fit_both("l1", 0.05, X, y, None)
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-12)
    assert (one.coef_[5:] == 0).all()
    assert (one.coef_[:2] != 0).all()


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in pathlib.Path(__file__).parent.parent.glob("examples/plot_*.py"))
)
def test_examples_run(name, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot", reason="examples draw")
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    path = pathlib.Path(__file__).parent.parent / "examples" / f"{name}.py"
    with plt.rc_context({"backend": "agg"}):
        namespace = runpy.run_path(str(path))
    assert namespace["fig"].axes
    if name == "plot_quickstart":
        for penalised, dropout in namespace["pairs"].values():
            np.testing.assert_allclose(dropout.coef_, penalised.coef_, atol=1e-9)
