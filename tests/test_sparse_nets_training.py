"""How sparse nets train: zeros that are zeros, targets met, seeds local, phases in order."""

import contextlib
import copy
import functools
import gc
import pickle
import random
import weakref

import numpy as np
import pytest
import torch
from nets import BY_COMPILER, close, same
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from torch.nn.utils import parametrize

from skdropdual.neural_network import (
    SparseMLPClassifier,
    SparseMLPRegressor,
    SparseNeuralNetClassifier,
    list_methods,
)
from skdropdual.neural_network._cuda import GraphedStep, compiled
from skdropdual.neural_network._data import Rows
from skdropdual.neural_network._many import fit_many
from skdropdual.neural_network._trainer import Trainer
from skdropdual.penalties import EffectivePenalty

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
DENSE = ["none", "standout"]  # by what they are
NOISY = ["adadrop", "gaussdrop", "vardrop"]  # noise on each weight: zeros need many steps
SPARSE = sorted(set(list_methods()) - set(DENSE))


def quick(cls=SparseMLPClassifier, **options):
    settings = {"hidden_layer_sizes": (16,), "max_epochs": 12, "lr": 1e-2, "random_state": 0}
    return cls(**settings | options)


def digits():
    images, labels = load_digits(return_X_y=True)
    return images[:600] / 16, labels[:600]


# Reproducible, and without a trace ----------------------------------------------------------------


@pytest.mark.parametrize("method", list_methods())
def test_same_seed_same_net_and_global_state_untouched(method):
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is what is looked at
    torch.manual_seed(1)
    before = random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state()  # noqa: NPY002
    threads, default = torch.get_num_threads(), torch.get_default_dtype()
    options = {"method": method, "max_epochs": 4, "early_stopping": True, "healing_epochs": 1}
    model = quick(**options).fit(X, Y)
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    same(model, quick(**options).fit(X, Y))
    torch.set_rng_state(before[2])
    np.random.set_state(pickle.loads(before[1]))  # noqa: S301, NPY002
    free = quick(**options, random_state=None).fit(X, Y)
    free.partial_fit(X, Y)
    other = quick(**options, random_state=None).fit(X, Y)
    assert random.getstate() == before[0]
    assert pickle.dumps(np.random.get_state()) == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, default)
    assert torch.is_grad_enabled()
    # Without a seed, fits differ.
    assert not np.array_equal(free.coefs_[0], other.coefs_[0])
    assert not np.array_equal(model.coefs_[0], quick(**options, random_state=1).fit(X, Y).coefs_[0])


def test_a_random_state_object_goes_on():
    state = np.random.RandomState(0)
    one, two = (quick(max_epochs=1, random_state=state).fit(X, Y).coefs_[0] for _ in range(2))
    assert not np.array_equal(one, two)
    state = np.random.RandomState(0)
    np.testing.assert_array_equal(quick(max_epochs=1, random_state=state).fit(X, Y).coefs_[0], one)


# Zeros --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", ["weight", "input", "neuron"])
@pytest.mark.parametrize("method", list_methods())
def test_what_is_left_are_plain_weights_with_exact_zeros(method, structure):
    model = quick(method=method, structure=structure).fit(X, Y)
    module = model.module_
    assert not any(parametrize.is_parametrized(layer) for layer in module)
    assert {name for name, _ in module.named_parameters()} == set(module.state_dict())
    assert set(module.state_dict()) == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert all(type(p) is torch.nn.Parameter for p in module.parameters())
    assert not any(layer._forward_hooks for layer in module)
    assert not module.training
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    # What the history says of the last epoch are these zeros.
    layers = {"weight": [0, 1], "input": [0], "neuron": [0]}[structure]
    kept = sum(np.count_nonzero(model.coefs_[k]) for k in layers)
    assert model.density_ == kept / sum(model.coefs_[k].size for k in layers)
    if structure != "weight":  # whole groups
        axis = 1 if structure == "input" else 0
        rows = (model.coefs_[0] != 0).sum(axis=axis)
        assert set(rows.tolist()) <= {0, model.coefs_[0].shape[axis]}
        assert (model.coefs_[1] != 0).all()
    # And training may go on with the net in torch.
    torch.nn.functional.cross_entropy(
        module(torch.tensor(X, dtype=torch.float32)), torch.tensor(Y)
    ).backward()
    assert module[0].weight.grad is not None


