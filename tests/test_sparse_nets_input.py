"""Bad input gets a clear error before any work, and callbacks see what happens."""

import logging

import numpy as np
import pytest
import skorch
import torch
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from skdropdual.exceptions import InvalidParameterError
from skdropdual.neural_network import SparseMLPClassifier, SparseMLPRegressor, list_methods
from skdropdual.penalties import ARD, L0, L1, Group, HardThreshold, LogSum, Weighted

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
PLAIN = ("decreas", "no such folder")  # ValueErrors of a rule and of a file
TAKE_PENALTY = ["adadrop", "adaprox", "adatikhonov", "eta-trick", "gaussdrop", "penalty"]


def quick(cls=SparseMLPClassifier, **options):
    settings = {"hidden_layer_sizes": (5,), "max_epochs": 2, "random_state": 0}
    return cls(**settings | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "lasso"}, "method must be one of adadrop, .*adaprox.*vardrop-lr-ar"),
        ({"method": 3}, "'method' parameter"),
        ({"penalty": "nonsense"}, "l1.*logsum.*mcp"),
        ({"penalty": 3}, "'penalty' parameter"),
        ({"penalty": LogSum(epsilon=-1)}, "epsilon"),
        ({"penalty": lambda w: 1 / (1 + w)}, "decreas"),
        ({"alpha": 0}, "'alpha' parameter"),
        ({"alpha": "large"}, "'alpha' parameter"),
        ({"alpha": np.nan}, "'alpha' parameter"),
        ({"structure": "block"}, "'structure' parameter.*neuron"),
        ({"structure": "channel"}, "finds no hidden channels"),
        ({"structure": "neuron", "hidden_layer_sizes": ()}, "finds no hidden neurons"),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be integers >= 1"),
        ({"hidden_layer_sizes": (-2,)}, "hidden_layer_sizes must be integers >= 1"),
        ({"hidden_layer_sizes": (5.0,)}, "hidden_layer_sizes must be integers >= 1"),
        ({"hidden_layer_sizes": [[5]]}, "hidden_layer_sizes must be integers >= 1"),
        ({"hidden_layer_sizes": 0}, "hidden_layer_sizes must be integers >= 1"),
        ({"hidden_layer_sizes": (True,)}, "hidden_layer_sizes must be integers >= 1"),
        ({"hidden_layer_sizes": ("a",)}, "hidden_layer_sizes must be integers >= 1"),
        ({"hidden_layer_sizes": None}, "'hidden_layer_sizes' parameter"),
        ({"activation": "sin"}, "'activation' parameter.*relu"),
        ({"target_density": 0}, "'target_density' parameter"),
        ({"target_density": 1.5}, "'target_density' parameter"),
        ({"target_density": 0.1, "method": "none"}, "method='none' does not"),
        ({"target_density": 0.1, "method": "standout"}, "method='standout' does not"),
        ({"keep_prob_tol": 1.0}, "'keep_prob_tol' parameter"),
        ({"optimizer": "lbfgs"}, "'optimizer' parameter.*adam"),
        ({"lr": 0.0}, "'lr' parameter"),
        ({"lr": -1.0}, "'lr' parameter"),
        ({"lr_schedule": "step"}, "'lr_schedule' parameter.*cosine"),
        ({"max_grad_norm": 0.0}, "'max_grad_norm' parameter"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"batch_size": 2.5}, "'batch_size' parameter"),
        ({"max_epochs": 0}, "'max_epochs' parameter"),
        ({"warmup": (0.5, 0.2)}, "warmup must be .* 0 <= start <= end <= 1"),
        ({"warmup": (0.1,)}, "warmup must be"),
        ({"warmup": ("a", "b")}, "warmup must be"),
        ({"warmup": (0.1, np.nan)}, "warmup must be"),
        ({"pruning_span": (0.1, 1.7)}, "pruning_span must be"),
        ({"healing_epochs": -1}, "'healing_epochs' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"n_iter_no_change": 0}, "'n_iter_no_change' parameter"),
        ({"class_weight": "unbalanced"}, "'class_weight' parameter"),
        ({"checkpoint": 3}, "'checkpoint' parameter"),
        ({"checkpoint": "/no/such/folder/file"}, "no such folder"),
        ({"precision": "float16"}, "'precision' parameter"),
        ({"device": "tpu"}, "device must be .*cpu"),
        ({"device": "cpu:7x"}, "device must be .*cpu"),
        ({"callbacks": "print"}, "'callbacks' parameter"),
        ({"random_state": "a"}, "'random_state' parameter"),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, dict) else "",
)
def test_bad_parameters_are_named_before_any_work(options, message):
    model = quick(**options)
    with pytest.raises(ValueError, match=f"(?s){message}") as caught:
        model.fit(X, Y)
    # An error of the library or of scikit-learn, not of something deep inside.
    assert isinstance(caught.value, InvalidParameterError) or message in PLAIN
    assert not [name for name in vars(model) if name.endswith("_") and name[0] != "_"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")])
def test_cuda_asked_for_and_absent(device):
    model = quick(device=device)
    with pytest.raises(InvalidParameterError, match=r"one that is there: cpu; got .*cuda"):
        model.fit(X, Y)
    assert quick(device="auto").fit(X, Y).module_[0].weight.device.type == "cpu"


@pytest.mark.parametrize("method", TAKE_PENALTY)
@pytest.mark.parametrize(
    "penalty",
    [Group("l1", [[0], [1]]), HardThreshold(3), L0()],
    ids=["group", "hardthreshold", "l0"],
)
def test_penalties_that_a_method_cannot_take(method, penalty):
    if method == "adaprox" and isinstance(penalty, L0):
        model = quick(method=method, penalty=penalty, alpha=1e-3, lr=1e-2).fit(X, Y)
        assert np.isfinite(model.loss_curve_).all()
        return
    model = quick(method=method, penalty=penalty)
    with pytest.raises(InvalidParameterError, match=f"{type(penalty).__name__} has none"):
        model.fit(X, Y)
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize("method", TAKE_PENALTY)
def test_factors_of_columns_are_factors_of_inputs(method):
    with pytest.raises(ValueError, match="3 entries for 4 columns"):
        quick(method=method, penalty=Weighted("l1", [1.0, 2.0, 3.0])).fit(X, Y)
    if method in ("adadrop", "gaussdrop"):
        return  # so strong a penalty is so much noise that weights never rest
    settings = {"method": method, "alpha": 1.0, "max_epochs": 60, "lr": 2e-2}
    weighted = Weighted("l1", [0.0, 1.0, 1.0, 0.0])
    model = quick(hidden_layer_sizes=(), penalty=weighted, **settings).fit(X, Y)
    np.testing.assert_array_equal(model.selected_features_, [0, 3])


@pytest.mark.parametrize("method", TAKE_PENALTY)
def test_ard_in_a_net_is_its_penalty_of_an_orthonormal_design(method):
    model = quick(method=method, penalty=ARD(), alpha=1e-3).fit(X, Y)
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize("penalty", [HardThreshold(9), L0(), ARD(), L1()], ids=repr)
@pytest.mark.parametrize("method", sorted(set(list_methods()) - set(TAKE_PENALTY)))
def test_methods_with_a_penalty_of_their_own_ignore_others(method, penalty):
    model = quick(method=method, penalty=penalty).fit(X, Y)
    assert np.isfinite(model.loss_curve_).all()
    if method == "hardthreshold" and isinstance(penalty, HardThreshold):
        assert sum(np.count_nonzero(w) for w in model.coefs_) == 9


@pytest.mark.parametrize("method", list_methods())
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_loss_that_is_not_finite_stops_the_fit(method, optimizer):
    model = quick(SparseMLPRegressor, method=method, lr=1e30, optimizer=optimizer, max_epochs=20)
    with pytest.raises(ValueError, match=r"loss is (nan|inf) in epoch \d+, step \d+.*smaller lr"):
        model.fit(X * 1e3, Y)
    assert not hasattr(model, "module_")
    assert not hasattr(model, "n_features_in_")


def test_a_failed_fit_leaves_the_last_one():
    model = quick(SparseMLPRegressor).fit(X, Y)
    before, known = model.predict(X), set(vars(model))
    model.set_params(lr=1e30, max_epochs=20)
    with pytest.raises(ValueError, match="smaller lr"):
        model.fit(X * 1e3, Y)
    assert set(vars(model)) == known
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("cls", [SparseMLPClassifier, SparseMLPRegressor])
@pytest.mark.parametrize(
    ("rows", "targets", "weight", "message"),
    [
        (np.where(X > 2, np.nan, X), Y, None, "NaN"),
        (np.where(X > 2, np.inf, X), Y, None, "infinity"),
        (X[:, 0], Y, None, "2D array"),
        (X[:0], Y[:0], None, "0 sample"),
        (X[:, :0], Y, None, "0 feature"),
        (X, Y[:10], None, "inconsistent"),
        (X, np.where(Y > 1, np.nan, 1.0), None, "NaN"),
        (X, None, None, "requires y"),
        (X + 1j, Y, None, "omplex"),
        (X, Y, np.zeros(150), "at least one non-zero"),
        (X, Y, -np.ones(150), "egative"),
        (X, Y, np.ones(10), "sample_weight"),
        (X, Y, np.full(150, np.nan), "NaN"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_bad_data(cls, rows, targets, weight, message):
    model = quick(cls)
    with pytest.raises(ValueError, match=message):
        model.fit(rows, targets, sample_weight=weight)
    assert not hasattr(model, "module_")


def test_bad_targets_of_a_classifier():
    with pytest.raises(ValueError, match="one class"):
        quick().fit(X[:1], Y[:1])
    with pytest.raises(ValueError, match="one class"):
        quick().fit(X[:50], Y[:50])
    with pytest.raises(ValueError, match=r"none for \[2\]"):
        quick().fit(X, Y, sample_weight=(Y < 2).astype(float))
    with pytest.raises(ValueError, match="continuous"):
        quick().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="1d array"):
        quick().fit(X, np.stack([Y, Y], axis=1))
    with pytest.raises(ValueError, match="NaN"):
        quick().fit(X, np.where(Y == 2, np.nan, Y))


def test_one_sample_is_enough_for_a_regressor():
    model = quick(SparseMLPRegressor).fit(X[:1], [3.0])
    assert abs(model.predict(X[:1])[0] - 3.0) < 1.0


def test_predicting_before_fit_and_with_other_columns():
    with pytest.raises(ValueError, match="not fitted"):
        quick().predict(X)
    for form in ("compact", "to_scipy", "to_torch_csr"):
        with pytest.raises(ValueError, match="not fitted"):
            getattr(quick(), form)()
    for form in ("save", "to_onnx"):
        with pytest.raises(ValueError, match="not fitted"):
            getattr(quick(), form)("nowhere")
    with pytest.raises(ValueError, match="3 features, but SparseMLPClassifier is expecting 4"):
        quick().fit(X, Y).predict(X[:, :3])


def test_validation_rows_must_be_there():
    with pytest.raises(ValueError, match=r"sample|split|validation_fraction"):
        quick(SparseMLPRegressor, early_stopping=True).fit(X[:1], [1.0])


# Callbacks ----------------------------------------------------------------------------------------


class Recorder(skorch.callbacks.Callback):
    def __init__(self):
        self.seen = []

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.seen.append("train begin")

    def on_epoch_begin(self, net, **kwargs):
        self.seen.append("begin")

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(net.history[-1, "train_loss"])

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.seen.append("train end")


@pytest.mark.parametrize("healing", [0, 2])
def test_skorch_callbacks_see_each_epoch(healing):
    recorder = Recorder()
    model = quick(max_epochs=3, healing_epochs=healing, callbacks=[recorder]).fit(X, Y)
    expected = [v for loss in model.loss_curve_ for v in ("begin", loss)]
    assert recorder.seen == ["train begin", *expected, "train end"]
    assert len(model.loss_curve_) == 3 + healing
    quick(max_epochs=3, callbacks=[("named", recorder)]).fit(X, Y)
    assert recorder.seen.count("train end") == 2


def test_nothing_is_printed_unless_asked_for(capsys, caplog):
    with caplog.at_level(logging.DEBUG, logger="skdropdual"):
        model = quick(max_epochs=3).fit(X, Y)
        model.compact()
    assert capsys.readouterr() == ("", "")
    quick(max_epochs=3, verbose=1).fit(X, Y)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 5  # a head, a rule, three epochs
    for name in ("epoch", "train_loss", "density", "dur"):
        assert name in printed[0]


class Stopper:
    """A scikit-learn callback that scores the net after each epoch, and stops after some."""

    def __init__(self, most=np.inf):
        self.most, self.begun, self.scores = most, [], []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X, Y))
        return len(self.scores) >= self.most


@pytest.mark.parametrize("method", ["adaprox", "vardrop-lr", "prune"])
def test_an_epoch_is_a_task_of_the_callbacks_of_scikit_learn(method):
    stopper = Stopper()
    options = {"method": method, "max_epochs": 4, "lr": 1e-2}
    model = quick(**options).set_callbacks(stopper).fit(X, Y)
    assert stopper.begun == ["fit", *["epoch"] * 4]
    assert stopper.scores[-1] == model.score(X, Y)
    # To look does not change what is learned.
    for one, two in zip(model.coefs_, quick(**options).fit(X, Y).coefs_, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_callback_that_asks_to_stop_stops():
    stopper = Stopper(most=2)
    model = quick(max_epochs=9, healing_epochs=3).set_callbacks(stopper).fit(X, Y)
    assert model.n_iter_ == 2
    assert model.score(X, Y) == stopper.scores[-1]
