"""Paths, cross-validation, criteria and the noise: many strengths, one engine."""

import numpy as np
import pytest
from problems import regression_problem
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ARDRegression, LassoCV, lasso_path
from sklearn.model_selection import KFold
from sklearn.preprocessing import scale

from skdropdual import (
    AdaptiveDropoutRegressor,
    AdaptiveDropoutRegressorCV,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
    effective_penalty,
    effective_penalty_path,
)
from skdropdual.exceptions import ConvergenceWarning
from skdropdual.penalties import LogSum, Weighted

PENALTIES = ["l1", "mcp", "scad", "logsum", "vardrop"]
BOTH = [EffectivePenaltyRegressorCV, AdaptiveDropoutRegressorCV]


def sparse_truth(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    X[:, 1:] += 0.6 * X[:, :-1]
    y = X[:, :5] @ [3.0, -2.0, 2.0, -1.0, 1.0] + rng.standard_normal(n)
    return X, y, rng.uniform(0.5, 2.0, n)


@pytest.mark.parametrize("shape", [(60, 20), (40, 120), (300, 12)])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_point_is_stationary(shape, penalty):
    # THEORY 5, from the data: |g_j - P'(|w_j|) sign(w_j)| and (|g_j| - P'(0+))_+, to tol.
    X, y, weight = sparse_truth(*shape)
    alphas, coefs, residuals = effective_penalty_path(
        X, y, penalty=penalty, alphas=20, eps=0.01, sample_weight=weight
    )
    share = weight / weight.sum()
    Z = X - share @ X
    sd = np.sqrt(share @ Z**2)
    Z, t = Z / sd, y - share @ y
    rule = effective_penalty(penalty)
    unit = np.abs(Z.T @ (share * t)).max()
    for alpha, coef, residual in zip(alphas, coefs.T, residuals, strict=True):
        w = coef * sd
        g = Z.T @ (share * (t - Z @ w))
        slope = rule.slope(w, alpha)
        worst = np.where(w != 0, np.abs(g - slope * np.sign(w)), np.maximum(np.abs(g) - slope, 0))
        assert worst.max() <= 1.001e-6 * unit
        assert worst.max() / unit == pytest.approx(residual, abs=1e-9)
    assert (coefs[:, 0] == 0).all()
    assert (coefs[:, 1] != 0).any()


def test_l1_path_is_scikit_learns():
    X, y, _ = sparse_truth(80, 100)
    alphas, coefs, _, n_iter = effective_penalty_path(
        X, y, penalty="l1", alphas=30, eps=0.01, fit_intercept=False, standardize=False,
        tol=1e-9, return_n_iter=True,
    )  # fmt: skip
    theirs, other, _ = lasso_path(X, y, alphas=30, eps=0.01, tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(alphas, theirs, rtol=1e-12)
    np.testing.assert_allclose(coefs, other, atol=1e-5)
    assert n_iter.shape == alphas.shape


@pytest.mark.parametrize("cls", [EffectivePenaltyRegressor, AdaptiveDropoutRegressor])
@pytest.mark.parametrize("penalty", ["l1", "mcp", "vardrop"])
def test_path_of_an_estimator_is_its_fits(cls, penalty):
    X, y, weight = sparse_truth(60, 30)
    model = cls(penalty, positive=True, feature_weights=np.linspace(0.5, 2, 30))
    alphas, coefs, _ = model.path(X, y, alphas=6, eps=0.05, sample_weight=weight, tol=1e-10)
    start = np.zeros(30)
    for alpha, coef in zip(alphas, coefs.T, strict=True):
        fit = clone(model).set_params(alpha=alpha, warm_start=True)
        fit.coef_ = start
        start = fit.fit(X, y, sample_weight=weight).coef_
        np.testing.assert_allclose(start, coef, atol=1e-7)
    assert cls.path(X, y, alphas=3)[1].shape == (30, 3)


def test_both_faces_follow_the_same_path():
    X, y, _ = sparse_truth(60, 100)
    for penalty in PENALTIES:
        options = {"penalty": penalty, "alphas": 15, "eps": 0.1, "tol": 1e-9}
        _, one, _ = effective_penalty_path(X, y, **options)
        _, other, _ = effective_penalty_path(X, y, solver="reweighted", **options)
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_coef_init_and_max_nonzero():
    X, y, _ = sparse_truth(60, 40)
    alphas, coefs, _ = effective_penalty_path(X, y, penalty="l1", alphas=30)
    short, fewer, _ = effective_penalty_path(X, y, penalty="l1", alphas=30, max_nonzero=4)
    size = np.count_nonzero(coefs, axis=0)
    assert len(short) == np.argmax(size > 4)
    np.testing.assert_array_equal(fewer, coefs[:, : len(short)])
    end = {"alphas": alphas[-1:], "coef_init": coefs[:, -1]}
    _, again, _ = effective_penalty_path(X, y, penalty="l1", **end)
    np.testing.assert_allclose(again[:, 0], coefs[:, -1], atol=1e-5)


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("cls", [EffectivePenaltyRegressor, AdaptiveDropoutRegressor])
def test_n_nonzero_is_the_largest_model_that_fits(cls, k):
    X, y, _ = sparse_truth(60, 40)
    model = cls("mcp", alpha=None, n_nonzero=k).fit(X, y)
    _, coefs, _ = model.path(X, y)
    size = np.count_nonzero(coefs, axis=0)
    until = np.argmax(size > k)
    assert np.count_nonzero(model.coef_) == size[:until].max()
    assert model.stationarity_ <= 1e-6


@pytest.mark.parametrize(("n", "p"), [(90, 12), (50, 80)])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_lasso_cv(n, p, fit_intercept):
    X, y, weight = sparse_truth(n, p)
    options = {"alphas": 30, "eps": 0.01, "cv": 4, "fit_intercept": fit_intercept}
    for share in (None, weight):
        ours = EffectivePenaltyRegressorCV("l1", standardize=False, tol=1e-9, **options)
        theirs = LassoCV(tol=1e-12, max_iter=100_000, **options)
        ours.fit(X, y, sample_weight=share)
        theirs.fit(X, y, sample_weight=share)
        np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-5)
        assert ours.alpha_ == pytest.approx(theirs.alpha_, rel=1e-6)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
        assert ours.coefs_path_.shape == (p, 30)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize(("n", "p"), [(90, 12), (40, 60)])
def test_errors_of_the_folds(cls, n, p):
    # Folds by subtracted sums (n > p) or zero weights (n < p) are fits on the rows that stay.
    X, y, weight = sparse_truth(n, p)
    X[:, 3] = 1e3 + X[:, 3]
    X[:, 4] = np.arange(n) < n // 3  # constant in a fold
    folds = list(KFold(3).split(X))
    model = cls("mcp", alphas=8, eps=0.1, cv=folds, tol=1e-9).fit(X, y, sample_weight=weight)
    masks = cls is AdaptiveDropoutRegressorCV
    for k, (train, test) in enumerate(folds):
        fit = effective_penalty_path(
            X[train], y[train], penalty="mcp", alphas=model.alphas_, tol=1e-9,
            sample_weight=weight[train], solver="reweighted" if masks else "auto",
        )[1]  # fmt: skip
        share = weight[train] / weight[train].sum()
        shift = share @ y[train] - share @ X[train] @ fit
        errors = (y[test, None] - X[test] @ fit - shift) ** 2
        expected = weight[test] @ errors / weight[test].sum()
        np.testing.assert_allclose(model.mse_path_[:, k], expected, rtol=1e-5)


def test_search_over_penalties_and_their_parameters():
    X, y, _ = sparse_truth(80, 30)
    model = EffectivePenaltyRegressorCV(["l1", "mcp", LogSum(0.3)], alphas=12, n_jobs=2).fit(X, y)
    assert model.mse_path_.shape == (3, 12, 5)
    assert model.alphas_.shape == (3, 12)
    best = model.mse_path_.mean(axis=-1).min(axis=1).argmin()
    assert type(model.penalty_).__name__ == ["L1", "MCP", "LogSum"][best]
    # ARD depends on the rows of a fold, whatever stands beside it.
    options = {"alphas": [0.1, 0.01], "cv": 3}
    alone = EffectivePenaltyRegressorCV("ard", **options).fit(X, y)
    beside = EffectivePenaltyRegressorCV(["l1", "ard"], **options).fit(X, y)
    np.testing.assert_allclose(beside.mse_path_[1], alone.mse_path_, rtol=1e-8)
    grid = EffectivePenaltyRegressorCV("mcp", penalty_params={"gamma": [1.5, 3.0]}, alphas=5)
    assert grid.fit(X, y).penalty_.gamma in (1.5, 3.0)
    with pytest.raises(ValueError, match="gama"):
        grid.set_params(penalty_params={"gama": [1]}).fit(X, y)


def test_one_standard_error():
    X, y, _ = sparse_truth(80, 30)
    least = EffectivePenaltyRegressorCV("l1").fit(X, y)
    model = clone(least).set_params(selection="1se").fit(X, y)
    mean = least.mse_path_.mean(axis=1)
    bound = mean.min() + least.mse_path_[mean.argmin()].std(ddof=1) / np.sqrt(5)
    assert model.alpha_ == model.alphas_[np.argmax(mean <= bound)] > least.alpha_


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("criterion", ["aic", "bic", "ebic"])
def test_information_criteria(cls, criterion):
    X, y, _ = sparse_truth(80, 30)
    model = cls("mcp", selection=criterion, alphas=25).fit(X, y)
    n, p = X.shape
    size = np.count_nonzero(model.coefs_path_, axis=0)
    residual = y[:, None] - y.mean() - (X - X.mean(axis=0)) @ model.coefs_path_
    score = n * np.log((residual**2).mean(axis=0))
    score += {"aic": 2, "bic": np.log(n), "ebic": np.log(n)}[criterion] * size
    if criterion == "ebic":
        choose = [np.log(np.arange(p - k + 1, p + 1)).sum() - np.log(np.arange(1, k + 1)).sum()
                  for k in size]  # fmt: skip
        score += 2 * np.array(choose)
    np.testing.assert_allclose(model.criterion_path_, score, rtol=1e-9)
    assert model.alpha_ == model.alphas_[score.argmin()]
    assert not hasattr(model, "mse_path_")


def test_noise_of_ard_is_scikit_learns():
    X, y = load_diabetes(return_X_y=True)
    X = scale(X)
    ours = EffectivePenaltyRegressor("ard", alpha="auto").fit(X, y)
    theirs = ARDRegression(tol=1e-8, max_iter=1000).fit(X, y)
    assert ours.alpha_ * len(y) == pytest.approx(1 / theirs.alpha_, rel=1e-4)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=0.02)


