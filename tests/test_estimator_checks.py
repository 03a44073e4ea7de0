"""scikit-learn's own conventions: its whole check suite, and what users build on them."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from problems import regression_problem
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import skdropdual
from skdropdual import (
    AdaptiveDropoutClassifier,
    AdaptiveDropoutClassifierCV,
    AdaptiveDropoutRegressor,
    AdaptiveDropoutRegressorCV,
    EffectivePenaltyClassifier,
    EffectivePenaltyClassifierCV,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
)
from skdropdual.penalties import LogSum

ESTIMATORS = [EffectivePenaltyRegressor, AdaptiveDropoutRegressor]


@pytest.mark.parametrize(
    "estimator",
    [
        EffectivePenaltyRegressor(),
        EffectivePenaltyRegressor("l1", solver="reweighted"),
        EffectivePenaltyRegressor("mcp", standardize=False),
        AdaptiveDropoutRegressor(),
        AdaptiveDropoutRegressor("logsum"),
        EffectivePenaltyRegressor("vardrop", alpha="auto"),
        EffectivePenaltyRegressorCV("mcp", alphas=10, tol=1e-9),
        EffectivePenaltyRegressorCV("l1", alphas=10, selection="bic"),
        AdaptiveDropoutRegressorCV("l1", alphas=6, tol=1e-9),
        EffectivePenaltyRegressor("l1", alpha=0.1, loss="huber", tol=1e-9),
        EffectivePenaltyRegressor("l1", alpha=0.1, penalize="feature", tol=1e-9),
        EffectivePenaltyClassifier(tol=1e-9),
        EffectivePenaltyClassifier("l1", alpha=0.05, penalize="feature", tol=1e-9),
        EffectivePenaltyClassifier("l1", alpha=0.1, solver="reweighted", tol=1e-9),
        AdaptiveDropoutClassifier("l1", alpha=0.3, tol=1e-10),
        EffectivePenaltyClassifierCV("l1", alphas=3, eps=0.3, cv=2, tol=1e-9),
        pytest.param(
            AdaptiveDropoutClassifierCV("l1", alphas=2, eps=0.5, cv=2, tol=1e-10),
            marks=pytest.mark.slow,  # a minute
        ),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore:The least populated class")  # of data that checks make up
@pytest.mark.filterwarnings("ignore:The estimated noise fell to nothing")  # 30 columns, 27 rows
def test_check_estimator_passes_whole(estimator):
    results = check_estimator(estimator, on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert len(statuses) >= 60  # what scikit-learn 1.9 runs for a regressor; classifiers have more
    assert statuses.count("passed") == len(statuses), [
        r for r in results if r["status"] != "passed"
    ]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_pickle_joblib_clone_and_pandas(cls, tmp_path):
    X, y, weight = regression_problem(0, 60, 6)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = cls("mcp", alpha=0.3).fit(frame, y, sample_weight=weight)
    assert list(model.feature_names_in_) == list("abcdef")
    joblib.dump(model, tmp_path / "model")
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):  # noqa: S301
        np.testing.assert_array_equal(copy.predict(frame), model.predict(frame))
    again = clone(model).fit(frame, y, sample_weight=weight)
    np.testing.assert_array_equal(again.coef_, model.coef_)
    assert not hasattr(clone(model), "coef_")


def test_pipeline_grid_search_over_penalty_parameters():
    X, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), EffectivePenaltyRegressor(LogSum()))
    grid = {
        "effectivepenaltyregressor__alpha": [1.0, 100.0],
        "effectivepenaltyregressor__penalty__epsilon": [0.5, 5.0],
    }
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_params_.keys() == grid.keys()
    assert search.score(X, y) > 0.4
    assert len({round(s, 12) for s in search.cv_results_["mean_test_score"]}) == 4


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_sample_weight_is_routed(cls):
    X, y, weight = regression_problem(1, 80, 5)
    with sklearn.config_context(enable_metadata_routing=True):
        model = cls("l1", alpha=0.1).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        scores = cross_val_score(model, X, y, params={"sample_weight": weight}, cv=3)
    assert (scores > 0.5).all()


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("penalty", ["l1", "logsum", "mcp", "ard"])
def test_integer_weights_repeat_rows(cls, penalty):
    X, y, _ = regression_problem(2, 40, 5)
    counts = np.random.default_rng(0).integers(0, 4, 40)
    weighted = cls(penalty, alpha=0.1).fit(X, y, sample_weight=counts)
    repeated = cls(penalty, alpha=0.1).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_strength_zero_is_least_squares(cls):
    X, y, _ = regression_problem(3, 50, 4)
    model = cls(alpha=0).fit(X, y)
    np.testing.assert_allclose(model.coef_, LinearRegression().fit(X, y).coef_, rtol=1e-8)
    assert (model.keep_prob_ == 1).all()


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_units_of_the_columns_do_not_matter_when_standardized(cls):
    X, y, _ = regression_problem(4, 60, 5)
    factor = np.array([1e-8, 1.0, 1e3, 1e8, 7.0])
    one, other = cls("logsum", 0.3).fit(X, y), cls("logsum", 0.3).fit(X * factor, y)
    np.testing.assert_allclose(other.coef_ * factor, one.coef_, rtol=1e-6, atol=1e-12)


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)  # noqa: S603


def test_import_is_light():
    out = run(
        "import sys, skdropdual; skdropdual.inspection; "
        "print([m for m in ('torch', 'matplotlib', 'skorch') if m in sys.modules])"
    )
    assert out.stdout.strip() == "[]"
    assert skdropdual.neural_network is sys.modules["skdropdual.neural_network"]
    with pytest.raises(AttributeError, match="has no attribute 'missing'"):
        _ = skdropdual.missing


def test_sources_without_kernels_say_what_to_do():
    out = run("import sys; sys.modules['skdropdual.solvers._kernels'] = None; import skdropdual")
    assert "python -m pip install -e ." in out.stderr.splitlines()[-1]


def test_public_names():
    for name in skdropdual.__all__:
        assert getattr(skdropdual, name).__doc__