@pytest.mark.parametrize("method", sorted(set(SPARSE) - set(NOISY)))
def test_a_strong_penalty_makes_zeros_and_a_weak_one_few(method):
    if method in ("prune", "hardthreshold"):
        options = [{"target_density": 0.05}, {"target_density": 0.9}]
    else:
        options = [{"alpha": 0.3}, {"alpha": 1e-7}]
    strong, weak = (
        quick(method=method, max_epochs=60, lr_schedule="cosine", **o).fit(X, Y) for o in options
    )
    assert strong.density_ < 0.3
    assert weak.density_ > 0.6
    assert weak.score(X, Y) > 0.9


@pytest.mark.parametrize("method", DENSE)
def test_dense_methods_make_no_zeros(method):
    model = quick(method=method, keep_prob_tol=0.0).fit(X, Y)
    assert model.density_ == 1.0


@pytest.mark.parametrize("method", SPARSE)
def test_zeros_count_in_validation_during_training(method):
    seen = []

    class Validating:
        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == "epoch":
                module = fitted_estimator.module_
                weights = [m.weight for m in module if hasattr(m, "weight")]
                kept = sum(int((w != 0).sum()) for w in weights)
                with torch.no_grad():
                    scores = module(torch.tensor(X[held], dtype=torch.float32))
                loss = torch.nn.functional.cross_entropy(scores, torch.tensor(Y[held]))
                seen.append((kept / sum(w.numel() for w in weights), float(loss)))

    from sklearn.model_selection import train_test_split

    model = quick(method=method, early_stopping=True, max_epochs=8, n_iter_no_change=50)
    _, held = train_test_split(
        np.arange(150), test_size=0.1, random_state=model._seed(), stratify=Y
    )
    model.set_callbacks(Validating()).fit(X, Y)
    for row, (density, loss) in zip(model.history_, seen, strict=True):
        assert row["density"] == density
        assert row["valid_loss"] == pytest.approx(loss, rel=1e-5)


# Targets of density -------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("method", SPARSE)
def test_a_target_density_is_met(method, density):
    images, labels = digits()
    model = quick(
        method=method, target_density=density, hidden_layer_sizes=(32,), max_epochs=6, batch_size=64
    ).fit(images, labels)
    assert model.density_ == pytest.approx(density, rel=0.02)
    total = sum(w.size for w in model.coefs_)
    assert sum(np.count_nonzero(w) for w in model.coefs_) == round(model.density_ * total)


@pytest.mark.parametrize("structure", ["input", "neuron"])
@pytest.mark.parametrize("method", SPARSE)
def test_a_target_density_of_groups_is_met(method, structure):
    images, labels = digits()
    model = quick(
        method=method,
        structure=structure,
        target_density=0.25,
        hidden_layer_sizes=(40,),
        max_epochs=5,
        batch_size=64,
    ).fit(images, labels)
    assert model.density_ == pytest.approx(0.25, rel=0.02)
    first = model.coefs_[0] != 0
    groups = first.any(axis=1) if structure == "input" else first.any(axis=0)
    assert groups.sum() == 0.25 * len(groups)
    assert first.sum() <= 0.25 * first.size


def test_density_follows_the_cubic_schedule():
    model = quick(method="prune", target_density=0.1, max_epochs=50, pruning_span=(0.2, 0.6))
    model.fit(X, Y)
    density = model.history_[:, "density"]
    done = np.arange(1, 51) / 50
    expected = 0.1 + 0.9 * np.clip(1 - (done - 0.2) / 0.4, 0, 1) ** 3
    np.testing.assert_allclose(density, np.minimum(expected, 1), atol=0.02)
    assert density == sorted(density, reverse=True)


