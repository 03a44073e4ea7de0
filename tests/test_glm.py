"""Classes, counts, groups and several targets, against peers and the conditions by hand."""

import warnings

import numpy as np
import pandas as pd
import pytest
from problems import iris
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import (
    GammaRegressor,
    Lasso,
    LogisticRegression,
    MultiTaskLasso,
    PoissonRegressor,
    TweedieRegressor,
)
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.preprocessing import StandardScaler

from skdropdual import (
    AdaptiveDropoutClassifier,
    AdaptiveDropoutRegressor,
    EffectivePenaltyClassifier,
    EffectivePenaltyClassifierCV,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
    effective_penalty_path,
)
from skdropdual._sklearn import HalfGammaLoss, HalfPoissonLoss, HalfTweedieLoss
from skdropdual.exceptions import ConvergenceWarning
from skdropdual.penalties import L1, MCP, SCAD, Group, LogSum, Lp, Sum
from skdropdual.solvers._design import make_design
from skdropdual.solvers._glm import Glm
from skdropdual.solvers._losses import Elementwise


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def counts(n=200, p=20, seed=0):
    rng = np.random.default_rng(seed)
    X = StandardScaler().fit_transform(rng.standard_normal((n, p)))
    w = np.zeros(p)
    w[:4] = [0.5, -0.4, 0.3, 0.2]
    return X, rng.poisson(np.exp(X @ w)).astype(float)


def targets(n=100, p=20, k=3, seed=0):
    rng = np.random.default_rng(seed)
    X = StandardScaler().fit_transform(rng.standard_normal((n, p)))
    W = np.zeros((k, p))
    W[:, :4] = rng.standard_normal((k, 4))
    return X, X @ W.T + 0.5 * rng.standard_normal((n, k)) + 3.0


def excess(penalty, w, pull, alpha):
    """Largest violation of the first-order conditions, entry by entry."""
    slope = penalty.slope(w, alpha)
    return np.where(w != 0, abs(pull - slope * np.sign(w)), np.maximum(abs(pull) - slope, 0)).max()


def rest(loss, y, raw):
    """Minus the derivative of each row's loss in its predictors."""
    if loss == "log_loss" and raw.ndim == 1:
        return y - expit(raw)
    if loss == "log_loss":
        return np.eye(raw.shape[1])[y] - softmax(raw, axis=1)
    if loss == "huber":
        return np.clip(y - raw, -1.35, 1.35)
    mean = np.exp(raw)
    return {"poisson": y - mean, "gamma": y / mean - 1, "tweedie": (y - mean) * mean**-0.5}[loss]


@pytest.mark.parametrize("alpha", [0.1, 0.01])
def test_logistic_l1_is_scikit_learns(alpha):
    X, y = cancer()
    model = EffectivePenaltyClassifier("l1", alpha=alpha).fit(X, y)
    peer = LogisticRegression(
        l1_ratio=1.0, C=1 / (alpha * len(y)), solver="saga", tol=1e-9, max_iter=100_000
    )
    peer.fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(model.intercept_, peer.intercept_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-6)