@pytest.mark.parametrize("cls", [EffectivePenaltyRegressor, AdaptiveDropoutRegressor])
def test_noise_of_vardrop_is_a_fixed_point(cls):
    # The variational bound is stationary in sigma^2 where n alpha = E_s mean squared residual.
    X, y, _ = sparse_truth(100, 30)
    model = cls("vardrop", alpha="auto").fit(X, y)
    w = model.coef_ * X.std(axis=0)
    kept = w != 0
    r = effective_penalty("vardrop").ridge(w[kept], model.alpha_)
    expected = ((y - model.predict(X)) ** 2).mean() + (r * w[kept] ** 2).sum()
    assert model.alpha_ * len(y) == pytest.approx(expected, rel=1e-6)
    assert 0.7 < model.alpha_ * len(y) < 1.5  # the noise was drawn with variance 1
    twice = cls("vardrop", alpha="auto").fit(np.r_[X, X], np.r_[y, y])
    weighted = cls("vardrop", alpha="auto").fit(X, y, sample_weight=np.full(100, 2.0))
    assert weighted.alpha_ == pytest.approx(twice.alpha_, rel=1e-6)


def test_noise_that_does_not_settle_is_blamed_on_the_caller(monkeypatch):
    monkeypatch.setattr("skdropdual.linear_model._base._NOISE_ROUNDS", 2)
    X, y = load_diabetes(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="noise variance moved") as w:
        EffectivePenaltyRegressor("vardrop", alpha="auto").fit(X, y)
    assert [each.filename for each in w] == [__file__]


