"""Searches that train their nets together find what `GridSearchCV` finds."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from skdropdual.neural_network import (
    SparseMLPClassifier,
    SparseMLPClassifierCV,
    SparseMLPRegressor,
    SparseMLPRegressorCV,
)

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
GRID = {"alpha": [1e-3, 1e-2, 1.0], "lr": [1e-2, 3e-3]}


def net(cls=SparseMLPClassifier, **options):
    settings = {"hidden_layer_sizes": (8,), "max_epochs": 10, "lr": 1e-2, "random_state": 0}
    return cls(**settings | options, precision="float64", device="cpu")


@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_the_results_of_a_grid_search(scoring):
    options = {"cv": 3, "scoring": scoring, "return_train_score": True}
    many = SparseMLPClassifierCV(net(), GRID, **options).fit(X, Y)
    one = GridSearchCV(net(), GRID, **options).fit(X, Y)
    assert list(many.cv_results_) == list(one.cv_results_)
    for name, values in one.cv_results_.items():
        if name.startswith(("split", "mean_t", "std_t", "rank")):
            np.testing.assert_allclose(many.cv_results_[name], values, atol=1e-8, err_msg=name)
    assert many.cv_results_["params"] == one.cv_results_["params"]
    assert (many.best_params_, many.best_index_) == (one.best_params_, one.best_index_)
    assert many.best_score_ == pytest.approx(one.best_score_)
    np.testing.assert_allclose(many.predict_proba(X), one.predict_proba(X), atol=1e-10)
    np.testing.assert_array_equal(many.predict(X), one.predict(X))
    assert many.score(X, Y) == pytest.approx(one.score(X, Y))
    np.testing.assert_array_equal(many.classes_, one.classes_)
    assert many.n_splits_ == 3
    assert many.refit_time_ > 0
    np.testing.assert_allclose(many.predict_log_proba(X), np.log(many.predict_proba(X)))
    assert many.decision_function(X).shape == (150, 3)


def test_regressor_with_candidates_of_several_stacks():
    features, y = make_regression(90, 6, n_targets=2, random_state=0)
    y = y / y.std()
    grid = [{"penalty": ["l1", "mcp"], "alpha": [0.01, 0.1]}, {"method": ["none"]}]
    options = {"cv": KFold(4), "scoring": "neg_mean_absolute_error"}
    many = SparseMLPRegressorCV(net(SparseMLPRegressor), grid, **options).fit(features, y)
    one = GridSearchCV(net(SparseMLPRegressor), grid, **options).fit(features, y)
    name = "mean_test_score"
    np.testing.assert_allclose(many.cv_results_[name], one.cv_results_[name], atol=1e-8)
    np.testing.assert_allclose(many.predict(features), one.predict(features), atol=1e-8)


def test_seeds():
    search = SparseMLPClassifierCV(net(), {"alpha": [0.01]}, n_seeds=3, cv=2).fit(X, Y)
    assert search.n_splits_ == 6
    losses = [search.cv_results_[f"split{k}_test_score"][0] for k in range(6)]
    seeds = np.random.RandomState(0).randint(2**31 - 1, size=3)
    models = [net(alpha=0.01, random_state=int(seed)) for seed in seeds]
    expected = np.array([cross_val_score(model, X, Y, cv=2) for model in models])
    np.testing.assert_allclose(losses, expected.T.ravel())


def test_default_grid_and_weights():
    weight = np.random.default_rng(0).integers(1, 3, len(Y))
    search = SparseMLPClassifierCV(net(max_epochs=3), cv=2).fit(X, Y, weight)
    alphas = np.array([p["alpha"] for p in search.cv_results_["params"]])
    np.testing.assert_allclose(alphas[1:] / alphas[:-1], 4)
    assert alphas[2] == pytest.approx(net(max_epochs=1).fit(X[::2], Y[::2]).alpha_)
    part = np.flatnonzero(np.arange(150) % 50 < 25)  # the second fold trains on these
    model = net(max_epochs=3, alpha=float(alphas[0])).fit(X[part], Y[part], weight[part])
    rest = np.setdiff1d(np.arange(150), part)
    expected = model.score(X[rest], Y[rest], weight[rest])
    assert search.cv_results_["split1_test_score"][0] == pytest.approx(expected)


def test_a_fit_that_fails():
    grid = {"lr": [1e-2, 1e200]}
    search = SparseMLPClassifierCV(net(optimizer="sgd"), grid, cv=2)
    with (
        pytest.warns(FitFailedWarning, match="loss became nan in the fit of SparseMLPClassifier"),
        pytest.warns(UserWarning, match="test scores are non-finite"),
    ):
        search.fit(X, Y)
    assert search.best_params_ == {"lr": 1e-2}
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    search.set_params(error_score="raise")
    with pytest.raises(ValueError, match="loss became nan in the fit of SparseMLPClassifier"):
        search.fit(X, Y)


def test_without_refit_and_errors():
    search = SparseMLPClassifierCV(net(max_epochs=2), {"alpha": [0.1]}, refit=False, cv=2)
    with pytest.raises(NotFittedError):
        search.predict(X)
    search.fit(X, Y)
    with pytest.raises(AttributeError, match="refit=False"):
        search.predict(X)
    with pytest.raises(ValueError, match="estimator must be a SparseMLPClassifier; got"):
        SparseMLPClassifierCV(SparseMLPRegressor()).fit(X, Y)
    with pytest.raises(ValueError, match="Invalid parameter 'strength'"):
        SparseMLPClassifierCV(net(), {"strength": [1]}).fit(X, Y)
    with pytest.raises(ValueError, match="'n_seeds' parameter"):
        SparseMLPClassifierCV(net(), n_seeds=0).fit(X, Y)


def test_in_a_pipeline_with_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    search = SparseMLPClassifierCV(net(), {"alpha": [1e-3]}, cv=2).fit(frame, Y.astype(str))
    assert list(search.feature_names_in_) == list("abcd")
    assert search.predict(frame).dtype.kind in "UO"
    assert make_pipeline(StandardScaler(), search).fit(X, Y).score(X, Y) > 0.8


@pytest.mark.parametrize(
    ("cls", "inner", "count"),
    [
        (SparseMLPClassifierCV, SparseMLPClassifier, 67),
        (SparseMLPRegressorCV, SparseMLPRegressor, 61),
    ],
)
def test_check_estimator(cls, inner, count):
    estimator = net(inner, max_epochs=30, batch_size=16)
    search = cls(estimator, {"alpha": [1e-3]}, cv=2)
    results = check_estimator(search, on_fail=None, on_skip=None)
    failed = [r["check_name"] for r in results if r["status"] == "failed"]
    skipped = [r["check_name"] for r in results if r["status"] == "skipped"]
    assert (failed, skipped, len(results)) == ([], [], count)
