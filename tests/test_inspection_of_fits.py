"""Displays that judge a fit: stationarity and duality, computed anew from the data."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from lines import same_line
from problems import regression_problem
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Lasso, LogisticRegression

from skdropdual import (
    AdaptiveDropoutClassifier,
    AdaptiveDropoutClassifierCV,
    AdaptiveDropoutRegressor,
    EffectivePenaltyClassifier,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
)
from skdropdual.inspection import DualityDisplay, StationarityDisplay
from skdropdual.penalties import ARD, Group, Sum, get_penalty

X, y, WEIGHT = regression_problem(3, 80, 12)
IRIS = load_iris(return_X_y=True)


# Stationarity -------------------------------------------------------------------------------------


def standardised(X, weight):
    mean = weight @ X
    return X - mean, np.sqrt(weight @ (X - mean) ** 2)


@pytest.mark.parametrize("penalty", ["l1", "mcp", "logsum", "vardrop", "scad"])
@pytest.mark.parametrize("cls", [EffectivePenaltyRegressor, AdaptiveDropoutRegressor])
def test_residuals_by_hand(cls, penalty):
    weight = WEIGHT / WEIGHT.sum()
    Z, scale = standardised(X, weight)
    Z = Z / scale
    unit = abs(Z.T @ (weight * (y - weight @ y))).max()
    alpha = {"vardrop": unit**2, "logsum": unit / 2}.get(penalty, unit) / 5
    model = cls(penalty, alpha, max_iter=1000).fit(X, y, WEIGHT)
    model.coef_ = model.coef_ * 1.01  # not stationary: there is something to see
    pull = Z.T @ (weight * (y - model.predict(X)))
    w = model.coef_ * scale
    slope = get_penalty(penalty).slope(w, alpha)
    residual = np.where(w != 0, abs(pull - slope * np.sign(w)), np.maximum(abs(pull) - slope, 0))
    display = StationarityDisplay.from_estimator(model, X, y, sample_weight=WEIGHT)
    np.testing.assert_allclose(display.residual, residual / unit, rtol=1e-6, atol=1e-13)
    np.testing.assert_allclose(display.pull, abs(pull) / unit, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(display.bound, slope / unit, rtol=1e-9)
    np.testing.assert_allclose(display.coef, w, rtol=1e-12)
    assert display.residual.max() > 1e-4
    assert 0 < np.count_nonzero(w) < 12


def test_residuals_are_drawn_against_the_tolerance():
    model = EffectivePenaltyRegressor("mcp", 0.3, tol=1e-5).fit(X, y)
    display = StationarityDisplay.from_estimator(model, X, y)
    assert display.residual.max() <= 1e-5
    assert display.bound_line_.get_ydata() == [1e-5, 1e-5]
    inside = np.flatnonzero(model.coef_)
    same_line(display.nonzero_, inside, np.maximum(display.residual[inside], 1e-18))
    outside = np.flatnonzero(model.coef_ == 0)
    same_line(display.zero_, outside, np.maximum(display.residual[outside], 1e-18))
    again = display.plot(kind="pull")
    assert again is display
    same_line(display.bound_line_, np.arange(12), display.bound)
    same_line(display.nonzero_, inside, display.pull[inside])
    np.testing.assert_allclose(display.pull[inside], display.bound[inside], atol=1e-5)
    assert (display.pull[outside] <= display.bound[outside] + 1e-5).all()


GROUPS = np.repeat(np.arange(4), 3)
COUNTS = np.round(np.exp((y - y.mean()) / y.std()))
TARGETS = np.c_[y, y[::-1]]
CLASSES = np.digitize(y, np.quantile(y, [0.3, 0.7]))
FITS = {
    "no penalty": (EffectivePenaltyRegressor(alpha=0), y),
    "no intercept": (EffectivePenaltyRegressor("l1", 0.3, fit_intercept=False), y),
    "raw columns": (EffectivePenaltyRegressor("l1", 0.3, standardize=False), y),
    "positive": (EffectivePenaltyRegressor("mcp", 0.3, positive=True), y),
    "feature weights": (EffectivePenaltyRegressor("l1", 0.3, feature_weights=np.arange(12.0)), y),
    "groups": (EffectivePenaltyRegressor("mcp", 0.3, groups=GROUPS), y),
    "sparse groups": (EffectivePenaltyRegressor(Sum("l1", Group("l1", GROUPS)), 0.2), y),
    "ridge": (EffectivePenaltyRegressor("elasticnet", 0.3), y),
    "ard": (EffectivePenaltyRegressor(ARD(), 0.05), y),
    "ten at most": (EffectivePenaltyRegressor("l1", alpha=None, n_nonzero=5), y),
    "poisson": (EffectivePenaltyRegressor("l1", 0.3, loss="poisson"), COUNTS),
    "huber": (AdaptiveDropoutRegressor("l1", 0.3, loss="huber"), y),
    "targets": (EffectivePenaltyRegressor("mcp", alpha=None, n_nonzero=3), TARGETS),
    "joint targets": (EffectivePenaltyRegressor("l1", 0.5, penalize="feature"), TARGETS),
    "two classes": (EffectivePenaltyClassifier("mcp", 0.05, class_weight="balanced"), y > 1),
    "classes": (EffectivePenaltyClassifier("l1", 0.05), CLASSES),
    "joint classes": (EffectivePenaltyClassifier("l1", 0.05, penalize="feature"), CLASSES),
    "dropout, classes": (AdaptiveDropoutClassifier("l1", 0.05), CLASSES),
    "dropout, groups": (AdaptiveDropoutClassifier("l1", 0.05, groups=GROUPS), y > 1),
    "dropout, joint": (AdaptiveDropoutClassifier("l1", 0.05, penalize="feature"), CLASSES),
    "dropout search": (AdaptiveDropoutClassifierCV("l1", alphas=5, cv=2, groups=GROUPS), y > 1),
    "search": (
        EffectivePenaltyRegressorCV(["l1", "mcp"], feature_weights=np.r_[2, np.ones(11)]),
        y,
    ),
    "search, groups": (EffectivePenaltyRegressorCV("mcp", groups=GROUPS), y),
}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_every_fit_is_judged_as_it_judges_itself(name, kind):
    model, target = FITS[name]
    model.fit(kind(X), target, sample_weight=WEIGHT)
    display = StationarityDisplay.from_estimator(model, kind(X), target, sample_weight=WEIGHT)
    assert display.residual.shape == (model.coef_.size,)
    assert display.residual.max() <= model.tol
    assert display.residual.max() == pytest.approx(model.stationarity_, abs=1e-7)
    inside = display.coef != 0
    np.testing.assert_array_equal(inside, model.coef_.ravel() != 0)
    if name != "positive" and not name.startswith("dropout"):
        np.testing.assert_allclose(display.pull[inside], display.bound[inside], atol=2e-6)
    assert (display.pull[~inside] <= display.bound[~inside] + 2e-6).all()
    model.coef_ = model.coef_ * 1.1
    worse = StationarityDisplay.from_estimator(model, kind(X), target, sample_weight=WEIGHT)
    assert worse.residual.max() > 1e-3


def test_estimators_of_scikit_learn_are_judged():
    model = Lasso(alpha=0.5, tol=1e-10, max_iter=100_000).fit(X, y)
    display = StationarityDisplay.from_estimator(model, X, y, penalty="l1", alpha=0.5)
    assert display.residual.max() < 1e-6
    assert display.bound_line_ is None
    other = StationarityDisplay.from_estimator(model, X, y, penalty="l1", alpha=0.6)
    unit = abs(X.T @ (y - y.mean())).max() / len(y)
    assert other.residual.max() == pytest.approx(0.1 / unit, rel=1e-4)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    label = np.where(y > y.mean(), "high", "low")
    logistic = LogisticRegression(
        C=1 / (80 * 0.02), l1_ratio=1, solver="saga", tol=1e-10, max_iter=100_000
    ).fit(Z, label)
    display = StationarityDisplay.from_estimator(logistic, Z, label, penalty="l1", alpha=0.02)
    assert display.residual.max() < 1e-6


def test_judging_leaves_the_estimator_alone():
    model = EffectivePenaltyClassifier("l1", 0.05).fit(X, y > 1)
    before = dict(vars(model))
    StationarityDisplay.from_estimator(model, X[:40], (y > 1)[:40])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())


def test_bad_requests_for_stationarity():
    model = EffectivePenaltyRegressor("l1", 0.3).fit(X, y)
    with pytest.raises(NotFittedError):
        StationarityDisplay.from_estimator(EffectivePenaltyRegressor(), X, y)
    with pytest.raises(ValueError, match="penalty and alpha must be given for Lasso"):
        StationarityDisplay.from_estimator(Lasso().fit(X, y), X, y)
    with pytest.raises(ValueError, match="12 columns of the fit; got 5"):
        StationarityDisplay.from_estimator(model, X[:, :5], y)
    with pytest.raises(ValueError, match="kind must be"):
        StationarityDisplay.from_estimator(model, X, y, kind="gap")
    classes = EffectivePenaltyClassifier("l1", 0.05).fit(X, y > 1)
    with pytest.raises(ValueError, match="classes of the fit"):
        StationarityDisplay.from_estimator(classes, X, np.where(y > 1, "a", "b"))
    assert not plt.get_fignums()


# Duality ------------------------------------------------------------------------------------------


def test_points_are_the_coefficients_of_both():
    penalised = EffectivePenaltyRegressor("mcp", 0.3).fit(X, y)
    dropout = AdaptiveDropoutRegressor("mcp", 0.2).fit(X, y)
    display = DualityDisplay.from_estimators(penalised, dropout)
    np.testing.assert_array_equal(
        np.asarray(display.points_.get_offsets()), np.c_[penalised.coef_, dropout.coef_]
    )
    np.testing.assert_array_equal(display.points_.get_array(), dropout.keep_prob_)
    assert display.difference_ == abs(penalised.coef_ - dropout.coef_).max() > 0
    assert display.diagonal_.get_slope() == 1.0
    assert display.colorbar_.ax.get_ylabel() == "keep probability"
    plain = DualityDisplay.from_estimators(penalised, dropout, c="C3")
    assert plain.colorbar_ is None


@pytest.mark.parametrize(
    "model",
    [
        EffectivePenaltyRegressor("mcp", 0.3, standardize=False, solver="coordinate_descent"),
        AdaptiveDropoutRegressor(lambda w: w / (w + 1), 0.3, masks="expected"),
        EffectivePenaltyRegressorCV(["l1", "mcp"], alphas=20),
        AdaptiveDropoutRegressor("l1", 0.3, fit_intercept=False),
    ],
    ids=["penalty", "rule", "search", "no intercept"],
)
def test_the_other_face_is_found(model):
    display = DualityDisplay.from_estimator(model, X, y, sample_weight=WEIGHT)
    assert not hasattr(model, "coef_")
    assert display.difference_ <= 1e-6 * abs(display.penalised).max()
    model.fit(X, y, WEIGHT)
    own = display.penalised if hasattr(model, "penalty") else display.dropout
    np.testing.assert_allclose(own, model.coef_, rtol=1e-12)


def test_classes_have_two_faces():
    display = DualityDisplay.from_estimator(EffectivePenaltyClassifier("l1", 0.05), *IRIS)
    assert display.penalised.shape == (12,)
    expected = AdaptiveDropoutClassifier("l1", 0.05).fit(*IRIS).coef_
    np.testing.assert_array_equal(display.dropout, expected.ravel())


def test_bad_requests_for_duality():
    model = EffectivePenaltyRegressor("l1", 0.3).fit(X, y)
    with pytest.raises(TypeError, match="got Lasso"):
        DualityDisplay.from_estimator(Lasso(), X, y)
    with pytest.raises(NotFittedError):
        DualityDisplay.from_estimators(model, AdaptiveDropoutRegressor())
    other = AdaptiveDropoutRegressor("l1", 0.3).fit(X[:, :5], y)
    with pytest.raises(ValueError, match="coefficients of one shape"):
        DualityDisplay.from_estimators(model, other)
    assert not plt.get_fignums()