@pytest.mark.parametrize(
    ("cls", "penalty"),
    [
        (EffectivePenaltyRegressor, "vardrop"),
        (AdaptiveDropoutRegressor, "vardrop"),
        (EffectivePenaltyRegressor, "ard"),
    ],
)
def test_noise_that_vanishes_says_so(cls, penalty):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((20, 100))
    y = X[:, :3] @ [3.0, 2.0, 1.0] + rng.standard_normal(20)
    model = cls(penalty, alpha="auto")
    with pytest.warns(ConvergenceWarning, match="fell to nothing.* 100 columns and 20 rows") as w:
        model.fit(X, y)
    assert len(w) == 1
    assert w[0].filename == __file__
    assert ((y - model.predict(X)) ** 2).mean() < 1e-6 * y.var()
    # Where there is no noise, none is what rows enough find.
    X = rng.standard_normal((100, 20))
    model.fit(X, X[:, 0] - X[:, 1])
    np.testing.assert_allclose(model.coef_, np.r_[1, -1, np.zeros(18)], atol=1e-6)


class Recorder:
    """A callback that counts tasks, and may interrupt."""

    def __init__(self, interrupt_at=None):
        self.begun, self.ended, self.interrupt_at = [], [], interrupt_at
        self.closed = 0

    def setup(self, estimator, context):
        self.begun.clear()

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)
        if len(self.begun) == self.interrupt_at:
            raise KeyboardInterrupt

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)

    def teardown(self, estimator, context):
        self.closed += 1


