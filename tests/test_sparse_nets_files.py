"""Checkpoints continue a killed fit bit for bit; saved nets and other forms predict alike."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import skorch
import torch
from nets import same
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from skdropdual.neural_network import SparseMLPClassifier, SparseMLPRegressor
from skdropdual.penalties import LogSum, VarDrop

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)


class Killed(Exception):  # noqa: N818
    pass


class Kill(skorch.callbacks.Callback):
    """Raises at the start of an epoch."""

    def __init__(self, epoch):
        self.epoch, self.begun = epoch, 0

    def on_epoch_begin(self, net, **kwargs):
        self.begun += 1
        if self.begun > self.epoch:
            raise Killed


def quick(cls=SparseMLPClassifier, **options):
    settings = {"hidden_layer_sizes": (12,), "max_epochs": 6, "lr": 1e-2, "random_state": 0}
    return cls(**settings | options)


def killed_after(epochs, path, X=X, y=Y, **options):
    model = quick(checkpoint=path, callbacks=[Kill(epochs)], **options)
    with pytest.raises(Killed):
        model.fit(X, y)
    assert not hasattr(model, "module_")


@pytest.mark.parametrize("epochs", [1, 4, 7])
@pytest.mark.parametrize(
    "options",
    [
        {"method": "adaprox"},
        {"method": "vardrop-lr"},
        {"method": "gaussdrop", "structure": "input"},
        {"method": "eta-trick", "precision": "float64"},
        {"method": "factorized", "optimizer": "sgd"},
        {"method": "hardconcrete", "target_density": 0.3},
        {"method": "hardthreshold", "target_density": 0.3},
        {"method": "prune", "early_stopping": True, "validation_fraction": 0.3},
        {"method": "adadrop", "early_stopping": True, "n_iter_no_change": 2, "warmup": (0, 0)},
    ],
    ids=lambda o: "-".join(map(str, o.values())),
)
def test_a_killed_fit_goes_on_bit_for_bit(tmp_path, options, epochs):
    # Six epochs, then three of healing: 7 is among these.
    options = {**options, "healing_epochs": 3}
    whole = quick(**options).fit(X, Y)
    path = tmp_path / "state"
    if epochs >= whole.n_iter_:
        epochs = whole.n_iter_ - 1
    killed_after(epochs, path, **options)
    torch.manual_seed(3)  # another process
    resumed = quick(**options, checkpoint=str(path)).fit(X, Y)
    same(resumed, whole)
    assert resumed.n_iter_ == whole.n_iter_
    same(pickle.loads(pickle.dumps(resumed)), whole)  # noqa: S301


def test_a_fit_killed_twice_and_one_that_was_done(tmp_path):
    whole, path = quick(method="vardrop").fit(X, Y), tmp_path / "state"
    killed_after(2, path, method="vardrop")
    killed_after(2, path, method="vardrop")
    same(quick(method="vardrop", checkpoint=path).fit(X, Y), whole)
    recorder = Kill(0)  # nothing is left to do, so that nothing is begun
    same(quick(method="vardrop", checkpoint=path, callbacks=[recorder]).fit(X, Y), whole)
    assert recorder.begun == 0


def test_a_fit_without_a_seed_goes_on_with_the_one_it_had(tmp_path):
    path = tmp_path / "state"
    killed_after(3, path, random_state=None)
    content = path.read_bytes()
    first = quick(random_state=None, checkpoint=path).fit(X, Y)
    path.write_bytes(content)
    same(quick(random_state=None, checkpoint=path).fit(X, Y), first)


def test_order_of_rows_does_not_matter_for_going_on(tmp_path):
    path, order = tmp_path / "state", np.random.default_rng(0).permutation(150)
    killed_after(3, path)
    same(quick(checkpoint=path).fit(X[order], Y[order]), quick().fit(X, Y))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lr": 1e-3}, "lr"),
        ({"method": "penalty"}, "method"),
        ({"penalty": LogSum(0.5)}, "penalty"),
        ({"hidden_layer_sizes": (13,)}, "hidden_layer_sizes"),
        ({"random_state": 1}, "random_state"),
        ({"max_epochs": 7}, "max_epochs"),
    ],
    ids=repr,
)
def test_a_checkpoint_of_another_fit_is_refused_and_left(tmp_path, change, named):
    path = tmp_path / "state"
    killed_after(2, path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=f"belongs to another fit: .*{named}.* differ"):
        quick(checkpoint=path, **change).fit(X, Y)
    with pytest.raises(ValueError, match="another fit: data differ"):
        quick(checkpoint=path).fit(X + 1, Y)
    with pytest.raises(ValueError, match="another fit: data differ"):
        quick(checkpoint=path).fit(X, Y[::-1])
    with pytest.raises(ValueError, match="another fit: data differ"):
        quick(checkpoint=path).fit(X, Y, sample_weight=np.arange(150) + 1.0)
    with pytest.raises(ValueError, match=r"another fit: .*class.* differ"):
        quick(SparseMLPRegressor, checkpoint=path).fit(X, Y)
    assert path.read_bytes() == content
    quick(checkpoint=path, verbose=0, device="cpu").fit(X, Y)  # what does not matter may change


def test_truncated_and_foreign_files_are_refused_and_left(tmp_path):
    path = tmp_path / "state"
    killed_after(2, path)
    whole = path.read_bytes()
    saved = tmp_path / "net"
    quick().fit(X, Y).save(saved)
    for content in (whole[:-7], whole[:100], b"", b"no tensors at all", saved.read_bytes()):
        path.write_bytes(content)
        model = quick(checkpoint=path)
        with pytest.raises(ValueError, match=r"cannot read|another kind"):
            model.fit(X, Y)
        assert path.read_bytes() == content
        assert not hasattr(model, "module_")
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=r"checkpoint.*is a folder"):
        quick(checkpoint=path).fit(X, Y)


def test_a_loss_that_is_nan_keeps_the_last_good_state(tmp_path):
    path = tmp_path / "state"
    model = quick(SparseMLPRegressor, lr=1e30, optimizer="sgd", checkpoint=path)
    with pytest.raises(ValueError, match="smaller lr"):
        model.fit(X * 1e3, Y)
    assert not path.exists()


# Saved estimators ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "options"),
    [
        (np.array(["ah", "b", "çé"])[Y], {}),
        (Y > 0, {"method": "vardrop", "penalty": VarDrop("exact"), "class_weight": "balanced"}),
        (Y == 1, {"class_weight": {True: 2.0, False: 1}, "random_state": np.int64(3)}),
        (np.stack([Y == 0, Y > 0], axis=1).astype(int), {"penalty": LogSum(np.float64(0.5))}),
        (Y.astype(np.int16) * 3, {"hidden_layer_sizes": np.array([5, 4]), "activation": "tanh"}),
        (Y, {"hidden_layer_sizes": (), "precision": "float64", "warmup": [0, 0.3]}),
        (Y, {"hidden_layer_sizes": 7, "max_epochs": np.int32(3), "device": torch.device("cpu")}),
    ],
    ids=["strings", "bool", "weights", "labels", "ints", "linear", "numbers"],
)
def test_what_is_saved_comes_back(tmp_path, targets, options):
    model = quick(**options).fit(X, targets)
    model.save(tmp_path / "net")
    loaded = SparseMLPClassifier.load(tmp_path / "net")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    assert loaded.classes_.dtype == model.classes_.dtype
    assert loaded.predict(X).dtype == model.predict(X).dtype
    for name in ("n_iter_", "density_", "alpha_", "loss_curve_", "sparsity_", "n_features_in_"):
        assert getattr(loaded, name) == getattr(model, name)
    assert loaded.history_.to_list() == model.history_.to_list()
    # It is an estimator like any other: it goes on, is cloned and saved again.
    loaded.partial_fit(X, targets)
    loaded.save(str(tmp_path / "again"))


def test_a_saved_regressor_with_names(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    for values in (Y, np.stack([Y, X[:, 0]], axis=1), Y[:, None]):
        model = quick(SparseMLPRegressor).fit(frame, values)
        model.save(tmp_path / "net")
        loaded = SparseMLPRegressor.load(tmp_path / "net")
        np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
        assert list(loaded.feature_names_in_) == list("abcd")
        with pytest.raises(ValueError, match="feature names"):
            loaded.predict(frame[["b", "a", "c", "d"]])
    with pytest.raises(ValueError, match="a SparseMLPRegressor, not a SparseMLPClassifier"):
        SparseMLPClassifier.load(tmp_path / "net")


def test_what_cannot_be_saved_is_named_and_the_file_left(tmp_path):
    path = tmp_path / "net"
    good = quick().fit(X, Y)
    good.save(path)
    content = path.read_bytes()
    for name, value in {
        "penalty": lambda w: w / (w + 1),
        "random_state": np.random.RandomState(0),
        "callbacks": [Kill(99)],
    }.items():
        model = quick(**{name: value}).fit(X, Y)
        with pytest.raises(ValueError, match=f"{name}.*cannot be written"):
            model.save(path)
        assert path.read_bytes() == content
    for cut in (content[:-5], b"", b"{}"):
        path.write_bytes(cut)
        with pytest.raises(ValueError, match="cannot read"):
            SparseMLPClassifier.load(path)
    with pytest.raises(FileNotFoundError):
        SparseMLPClassifier.load(tmp_path / "nowhere")


# Other forms --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression", "outputs"])
@pytest.mark.parametrize("hidden", [(), (9, 7)], ids=repr)
def test_other_forms_predict_alike(tmp_path, kind, hidden):
    cls = SparseMLPRegressor if kind in ("regression", "outputs") else SparseMLPClassifier
    targets = {
        "binary": np.array(["no", "yes"])[(Y > 0).astype(int)],
        "multiclass": Y,
        "multilabel": np.stack([Y == 0, Y > 0], axis=1).astype(int),
        "regression": Y,
        "outputs": np.stack([Y, X[:, 0]], axis=1),
    }[kind]
    model = quick(cls, hidden_layer_sizes=hidden, alpha=0.03, max_epochs=25).fit(X, targets)
    assert model.density_ < 1 or not hidden
    expected = model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
    wanted = expected.reshape(len(X), -1)
    rows = torch.tensor(X, dtype=torch.float32)
    with torch.no_grad():
        small = model.compact()
        np.testing.assert_allclose(small(rows).numpy(), wanted, atol=1e-6)
        assert small.report
        scores = model.compact(scores=True)(rows).numpy()
        csr = model.to_torch_csr()(rows).numpy()
    expected_scores = model._scores(X)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    np.testing.assert_allclose(csr, expected_scores, atol=1e-5)
    plain = model.to_scipy()
    np.testing.assert_array_equal(
        plain.predict(X) if kind not in ("regression", "outputs") else 0,
        model.predict(X) if kind not in ("regression", "outputs") else 0,
    )
    given = plain.predict_proba(X) if hasattr(model, "predict_proba") else plain.predict(X)
    np.testing.assert_allclose(np.reshape(given, wanted.shape), wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_onnx_predicts_alike(tmp_path, kind):
    runtime = pytest.importorskip("onnxruntime", reason="an optional extra")
    pytest.importorskip("onnxscript", reason="an optional extra")
    cls = SparseMLPRegressor if kind == "regression" else SparseMLPClassifier
    model = quick(cls, alpha=0.03).fit(X, Y > 0 if kind == "binary" else Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of itself
        model.to_onnx(tmp_path / "net.onnx")
    session = runtime.InferenceSession(tmp_path / "net.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: X.astype(np.float32)})
    expected = model.predict(X)[:, None] if kind == "regression" else model.predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-6)
