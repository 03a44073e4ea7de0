"""Stability selection: its definition, its bound, and scikit-learn's conventions."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning, UnsetMetadataPassedError
from sklearn.linear_model import Lasso, LogisticRegression, MultiTaskLasso, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from skdropdual import (
    AdaptiveDropoutRegressor,
    EffectivePenaltyClassifier,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
)
from skdropdual.feature_selection import StabilitySelection, _split


def problem(seed, n=60, p=12, noise=0.3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, 2 * X[:, 1] - X[:, 4] + noise * rng.standard_normal(n)


class RecordingLasso(Lasso):
    """A Lasso that remembers the targets of all fits."""

    seen = []

    def fit(self, X, y, sample_weight=None):
        self.seen.append((X, y))
        return super().fit(X, y, sample_weight=sample_weight)


class Transformer(BaseEstimator):
    """Fits, and has no importances."""

    def fit(self, X, y):
        return self


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(RecordingLasso, "seen", [])
    return RecordingLasso.seen


@pytest.mark.filterwarnings("ignore:No features were selected:UserWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        StabilitySelection(Ridge(), n_pairs=2, random_state=0),
        StabilitySelection(LogisticRegression(), n_pairs=2, random_state=0),
        StabilitySelection(EffectivePenaltyRegressor("l1", alpha=0.05), n_pairs=2, random_state=0),
        StabilitySelection(
            EffectivePenaltyRegressor("l1"), n_pairs=1, max_features=3, random_state=0
        ),
        StabilitySelection(AdaptiveDropoutRegressor("l1", alpha=0.05), n_pairs=2, random_state=0),
        StabilitySelection(EffectivePenaltyClassifier("l1", alpha=0.05), n_pairs=2, random_state=0),
        StabilitySelection(Lasso(0.1), n_pairs=2, random_state=0),
    ],
    ids=repr,
)
def test_check_estimator_passes_whole(estimator):
    results = check_estimator(estimator, on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert len(statuses) >= 48  # what scikit-learn 1.9 runs for a transformer
    assert statuses.count("passed") == len(statuses), [
        r for r in results if r["status"] != "passed"
    ]


@pytest.mark.parametrize("n", [60, 61])
def test_equals_a_loop_over_disjoint_halves(n, recorded):
    X, y = problem(0, n)
    selector = StabilitySelection(RecordingLasso(0.2), n_pairs=7, threshold=0.6, random_state=3)
    selector.fit(X, y)
    assert len(recorded) == 14
    selected = np.zeros((7, 2, X.shape[1]), dtype=bool)
    for pair in range(7):
        halves = []
        for half in range(2):
            rows_X, rows_y = recorded[2 * pair + half]
            rows = [int(np.flatnonzero(y == value)[0]) for value in rows_y]
            np.testing.assert_array_equal(X[rows], rows_X)
            assert len(rows) == n // 2
            halves.append(set(rows))
            selected[pair, half] = Lasso(0.2).fit(X[rows], y[rows]).coef_ != 0
        assert not halves[0] & halves[1]
        assert len(halves[0] | halves[1]) == 2 * (n // 2)
    probabilities = selected.sum(axis=(0, 1)) / 14
    np.testing.assert_array_equal(selector.selection_probabilities_, probabilities)
    np.testing.assert_array_equal(
        selector.simultaneous_probabilities_, (selected[:, 0] & selected[:, 1]).sum(axis=0) / 7
    )
    np.testing.assert_array_equal(selector.support_, probabilities >= 0.6)
    np.testing.assert_array_equal(selector.get_support(), selector.support_)
    assert selector.n_selected_ == pytest.approx(probabilities.sum())
    assert selector.error_bound_ == pytest.approx(probabilities.sum() ** 2 / (0.2 * 12))
    np.testing.assert_array_equal(selector.transform(X), X[:, selector.support_])


def test_bounds_between_the_two_probabilities():
    X, y = problem(1, noise=3.0)
    selector = StabilitySelection(Lasso(0.2), n_pairs=20, random_state=0).fit(X, y)
    one, both = selector.selection_probabilities_, selector.simultaneous_probabilities_
    assert ((one > 0) & (one < 1)).any()
    assert (both <= one).all()
    assert (both >= 2 * one - 1 - 1e-12).all()


@pytest.mark.parametrize(
    "counts",
    [[40], [41], [10, 31], [2, 2, 3], [3, 2, 2, 2], [1, 20, 20], [5, 5, 5], [2, 2], [1, 2, 2]],
)
def test_halves_share_every_class(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    kept = np.zeros(len(labels))
    for seed in range(50):
        halves = _split(labels, np.random.RandomState(seed))
        assert halves.shape == (2, len(labels) // 2)
        assert len(np.unique(halves)) == halves.size
        kept[halves.ravel()] += 1
        for label, count in enumerate(counts):
            both = (labels[halves] == label).sum(axis=1)
            assert abs(both[0] - both[1]) <= 1
            assert both.sum() >= count - 1
            assert (both > 0).all() or count < 2
    assert kept[labels == np.argmax(counts)].min() > 0


def test_the_signal_is_found_and_noise_within_the_bound():
    n, p, truth, q = 100, 200, 5, 8
    rng = np.random.default_rng(0)
    found, false, bounds = [], [], []
    for _ in range(8):
        X = rng.standard_normal((n, p))
        y = X[:, :truth].sum(axis=1) + rng.standard_normal(n)
        selector = StabilitySelection(
            EffectivePenaltyRegressor("l1"), n_pairs=20, max_features=q, random_state=0
        ).fit(X, y)
        assert selector.n_selected_ <= q
        found.append(selector.support_[:truth].sum())
        false.append(selector.support_[truth:].sum())
        bounds.append(selector.error_bound_)
    assert max(bounds) <= q**2 / (0.4 * p) + 1e-12
    assert np.mean(false) <= np.mean(bounds)
    assert np.mean(found) >= 0.9 * truth


@pytest.mark.parametrize(
    "estimator", [EffectivePenaltyRegressor("l1", alpha=0.2), RandomForestRegressor(5, max_depth=2)]
)
def test_jobs_and_global_state_change_nothing(estimator):
    X, y = problem(2)
    one = StabilitySelection(estimator, n_pairs=3, random_state=1).fit(X, y)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    two = StabilitySelection(estimator, n_pairs=3, random_state=1, n_jobs=2).fit(X, y)
    again = clone(one).fit(X, y)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for other in (two, again):
        np.testing.assert_array_equal(one.selection_probabilities_, other.selection_probabilities_)
        np.testing.assert_array_equal(
            one.simultaneous_probabilities_, other.simultaneous_probabilities_
        )


def test_the_estimator_is_not_changed():
    X, y = problem(3)
    estimator = EffectivePenaltyRegressor("l1", alpha=0.7)
    before = dict(vars(estimator))
    StabilitySelection(estimator, n_pairs=2, max_features=2, random_state=0).fit(X, y)
    assert vars(estimator) == before


def test_pipeline_and_names_with_pandas():
    X, y = problem(4)
    frame = pd.DataFrame(X, columns=[f"column {j}" for j in range(12)])
    selector = StabilitySelection(EffectivePenaltyRegressor("l1"), n_pairs=5, max_features=3)
    pipeline = make_pipeline(StandardScaler(), selector.set_params(random_state=0), Ridge())
    pipeline.set_output(transform="pandas").fit(frame, y)
    assert list(pipeline[1].feature_names_in_) == list(frame.columns)
    names = pipeline[:-1].get_feature_names_out()
    assert list(names) == ["column 1", "column 4"]
    assert list(pipeline[:-1].transform(frame).columns) == list(names)
    assert pipeline.score(frame, y) > 0.9
    inside = make_pipeline(StandardScaler(), Lasso(0.2))
    nested = StabilitySelection(
        inside, n_pairs=5, importance_getter=lambda model: model[-1].coef_, random_state=0
    )
    np.testing.assert_array_equal(nested.fit(X, y).get_support(indices=True), [1, 4])


@pytest.mark.parametrize(
    "estimator",
    [
        EffectivePenaltyClassifier("l1", alpha=0.1),
        LogisticRegression(C=0.2, l1_ratio=1.0, solver="saga", tol=1e-3, max_iter=1000),
        LinearSVC(C=0.05, penalty="l1"),
    ],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_that_are_strings(estimator, n_classes):
    X, y = problem(5, 90, noise=0.1)
    cuts = np.quantile(y, np.arange(1, n_classes) / n_classes)
    labels = np.array(["low", "middle", "high"])[np.digitize(y, cuts)]
    for kind in (str, object):
        selector = StabilitySelection(estimator, n_pairs=5, random_state=0)
        selector.fit(X, labels.astype(kind))
        assert selector.support_[[1, 4]].all()


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array, sparse.csr_matrix])
def test_sparse_data(container):
    X, y = problem(6)
    X[np.abs(X) < 0.5] = 0
    dense = StabilitySelection(Lasso(0.2), n_pairs=4, random_state=0).fit(X, y)
    other = clone(dense).fit(container(X), y)
    np.testing.assert_array_equal(other.support_, dense.support_)
    np.testing.assert_array_equal(other.transform(container(X)).toarray(), dense.transform(X))


def test_precision_is_kept(recorded):
    X, y = problem(6)
    StabilitySelection(RecordingLasso(0.2), n_pairs=1).fit(X.astype(np.float32), y)
    assert {rows.dtype for rows, _ in recorded} == {np.dtype(np.float32)}


def test_several_targets():
    X, y = problem(7)
    Y = np.c_[y, X[:, 8]]
    for estimator in (MultiTaskLasso(0.2), EffectivePenaltyRegressor("l1", alpha=0.2)):
        selector = StabilitySelection(estimator, n_pairs=4, random_state=0).fit(X, Y)
        np.testing.assert_array_equal(selector.get_support(indices=True), [1, 4, 8])


def test_rows_of_weight_zero_are_not_there():
    X, y = problem(8, noise=3.0)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    weight[::3] = 0
    used = weight > 0
    for estimator in (Lasso(0.2), EffectivePenaltyRegressor("l1", alpha=0.2)):
        one = StabilitySelection(estimator, n_pairs=5, random_state=0).fit(
            X, y, sample_weight=weight
        )
        two = clone(one).fit(X[used], y[used], sample_weight=weight[used])
        unweighted = clone(one).fit(X[used], y[used])
        np.testing.assert_array_equal(one.selection_probabilities_, two.selection_probabilities_)
        assert (one.selection_probabilities_ != unweighted.selection_probabilities_).any()


def test_weights_are_routed():
    X, y = problem(8, noise=3.0)
    weight = np.random.default_rng(0).uniform(0.0, 2, len(y))
    given = StabilitySelection(Lasso(0.2), n_pairs=5, random_state=0)
    given.fit(X, y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        lasso = Lasso(0.2).set_fit_request(sample_weight=True)
        routed = StabilitySelection(lasso, n_pairs=5, random_state=0)
        routed.fit(X, y, sample_weight=weight)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), lasso)
        getter = "named_steps.lasso.coef_"
        inside = StabilitySelection(pipeline, importance_getter=getter, n_pairs=2, random_state=0)
        inside.fit(X, y, sample_weight=weight)
        with pytest.raises(UnsetMetadataPassedError):
            StabilitySelection(Lasso()).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(routed.selection_probabilities_, given.selection_probabilities_)
    assert set(inside.get_support(indices=True)) >= {1}


def test_nothing_selected():
    X, y = problem(9)
    selector = StabilitySelection(Lasso(1e3), n_pairs=2).fit(X, y)
    assert selector.n_selected_ == selector.error_bound_ == 0
    with pytest.warns(UserWarning, match="No features were selected"):
        assert selector.transform(X).shape == (60, 0)


def test_warnings_of_the_estimator_pass_through():
    X, y = problem(10)
    with pytest.warns(ConvergenceWarning):
        StabilitySelection(Lasso(1e-4, max_iter=1), n_pairs=1).fit(X, y)


X0, Y0 = problem(11)
ONES, FEW = np.ones(60), np.arange(60) < 3
WITH_NAN = np.where(np.arange(12) == 3, np.nan, X0)


@pytest.mark.parametrize(
    ("selector", "data", "message"),
    [
        (StabilitySelection(Lasso()), (X0[:3], Y0[:3]), "minimum of 4"),
        (StabilitySelection(Lasso()), (WITH_NAN, Y0), "NaN"),
        (StabilitySelection(Lasso()), (X0, Y0[:-1]), "inconsistent numbers"),
        (StabilitySelection(Lasso()), (X0, None), "target y is None"),
        (StabilitySelection(Lasso()), (X0, Y0, {"sample_weight": -np.ones(60)}), "[Nn]egative"),
        (StabilitySelection(Lasso()), (X0, Y0, {"sample_weight": FEW}), "4 rows; it is for 3"),
        (StabilitySelection(Transformer()), (X0, Y0, {"sample_weight": ONES}), "no sample_weight"),
        (StabilitySelection(LogisticRegression()), (X0, Y0), "Unknown label type"),
        (StabilitySelection(3), (X0, Y0), "fit method"),
        (StabilitySelection(Lasso), (X0, Y0), "fit method"),
        (StabilitySelection(Lasso(), max_features=2), (X0, Y0), "Lasso has not"),
        (StabilitySelection(EffectivePenaltyRegressorCV(), max_features=2), (X0, Y0), "n_nonzero"),
        (StabilitySelection(Lasso(), max_features=0), (X0, Y0), "max_features"),
        (StabilitySelection(Lasso(), n_pairs=0), (X0, Y0), "n_pairs"),
        (StabilitySelection(Lasso(), n_pairs=2.5), (X0, Y0), "n_pairs"),
        (StabilitySelection(Lasso(), threshold=0.5), (X0, Y0), "threshold"),
        (StabilitySelection(Lasso(), threshold=1.1), (X0, Y0), "threshold"),
        (StabilitySelection(Lasso(), importance_getter=3), (X0, Y0), "importance_getter"),
        (StabilitySelection(Lasso(), n_jobs=0.5), (X0, Y0), "n_jobs"),
        (StabilitySelection(Lasso(), random_state="x"), (X0, Y0), "random_state"),
    ],
)
def test_bad_input_is_refused_before_any_fit(selector, data, message, monkeypatch):
    def no_fit(*_):
        raise AssertionError("a fit was begun")

    monkeypatch.setattr("skdropdual.feature_selection._select_in_halves", no_fit)
    before = dict(vars(selector))
    frame = pd.DataFrame(data[0], columns=[f"column {j}" for j in range(12)])
    for X in (data[0], frame):
        with pytest.raises(ValueError, match=message):
            selector.fit(X, data[1], **dict(*data[2:]))
        assert vars(selector) == before


@pytest.mark.parametrize(
    ("estimator", "getter", "error", "message"),
    [
        (Transformer(), "auto", ValueError, "neither coef_ nor feature_importances_"),
        (Lasso(), "weights_", AttributeError, "weights_"),
        (Lasso(), lambda model: model.coef_[1:], ValueError, r"shape \(12,\)"),
        (Lasso(), lambda model: model.coef_ * np.nan, ValueError, "not finite"),
    ],
)
def test_bad_importances_leave_nothing_behind(estimator, getter, error, message):
    selector = StabilitySelection(estimator, n_pairs=2, importance_getter=getter)
    before = dict(vars(selector))
    with pytest.raises(error, match=message):
        selector.fit(X0, Y0)
    assert vars(selector) == before
