"""Bad and degenerate input: a right answer or one clear error, and nothing left half done."""

import numpy as np
import pytest
from problems import regression_problem
from sklearn.exceptions import ConvergenceWarning

from skdropdual import AdaptiveDropoutRegressor, EffectivePenaltyRegressor
from skdropdual.exceptions import InvalidParameterError
from skdropdual.penalties import L1, Group, LogSum, list_penalties

ESTIMATORS = [EffectivePenaltyRegressor, AdaptiveDropoutRegressor]
X, Y, _ = regression_problem(0, 30, 4)
both = pytest.mark.parametrize("cls", ESTIMATORS)


def with_entry(array, value):
    array = array.copy().astype(object if isinstance(value, str) else float)
    array.flat[3] = value
    return array


@both
@pytest.mark.parametrize(
    ("data", "target", "message"),
    [
        (X[:0], Y[:0], "0 sample"),
        (with_entry(X, np.nan), Y, "NaN"),
        (with_entry(X, np.inf), Y, "infinity"),
        (X, with_entry(Y, np.nan), "NaN"),
        (X, with_entry(Y, np.inf), "infinity"),
        (with_entry(X, "word"), Y, "could not convert"),
        (X, with_entry(Y, "word"), "could not convert"),
        (X[:, 0], Y, "2D array"),
        (X[:, :0], Y, "0 feature"),
        (X, Y[:-1], "inconsistent numbers"),
        (X, np.stack([np.c_[Y, Y]] * 2), "dim"),
    ],
)
def test_bad_data_is_refused_and_changes_nothing(cls, data, target, message):
    model = cls().fit(X, Y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(data, target)
    assert vars(model) == before
    fresh = cls()
    with pytest.raises(ValueError, match=message):
        fresh.fit(data, target)
    assert vars(fresh) == vars(cls())


@both
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", -1.0),
        ("alpha", np.inf),
        ("alpha", np.nan),
        ("alpha", "large"),
        ("tol", -1e-3),
        ("max_iter", 0),
        ("fit_intercept", "yes"),
        ("standardize", 2.5),
        ("positive", None),
        ("warm_start", "no"),
        ("feature_weights", [1.0, 2.0]),
        ("feature_weights", [1.0, -1.0, 1.0, 1.0]),
        ("feature_weights", [1.0, np.nan, 1.0, 1.0]),
    ],
)
def test_bad_parameters_name_themselves(cls, name, value):
    model = cls().set_params(**{name: value})
    with pytest.raises(ValueError, match=name if name != "feature_weights" else "weights"):
        model.fit(X, Y)
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (EffectivePenaltyRegressor("lasso"), "penalty"),
        (EffectivePenaltyRegressor(3), "penalty"),
        (EffectivePenaltyRegressor(LogSum(epsilon=0)), "epsilon"),
        (EffectivePenaltyRegressor(solver="saga"), "solver"),
        (AdaptiveDropoutRegressor("lasso"), "rule"),
        (AdaptiveDropoutRegressor(lambda w: 1 / (1 + w)), "nondecreasing"),
        (AdaptiveDropoutRegressor(lambda w: 0.5), "vectorised"),
        (AdaptiveDropoutRegressor(masks="poisson"), "masks"),
        (AdaptiveDropoutRegressor(n_masks=0), "n_masks"),
        (AdaptiveDropoutRegressor(batch_size=0), "batch_size"),
        (AdaptiveDropoutRegressor(masks="gaussian", positive=True), "positive"),
        (EffectivePenaltyRegressor(Group(L1(), [0, 1])), "groups"),
        (EffectivePenaltyRegressor(Group(L1(), [[0, 1], [1, 2, 3]])), "groups"),
        (
            EffectivePenaltyRegressor(Group(L1(), [0, 0, 1, 1]), feature_weights=[1] * 4),
            "separable",
        ),
    ],
)
def test_bad_penalties_and_rules(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


def test_the_error_lists_what_exists():
    with pytest.raises(InvalidParameterError) as error:
        EffectivePenaltyRegressor("lasso").fit(X, Y)
    assert all(name in str(error.value) for name in list_penalties())


@both
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(29), "shape"),
        (-np.ones(30), "egative"),
        (np.zeros(30), "zero"),
        (np.full(30, np.nan), "NaN"),
        (["a"] * 30, "could not convert"),
    ],
)
def test_bad_sample_weight(cls, weight, message):
    with pytest.raises(ValueError, match=message):
        cls().fit(X, Y, sample_weight=weight)


@both
@pytest.mark.parametrize("penalty", list_penalties())
def test_degenerate_designs(cls, penalty):
    rng = np.random.default_rng(1)
    model = cls(penalty, alpha=0.01)
    # All-zero X, constant columns: no coefficient, the intercept is the mean.
    for flat in (np.zeros((30, 3)), 1e6 + np.arange(3.0) * np.ones((30, 1))):
        model.fit(flat, Y)
        assert (model.coef_ == 0).all()
        assert model.intercept_ == pytest.approx(Y.mean())
    # A constant target; one sample; one column.
    model.fit(X, np.full(30, 2.5))
    assert (model.coef_ == 0).all()
    assert model.intercept_ == pytest.approx(2.5)
    model.fit(X[:1], Y[:1])
    assert model.predict(X[:1]) == pytest.approx(Y[:1])
    model.fit(X[:, :1], Y)
    assert np.isfinite(model.coef_).all()
    # Duplicate columns, rank deficiency, a column equal to y.
    Z = rng.standard_normal((40, 3))
    Z = np.c_[Z, Z[:, 0], Z[:, 1] + Z[:, 2]]
    y = Z[:, 0] + 0.1 * rng.standard_normal(40)
    for data in (Z, np.c_[Z, y]):
        model.fit(data, y)
        assert np.isfinite(model.coef_).all()
        assert model.stationarity_ <= 1e-6
        assert model.score(data, y) > 0.9


@both
def test_columns_of_very_different_scale(cls):
    scales = np.array([1e-8, 1.0, 1e8, 1e-3])
    y = (X / X.std(axis=0)) @ [1.0, -2.0, 3.0, 0.0]
    for standardize in (True, False):
        model = cls("l1", alpha=1e-3, standardize=standardize).fit(X / X.std(axis=0) * scales, y)
        assert np.isfinite(model.coef_).all()
        assert model.stationarity_ <= 1e-6


@both
def test_no_convergence_says_what_to_do(cls):
    data, target, _ = regression_problem(5, 60, 30)
    with pytest.warns(ConvergenceWarning, match=r"residual of .* Increase max_iter or tol"):
        model = cls("logsum", alpha=0.3, max_iter=1).fit(data, target)
    assert model.stationarity_ > 1e-6
    assert model.n_iter_ == 1


@both
def test_unfitted_and_wrong_width(cls):
    with pytest.raises(ValueError, match="not fitted"):
        cls().predict(X)
    with pytest.raises(ValueError, match="features"):
        cls().fit(X, Y).predict(X[:, :2])


@both
def test_interrupt_leaves_the_estimator_as_it_was(cls, monkeypatch):
    model = cls().fit(X, Y)
    before = dict(vars(model))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cls, "_solve", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X[:, :2], Y)
    assert vars(model) == before