def test_pruning_takes_the_smallest_weights():
    model = quick(method="prune", target_density=0.5, max_epochs=1, pruning_span=(1.0, 1.0))
    dense = quick(method="none", max_epochs=1).fit(X, Y)
    pruned = model.fit(X, Y)
    size = np.concatenate([abs(w).ravel() for w in dense.coefs_])
    kept = np.concatenate([(w != 0).ravel() for w in pruned.coefs_])
    assert size[kept].min() >= size[~kept].max()
    assert kept.sum() == len(kept) // 2


# Phases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"target_density": 0.2}, {"structure": "input"}], ids=repr)
@pytest.mark.parametrize("method", ["adaprox", "vardrop-lr", "prune", "factorized", "hardconcrete"])
def test_healing_keeps_zeros_and_improves_the_loss(method, options):
    settings = {"method": method, "max_epochs": 30, **options}
    if "target_density" not in options and method not in ("prune",):
        settings["alpha"] = 0.02
    before = quick(**settings).fit(X, Y)
    healed = quick(**settings, healing_epochs=20).fit(X, Y)
    assert before.density_ < 1.0
    assert healed.n_iter_ == 50
    assert set(healed.history_[30:, "density"]) == {healed.density_}
    for one, two in zip(before.coefs_, healed.coefs_, strict=True):
        np.testing.assert_array_equal(one != 0, two != 0)
    assert healed.loss_curve_[-1] < before.loss_curve_[-1]
    from sklearn.metrics import log_loss

    assert log_loss(Y, healed.predict_proba(X)) < log_loss(Y, before.predict_proba(X))
    assert [{**r, "dur": 0} for r in healed.history_[:30]] == [
        {**r, "dur": 0} for r in before.history_
    ]


def test_strength_warms_up_and_rates_fall():
    model = quick(
        alpha=0.1, warmup=(0.25, 0.75), lr_schedule="linear", max_epochs=8, batch_size=150
    )
    model.fit(X, Y)
    done = np.arange(8) / 8  # at the start of each epoch, of one step
    np.testing.assert_allclose(
        model.history_[:, "alpha"], 0.1 * np.clip((done - 0.25) / 0.5, 0, 1), atol=1e-15
    )
    np.testing.assert_allclose(model.history_[:, "lr"], 1e-2 * (1 - done), rtol=1e-12)
    assert model.alpha_ == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.75, 0.5, 0.25]),
        ("constant-linear", [1, 1, 1, 0.5]),
        ("cosine", 0.5 * (1 + np.cos(np.pi * np.arange(4) / 4))),
    ],
)
def test_learning_rates(schedule, expected):
    model = quick(lr_schedule=schedule, max_epochs=4, batch_size=150, warmup=(0, 0)).fit(X, Y)
    np.testing.assert_allclose(model.history_[:, "lr"], 0.01 * np.asarray(expected), rtol=1e-12)
    assert set(model.history_[:, "alpha"]) == {5 / (150 + 250)}


@pytest.mark.parametrize("method", ["factorized", "vardrop-lr"])  # one rate, and two
def test_rates_in_tensors_are_those_in_numbers(method, monkeypatch):
    # As on a GPU, where a captured step reads them.
    options = {"method": method, "target_density": 0.5, "lr_schedule": "linear"}
    options |= {"healing_epochs": 4, "precision": "float64"}
    plain, init = quick(**options).fit(X, Y), Trainer.__init__

    def with_tensors(self, net, *args, **more):
        for group in net.optimizer_.param_groups:
            group |= {"lr": torch.tensor(group["lr"]), "fused": False, "foreach": False}
        init(self, net, *args, **more)

    monkeypatch.setattr(Trainer, "__init__", with_tensors)
    close(quick(**options).fit(X, Y), plain, 1e-6)  # the tensors are in float32


def test_no_strength_during_warm_up_is_no_penalty():
    options = {"max_epochs": 3, "lr_schedule": "constant"}
    dense = quick(method="none", **options).fit(X, Y)
    for method in ("adaprox", "penalty", "adatikhonov"):
        waiting = quick(method=method, warmup=(1, 1), keep_prob_tol=0, **options).fit(X, Y)
        for one, two in zip(dense.coefs_, waiting.coefs_, strict=True):
            np.testing.assert_array_equal(one, two)


