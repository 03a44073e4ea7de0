"""Sparse nets on a GPU: the same results, by one CUDA graph a step. Skipped where there is none."""

import copy
import gc

import numpy as np
import pytest
import torch
from nets import BY_COMPILER, close
from sklearn.base import clone
from sklearn.datasets import load_digits

from skdropdual.neural_network import (
    SparseMLPClassifier,
    SparseNeuralNetClassifier,
    _trainer,
    list_methods,
)
from skdropdual.neural_network._many import fit_many

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

X, Y = load_digits(return_X_y=True)
X = X / 16
NOISY = {"adadrop", "gaussdrop", "hardconcrete", "standout", "vardrop"}
NOISY |= {"vardrop-lr", "vardrop-lr-ar"}
QUIET = sorted(set(list_methods()) - NOISY)


def net(method="adaprox", **options):
    settings = {"hidden_layer_sizes": (32,), "max_epochs": 8, "batch_size": 128}
    settings |= {"precision": "float64", "device": "cuda", "random_state": 0}
    if method not in ("none", "standout"):
        settings |= {"target_density": 0.3, "healing_epochs": 2}
    return SparseMLPClassifier(method=method, **settings | options)


def _run(step, index, key):
    return step(index)


@pytest.mark.parametrize("method", QUIET)
def test_one_batch_an_epoch_ends_as_on_the_cpu(method):
    # Then the order of rows, which differs, does not matter.
    gpu = net(method, batch_size=len(X), max_epochs=12).fit(X, Y)
    cpu = clone(gpu).set_params(device="cpu").fit(X, Y)
    close(gpu, cpu, 1e-7)
    np.testing.assert_allclose(gpu.predict_proba(X), cpu.predict_proba(X), atol=1e-7)


@pytest.mark.parametrize("method", list_methods())
@pytest.mark.parametrize("structure", ["weight", "neuron"])
def test_a_graph_does_what_its_steps_do(method, structure, monkeypatch):
    options = {"structure": structure, "max_grad_norm": 1.0}
    graphed = net(method, **options).fit(X, Y)
    close(graphed, net(method, **options).fit(X, Y), 0)  # the same seed, the same net
    monkeypatch.setattr(_trainer, "GraphedStep", lambda size: _run)
    close(graphed, net(method, **options).fit(X, Y), 1e-8)


def test_garbage_does_not_end_a_capture():
    index = torch.arange(4, device="cuda")
    for _ in range(4):
        step = _trainer.GraphedStep(4)
        for _ in range(5):
            step(torch.square, index)
        step.itself = step
    thresholds = gc.get_threshold()
    gc.set_threshold(1, 1, 1)  # all that is unreachable, at once
    try:
        net().fit(X, Y)
    finally:
        gc.set_threshold(*thresholds)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_optimizers_read_their_learning_rate_in_the_graph(optimizer, monkeypatch):
    options = {"optimizer": optimizer, "lr_schedule": "cosine", "weight_decay": 1e-3}
    graphed = net(**options).fit(X, Y)
    monkeypatch.setattr(_trainer, "GraphedStep", lambda size: _run)
    close(graphed, net(**options).fit(X, Y), 1e-8)


@pytest.mark.parametrize("method", QUIET)
def test_many_nets_end_as_alone(method):
    models = [net(method).set_params(random_state=k, lr=2e-3 / (k + 1)) for k in range(3)]
    alone = [clone(model).fit(X, Y) for model in models]
    fit_many(models, [(X, Y, None)] * 3)
    for one, two in zip(models, alone, strict=True):
        close(one, two, 1e-7)


@pytest.mark.parametrize("method", sorted(NOISY))
def test_many_noisy_nets_learn(method):
    models = [net(method, max_epochs=30).set_params(random_state=k) for k in range(3)]
    fit_many(models, [(X, Y, None)] * 3)
    assert min(model.score(X, Y) for model in models) > 0.8
    assert not np.array_equal(models[0].coefs_[0], models[1].coefs_[0])