def test_callbacks_see_each_point_and_fold():
    X, y, _ = sparse_truth(40, 8)
    recorder = Recorder()
    EffectivePenaltyRegressorCV("l1", alphas=7, cv=3).set_callbacks(recorder).fit(X, y)
    assert recorder.begun.count("path") == 1 + 3
    assert recorder.begun.count("alpha") == 7 * (1 + 3)
    assert sorted(recorder.begun) == sorted(recorder.ended)
    single = Recorder()
    EffectivePenaltyRegressor("l1").set_callbacks(single).fit(X, y)
    assert single.begun == single.ended == ["fit"]


@pytest.mark.parametrize("cls", BOTH)
def test_an_interrupted_search_leaves_the_estimator_as_it_was(cls):
    X, y, _ = sparse_truth(40, 8)
    model = cls(alphas=5, cv=3).fit(X, y)
    before = dict(vars(model))
    recorder = Recorder(interrupt_at=13)
    model.set_callbacks(recorder)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :4], y)
    assert recorder.closed == 1
    vars(model).pop("_skl_callbacks")
    assert {k: v for k, v in vars(model).items() if not k.startswith("_skl")} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alphas": [0.1, -1.0]}, "alphas must be .* strengths > 0"),
        ({"alphas": []}, "alphas must be"),
        ({"alphas": 0}, "'alphas' parameter"),
        ({"eps": 0.0}, "'eps' parameter"),
        ({"max_nonzero": -1}, "'max_nonzero' parameter"),
        ({"feature_weights": [1.0]}, "feature_weights"),
        ({"penalty": "logsquaresum"}, "alphas must be given for LogSquareSum"),
        ({"penalty": "hardthreshold"}, "no strength"),
        ({"penalty": "lasso"}, "'penalty' parameter"),
    ],
)
def test_bad_search(options, message):
    X, y, _ = sparse_truth(30, 5)
    with pytest.raises(ValueError, match=message):
        effective_penalty_path(X, y, **options)
    with pytest.raises(ValueError, match=message):
        EffectivePenaltyRegressorCV(**options).fit(X, y)


def test_bad_strengths():
    X, y, _ = sparse_truth(30, 5)
    for alpha, n_nonzero in ((None, None), (1.0, 3)):
        with pytest.raises(ValueError, match="n_nonzero"):
            EffectivePenaltyRegressor(alpha=alpha, n_nonzero=n_nonzero).fit(X, y)
    with pytest.raises(ValueError, match="vardrop or ard; got MCP"):
        EffectivePenaltyRegressor("mcp", alpha="auto").fit(X, y)
    with pytest.raises(ValueError, match="coef_init must be finite numbers of shape"):
        effective_penalty_path(X, y, coef_init=[0.0])
    with pytest.raises(ValueError, match="must not be an empty list"):
        EffectivePenaltyRegressorCV([]).fit(X, y)
    with pytest.raises(ValueError, match="'selection' parameter"):
        EffectivePenaltyRegressorCV(selection="best").fit(X, y)


def test_a_path_that_does_not_converge_says_so():
    X, y, _ = regression_problem(5, 60, 30)
    with pytest.warns(ConvergenceWarning, match=r"points of the path .* residual is .* Increase"):
        _, _, reached = effective_penalty_path(X, y, penalty="logsum", max_iter=1, alphas=10)
    assert reached.max() > 1e-6


def test_unpenalised_columns_on_a_path():
    X, y, _ = sparse_truth(50, 10)
    factors = np.r_[0.0, np.ones(9)]
    _, coefs, _ = effective_penalty_path(
        X, y, penalty="l1", feature_weights=factors, alphas=[1e3, 1.0], standardize=False
    )
    rest = scale(X[:, 0], with_std=False)
    assert coefs[0, 0] == pytest.approx(rest @ y / (rest @ rest), rel=1e-6)
    assert (coefs[1:, 0] == 0).all()
    grad0 = X.T @ y / len(y)
    rule, factors = effective_penalty("mcp"), factors + 1
    pulls = [rule.alpha_max(g) / c for g, c in zip(grad0, factors, strict=True)]
    assert Weighted("mcp", factors).alpha_max(grad0) == pytest.approx(max(pulls), rel=1e-12)
