"""What others do, on the same images: methods in the same loop, and other libraries.

Pruning, hard concrete gates and factorised weights are methods of the library with settings from
the search (their first ones where it did not see them). scikit-learn's dense net trains by its own
code, NNCF and torchao in a plain loop of ours; where they are not installed, they are left out.

LassoNet takes out whole inputs; the other two layers alone, which stay dense, are 0.116 of the
weights, more than any density here.
"""

import time
import warnings

import numpy as np
import search
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from torch import nn
from training import LENET, LOG, ErrorsOn, Job, run_jobs, summary

from skdropdual.neural_network import SparseMLPClassifier
from skdropdual.neural_network._schedules import LR_SCHEDULES, cubic_density

SKLEARN_EPOCHS = 20  # it is slow
SPAN = (0.1, 0.7)


def run(train, test, searched, store, *, names, densities, seeds, epochs, device, clock):
    """Write down density and test error of each rival."""
    n = len(train[0])
    jobs = _dense(seeds, epochs, device) if "dense" in names else []
    for name in (name for name in names if name in search.METHODS):
        jobs += _jobs(name, searched, n, densities, seeds, epochs, device)
    run_jobs(jobs, *train, store, ErrorsOn(test=test), clock=clock)
    for name in (name for name in names if name in OTHERS):
        for density in densities if name in PRUNERS else (None,):
            label = name if density is None else f"{name}, {density}"
            key = f"{label} | {epochs} epochs | {n} rows"
            if not (clock.over or store.has(key)):
                _other(name, label, key, train, test, store, density, epochs, device)


def _other(name, label, key, train, test, store, density, epochs, device):
    try:
        found = list(OTHERS[name](train, test, density=density, epochs=epochs, device=device))
    except Exception as error:  # of others' code; the rest is to run all the same
        LOG.warning("%s is left out: %r", label, error)
        return
    for i, record in enumerate(found):
        point = label if len(found) == 1 else f"{label}, point {i}"
        store.add({"key": f"{key} | {i}" if i else key, "name": point, "curve": name} | record)
        LOG.info("%s: %s", point, summary(record))


def _jobs(name, searched, n, densities, seeds, epochs, device):
    # Settings from the search; where it has none, the first candidates.
    known = [record for record in searched if record["curve"] == name]
    if known:
        return search.finalists(known, n, densities, seeds=seeds, epochs=epochs, device=device)
    first = {}
    for label, settings in search.candidates((name,), densities).items():
        first.setdefault(settings["target_density"], (label, settings))
    return [
        search.job(label, settings, n, epochs=epochs, seed=seed, device=device)
        for label, settings in first.values()
        for seed in seeds
    ]


def _dense(seeds, epochs, device):
    options = {"method": "none", "lr": 1e-3, "max_epochs": epochs, "device": device}
    return [
        Job(
            "dense",
            SparseMLPClassifier(**LENET, **options, random_state=seed),
            seed,
            {"curve": "dense"},
        )
        for seed in seeds
    ]


def scikit_learn(train, test, *, density, epochs, device):
    """The dense net of scikit-learn, at most twenty epochs."""
    model = MLPClassifier((300, 100), batch_size=128, early_stopping=True, random_state=0)
    model.set_params(max_iter=min(epochs, SKLEARN_EPOCHS), n_iter_no_change=5)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(*train)
    yield _record(start, test, model.predict(test[0]), model.coefs_) | {"epochs": model.n_iter_}


def nncf(train, test, *, density, epochs, device):
    """NNCF's pruning by magnitude, over all layers, to a cubic schedule of ours."""
    import nncf
    from nncf.torch.function_hook.pruning.magnitude.schedulers import (
        MultiStepMagnitudePruningScheduler,
    )

    mode = nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_GLOBAL
    net, example = _lenet(train[0].shape[1]), torch.zeros(1, train[0].shape[1])
    net = nncf.prune(net, mode=mode, ratio=0.0, examples_inputs=example)
    steps = {epoch: 1 - _reached(epoch, epochs, density) for epoch in range(epochs + 1)}
    scheduler = MultiStepMagnitudePruningScheduler(net, mode=mode, steps=steps)
    start = time.perf_counter()
    _train(net, *train, epochs, device, before_epoch=scheduler.step)
    record = _record(start, test, _predict(net, test[0]), [])
    yield record | {"density": 1 - nncf.pruning_statistic(net).pruning_ratio}


def torchao(train, test, *, density, epochs, device):
    """torchao's sparsifier by magnitude, each layer alike, to a cubic schedule of ours."""
    from torchao.prototype.sparsity.sparsifier.weight_norm_sparsifier import WeightNormSparsifier

    net = _lenet(train[0].shape[1])
    sparsifier = WeightNormSparsifier(sparse_block_shape=(1, 1), zeros_per_block=1)
    sparsifier.prepare(net, [{"tensor_fqn": f"layers.{i}.weight"} for i in (0, 2, 4)])
    start, epoch = time.perf_counter(), iter(range(epochs))

    def step():
        level = 1 - _reached(next(epoch), epochs, density)
        for group in sparsifier.groups:
            group["sparsity_level"] = level
        sparsifier.step()

    _train(net, *train, epochs, device, before_epoch=step)
    sparsifier.squash_mask()
    weights = [p.detach().cpu().numpy() for p in net.parameters() if p.ndim == 2]
    yield _record(start, test, _predict(net, test[0]), weights)


def _reached(epoch, epochs, density):
    reached = cubic_density(epoch / epochs, SPAN, density)
    return 1.0 if reached is None else reached


class _Module(nn.Module):
    # NNCF adds modules to the root, which a Sequential would run.

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, X):
        return self.layers(X)


def _lenet(n_inputs):
    torch.manual_seed(0)
    layers = nn.Linear(n_inputs, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    return _Module(nn.Sequential(*layers))


def _train(net, X, y, epochs, device, before_epoch):
    # The loop a torch user writes, with the schedule of the others.
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device)
    X, y = torch.as_tensor(X, device=device), torch.as_tensor(y, device=device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    for epoch in range(epochs):
        before_epoch()
        optimizer.param_groups[0]["lr"] = 1e-3 * LR_SCHEDULES["constant-linear"](epoch / epochs)
        for index in torch.randperm(len(X), device=device).split(LENET["batch_size"]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X[index]), y[index]).backward()
            optimizer.step()


@torch.no_grad()
def _predict(net, X):
    device = next(net.parameters()).device
    return net.eval()(torch.as_tensor(X, device=device)).argmax(1).cpu().numpy()


def _record(start, test, predicted, weights):
    seconds = round(time.perf_counter() - start, 2)
    kept = sum(int(np.count_nonzero(w)) for w in weights)
    error = 100 * float((predicted != test[1]).mean())
    size = sum(w.size for w in weights)
    return {"test_error": error, "density": kept / max(size, 1), "seconds": seconds}


PRUNERS = {"nncf": nncf, "torchao": torchao}
OTHERS = {**PRUNERS, "scikit-learn": scikit_learn}
NAMES = ("dense", *search.RIVALS, "vardrop-lr-ar", *OTHERS)