def test_early_stopping_returns_to_the_best_epoch():
    rng = np.random.default_rng(0)
    rows, labels = rng.standard_normal((80, 10)), rng.integers(0, 2, 80)  # nothing to learn
    model = quick(
        method="none",
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=5,
        max_epochs=200,
        warmup=(0, 0),
        lr=5e-2,
    ).fit(rows, labels)
    losses = model.history_[:, "valid_loss"]
    assert model.n_iter_ < 200
    assert np.argmin(losses) == model.n_iter_ - 1 - 5
    from sklearn.model_selection import train_test_split

    _, held = train_test_split(
        np.arange(80), test_size=0.3, random_state=model._seed(), stratify=labels
    )
    proba = model.predict_proba(rows[held])[np.arange(len(held)), labels[held]]
    assert -np.log(proba).mean() == pytest.approx(min(losses), rel=1e-5)
    assert "valid_loss" not in quick().fit(X, Y).history_[-1]


def test_early_stopping_waits_until_the_net_is_what_it_is_to_be():
    model = quick(
        method="prune",
        target_density=0.05,
        early_stopping=True,
        n_iter_no_change=2,
        max_epochs=20,
        pruning_span=(0.1, 0.8),
    ).fit(X, Y)
    assert model.n_iter_ >= 16
    assert model.density_ == pytest.approx(0.05, abs=0.5 / 112)


def test_gradients_are_clipped():
    rows, values = X * 1e3, Y * 1e4
    free = quick(SparseMLPRegressor, optimizer="sgd", lr=1e-3, max_epochs=3)
    with pytest.raises(ValueError, match="max_grad_norm"):
        free.fit(rows, values)
    free.set_params(max_grad_norm=1.0).fit(rows, values)
    assert np.isfinite(free.loss_curve_).all()


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_precisions(precision):
    model = quick(precision=precision, max_epochs=30).fit(X, Y)
    expected = np.float64 if precision == "float64" else np.float32
    assert model.coefs_[0].dtype == expected
    assert model.score(X, Y) > 0.9
    assert model.predict_proba(X).dtype == np.float64


# Continued training -------------------------------------------------------------------------------


@pytest.mark.parametrize("method", list_methods())
def test_partial_fits_learn(method):
    model = quick(method=method, lr=2e-2)
    for _ in range(25):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    assert model.n_iter_ == 25
    assert model.score(X, Y) > 0.8
    assert not parametrize.is_parametrized(model.module_[0])
    assert model.history_[-1, "alpha"] == model.alpha_
    assert model.history_[-1, "density"] == model.density_


def test_partial_fit_of_batches_that_lack_classes():
    model = quick(lr=2e-2)
    with pytest.raises(ValueError, match="at least two classes"):
        model.partial_fit(X[:50], Y[:50])
    assert not hasattr(model, "classes_")
    order = np.random.default_rng(0).permutation(150)
    model.partial_fit(X[:50], Y[:50], classes=[0, 1, 2])
    for _ in range(10):
        for part in np.array_split(order, 5):
            model.partial_fit(X[part], Y[part])
    assert model.score(X, Y) > 0.8
    with pytest.raises(ValueError, match=r"classes \[5\] that are not among"):
        model.partial_fit(X[:50], Y[:50] + 5)
    with pytest.raises(ValueError, match=r"4 features|3 features"):
        model.partial_fit(X[:, :3], Y)
    assert model.score(X, Y) > 0.8


def test_partial_fit_after_fit_goes_on_from_it():
    model = quick(max_epochs=40).fit(X, Y)
    score, density = model.score(X, Y), model.density_
    model.partial_fit(X, Y)
    assert model.n_iter_ == 41
    assert model.score(X, Y) > score - 0.1
    assert abs(model.density_ - density) < 0.5
    # And fit starts anew.
    same(model.fit(X, Y), quick(max_epochs=40).fit(X, Y))


def test_partial_fit_is_reproducible_and_pickles():
    one, two = (quick(method="vardrop-lr").partial_fit(X, Y) for _ in range(2))
    two = pickle.loads(pickle.dumps(two))  # noqa: S301
    same(one.partial_fit(X, Y), two.partial_fit(X, Y))


