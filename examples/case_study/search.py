"""Our own best nets: settings chosen on held-out training images, then the test error, once."""

from itertools import product

import numpy as np
from sklearn.model_selection import train_test_split
from training import LENET, ErrorsOn, Job, run_jobs

from skdropdual.neural_network import SparseMLPClassifier
from skdropdual.neural_network.routes import Factorized

EPOCHS = 100
DENSITIES = (0.01, 0.0147, 0.04, 0.083)
# Test errors in percent to reach with these fractions of the 266,200 weights.
GOALS = {0.0147: 1.9, 0.04: 1.55, 0.083: 1.45}

# `strength` is alpha times the number of rows, healing epochs are of a hundred. The first are the
# best known: strength from the fifth of a hundred epochs, full from the twentieth.
_SCHEDULE = {"lr": 1e-3, "warmup": (0.05, 0.2), "pruning_span": (0.1, 0.7)}
_VARIANTS = {
    "plain": {},
    "late": {"pruning_span": (0.2, 0.9)},
    "fast": {"lr": 2e-3},
    "fast, late": {"lr": 2e-3, "pruning_span": (0.2, 0.9)},
    "soon": {"warmup": (0.0, 0.05), "pruning_span": (0.05, 0.5)},
}
# Strengths, and variants by healing epochs, of each method. Those that promise most come first: a
# run that is out of time has seen them.
_VARIATIONAL = {20: tuple(_VARIANTS), 0: ("plain", "late")}
_TRIED = {
    "vardrop-lr-ar": ((1.0, 0.5, 2.0), _VARIATIONAL),
    "prune": ((1.0,), {20: tuple(_VARIANTS)}),
    "vardrop-lr": ((1.0, 0.5, 2.0), _VARIATIONAL),
    "factorized 3": ((6.0, 2.0), {20: ("plain", "late")}),
    "hardconcrete": ((2.5, 0.8), {20: ("plain", "late")}),
    "adaprox logsum": ((5.0, 1.5), {20: ("plain", "late")}),
    "factorized 2": ((6.0, 2.0), {20: ("plain", "late")}),
    "adaprox mcp": ((5.0, 1.5), {20: ("plain", "late")}),
    "adaprox l1": ((5.0, 1.5), {20: ("plain", "late")}),
}
METHODS = tuple(_TRIED)
# Methods of others; they take part in the search, so that theirs are chosen as ours are.
RIVALS = ("prune", "hardconcrete", "factorized 2", "factorized 3")
PRESET = "vardrop-to-density"  # the winner of the others, by name


def candidates(methods=METHODS, densities=DENSITIES):
    """Return settings by name; what can train as one is next to each other."""
    found = {}
    for method in methods:
        strengths, variants = _TRIED[method]
        tried = [(healing, variant) for healing, names in variants.items() for variant in names]
        for (healing, variant), strength, density in product(tried, strengths, densities):
            label = f"{method}, {variant}, strength {strength}, heal {healing}, {density}"
            given = {"method": method, "strength": strength, "target_density": density}
            found[label] = _SCHEDULE | _VARIANTS[variant] | given | {"healing_epochs": healing}
    return found


def job(name, settings, n, *, epochs, seed, device):
    """Return the net of these settings for n rows; healing epochs come after, scaled alike."""
    method, _, detail = settings["method"].partition(" ")
    given = {key: value for key, value in settings.items() if key != "strength"}
    given["method"] = Factorized(int(detail)) if method == "factorized" else method
    given["penalty"] = detail if method == "adaprox" else "logsum"
    given["healing_epochs"] = -(-settings["healing_epochs"] * epochs // EPOCHS)
    estimator = SparseMLPClassifier(
        **LENET,
        **given,
        alpha=settings["strength"] / n,
        max_epochs=epochs,
        device=device,
        random_state=seed,
    )
    target = settings["target_density"]
    notes = {"settings": settings, "target": target, "goal": GOALS.get(target)}
    notes["curve"] = settings["method"]
    return Job(name, estimator, seed, notes)


def run(train, store, *, chosen, seeds, epochs, device, clock):
    """Fit the candidates to four fifths of the training images, judge them by the rest."""
    X, X_valid, y, y_valid = train_test_split(
        *train, test_size=0.2, random_state=0, stratify=train[1]
    )
    jobs = [
        job(name, settings, len(X), epochs=epochs, seed=seed, device=device)
        for name, settings in chosen.items()
        for seed in seeds
    ]
    run_jobs(jobs, X, y, store, ErrorsOn(valid=(X_valid, y_valid)), clock=clock)


def score(record):
    """Return what the best candidate has least of."""
    return record["valid_error"], record["valid_loss"]


def winner(records):
    """Return the recipe, settings and name without density, with the least mean validation error.

    The mean (of errors, then of losses) is over the target densities; a recipe that was not tried
    at all of them does not count.
    """
    found = {}
    for record in records:
        name = record["name"].rpartition(", ")[0]
        found.setdefault(name, {}).setdefault(record["target"], []).append(record)
    most = max(len(targets) for targets in found.values())

    def mean(name):
        scores = [np.mean([score(r) for r in group], axis=0) for group in found[name].values()]
        return tuple(np.mean(scores, axis=0))

    best = min((name for name in found if len(found[name]) == most), key=mean)
    (record, *_) = next(iter(found[best].values()))
    return best, record["settings"]


def finalists(searched, n, densities, *, seeds, epochs, device):
    """Return the nets of the winning recipe for n rows, one for each density and seed."""
    name, settings = winner(searched)
    return [
        job(
            f"{name}, {density}",
            settings | {"target_density": density},
            n,
            epochs=epochs,
            seed=seed,
            device=device,
        )
        for density in densities
        for seed in seeds
    ]


def run_final(train, test, store, *, densities, seeds, epochs, device, clock, folder):
    """Fit our winner to all training images; write down its test errors, and keep the nets."""
    shared = {"max_epochs": epochs, "device": device}
    jobs = [
        Job(
            f"{PRESET}, {density}",
            SparseMLPClassifier.from_preset(
                PRESET, target_density=density, random_state=seed, **shared
            ),
            seed,
            {"target": density, "goal": GOALS.get(density), "curve": PRESET},
        )
        for density in densities
        for seed in seeds
    ]

    def measure(model):
        file = folder / f"net_{model.target_density}_{model.random_state}.safetensors"
        model.save(file)
        return ErrorsOn(test=test)(model) | {"file": file.name}

    run_jobs(jobs, *train, store, measure, clock=clock)