def test_multinomial_l1_is_scikit_learns():
    X, y = iris()
    model = EffectivePenaltyClassifier("l1", alpha=0.02).fit(X, y)
    peer = LogisticRegression(
        l1_ratio=1.0, C=1 / (0.02 * len(y)), solver="saga", tol=1e-9, max_iter=100_000
    )
    peer.fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    ("loss", "peer"),
    [
        ("poisson", PoissonRegressor),
        ("gamma", GammaRegressor),
        ("tweedie", lambda **options: TweedieRegressor(power=1.5, **options)),
    ],
)
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_ridge_of_a_glm_is_scikit_learns(loss, peer, alpha):
    X, y = counts()
    y = y + 0.5 if loss == "gamma" else y
    exposure = np.random.default_rng(1).uniform(0.1, 2.0, len(y))
    options = {"loss": loss, "standardize": False}
    model = EffectivePenaltyRegressor(Lp(p=2.0), alpha, **options).fit(X, y, exposure)
    theirs = peer(alpha=alpha, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    theirs.fit(X, y, exposure)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(model.predict(X), theirs.predict(X), rtol=1e-7)


@pytest.mark.parametrize(
    "loss", [HalfPoissonLoss(), HalfGammaLoss(), HalfTweedieLoss(1.5), HalfTweedieLoss(0.0)]
)
@pytest.mark.parametrize("far", [0.0, 1000.0, -1000.0])
def test_formula_of_the_best_intercepts(loss, far):
    rng = np.random.default_rng(0)
    y, weight = rng.gamma(2.0, size=(100, 3)), rng.dirichlet(np.ones(100))
    likelihood = Elementwise(loss, y, weight)
    rows = far + rng.standard_normal(y.shape)
    best = likelihood.intercepts(rows)
    value, left = likelihood.look(rows + best)
    np.testing.assert_allclose(left.sum(axis=0), 0.0, atol=1e-12 * abs(left).sum())
    for move in (1e-4, -1e-4):
        assert value < likelihood.look(rows + best + move)[0]
    assert Elementwise(loss, 0 * y, weight).intercepts(rows) is None


@pytest.mark.parametrize(
    ("penalty", "n", "p", "seed"), [("mcp", 40, 35, 0), ("scad", 60, 50, 2), ("mcp", 100, 85, 10)]
)
def test_predictions_beyond_numbers_are_left_again(penalty, n, p, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    y = rng.poisson(np.exp(X[:, 0] / 2)) * rng.gamma(1.0, size=n)
    with warnings.catch_warnings():
        # Nearly as many columns as rows: not every point has a minimum that is not at infinity.
        warnings.simplefilter("ignore", ConvergenceWarning)
        path = effective_penalty_path(X, y, penalty=penalty, loss="tweedie", alphas=8)
    assert np.isfinite(path[1]).all()


def test_hessians_follow_the_secant_of_the_last_step():
    X, y = counts()
    design = make_design(X, np.ones(len(y)), fit_intercept=False, standardize=False)
    likelihood = Elementwise(HalfPoissonLoss(), y[:, None], np.full(len(y), 1 / len(y)))
    problem, index = Glm(design, likelihood, False), np.arange(X.shape[1])
    start, end = np.zeros(len(index)), np.linspace(0.0, 0.1, len(index))
    before, move = problem.quadratic(index, start, ahead=True), end - start
    hessian = before.gram.copy()
    change = problem.gradient(start) - problem.gradient(end)
    problem.learn(before, move, change, gain=0.1, left=1.0)
    mean = (move @ change) / (move @ hessian @ move)
    now = problem.quadratic(index, end).gram / hessian  # twice as far as the mean
    np.testing.assert_allclose(now, 1 + 2 * (mean - 1), rtol=1e-12)
    ahead = problem.quadratic(index, end, ahead=True).gram / hessian
    np.testing.assert_allclose(ahead, mean * (1 + 2 * (mean - 1)), rtol=1e-12)
    problem.learn(before, move, change, gain=0.9, left=np.inf)  # too little: a Hessian of its own
    fresh = problem.quadratic(index, end).gram
    np.testing.assert_allclose(fresh, X.T * np.exp(X @ end) / len(y) @ X, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", ["log_loss", "huber", "poisson", "gamma", "tweedie"])
@pytest.mark.parametrize("penalty", [L1(), MCP(), SCAD(), LogSum(0.1)], ids=repr)
def test_solutions_are_stationary_by_hand(loss, penalty):
    X, y = counts()
    alpha = 0.01 if isinstance(penalty, LogSum) else 0.05
    if loss == "log_loss":
        y = (y > 0).astype(int)
        model = EffectivePenaltyClassifier(penalty, alpha).fit(X, y)
    else:
        y = y + 0.5 if loss == "gamma" else y
        model = EffectivePenaltyRegressor(penalty, alpha, loss=loss).fit(X, y)
    w = np.ravel(model.coef_)
    left = rest(loss, y, X @ w + model.intercept_)
    scale = abs(X.T @ rest(loss, y, _null_raw(loss, y)) / len(y)).max()
    assert abs(left.mean()) <= 1e-9 * scale
    residual = excess(penalty, w, X.T @ left / len(y), alpha) / scale
    assert residual <= 1e-6
    assert model.stationarity_ == pytest.approx(residual, abs=1e-8)
    assert 0 < np.count_nonzero(w) < len(w)


def _null_raw(loss, y):
    # The predictor of a model without columns.
    mean = y.mean()
    if loss == "log_loss":
        return np.full(len(y), np.log(mean / (1 - mean)))
    if loss == "huber":
        low, high = y.min(), y.max()
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if np.clip(y - middle, -1.35, 1.35).sum() > 0 else (low, middle)
            )
        return np.full(len(y), low)
    return np.full(len(y), np.log(mean))


@pytest.mark.parametrize("penalty", [L1(), MCP()], ids=repr)
def test_multinomial_solutions_are_stationary_by_hand(penalty):
    X, y = iris()
    model = EffectivePenaltyClassifier(penalty, 0.05).fit(X, y)
    left = rest("log_loss", y, X @ model.coef_.T + model.intercept_)
    np.testing.assert_allclose(left.mean(axis=0), 0, atol=1e-12)
    assert excess(penalty, model.coef_.ravel(), (left.T @ X / len(y)).ravel(), 0.05) <= 1e-7


@pytest.mark.parametrize("penalty", ["l1", "mcp", "logsum"])
def test_both_solvers_agree_on_classes(penalty):
    X, y = cancer()
    one, other = (
        EffectivePenaltyClassifier(penalty, 0.05, solver=solver).fit(X, y)
        for solver in ("coordinate_descent", "reweighted")
    )
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-8)
    assert one.objective_ == pytest.approx(other.objective_, rel=1e-12)


def test_huber_with_a_wide_parabola_is_squared_error():
    X, y = counts()
    wide = EffectivePenaltyRegressor("mcp", 0.1, loss="huber", huber_epsilon=1e6).fit(X, y)
    np.testing.assert_allclose(
        wide.coef_, EffectivePenaltyRegressor("mcp", 0.1).fit(X, y).coef_, atol=1e-9
    )


def test_huber_withstands_outliers():
    X, Y = targets(k=1)
    spoilt = Y[:, 0].copy()
    spoilt[:5] += 1000.0
    clean = EffectivePenaltyRegressor("mcp", 0.1).fit(X, Y[:, 0])
    robust = EffectivePenaltyRegressor("mcp", 0.1, loss="huber").fit(X, spoilt)
    assert abs(robust.coef_ - clean.coef_).max() < 0.2


def test_rows_selected_jointly_are_multi_task_lasso():
    X, Y = targets()
    for alpha in (0.5, 0.05):
        options = {"penalize": "feature", "standardize": False}
        model = EffectivePenaltyRegressor("l1", alpha, **options).fit(X, Y)
        peer = MultiTaskLasso(alpha, tol=1e-12, max_iter=100_000).fit(X, Y)
        np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-8)
        np.testing.assert_allclose(model.predict(X), peer.predict(X), atol=1e-8)