def test_partial_fit_of_a_regressor_keeps_its_outputs():
    rows, values = make_regression(60, 4, n_targets=2, random_state=0)
    model = quick(SparseMLPRegressor).partial_fit(rows, values)
    with pytest.raises(ValueError, match="2 columns as before; got 1"):
        model.partial_fit(rows, values[:, 0])
    assert model.predict(rows).shape == (60, 2)
    with pytest.raises(NotFittedError):
        quick(SparseMLPRegressor).predict(rows)


def test_warm_start_goes_on_from_the_weights():
    first = quick(method="none", max_epochs=10, lr_schedule="constant").fit(X, Y)
    loss = first.loss_curve_[-1]
    warm = quick(method="none", max_epochs=1, warm_start=True, lr=1e-6).fit(X, Y)
    cold = warm.loss_curve_[-1]
    warm.set_params(max_epochs=10, lr=1e-2).fit(X, Y)
    warm.set_params(max_epochs=1, lr=1e-6).fit(X, Y)
    assert warm.n_iter_ == 1
    assert warm.loss_curve_[-1] < 0.5 * cold
    assert warm.loss_curve_[-1] < loss + 0.1


def test_warm_start_along_strengths():
    model = quick(warm_start=True, max_epochs=30)
    densities = [model.set_params(alpha=a).fit(X, Y).density_ for a in (1e-4, 0.01, 0.3)]
    assert densities == sorted(densities, reverse=True)
    assert densities[0] > densities[-1]


@pytest.mark.parametrize(
    "change", [{"hidden_layer_sizes": (3,)}, {"hidden_layer_sizes": (16, 2)}], ids=repr
)
def test_warm_start_of_another_net_is_refused(change):
    model = quick(warm_start=True).fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="warm_start"):
        model.set_params(**change).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(ValueError, match="features"):
        model.fit(X[:, :2], Y)


def test_a_method_may_not_change_between_partial_fits():
    model = quick().partial_fit(X, Y)
    for change in ({"method": "vardrop"}, {"optimizer": "sgd"}, {"hidden_layer_sizes": (3,)}):
        before = model.get_params()
        with pytest.raises(ValueError, match="partial_fit"):
            model.set_params(**change).partial_fit(X, Y)
        model.set_params(**before)
    assert model.partial_fit(X, Y).n_iter_ == 2


def test_noise_lies_in_memory_as_its_tensor():
    from skdropdual.neural_network._random import Random

    random = Random()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = [
            torch.zeros(8, 16, 5, 5).contiguous(memory_format=memory_format)
            for memory_format in (torch.contiguous_format, torch.channels_last)
        ]
        for tensor in (*dense, torch.zeros(8, 16, 5, 10)[..., ::2]):
            for noise, mean in ((random.randn_like(tensor), 0), (random.rand_like(tensor), 0.5)):
                assert noise.stride() == torch.empty_like(tensor).stride()
                assert len(noise.unique()) > 3000  # of 3200, in float32
                assert abs(float(noise.mean()) - mean) < 5 / 3200**0.5


@pytest.mark.parametrize("method", list_methods())
def test_fused_optimizers_find_gradients_where_channels_are_last(method):
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((48, 3, 6, 6)), rng.integers(0, 3, 48)
    weights = []
    for fused in (True, False):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            module = torch.nn.Sequential(
                torch.nn.Conv2d(3, 6, 3), torch.nn.Flatten(), torch.nn.Linear(96, 3)
            )
            net = SparseNeuralNetClassifier(
                module.to(memory_format=torch.channels_last).double(),
                method=method,
                criterion=torch.nn.CrossEntropyLoss,
                optimizer=torch.optim.Adam,
                optimizer__fused=fused,
                batch_size=16,
                max_epochs=3,
            ).fit(images, labels)
        weights.append(net.module_[0].weight.detach().numpy())
    np.testing.assert_allclose(*weights, atol=1e-12)


STEADY = {"lr_schedule": "constant", "max_epochs": 2, "precision": "float64"}


