"""Displays: what is drawn is what was computed, and what was computed is right."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from lines import data_of, same_line
from problems import regression_problem
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import ElasticNetCV, LogisticRegression

from skdropdual import (
    AdaptiveDropoutRegressorCV,
    EffectivePenaltyClassifierCV,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
    effective_penalty_path,
)
from skdropdual.inspection import (
    CVPathDisplay,
    DualityDisplay,
    LayerSparsityDisplay,
    PathDisplay,
    PenaltyDisplay,
    SparsityHistoryDisplay,
    StationarityDisplay,
)
from skdropdual.penalties import L1, MCP, Group, LogSum, get_penalty, list_penalties

X, y, _ = regression_problem(3, 80, 12)
IRIS = load_iris(return_X_y=True)
NAMES = [f"column {j}" for j in range(12)]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# Penalties ----------------------------------------------------------------------------------------

SEPARABLE = [name for name in list_penalties() if get_penalty(name).separable]


@pytest.mark.parametrize("name", SEPARABLE)
def test_curves_are_those_of_the_penalty(name):
    w, alphas = np.linspace(0, 2, 21), [0.3, 0.9]
    display = PenaltyDisplay.from_penalty(name, alphas, w=w)
    penalty = get_penalty(name)
    expected = {
        "value": penalty.value,
        "slope": penalty.slope,
        "prox": lambda z, alpha: penalty.prox(z, 1.0, alpha),
        "keep_prob": penalty.keep_prob,
    }
    assert list(display.lines_) == list(expected)
    assert display.axes_.shape == (4,)
    for quantity, method in expected.items():
        for line, alpha in zip(display.lines_[quantity], alphas, strict=True):
            same_line(line, w, method(w, alpha))
    assert labels(display.axes_[0]) == [f"{name}, alpha = 0.3", f"{name}, alpha = 0.9"]


def test_a_rule_is_drawn_as_its_penalty():
    def my_rule(w):
        return w / (w + 2)  # that is, a slope of 2

    display = PenaltyDisplay.from_penalty(my_rule, 1.0, quantities=["slope", "keep_prob"])
    (slope,), (keep,) = display.lines_.values()
    np.testing.assert_allclose(data_of(slope)[1], 2.0, rtol=1e-8)
    np.testing.assert_allclose(data_of(keep)[1], my_rule(display.w), atol=1e-9)
    assert labels(display.axes_[0]) == ["my_rule, alpha = 1"]


def test_penalties_are_compared_on_the_same_axes():
    first = PenaltyDisplay.from_penalty("l1", 1.0, quantities="value")
    second = PenaltyDisplay.from_penalty("mcp", 1.0, quantities="value", ax=first.axes_[0], ls="--")
    assert second.figure_ is first.figure_
    assert len(plt.get_fignums()) == 1
    assert [line.get_linestyle() for line in first.axes_[0].lines] == ["-", "--"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "hardthreshold"}, "depends on several"),
        ({"penalty": Group("l1", [0, 0])}, "depends on several"),
        ({"penalty": "ridge"}, "penalty must be one of"),
        ({"quantities": "curve"}, "quantities must be out of"),
        ({"quantities": ()}, "quantities must be out of"),
        ({"alphas": [1.0, 0.0]}, "alphas must be"),
        ({"w": [[1.0]]}, "w must be a 1-D array"),
        ({"w": [np.nan]}, "w must be a 1-D array"),
    ],
)
def test_bad_requests_for_a_penalty(options, message):
    with pytest.raises(ValueError, match=message):
        PenaltyDisplay.from_penalty(**{"penalty": "mcp"} | options)
    assert not plt.get_fignums()


def test_axes_must_match_the_curves():
    with pytest.raises(ValueError, match="ax must hold 4 axes, one per panel; got 1"):
        PenaltyDisplay.from_penalty("mcp", ax=plt.subplots()[1])


# Paths --------------------------------------------------------------------------------------------


def test_lines_are_columns_of_the_path():
    alphas, coefs, _ = effective_penalty_path(X, y, penalty="mcp", alphas=30)
    display = PathDisplay.from_path(alphas, coefs, feature_names=NAMES, alpha=alphas[5], n_named=3)
    drawn = display.features_
    assert sorted(drawn) == np.flatnonzero(coefs.any(axis=1)).tolist()
    for j, line in zip(drawn, display.lines_, strict=True):
        same_line(line, alphas, coefs[j])
    entry = (coefs != 0).argmax(axis=1)[drawn]
    assert (np.diff(entry) >= 0).all()  # the first to enter come first
    assert labels(display.ax_) == [*(NAMES[j] for j in drawn[:3]), f"alpha = {alphas[5]:.3g}"]
    assert display.alpha_line_.get_xdata() == [alphas[5], alphas[5]]
    assert display.ax_.get_xscale() == "log"


def test_paths_of_estimators():
    model = EffectivePenaltyRegressor("scad", 0.1, standardize=False)
    display = PathDisplay.from_estimator(model, X, y)
    coefs = effective_penalty_path(X, y, penalty="scad", standardize=False)[1]
    np.testing.assert_array_equal(display.coefs, coefs)
    assert display.alpha is None
    assert PathDisplay.from_estimator(model.fit(X, y), X, y).alpha == 0.1
    search = AdaptiveDropoutRegressorCV(["l1", "logsum"], alphas=20).fit(X, y)
    display = PathDisplay.from_estimator(search)
    np.testing.assert_array_equal(display.coefs, search.coefs_path_)
    assert display.alpha == search.alpha_
    chosen = ["l1", "logsum"].index(type(search.penalty_).__name__.lower())
    np.testing.assert_array_equal(display.alphas, search.alphas_[chosen])


def test_names_come_from_a_frame():
    pd = pytest.importorskip("pandas", reason="names of columns")
    frame = pd.DataFrame(X, columns=NAMES)
    for display in (
        PathDisplay.from_estimator(EffectivePenaltyRegressor("l1"), frame, y),
        PathDisplay.from_estimator(EffectivePenaltyRegressorCV("l1", alphas=10).fit(frame, y)),
    ):
        assert display.feature_names.tolist() == NAMES


def test_a_path_that_ends_early():
    search = EffectivePenaltyRegressorCV(["l1", "mcp"], max_nonzero=3).fit(X, y)
    display = PathDisplay.from_estimator(search)
    assert display.coefs.shape == (12, len(display.alphas))
    curves = CVPathDisplay.from_estimator(search)
    for alphas, errors in zip(curves.alphas, curves.errors, strict=True):
        assert len(alphas) == len(errors) < 100
        assert np.isfinite(errors).all()


def test_several_outputs_are_norms():
    search = EffectivePenaltyClassifierCV("l1", alphas=10).fit(*IRIS)
    display = PathDisplay.from_estimator(search)
    norms = np.linalg.norm(search.coefs_path_, axis=1)  # over classes
    for j, line in zip(display.features_, display.lines_, strict=True):
        np.testing.assert_allclose(data_of(line)[1], norms[:, j], rtol=1e-15)
    two = EffectivePenaltyClassifierCV("l1", alphas=10).fit(X, y > y.mean())
    np.testing.assert_array_equal(PathDisplay.from_estimator(two).coefs, two.coefs_path_[:, 0, :].T)


def test_bad_requests_for_a_path():
    with pytest.raises(ValueError, match="coefs must have the shape"):
        PathDisplay.from_path([1.0, 0.5], np.zeros((4, 3)))
    with pytest.raises(ValueError, match="alphas must be"):
        PathDisplay.from_path([1.0, -0.5], np.zeros((4, 2)))
    with pytest.raises(ValueError, match="one name for each of the 4 columns"):
        PathDisplay.from_path([1.0, 0.5], np.zeros((4, 2)), feature_names=["a"])
    with pytest.raises(NotFittedError):
        PathDisplay.from_estimator(EffectivePenaltyRegressorCV(), X, y)
    with pytest.raises(ValueError, match="X and y missing"):
        PathDisplay.from_estimator(EffectivePenaltyRegressor())
    with pytest.raises(ValueError, match="got LogisticRegression"):
        PathDisplay.from_estimator(LogisticRegression(), X, y)
    assert not plt.get_fignums()


# Cross-validation ---------------------------------------------------------------------------------


def test_errors_and_their_spread():
    search = EffectivePenaltyRegressorCV(["l1", LogSum(0.1)], alphas=20, selection="1se").fit(X, y)
    ax = plt.subplots()[1]
    display = CVPathDisplay.from_estimator(search, ax=ax)
    assert display.ax_ is ax
    assert labels(ax)[:2] == ["l1", "LogSum(epsilon=0.1)"]
    for k, line in enumerate(display.lines_):
        errors = search.mse_path_[k]
        same_line(line, search.alphas_[k], errors.mean(axis=1))
        half = errors.std(axis=1, ddof=1) / np.sqrt(5)
        edge = display.bands_[k].get_paths()[0].vertices[:, 1]
        np.testing.assert_allclose(edge.max(), (errors.mean(axis=1) + half).max())
        np.testing.assert_allclose(edge.min(), (errors.mean(axis=1) - half).min())
    chosen = [L1, LogSum].index(type(search.penalty_))
    at = search.alphas_[chosen].tolist().index(search.alpha_)
    same_line(display.point_, [search.alpha_], [search.mse_path_[chosen, at].mean()])
    assert display.chosen == chosen
    assert ax.get_ylabel() == "mean squared error"


def test_scores_are_drawn_as_they_are_measured():
    search = EffectivePenaltyClassifierCV("l1", alphas=10).fit(*IRIS)
    display = CVPathDisplay.from_estimator(search)
    same_line(display.lines_[0], search.alphas_, -search.scores_.mean(axis=0))
    assert display.ax_.get_ylabel() == "log loss"
    scored = EffectivePenaltyClassifierCV(["l1", "elasticnet"], alphas=10, scoring="accuracy")
    scored.fit(*IRIS)
    display = CVPathDisplay.from_estimator(scored)
    assert display.ax_.get_ylabel() == "accuracy"
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), scored.scores_.mean(axis=0)[1])
    best = scored.scores_.mean(axis=0).max(axis=1)
    assert best[display.chosen] == best.max()


def test_criteria_have_no_spread():
    search = EffectivePenaltyRegressorCV(["l1", "mcp"], selection="ebic", alphas=15).fit(X, y)
    display = CVPathDisplay.from_estimator(search)
    assert not display.bands_
    assert display.ax_.get_ylabel() == "EBIC"
    for k, line in enumerate(display.lines_):
        same_line(line, search.alphas_[k], search.criterion_path_[k])
    assert display.lines_[display.chosen].get_ydata().min() == np.min(search.criterion_path_)


def test_deviances_are_named():
    counts = np.random.default_rng(0).poisson(np.exp(IRIS[0][:, 0] / 5))
    search = EffectivePenaltyRegressorCV("l1", loss="poisson", alphas=5).fit(IRIS[0], counts)
    assert CVPathDisplay.from_estimator(search).ax_.get_ylabel() == "mean poisson deviance"


def test_searches_of_scikit_learn():
    search = ElasticNetCV(l1_ratio=[0.5, 1.0], alphas=10).fit(X, y)
    display = CVPathDisplay.from_estimator(search, names=["half", "all"])
    for k, line in enumerate(display.lines_):
        same_line(line, search.alphas_[k], search.mse_path_[k].mean(axis=1))
    assert labels(display.ax_)[:2] == ["half", "all"]


def test_parameters_are_named_where_they_are_searched():
    search = EffectivePenaltyRegressorCV("logsum", penalty_params={"epsilon": [0.1, 1.0]}, alphas=5)
    display = CVPathDisplay.from_estimator(search.fit(X, y))
    assert display.names == ["LogSum(epsilon=0.1)", "LogSum()"]


def test_bad_requests_for_errors():
    with pytest.raises(NotFittedError):
        CVPathDisplay.from_estimator(EffectivePenaltyRegressorCV())
    search = EffectivePenaltyRegressorCV("l1", alphas=5).fit(X, y)
    with pytest.raises(TypeError, match="needs a search over strengths"):
        CVPathDisplay.from_estimator(EffectivePenaltyRegressor().fit(X, y))
    with pytest.raises(ValueError, match="names must hold 1 names"):
        CVPathDisplay.from_estimator(search, names=["a", "b"])
    assert not plt.get_fignums()


# All of them --------------------------------------------------------------------------------------


def displays():
    alphas, coefs, _ = effective_penalty_path(X, y, alphas=5)
    model = EffectivePenaltyRegressor("l1", 0.3).fit(X, y)
    return [
        PenaltyDisplay.from_penalty("mcp", quantities="prox"),
        PathDisplay.from_path(alphas, coefs),
        CVPathDisplay.from_estimator(EffectivePenaltyRegressorCV("l1", alphas=5).fit(X, y)),
        StationarityDisplay.from_estimator(model, X, y),
        DualityDisplay.from_estimator(model, X, y),
    ]


def test_plot_draws_again_on_given_axes_and_returns_the_display():
    for display in displays():
        ax = plt.subplots()[1]
        count = len(plt.get_fignums())
        assert display.plot(ax) is display
        assert len(plt.get_fignums()) == count
        assert display.figure_ is ax.figure
        assert ax.has_data()


def test_matplotlib_is_imported_when_drawing_and_named_when_missing():
    code = (
        "import sys; from skdropdual.inspection import PenaltyDisplay as D, PathDisplay\n"
        "light = 'matplotlib' not in sys.modules\n"
        "sys.modules['matplotlib.pyplot'] = sys.modules['matplotlib'] = None\n"
        "for draw in (D.from_penalty, 'l1'), (PathDisplay.from_path, [1.0], [[1.0]]):\n"
        "    try: draw[0](*draw[1:])\n"
        "    except ImportError as error: print(light, error)"
    )
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    first, second = out.stdout.splitlines()
    assert first.startswith("True PenaltyDisplay draws with matplotlib")
    assert second.startswith("True PathDisplay")
    assert 'pip install "skdropdual[plots]"' in first


def test_mcp_is_what_the_docstring_says():
    display = PenaltyDisplay.from_penalty(
        MCP(gamma=2.0), 0.5, quantities="slope", w=[0.0, 0.5, 2.0]
    )
    np.testing.assert_allclose(display.curves["slope"], [[0.5, 0.25, 0.0]])


# Nets ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net():
    nets = pytest.importorskip("skdropdual.neural_network", reason="needs torch and skorch")
    X, y = load_digits(return_X_y=True)
    options = {"max_epochs": 8, "early_stopping": True, "target_density": 0.1, "random_state": 0}
    return nets.SparseMLPClassifier((16,), **options).fit(X[:300] / 16, y[:300])


def test_histories_are_drawn(net):
    display = SparsityHistoryDisplay.from_estimator(net)
    assert list(display.lines_) == ["density", "train_loss", "valid_loss", "alpha"]
    epochs = np.arange(1, len(net.history_) + 1)
    for name, line in display.lines_.items():
        same_line(line, epochs, net.history_[:, name])
    assert display.axes_.size == 3
    assert display.axes_[0].get_yscale() == "log"
    with pytest.raises(ValueError, match="3 axes, one per panel; got 1"):
        display.plot(plt.subplots()[1])


def test_layers_and_inputs_are_drawn(net):
    display = LayerSparsityDisplay.from_estimator(net)
    density = [np.count_nonzero(coef) / coef.size for coef in net.coefs_]
    np.testing.assert_allclose([bar.get_height() for bar in display.bars_], density)
    shown = [text.get_text() for text in display.ax_.texts]
    assert shown[1] == f"{np.count_nonzero(net.coefs_[1])} of 160"
    kept = np.count_nonzero(net.coefs_[0], axis=1)
    pixels = LayerSparsityDisplay.from_estimator(net, kind="inputs", image_shape=(8, 8))
    np.testing.assert_array_equal(pixels.image_.get_array(), kept.reshape(8, 8))
    assert pixels.bars_ is None
    bars = pixels.plot(kind="inputs")
    assert bars is pixels
    np.testing.assert_array_equal([bar.get_height() for bar in bars.bars_], kept)
    assert bars.image_ is None


def test_modules_of_ones_own_are_drawn():
    nets = pytest.importorskip("skdropdual.neural_network", reason="needs torch and skorch")
    torch = pytest.importorskip("torch", reason="nets")
    X, y = load_digits(return_X_y=True)
    X = X[:200].astype(np.float32).reshape(-1, 1, 8, 8) / 16
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10)
        )
        own = nets.SparseNeuralNetClassifier(
            module, criterion=torch.nn.CrossEntropyLoss, target_density=0.2, max_epochs=3
        ).fit(X, y[:200])
    history = SparsityHistoryDisplay.from_estimator(own)
    same_line(history.lines_["density"], [1, 2, 3], own.history[:, "density"])
    display = LayerSparsityDisplay.from_estimator(own)
    assert display.layers == ["0", "2"]
    assert display.weights.tolist() == [36, 1440]
    assert display.kept is None
    with pytest.raises(ValueError, match="begins with a linear layer"):
        display.plot(kind="inputs")


def test_bad_requests_for_nets(net):
    with pytest.raises(ValueError, match="kind must be"):
        LayerSparsityDisplay.from_estimator(net, kind="maps")
    for options in ({"image_shape": (8, 8)}, {"kind": "inputs", "image_shape": (7, 8)}):
        with pytest.raises(ValueError, match="image_shape is for"):
            LayerSparsityDisplay.from_estimator(net, **options)
    with pytest.raises(NotFittedError):
        SparsityHistoryDisplay.from_estimator(type(net)())
    with pytest.raises(NotFittedError):
        LayerSparsityDisplay.from_estimator(type(net)())
    layers = {"layers": ["conv"], "weights": np.array([9]), "nonzero": np.array([3])}
    with pytest.raises(ValueError, match="begins with a linear layer"):
        LayerSparsityDisplay(**layers).plot(kind="inputs")
    assert not plt.get_fignums()