def test_independent_targets_are_separate_fits():
    X, Y = targets()
    for loss in ("squared_error", "huber"):
        model = EffectivePenaltyRegressor("mcp", 0.1, loss=loss).fit(X, Y)
        assert model.coef_.shape == (3, 20)
        assert model.keep_prob_.shape == (3, 20)
        for k in range(3):
            alone = EffectivePenaltyRegressor("mcp", 0.1, loss=loss).fit(X, Y[:, k])
            np.testing.assert_allclose(model.coef_[k], alone.coef_, atol=1e-10)
            np.testing.assert_allclose(model.intercept_[k], alone.intercept_, atol=1e-10)


@pytest.mark.parametrize("cls", [EffectivePenaltyRegressor, AdaptiveDropoutRegressor])
@pytest.mark.parametrize("penalty", [L1(), MCP(), LogSum(0.1)], ids=repr)
def test_groups_are_stationary_by_hand(cls, penalty):
    X, Y = targets(p=18)
    groups = np.repeat(np.arange(6), 3)
    alpha = 0.2
    model = cls(penalty, alpha, groups=groups).fit(X, Y[:, 0])
    pull = X.T @ (Y[:, 0] - model.predict(X)) / len(Y)
    strength = alpha * np.sqrt(3)
    for g in range(6):
        w, force = model.coef_[groups == g], pull[groups == g]
        norm = np.linalg.norm(w)
        if norm > 0:
            assert abs(force - penalty.slope(norm, strength) * w / norm).max() <= 1e-8
        else:
            assert np.linalg.norm(force) <= penalty.slope(0.0, strength) + 1e-8
    assert 0 < np.count_nonzero(model.coef_) < 18