@BY_COMPILER
@pytest.mark.parametrize(
    ("method", "optimizer"),
    [
        ("adaprox", "adam"),
        ("eta-trick", "sgd"),
        ("factorized", "sgd"),
        ("vardrop-lr", "sgd"),
        ("vardrop-lr-ar", "sgd"),
    ],
)
def test_a_step_is_whole_to_the_compiler(method, optimizer, monkeypatch):
    # By its front end alone; of a function it does not take it warns, which is an error here.
    options = {"method": method, "optimizer": optimizer, "max_grad_norm": 1.0} | STEADY
    plain = quick(**options).fit(X, Y)
    compile_steps(monkeypatch)
    # Adam op by op has its powers of beta in float32, in one kernel in float64.
    close(plain, quick(**options).fit(X, Y), 1e-5 if optimizer == "adam" else 1e-12)


@BY_COMPILER
@pytest.mark.parametrize("method", ["none", "adaprox", "eta-trick"])
def test_a_step_of_many_nets_is_whole_to_the_compiler(method, monkeypatch):
    options = {"method": method, "optimizer": "sgd", "max_grad_norm": 1.0} | STEADY
    alone = [quick(**options | {"random_state": k}).fit(X, Y) for k in range(3)]
    compile_steps(monkeypatch)
    many = [clone(model) for model in alone]
    fit_many(many, [(X, Y, None)] * 3)
    for one, other in zip(alone, many, strict=True):
        close(one, other, 1e-12)


@BY_COMPILER
def test_what_the_compiler_does_not_take_runs_as_it_is(monkeypatch):
    rule = EffectivePenalty(lambda w: w / (w + 1))  # known by a table
    options = {"method": "penalty", "penalty": rule, "optimizer": "sgd"} | STEADY
    plain = quick(**options).fit(X, Y)
    compile_steps(monkeypatch)
    with pytest.warns(UserWarning, match="does not take _add_gradients, which runs as it is"):
        close(plain, quick(**options).fit(X, Y), 1e-12)


def test_each_trainer_has_compiled_code_of_its_own(monkeypatch):
    # The compiler gives a code object up that it has compiled for eight trainers.
    seen = []
    monkeypatch.setattr(torch, "compile", lambda method, **options: seen.append(method) or method)

    class Counter:
        def __init__(self, n):
            self.n = n

        def up(self, by):
            return self.n + by

    assert [compiled(Counter(n).up)(10) for n in (1, 2)] == [11, 12]
    one, two = (method.__code__ for method in seen)
    assert one == two
    assert one is not two


def compile_steps(monkeypatch):
    # As on a GPU, but by Python.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    make = Trainer.__init__

    def compiling(trainer, *args, **options):
        make(trainer, *args, **options)
        trainer._compile()

    monkeypatch.setattr(Trainer, "__init__", compiling)


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_collected_while_a_step_is_captured(fails, monkeypatch):
    # A graph among the garbage would end the capture.
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", contextlib.nullcontext)
    seen = []

    def step(index):
        seen.append(gc.isenabled())
        return {}[index] if fails else index

    with pytest.raises(KeyError) if fails else contextlib.nullcontext():
        GraphedStep(4)._capture(step, torch.arange(4))
    assert seen == [False]
    assert gc.isenabled()


def test_a_trainer_goes_with_its_fit(monkeypatch):
    # Without the collector: the memory of its graphs goes with it.
    trainers, init = [], Trainer.__init__

    def noted(self, *args, **options):
        trainers.append(weakref.ref(self))
        init(self, *args, **options)

    monkeypatch.setattr(Trainer, "__init__", noted)
    monkeypatch.setattr(Rows, "on_cuda", True)
    monkeypatch.setattr(GraphedStep, "__call__", lambda self, step, index, key: step(index))
    gc.disable()
    try:
        model = quick(healing_epochs=2, max_epochs=3, target_density=0.5).fit(X, Y)
        assert [trainer() for trainer in trainers] == [None, None]
    finally:
        gc.enable()
    assert model.density_ == pytest.approx(0.5, abs=0.02)
