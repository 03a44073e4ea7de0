"""Sparse multilayer perceptrons are scikit-learn estimators like any other."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from nets import same_weights
from problems import iris
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine, make_classification, make_regression
from sklearn.feature_selection import SelectFromModel
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from skdropdual.neural_network import SparseMLPClassifier, SparseMLPRegressor
from skdropdual.penalties import LogSum

CHECKED = {SparseMLPClassifier: 68, SparseMLPRegressor: 61}  # what scikit-learn 1.9 runs


def quick(cls=SparseMLPClassifier, **options):
    """A net that learns something in a second."""
    settings = {"hidden_layer_sizes": (8,), "max_epochs": 20, "lr": 1e-2, "random_state": 0}
    return cls(**settings | options)


@pytest.mark.parametrize(
    "method",
    [
        "none",
        "adaprox",
        pytest.param("vardrop-lr", marks=pytest.mark.slow),  # fifteen seconds each
        pytest.param("penalty", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("cls", CHECKED)
@pytest.mark.filterwarnings("ignore:The least populated class")  # of data that checks make up
def test_check_estimator_passes_whole(cls, method):
    results = check_estimator(quick(cls, method=method), on_fail="raise", on_skip=None)
    statuses = [result["status"] for result in results]
    assert len(statuses) >= CHECKED[cls]
    assert statuses.count("passed") == len(statuses), [
        r for r in results if r["status"] != "passed"
    ]


def test_grid_search_over_method_penalty_and_strength_in_a_pipeline():
    X, y = load_iris(return_X_y=True)
    net = quick(max_epochs=10, penalty=LogSum())
    pipeline = Pipeline([("scale", StandardScaler()), ("net", net)])
    grid = [
        {"net__method": ["adaprox", "vardrop-lr"], "net__alpha": [1e-3, "auto"]},
        {"net__penalty": ["l1", "mcp"]},
        {"net__penalty__epsilon": [0.1, 2.0], "net__alpha": [0.1]},
    ]
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert search.score(X, y) > 0.6
    alone = clone(pipeline).set_params(net__penalty__epsilon=0.1, net__alpha=0.1)
    scores = cross_val_score(alone, X, y, cv=2)  # in this process, with its threads
    assert search.cv_results_["mean_test_score"][6] == pytest.approx(scores.mean(), abs=1e-12)


@pytest.mark.parametrize("cls", CHECKED)
def test_clone_pickle_and_cross_validation(cls):
    X, y = iris()
    model = quick(cls).fit(X, y)
    copied = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(copied.predict(X), model.predict(X))
    fresh = clone(model)
    assert not hasattr(fresh, "module_")
    assert fresh.get_params() == model.get_params()
    np.testing.assert_array_equal(fresh.fit(X, y).coefs_[0], model.coefs_[0])
    folds = KFold(3, shuffle=True, random_state=0)  # rows come in order of their class
    assert cross_val_score(quick(cls, max_epochs=40), X, y, cv=folds).mean() > 0.5


def test_a_net_selects_features():
    X, y = make_classification(
        400, 12, n_informative=3, n_redundant=0, shuffle=False, random_state=0
    )
    X = StandardScaler().fit_transform(X)
    net = quick(structure="input", penalty="l1", alpha=0.05, max_epochs=60, lr=2e-2)
    select = SelectFromModel(net, threshold=1e-12).fit(X, y)
    chosen = np.flatnonzero(select.get_support())
    np.testing.assert_array_equal(chosen, select.estimator_.selected_features_)
    assert 1 <= len(chosen) < 12
    assert set(chosen) & {0, 1, 2}
    assert make_pipeline(select, quick()).fit(X, y).score(X, y) > 0.75
    # Inputs that are not selected have no say whatsoever.
    other = X.copy()
    other[:, np.setdiff1d(np.arange(12), chosen)] = 1e6
    np.testing.assert_array_equal(
        select.estimator_.decision_function(other), select.estimator_.decision_function(X)
    )


# Targets and containers ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [np.array, list, pd.Series], ids=["array", "list", "series"])
@pytest.mark.parametrize(
    "names", [["b", "a", "c"], [True, False], [10, -3, 7], [1.0, 2.0]], ids=repr
)
def test_labels_of_any_kind(names, make):
    X, y = iris()
    kept = y < len(names)
    X, y = X[kept], y[kept]
    labels = np.array(names)[y]
    model = quick(max_epochs=30).fit(X, make(labels.tolist()))
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert np.mean(model.predict(X) == labels) > 0.85
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(np.log(proba), model.predict_log_proba(X), atol=1e-9)
    np.testing.assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(X))


def test_frames_in_frames_names_kept():
    X, y = iris()
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    model = quick().fit(frame, y)
    assert list(model.feature_names_in_) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(model.predict(frame), quick().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c", "d"]])


def test_several_labels_at_once():
    X, y = iris()
    Y = np.stack([y == 0, y > 0, X[:, 0] > 0], axis=1).astype(int)
    model = quick(max_epochs=40).fit(X, Y)
    proba = model.predict_proba(X)
    assert proba.shape == (150, 3)
    np.testing.assert_array_equal(model.predict(X), (proba > 0.5).astype(int))
    assert np.mean(model.predict(X) == Y) > 0.9
    sparse = quick(max_epochs=40).fit(X, sp.csr_array(Y))
    np.testing.assert_array_equal(sparse.predict(X), model.predict(X))


def test_several_outputs_learn_together():
    X, Y = make_regression(200, 5, n_targets=3, random_state=0)
    Y = Y / Y.std(axis=0)
    model = quick(SparseMLPRegressor, max_epochs=60).fit(X, Y)
    assert model.predict(X).shape == (200, 3)
    assert model.score(X, Y) > 0.85
    one = quick(SparseMLPRegressor).fit(X, Y[:, :1])
    assert one.predict(X).shape == (200,)


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, int])
def test_dtypes_and_layouts_do_not_matter(dtype, fortran):
    X, y = load_iris(return_X_y=True)
    X = np.rint(X)
    given = np.asfortranarray(X.astype(dtype)) if fortran else X.astype(dtype)
    given.flags.writeable = False  # and nothing is written to
    model, plain = quick(max_epochs=3).fit(given, y), quick(max_epochs=3).fit(X, y)
    np.testing.assert_array_equal(
        model.predict_proba(given), plain.predict_proba(X.astype(np.float64))
    )


# Identities of the data ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["adaprox", "vardrop", "prune"])
@pytest.mark.parametrize("cls", CHECKED)
def test_order_of_rows_sparse_rows_and_repeated_rows_do_not_matter(cls, method):
    X, y = iris()
    X[np.abs(X) < 0.5] = 0.0
    model = quick(cls, method=method, max_epochs=4).fit(X, y)
    order = np.random.default_rng(0).permutation(len(y))
    same_weights(model, clone(model).fit(X[order], y[order]))
    same_weights(model, clone(model).fit(sp.csr_array(X), y))
    same_weights(model, clone(model).fit(sp.csc_matrix(X), y))
    np.testing.assert_array_equal(model.predict(sp.csr_matrix(X)), model.predict(X))

    counts = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = clone(model).fit(X, y, sample_weight=counts)
    repeated = np.repeat(np.arange(len(y)), counts)
    same_weights(weighted, clone(model).fit(X[repeated], y[repeated]))
    same_weights(weighted, clone(model).fit(sp.csr_array(X), y, sample_weight=counts.astype(float)))
    ones = clone(model).fit(X, y, sample_weight=np.ones(len(y)))
    same_weights(model, ones)


def test_weights_in_between_weigh_the_loss():
    # A net without inputs that tell: its probabilities are the weighted frequencies.
    X, y = np.zeros((90, 2)), np.repeat([0, 1, 2], 30)
    weight = np.repeat([0.3, 1.7, 0.41], 30)
    model = quick(hidden_layer_sizes=(), max_epochs=200, batch_size=90).fit(X, y, weight)
    share = np.array([0.3, 1.7, 0.41]) / 2.41
    np.testing.assert_allclose(model.predict_proba(X[:1])[0], share, atol=0.01)


def test_class_weights_are_row_weights():
    X, y = iris()
    factor = {0: 1, 1: 3, 2: 2}
    by_class = quick(max_epochs=4, class_weight=factor).fit(X, y)
    by_row = quick(max_epochs=4).fit(X, y, sample_weight=[factor[c] for c in y])
    same_weights(by_class, by_row)
    rare = np.r_[0:50, 50:56]
    plain = quick(hidden_layer_sizes=(), lr=1e-3, max_epochs=1).fit(X[rare], y[rare])
    balanced = clone(plain).set_params(class_weight="balanced").fit(X[rare], y[rare])
    assert balanced.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean()


# What a fit leaves --------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(), (5,), 5, [7, 3], np.array([4, 4])], ids=repr)
def test_attributes_agree_with_each_other(hidden):
    X, y = iris()
    model = quick(hidden_layer_sizes=hidden, max_epochs=6).fit(X, y)
    sizes = [4, *np.atleast_1d(hidden).astype(int), 3]
    assert [c.shape for c in model.coefs_] == list(itertools.pairwise(sizes))
    assert [b.shape for b in model.intercepts_] == [(n,) for n in sizes[1:]]
    kept = [np.count_nonzero(c) for c in model.coefs_]
    assert [row["nonzero"] for row in model.sparsity_] == kept
    assert [row["weights"] for row in model.sparsity_] == [c.size for c in model.coefs_]
    assert model.density_ == sum(kept) / sum(c.size for c in model.coefs_)
    assert model.n_iter_ == len(model.loss_curve_) == len(model.history_) == 6
    assert model.history_[-1, "train_loss"] == model.loss_curve_[-1]
    assert model.history_[-1, "density"] == model.density_
    dead = [(c == 0).all(axis=1).sum() for c in model.coefs_]
    assert [row["dead_inputs"] for row in model.sparsity_] == dead
    silent = [(c == 0).all(axis=0).sum() for c in model.coefs_]
    assert [row["dead_neurons"] for row in model.sparsity_] == silent
    assert model.net_.module_ is model.module_
    hidden_output = X
    for weight, bias in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        hidden_output = np.maximum(hidden_output @ weight + bias, 0)
    scores = hidden_output @ model.coefs_[-1].astype(float) + model.intercepts_[-1]
    np.testing.assert_allclose(model.decision_function(X), scores, atol=1e-12)


def test_regressors_do_well_where_defaults_meet_other_sizes():
    for n, least in ((50, 0.8), (1000, 0.95)):
        X, y = make_regression(n, 8, n_informative=4, noise=5.0, random_state=1)
        y = y / y.std()
        model = SparseMLPRegressor(random_state=0, max_epochs=60).fit(
            X[: n * 4 // 5], y[: n * 4 // 5]
        )
        assert model.score(X[n * 4 // 5 :], y[n * 4 // 5 :]) > least
        assert 0 < model.density_ < 1
        assert model.alpha_ == pytest.approx(5 / (n * 4 // 5 + 250))


def test_a_classifier_of_fifty_rows_learns_with_its_defaults():
    X, y = load_wine(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    rows = np.random.default_rng(0).permutation(len(y))
    model = SparseMLPClassifier(random_state=0, max_epochs=60).fit(X[rows[:50]], y[rows[:50]])
    assert model.score(X[rows[50:]], y[rows[50:]]) > 0.9
    assert model.density_ < 0.3


def test_predictions_beat_the_prior_in_the_log_loss():
    X, y = iris()
    model = quick(max_epochs=40).fit(X, y)
    assert log_loss(y, model.predict_proba(X)) < 0.3