def test_groups_of_one_are_single_columns():
    X, Y = targets()
    for y, loss in ((Y[:, 0], "squared_error"), (counts(100)[1], "poisson")):
        single = EffectivePenaltyRegressor("l1", 0.1, loss=loss).fit(X, y)
        groups = [[j] for j in range(20)]
        model = EffectivePenaltyRegressor("l1", 0.1, loss=loss, groups=groups).fit(X, y)
        np.testing.assert_allclose(model.coef_, single.coef_, atol=1e-8)


def test_sparse_groups_are_stationary_by_hand():
    X, Y = targets(p=18)
    groups, alpha = np.repeat(np.arange(6), 3), 0.1
    penalty = Sum(L1(), Group(L1(), groups, weights="sqrt"))
    model = EffectivePenaltyRegressor(penalty, alpha).fit(X, Y[:, 0])
    pull = X.T @ (Y[:, 0] - model.predict(X)) / len(Y)
    for g in range(6):
        w, force = model.coef_[groups == g], pull[groups == g]
        norm, bound = np.linalg.norm(w), alpha * np.sqrt(3)
        if norm == 0:
            assert np.linalg.norm(np.maximum(abs(force) - alpha, 0)) <= bound + 1e-8
            continue
        left = force - bound * w / norm
        assert abs(left - alpha * np.sign(w))[w != 0].max() <= 1e-8
        assert (abs(left)[w == 0] <= alpha + 1e-8).all()
    largest = penalty.alpha_max(X.T @ (Y[:, 0] - Y[:, 0].mean()) / len(Y))
    assert not EffectivePenaltyRegressor(penalty, largest * (1 + 1e-9)).fit(X, Y[:, 0]).coef_.any()
    assert EffectivePenaltyRegressor(penalty, largest * 0.999).fit(X, Y[:, 0]).coef_.any()


def test_a_column_is_in_or_out_for_all_classes():
    X, y = make_classification(
        200, 30, n_informative=4, n_redundant=0, n_classes=3, random_state=0, shuffle=False
    )
    for penalty in ("l1", "mcp"):
        model = EffectivePenaltyClassifier(penalty, 0.05, penalize="feature").fit(X, y)
        inside = model.coef_ != 0
        assert (inside.all(axis=0) == inside.any(axis=0)).all()
        assert 0 < inside.any(axis=0).sum() < 20