@pytest.mark.parametrize("method", ["none", "adaprox", "vardrop-lr"])
def test_checkpoint_goes_on(method, tmp_path):
    whole = net(method).fit(X, Y)
    part = net(method, checkpoint=tmp_path / "fit.safetensors")
    run_epoch, left = _trainer.Trainer.run_epoch, [5]

    def dying(self):
        left[0] -= 1
        return run_epoch(self) if left[0] >= 0 else 1 / 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_trainer.Trainer, "run_epoch", dying)
        with pytest.raises(ZeroDivisionError):
            part.fit(X, Y)
    close(part.fit(X, Y), whole, 1e-8)


@BY_COMPILER
@pytest.mark.parametrize("method", ["adaprox", "vardrop-lr", "vardrop-lr-ar"])
def test_compiled_nets_learn(method):
    models = [net(method, precision="float32", compile=True, max_epochs=30) for _ in range(2)]
    models[0].fit(X, Y)
    fit_many(models, [(X, Y, None)] * 2)
    for model in models:
        assert model.score(X, Y) > 0.8
        assert model.density_ == pytest.approx(0.3, rel=0.02)


@BY_COMPILER
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("method", ["vardrop", "vardrop-lr"])
def test_each_replay_draws_its_noise(method, compiled):
    settings = {"alpha": 1e-9, "target_density": None, "healing_epochs": 0, "lr": 1e-12}
    settings |= {"batch_size": len(X), "precision": "float32", "compile": compiled}
    model = net(method, **settings).fit(X, Y)
    assert np.diff(np.sort(model.loss_curve_)).min() > 1e-6  # of 8 epochs whose weights are alike


@BY_COMPILER
@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"compile": True}])
def test_other_arithmetic_learns(options):
    model = net(**{"precision": "float32", "max_epochs": 30} | options).fit(X, Y)
    assert model.score(X, Y) > 0.9
    assert model.density_ == pytest.approx(0.3, rel=0.02)


def test_other_forms_from_the_gpu(tmp_path):
    model = net(precision="float32", max_epochs=20).fit(X, Y)
    assert next(model.module_.parameters()).device.type == "cuda"
    expected = model.predict_proba(X)
    np.testing.assert_allclose(model.to_scipy().predict_proba(X), expected, atol=1e-5)
    with torch.no_grad():
        inputs = torch.tensor(X, dtype=torch.float32, device="cuda")
        small = model.compact()(inputs).cpu().numpy()
        scores = model.to_torch_csr()(inputs).cpu().numpy()
    np.testing.assert_allclose(small, expected, atol=1e-5)
    np.testing.assert_allclose(scores, model.decision_function(X), atol=1e-3)
    model.save(tmp_path / "net.safetensors")
    loaded = SparseMLPClassifier.load(tmp_path / "net.safetensors")
    np.testing.assert_allclose(loaded.predict_proba(X), expected, atol=1e-6)
    copied = copy.deepcopy(model).partial_fit(X, Y)
    assert copied.n_iter_ == model.n_iter_ + 1


def test_module_of_ones_own():
    module = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    model = SparseNeuralNetClassifier(
        module, method="adaprox", target_density=0.3, max_epochs=20, lr=5e-3, device="cuda",
        criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam,
    )  # fmt: skip
    model.fit(X.astype(np.float32), Y)
    assert model.score(X.astype(np.float32), Y) > 0.85
    assert model.density_ == pytest.approx(0.3, rel=0.02)


def test_the_state_of_the_gpu_generator_is_untouched():
    torch.cuda.manual_seed(3)
    before = torch.cuda.get_rng_state()
    net("vardrop-lr").fit(X, Y)
    fit_many([net("vardrop-lr"), net("vardrop-lr")], [(X, Y, None)] * 2)
    assert torch.equal(torch.cuda.get_rng_state(), before)
