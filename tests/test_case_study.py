"""The case study: its settings are the paper's, it runs, and its search sees no test image."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from skdropdual.neural_network import SparseMLPClassifier
from skdropdual.neural_network._sparsifier import Sparsifier
from skdropdual.neural_network.routes import AdaProx
from skdropdual.penalties import LogSum

FOLDER = Path(__file__).parents[1] / "examples" / "case_study"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.fixture(autouse=True)
def _case_study(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    yield
    for name in MODULES:  # their names are plain words
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    images = (X * 15).astype(np.uint8).reshape(-1, 8, 8)
    return {
        "x_train": images[:500],
        "y_train": y[:500].astype(np.uint8),
        "x_test": images[500:700],
        "y_test": y[500:700].astype(np.uint8),
    }


@pytest.fixture
def folder(digits, tmp_path):
    np.savez(tmp_path / "mnist.npz", **digits)
    return tmp_path


def records(folder, stage):
    return json.loads((folder / "mnist_quick" / f"{stage}.json").read_text())


def quick(folder, *more):
    import run

    run.main(["--quick", "--data", str(folder), "--output", str(folder), "--device", "cpu", *more])


# The paper ----------------------------------------------------------------------------------------


def test_rows_have_the_settings_of_the_paper():
    import paper

    rows = {job.name: job.estimator for job in paper.jobs(paper.settings(), [0], 200, "cpu")}
    assert set(rows) == {*paper.PUBLISHED, paper.RIGHT_DUAL, paper.STEP_OUTSIDE}
    fast = {"VarDrop", "VarDrop+LR", "eta-Trick", paper.RIGHT_DUAL}
    for name, model in rows.items():
        variational = name.startswith("VarDrop")
        assert model.lr == (1e-3 if name in fast else 1e-4)
        assert model.alpha == (1 / 60_000 if variational else 1e-3)
        assert variational or model.penalty.epsilon == 2
        assert (model.hidden_layer_sizes, model.batch_size) == ((300, 100), 128)
        assert (model.max_epochs, model.lr_schedule, model.warmup) == (200, "linear", (0, 0))
        assert (model.keep_prob_tol, model.target_density) == (0.05, None)


def sparsified(route, strength, start=None):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(7, 5)).double()
    sparsifier = Sparsifier(net, route, LogSum(epsilon=2.0))
    sparsifier.set_strength(strength)
    (pair,) = sparsifier._pairs
    if start is not None:
        with torch.no_grad():
            pair[1].copy_(start)
    return net, sparsifier, *pair


@pytest.mark.parametrize("name", ["PaperVarDrop", "PaperLocal", "PaperAdditive"])
def test_variational_nets_start_small_and_descend_on_the_divergence(name):
    import paper

    net, sparsifier, state, weight = sparsified(getattr(paper, name)(), 1 / 60_000)
    assert 0.01 < float(weight.detach().std()) < 0.03
    assert not net[0].bias.any()
    assert state.route.rate is None
    noise = state.log_r.exp() if name == "PaperAdditive" else (state.log_r / 2).exp() * abs(weight)
    expected = 0.0067379 if name == "PaperAdditive" else 0.0820850 * abs(weight)
    np.testing.assert_allclose(noise.detach(), (expected + 0 * weight).detach(), rtol=1e-5)

    log_r = state.route.log_ratio(state, weight)
    divergence = state.penalty.divergence(log_r).sum() / 60_000
    gradients = torch.autograd.grad(divergence, [weight, state.log_r], allow_unused=True)
    weight.grad, state.log_r.grad = torch.zeros_like(weight), torch.zeros_like(state.log_r)
    sparsifier.add_gradients()
    for parameter, gradient in zip((weight, state.log_r), gradients, strict=True):
        gradient = torch.zeros_like(parameter) if gradient is None else gradient
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("doubled", [True, False])
def test_the_eta_trick_descends_on_the_dual_of_the_public_code(doubled):
    import paper

    lam, epsilon = 1e-3, 2.0
    _, sparsifier, state, weight = sparsified(paper.PaperEtaTrick(doubled=doubled), lam)
    with torch.no_grad():
        state.log_odds.copy_(torch.linspace(-3, 9, 35).reshape(5, 7))
    rho = state.log_odds
    eta = lam * rho.exp()
    root = (epsilon**2 + 4 * eta).sqrt()
    dual = (
        2 * ((root + epsilon) / 2).log() - (2 if doubled else 1) * (root - epsilon) ** 2 / 4 / eta
    )
    objective = lam / 2 * (weight**2 / eta + dual + 1e-3 * rho).sum()
    expected = torch.autograd.grad(objective, [weight, rho])
    weight.grad = torch.zeros_like(weight)
    sparsifier.add_gradients()
    np.testing.assert_allclose(weight.grad, expected[0], rtol=1e-9)
    np.testing.assert_allclose(rho.grad, expected[1], rtol=1e-7, atol=1e-15)


def test_adaprox_counts_with_the_step_size_inside():
    import paper

    start = torch.linspace(-1e-3, 1e-3, 35).reshape(5, 7)
    moved = []
    for route in (paper.PaperAdaProx(), AdaProx("ridge")):
        net, sparsifier, state, weight = sparsified(route, 1e-3, start)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
        (1e-5 * net(torch.ones(3, 7).double()).square().sum()).backward()
        optimizer.step()
        before = weight.detach().clone()
        sparsifier.after_step(optimizer)
        moved.append(weight.detach().clone())
        if route.__class__ is paper.PaperAdaProx:
            np.testing.assert_allclose(state.route.keep_prob(state, weight) * before, moved[0])
            assert 0 < sparsifier.density() < 1
    np.testing.assert_allclose(*moved, rtol=1e-9)


@pytest.mark.parametrize("name", ["VarDrop+LR+AR", "VarDrop", "eta-Trick", "AdaProx"])
def test_rows_train_together_as_alone(name, folder):
    import data
    import paper
    import training

    X, y = (part[:200] for part in data.load_train("mnist", folder))
    together, alone = (
        [job.estimator for job in paper.jobs([name], [0, 1], 3, "cpu", [training.Watch(X, y)])]
        for _ in range(2)
    )
    training.fit_all(together, X, y)
    for model, other in zip(together, alone, strict=True):
        other.fit(X, y)
        for first, second in zip(model.coefs_, other.coefs_, strict=True):
            np.testing.assert_allclose(first, second, atol=2e-5)
        errors = [[row["test_error"] for row in m.history_] for m in (model, other)]
        np.testing.assert_allclose(*errors, atol=0.6)  # of 200 rows, one
    assert np.abs(together[0].coefs_[0] - together[1].coefs_[0]).max() > 0.01


def test_the_error_of_a_row_is_the_one_the_paper_has():
    import paper

    # With the small weights, but of variational nets; without a history there is the other alone.
    record = {"name": "LogSum", "test_error": 2.0}
    assert paper.published_error(record) == 2.0
    record["history"] = {"test_error": [4.0, 2.0], "test_error_unzeroed": [5.0, 1.5]}
    assert paper.published_error(record) == 1.5
    assert paper.published_error(record | {"name": "VarDrop"}) == 2.0


def test_a_net_that_failed_is_the_worst():
    from types import SimpleNamespace

    import training

    net = SimpleNamespace(predict_proba=lambda X: np.full((3, 2), np.nan), classes_=[0, 1])
    found = training.ErrorsOn(valid=(None, [0, 1, 0]))(net)
    assert found == {"valid_error": 100.0, "valid_loss": 100.0}


# The command --------------------------------------------------------------------------------------


def test_a_quick_run_writes_everything(folder, capsys):
    quick(folder)
    assert "not the paper's setting" in capsys.readouterr().out
    out = folder / "mnist_quick"
    for record in records(folder, "paper"):
        history = record["history"]
        assert len(history["density"]) == len(history["test_error_unzeroed"]) == 4
        assert history["test_error"][-1] == pytest.approx(record["test_error"], abs=1e-4)
        assert history["density"][-1] == pytest.approx(record["density"], abs=1e-6)
    final = records(folder, "final")
    assert sorted({r["target"] for r in final}) == [0.0147, 0.083]
    for record in final:
        assert record["density"] == pytest.approx(record["target"], abs=1e-4)
        assert (out / record["file"]).exists()
        assert record["rows"] == 500
    for record in records(folder, "deploy"):
        dense, small, *_ = record["forms"]
        assert dense["architecture"] == "64-300-100-10"
        assert small["bytes"] <= 1.01 * dense["bytes"]
        assert all(form["ms_batch_1"] > 0 for form in record["forms"])
    rivals = {(r["curve"], round(r["density"], 4)) for r in records(folder, "rivals")}
    assert rivals == {("dense", 1.0), ("prune", 0.0147), ("prune", 0.083)}
    report = (out / "report.md").read_text()
    assert "Quick run" in report
    assert "| LogSum | 2.93 | 0.019 |" in report
    assert {path.name for path in out.glob("*.png")} == {"figure_2.png", "error_by_density.png"}
    assert json.loads((out / "machine.json").read_text())["options"]["quick"] is True


def test_the_search_sees_no_test_image(digits, tmp_path, monkeypatch):
    import data

    # There are none; and nobody asks.
    np.savez(tmp_path / "mnist.npz", **{k: v for k, v in digits.items() if k.endswith("_train")})
    monkeypatch.setattr(data, "load_test", lambda *args: pytest.fail("the search asked for them"))
    quick(tmp_path, "--stages", "search")
    searched = records(tmp_path, "search")
    assert len(searched) == 2
    assert all(record["rows"] == 400 for record in searched)
    assert not any(key.startswith("test") for record in searched for key in record)


def test_a_run_goes_on_where_it_was(folder, monkeypatch):
    import training

    arguments = ("--stages", "paper", "--methods", "LogSum")
    quick(folder, *arguments)
    before = records(folder, "paper")
    monkeypatch.setattr(training, "fit_all", lambda *args: pytest.fail("fitted again"))
    quick(folder, *arguments)
    assert records(folder, "paper") == before
    quick(folder, "--stages", "paper", "--methods", "AdaProx", "--minutes", "0")  # no time
    assert len(before) == len(records(folder, "paper")) == 1


def test_processes_fit_what_one_does(folder, tmp_path):
    rows = ["--stages", "paper", "--methods", "AdaProx", "LogSum", "--epochs", "1"]
    quick(folder, *rows)
    quick(folder, *rows, "--workers", "2", "--output", str(tmp_path / "workers"))
    one = {record["name"]: record for record in records(folder, "paper")}
    two = {record["name"]: record for record in records(tmp_path / "workers", "paper")}
    assert one.keys() == two.keys() == {"AdaProx", "LogSum"}
    for name, record in one.items():
        assert two[name]["key"] == record["key"]
        assert two[name]["test_loss"] == pytest.approx(record["test_loss"], rel=1e-4)


def test_what_trains_as_one_is_alike_in_all_but_numbers():
    import search
    import training

    jobs = [
        search.job(name, settings, 1000, epochs=100, seed=0, device="cpu")
        for name, settings in search.candidates().items()
    ]
    stacks = list(training.stacks(jobs, 16))
    assert sum(map(len, stacks)) == len(jobs)
    assert max(map(len, stacks)) == 16
    for stack in stacks:
        models = [job.estimator for job in stack]
        assert len({repr((m.method, m.penalty, m.healing_epochs)) for m in models}) == 1
    assert {job.estimator.alpha for job in stacks[0]} == {0.0005, 0.001, 0.002}


def test_the_winner_is_best_on_average_over_densities():
    import search

    found = [
        ("a, 0.04", 0.04, 1.0, 0.4),
        ("a, 0.01", 0.01, 3.0, 0.1),
        ("b, 0.04", 0.04, 1.5, 0.3),
        ("b, 0.01", 0.01, 2.5, 0.2),
        ("c, 0.04", 0.04, 1.6, 0.1),
        ("c, 0.01", 0.01, 2.4, 0.1),
        ("d, 0.04", 0.04, 0.1, 0.0),
    ]
    names = ("name", "target", "valid_error", "valid_loss")
    records = [dict(zip(names, f, strict=True)) | {"settings": f[0]} for f in found]
    assert search.winner(records) == ("c", "c, 0.04")  # the losses decide; d has one density only


def test_the_preset_is_what_the_search_found():
    import search

    name = "vardrop-lr, plain, strength 0.5, heal 0, 0.0147"
    settings = search.candidates(("vardrop-lr",))[name]
    net = search.job(name, settings, 60_000, epochs=100, seed=0, device="cpu").estimator
    preset = SparseMLPClassifier.from_preset("vardrop-to-density", target_density=0.0147)
    assert preset.method.alpha_scale == settings["strength"]
    same = {"method", "alpha", "device", "random_state"}
    ours, found = preset.get_params(deep=False), net.get_params(deep=False)
    assert {k: v for k, v in ours.items() if k not in same} == {
        k: v for k, v in found.items() if k not in same
    }


def test_what_is_published_for_mnist_is_not_shown_for_fashion(digits, tmp_path):
    np.savez(tmp_path / "fashion_mnist.npz", **digits)
    quick(tmp_path, "--dataset", "fashion", "--stages", "paper", "report", "--methods", "LogSum")
    report = (tmp_path / "fashion_quick" / "report.md").read_text()
    assert "| LogSum |  |  | " in report
    assert "2.93" not in report


def test_rivals_take_the_settings_that_the_search_found():
    import rivals
    import search

    label, settings = list(search.candidates(("factorized 3",), (0.04,)).items())[-1]
    found = [
        {"name": label, "settings": settings, "target": 0.04, "curve": "factorized 3"}
        | {"valid_error": 2.0, "valid_loss": 0.1}
    ]
    more = {"densities": (0.04,), "seeds": [3], "epochs": 100, "device": "cpu"}
    (job,) = rivals._jobs("factorized 3", found, 1000, *more.values())
    assert (job.name, job.estimator.method.depth) == (label, 3)
    assert job.estimator.alpha == settings["strength"] / 1000
    (first,) = rivals._jobs("factorized 3", [], 1000, *more.values())
    assert first.name != label


def test_a_rival_that_fails_does_not_stop_the_rest(folder, monkeypatch, caplog):
    import rivals

    def broken(*args, **kwargs):
        raise ImportError("not installed")

    monkeypatch.setitem(rivals.OTHERS, "nncf", broken)
    quick(folder, "--stages", "rivals", "--methods", "nncf", "scikit-learn")
    (record,) = records(folder, "rivals")
    assert (record["name"], record["density"]) == ("scikit-learn", 1.0)
    assert "not installed" in caplog.text


def test_a_stage_that_fails_does_not_stop_the_rest(folder, monkeypatch):
    import paper

    monkeypatch.setattr(paper, "run", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(SystemExit, match="failed: paper"):
        quick(folder, "--stages", "paper", "report")
    assert (folder / "mnist_quick" / "report.md").exists()


def test_lenet_5_trains_in_skorch(tmp_path):
    import conv
    import training

    rng = np.random.default_rng(0)
    y = np.arange(60) % 10
    X = rng.standard_normal((60, 784), dtype=np.float32) + y[:, None].astype(np.float32)
    assert sum(p.numel() for p in conv.LeNet5().parameters() if p.ndim > 1) == 430_500
    store, clock = training.Store(tmp_path / "conv.json"), training.Clock()
    options = {"methods": ("prune", "none"), "densities": (0.02,), "epochs": 2, "clock": clock}
    torch.manual_seed(1)
    state = torch.get_rng_state()
    conv.run((X, y), (X[:20], y[:20]), store, seeds=range(1), device="cpu", **options)
    assert torch.equal(torch.get_rng_state(), state)
    assert [round(record["density"], 4) for record in store.records] == [0.02, 1.0]
    assert len(store.records[0]["history"]["density"]) == 3  # one of them heals
    options["methods"] = ("none",)
    conv.run((X, y), (X[:20], y[:20]), store, seeds=range(2), device="cpu", **options)
    assert [record["seed"] for record in store.records] == [0, 0, 1]
    assert store.records[1]["test_loss"] != store.records[2]["test_loss"]


def test_images_are_standardised(folder, digits):
    import data

    X, y, X_test, y_test = data.load_mnist("mnist", folder)
    assert (X.shape, X.dtype, X_test.shape) == ((500, 64), np.float32, (200, 64))
    expected = (digits["x_test"].reshape(200, 64) / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(X_test, expected, atol=1e-6)
    np.testing.assert_array_equal(y, digits["y_train"])
    np.testing.assert_array_equal(y_test, digits["y_test"])


def test_images_of_lenet_5_move_by_whole_pixels():
    import conv

    images = torch.arange(1.0, 785.0).view(28, 28)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved = conv.shifted(images.reshape(1, -1).repeat(200, 1), 1).view(-1, 28, 28)
    room = nn.functional.pad(images, (1,) * 4, value=1.0)  # as the background is
    places = {(i, j): room[i : i + 28, j : j + 28] for i in range(3) for j in range(3)}
    counts = [sum(torch.equal(image, place) for image in moved) for place in places.values()]
    assert sum(counts) == 200
    assert min(counts) > 5