@pytest.mark.parametrize("penalize", ["coefficient", "feature"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_sparse_and_dense_agree_on_classes(penalize, n_classes):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((150, 30)) * (rng.random((150, 30)) < 0.3)
    y = np.digitize(X[:, 0] - X[:, 1] + rng.standard_normal(150), [0.0, 0.7])
    y = np.minimum(y, n_classes - 1)
    for penalty in ("l1", LogSum(0.1)):
        options = {"penalize": penalize, "tol": 1e-9}
        dense = EffectivePenaltyClassifier(penalty, 0.05, **options).fit(X, y)
        for kind in (sparse.csr_matrix, sparse.csc_array):
            model = EffectivePenaltyClassifier(penalty, 0.05, **options).fit(kind(X), y)
            np.testing.assert_allclose(model.coef_, dense.coef_, atol=1e-8)
            np.testing.assert_allclose(
                model.predict_proba(kind(X)), dense.predict_proba(X), atol=1e-8
            )


def test_expected_masks_are_stationary_by_hand():
    X, y = cancer()
    penalty, alpha = MCP(), 0.05
    model = AdaptiveDropoutClassifier(penalty, alpha).fit(X, y)
    raw = X @ model.coef_[0] + model.intercept_
    chance = expit(raw)
    d = (chance * (1 - chance)) @ X**2 / len(y)
    seen = np.sqrt(d) * model.coef_[0]
    pull = X.T @ (y - chance) / len(y)
    scale = abs(X.T @ (y - y.mean())).max() / len(y)
    assert excess(penalty, seen, pull / np.sqrt(d), alpha) <= 1e-4 * scale
    np.testing.assert_allclose(model.keep_prob_[0], penalty.keep_prob(seen, alpha), rtol=1e-8)


@pytest.mark.parametrize(
    ("alpha", "standardize"), [(0.01, True), (0.2, True), (0.3, True), (0.03, False)]
)
def test_expected_masks_of_a_class_that_is_apart(alpha, standardize):
    # The noise of a column falls as its coefficient grows: solving for the old one goes in circles.
    X, y = load_iris(return_X_y=True)  # raw: units matter without standardize
    model = AdaptiveDropoutClassifier("mcp", alpha, standardize=standardize).fit(X, y)
    scale = X.std(axis=0) if standardize else np.ones(4)
    D, w = (X - X.mean(axis=0)) / scale, model.coef_ * scale
    chance, classes = softmax(X @ model.coef_.T + model.intercept_, axis=1), np.eye(3)[y]
    d = (chance * (1 - chance)).T @ D**2 / (D**2).sum(axis=0)
    seen, pull = np.sqrt(d) * w, (classes - chance).T @ D / len(y)
    largest = abs(classes.T @ D).max() / len(y)
    assert excess(MCP(), seen, pull / np.sqrt(d), alpha) <= 1e-4 * largest
    assert abs(model.intercept_).max() < 100  # nor do rounds carry all of them off together


@pytest.mark.parametrize("cls", [AdaptiveDropoutClassifier, EffectivePenaltyClassifier])
def test_classes_do_not_run_off_together(cls):
    # The same number added to all classes changes no loss, and a flat penalty lets it pass; one
    # zero in each column is the cheaper way.
    rng = np.random.default_rng(2)
    X, W = rng.standard_normal((200, 15)), np.zeros((15, 4))
    W[:5] = 2 * rng.standard_normal((5, 4))
    y = (X @ W + rng.gumbel(size=(200, 4))).argmax(axis=1)
    model = cls("mcp", 0.001).fit(X, y)
    assert (model.coef_ == 0).any(axis=0).all()
    assert abs(model.coef_).max() < 100
    assert model.stationarity_ <= 1e-6


def test_sampled_masks_come_near_the_second_order():
    X, y = cancer()
    X = X[:, :5]
    expected = AdaptiveDropoutClassifier("l1", 0.02).fit(X, y)
    options = {"masks": "gaussian", "n_masks": 20, "max_iter": 20, "tol": 1.0, "random_state": 0}
    sampled = AdaptiveDropoutClassifier("l1", 0.02, **options).fit(X, y)
    again = AdaptiveDropoutClassifier("l1", 0.02, **options).fit(X, y)
    np.testing.assert_array_equal(sampled.coef_, again.coef_)
    free = AdaptiveDropoutClassifier(alpha=0).fit(X, y).coef_
    gap = np.linalg.norm(sampled.coef_ - expected.coef_)
    assert gap < 0.25 * np.linalg.norm(free - expected.coef_)


def test_likelihood_in_any_units():
    # The gradient of such a column times its curvature is zero in floating point.
    X, y = iris()
    X, units = X[:, :3], np.array([1, 1, 1e-120])
    model = EffectivePenaltyClassifier(alpha=0, standardize=False)
    expected = model.fit(X, y == 1).coef_
    np.testing.assert_allclose(model.fit(X * units, y == 1).coef_ * units, expected, rtol=1e-5)


def test_sampled_masks_of_groups():
    X, y = cancer()
    X, groups = X[:, :6], [0, 0, 0, 1, 1, 1]
    options = {"groups": groups, "n_masks": 20, "max_iter": 20, "tol": 1.0, "random_state": 0}
    expected = AdaptiveDropoutClassifier("l1", 0.02, groups=groups).fit(X, y).coef_
    free = AdaptiveDropoutClassifier(alpha=0).fit(X, y).coef_
    for masks in ("gaussian", "bernoulli"):
        sampled = AdaptiveDropoutClassifier("l1", 0.02, masks=masks, **options).fit(X, y).coef_
        gap = np.linalg.norm(sampled - expected)
        assert gap < 0.25 * np.linalg.norm(free - expected)
    X, y = iris()
    options |= {"groups": [0, 0, 1, 1], "masks": "gaussian"}
    with pytest.raises(ValueError, match="with several outputs they need penalize="):
        AdaptiveDropoutClassifier("l1", 0.02, **options).fit(X, y)


@pytest.mark.parametrize(
    "names", [np.array(["no", "yes"]), np.array([False, True]), np.array([7, 3])]
)
def test_labels_of_any_kind(names):
    X, y = cancer()
    model = EffectivePenaltyClassifier("mcp", 0.05).fit(X, names[y])
    assert set(model.classes_) == set(names)
    assert (model.predict(X) == names[y]).mean() > 0.95


def test_pandas_categories_and_selected_names():
    X, y = cancer()
    frame = pd.DataFrame(X, columns=[f"column {j}" for j in range(X.shape[1])])
    labels = pd.Series(np.array(["a", "b"])[y], dtype="category")
    model = EffectivePenaltyClassifier("mcp", 0.05).fit(frame, labels)
    assert list(model.classes_) == ["a", "b"]
    selector = SelectFromModel(model, prefit=True, threshold=1e-12).fit(frame)
    names = selector.get_feature_names_out()
    assert list(names) == [f"column {j}" for j in np.flatnonzero(model.coef_[0])]


def test_class_weights_are_sample_weights():
    X, y = cancer()
    balanced = EffectivePenaltyClassifier("l1", 0.05, class_weight="balanced").fit(X, y)
    share = np.bincount(y) / len(y)
    weighted = EffectivePenaltyClassifier("l1", 0.05).fit(X, y, sample_weight=1 / share[y])
    np.testing.assert_allclose(balanced.coef_, weighted.coef_, atol=1e-10)


def test_sparsify_and_back():
    X, y = cancer()
    model = EffectivePenaltyClassifier("l1", 0.05).fit(X, y)
    chance = model.predict_proba(X)
    np.testing.assert_allclose(model.sparsify().predict_proba(X), chance)
    assert sparse.issparse(model.coef_)
    assert not sparse.issparse(model.densify().coef_)


@pytest.mark.parametrize("cls", [EffectivePenaltyClassifier, AdaptiveDropoutClassifier])
def test_float32_is_kept(cls):
    X, y = cancer()
    model, double = (cls("l1", 0.05).fit(X.astype(kind), y) for kind in (np.float32, np.float64))
    assert model.coef_.dtype == np.float32
    assert model.stationarity_ <= 1e-6  # solved in double precision
    np.testing.assert_allclose(model.coef_, double.coef_, atol=1e-5)


def test_separable_classes_and_a_class_with_one_row():
    X, y = iris()
    model = EffectivePenaltyClassifier("l1", 1e-3).fit(X[:100], y[:100])
    assert model.stationarity_ <= 1e-6
    assert model.score(X[:100], y[:100]) == 1
    lonely = EffectivePenaltyClassifier("l1", 0.01).fit(X[:101], y[:101])
    assert len(lonely.classes_) == 3
    assert lonely.stationarity_ <= 1e-6


@pytest.mark.parametrize("penalty", ["l1", "mcp"])
def test_offsets_of_a_million(penalty):
    X, y = cancer()
    near = EffectivePenaltyClassifier(penalty, 0.05).fit(X, y)
    far = EffectivePenaltyClassifier(penalty, 0.05).fit(X + 1e6, y)
    np.testing.assert_allclose(far.coef_, near.coef_, atol=1e-6)
    X, y = counts()
    near = EffectivePenaltyRegressor(penalty, 0.05, loss="poisson").fit(X, y)
    far = EffectivePenaltyRegressor(penalty, 0.05, loss="poisson").fit(X - 1e6, y)
    np.testing.assert_allclose(far.coef_, near.coef_, atol=1e-6)


def test_clear_errors():
    X, y = counts()
    for loss in ("poisson", "tweedie"):
        with pytest.raises(ValueError, match="must have positive entries"):
            EffectivePenaltyRegressor(loss=loss).fit(X, 0 * y)
    with pytest.raises(ValueError, match="y must be > 0 for the gamma loss; its smallest"):
        EffectivePenaltyRegressor(loss="gamma").fit(X, y)
    with pytest.raises(ValueError, match="one class only"):
        EffectivePenaltyClassifier().fit(X, np.zeros(len(y)))
    with pytest.raises(ValueError, match="row of positive weight"):
        EffectivePenaltyClassifier().fit(X, y > 1, sample_weight=(y > 1).astype(float))
    both = {"feature_weights": np.ones(20), "groups": np.zeros(20)}
    with pytest.raises(ValueError, match="cannot be combined"):
        EffectivePenaltyRegressor("l1", **both).fit(X, y)
    with pytest.raises(ValueError, match="19 labels for 20 columns"):
        EffectivePenaltyRegressor("l1", groups=np.zeros(19)).fit(X, y)
    with pytest.raises(ValueError, match="separable penalty"):
        EffectivePenaltyRegressor("ard", groups=np.zeros(20)).fit(X, y)
    with pytest.raises(ValueError, match="squared error of one target"):
        EffectivePenaltyRegressor("ard", loss="poisson").fit(X, y)
    few = np.r_[np.zeros(99), 1]
    with pytest.raises(ValueError, match="no row of class"):
        EffectivePenaltyClassifierCV("l1", alphas=3, cv=[(np.arange(50), np.arange(50, 100))]).fit(
            X[:100], few
        )


def test_path_of_a_classifier_is_its_fits():
    X, y = cancer()
    alphas, coefs, stationarity = EffectivePenaltyClassifier.path(
        X, y, penalty="l1", alphas=10, eps=0.02
    )
    assert not coefs[:, 0].any()
    assert stationarity.max() <= 1e-6
    for alpha, coef in zip(alphas[1::3], coefs.T[1::3], strict=True):
        fit = EffectivePenaltyClassifier("l1", alpha).fit(X, y)
        np.testing.assert_allclose(coef, fit.coef_[0], atol=1e-4)
    X, y = iris()
    _, coefs, _ = effective_penalty_path(X, y, penalty="l1", alphas=5, loss="log_loss")
    assert coefs.shape == (3, 4, 5)


def test_cross_validation_of_classes_is_a_loop_by_hand():
    X, y = cancer()
    half = np.arange(len(y)) % 2 == 0
    cv = [(np.flatnonzero(half), np.flatnonzero(~half))]
    model = EffectivePenaltyClassifierCV("l1", alphas=6, eps=0.01, cv=cv).fit(X, y)
    assert model.scores_.shape == (1, 6)
    assert model.coefs_path_.shape == (6, 1, 30)
    for alpha, score in zip(model.alphas_[1:], model.scores_[0, 1:], strict=True):
        fold = EffectivePenaltyClassifier("l1", alpha).fit(X[half], y[half])
        chance = fold.predict_proba(X[~half])[np.arange((~half).sum()), y[~half]]
        assert score == pytest.approx(np.log(chance).mean(), abs=1e-4)
    assert model.alpha_ == model.alphas_[model.scores_[0].argmax()]
    accuracy = EffectivePenaltyClassifierCV("l1", alphas=3, eps=0.1, cv=cv, scoring="accuracy")
    scores = accuracy.fit(X, y).scores_
    assert ((scores > 0.3) & (scores <= 1)).all()
    frame = pd.DataFrame(X, columns=[f"column {j}" for j in range(30)])
    np.testing.assert_array_equal(accuracy.fit(frame, y).scores_, scores)
    assert list(accuracy.feature_names_in_) == list(frame)


def test_cross_validation_of_counts_uses_the_deviance():
    X, y = counts()
    model = EffectivePenaltyRegressorCV("l1", loss="poisson", alphas=10, cv=3).fit(X, y)
    worst, best = model.mse_path_.mean(axis=1)[0], model.mse_path_.mean(axis=1).min()
    assert best < 0.8 * worst
    assert set(np.flatnonzero(model.coef_)) >= {0, 1, 2}


def test_lasso_of_two_targets_with_weights():
    X, Y = targets()
    weight = np.random.default_rng(0).uniform(0.1, 2.0, len(X))
    model = EffectivePenaltyRegressor("l1", 0.1, standardize=False).fit(X, Y, weight)
    for k in range(3):
        peer = Lasso(0.1, tol=1e-12, max_iter=100_000).fit(X, Y[:, k], weight)
        np.testing.assert_allclose(model.coef_[k], peer.coef_, atol=1e-8)


def test_concave_penalties_do_not_stall_where_columns_abound():
    X, y = make_classification(
        72, 3000, n_informative=20, n_redundant=0, n_clusters_per_class=1, class_sep=1.5,
        flip_y=0.02, shuffle=False, random_state=3,
    )  # fmt: skip
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0).split(X, y)
    X = StandardScaler().fit_transform(X)
    for train, _ in folds:
        model = EffectivePenaltyClassifier("logsum", 0.01).fit(X[train], y[train])
        assert model.stationarity_ <= 1e-6


def test_many_sparse_columns_are_dense_ones():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1500, 1200)) * (rng.random((1500, 1200)) < 0.01)
    y = (X[:, :30].sum(axis=1) + rng.standard_normal(1500) > 0).astype(int)
    options = {"penalty": "l1", "alphas": [2e-3, 1e-3, 5e-4], "standardize": False, "tol": 1e-9}
    (_, dense, _), (_, coefs, stationarity) = (
        EffectivePenaltyClassifier.path(kind(X), y, **options)
        for kind in (np.asarray, sparse.csc_array)
    )
    assert stationarity.max() <= 1e-9
    assert np.count_nonzero(coefs[:, -1]) > 350  # too many for a Gram matrix
    np.testing.assert_allclose(coefs, dense, atol=1e-5)


@pytest.mark.parametrize("penalty", [L1(), MCP(), SCAD()], ids=repr)
@pytest.mark.parametrize("loss", ["log_loss", "poisson"])
def test_paths_are_stationary_by_hand(penalty, loss):
    X, y = counts(400, 60)
    y = (y > 0).astype(int) if loss == "log_loss" else y
    alphas, coefs, _ = effective_penalty_path(X, y, penalty=penalty, loss=loss, alphas=20, eps=0.02)
    null = X.T @ (y - y.mean()) / len(y)
    for alpha, w in zip(alphas, coefs.T, strict=True):
        intercept = _best_intercept(loss, y, X @ w)
        pull = X.T @ rest(loss, y, X @ w + intercept) / len(y)
        assert excess(penalty, w, pull, alpha) <= 1.01e-6 * abs(null).max()


def _best_intercept(loss, y, raw):
    if loss == "poisson":
        return np.log(y.mean() / np.exp(raw).mean())
    low, high = -50.0, 50.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if expit(raw + middle).mean() > y.mean() else (middle, high)
    return low


def test_rows_far_on_the_wrong_side_do_not_stall():
    # A start so wrong that the loss is straight there: its curvature says nothing.
    X, y = cancer()
    start = EffectivePenaltyClassifier("mcp", 0.05, warm_start=True).fit(X, y)
    best = start.objective_
    start.coef_ = -40 * start.coef_
    start.fit(X, y)
    assert start.stationarity_ <= 1e-6
    assert start.objective_ <= 2 * best
