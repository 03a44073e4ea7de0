"""Fitting many nets, and writing down what became of them."""

import dataclasses
import json
import logging
import multiprocessing
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.metrics import log_loss
from skorch.callbacks import Callback

import skdropdual
from skdropdual.neural_network._many import fit_many
from skdropdual.neural_network._sparsifier import SparseWeight

LOG = logging.getLogger("case_study")
LENET = {"hidden_layer_sizes": (300, 100), "batch_size": 128}
# What nets that train as one may differ in.
_FREE = {"alpha", "lr", "target_density", "random_state", "callbacks"}


def fit_all(estimators, X, y):
    """Return the estimators, fitted to the same rows, as one stack: the one place that trains."""
    callbacks = estimators[0].callbacks or ()
    for estimator in estimators:
        estimator.set_params(callbacks=None)
    data = (X, y, None)
    fit_many(estimators, [data] * len(estimators), callbacks=callbacks)
    return estimators


@dataclasses.dataclass
class Job:
    """A net to be fitted: its name, its seed, and what else is to be written down."""

    name: str
    estimator: object
    seed: int = 0
    notes: dict = dataclasses.field(default_factory=dict)

    @property
    def key(self):
        """What tells this job from others, also in another run."""
        return f"{self.name} | {json.dumps(parameters_of(self.estimator), sort_keys=True)}"


def run_jobs(jobs, X, y, store, measure, *, clock, largest=64, workers=1):
    """Fit what the store does not have yet, stack by stack; add what `measure(model)` returns.

    With `workers` > 1 as many processes fit a stack each; nothing stops them, and `measure` must be
    one that pickles.
    """
    missing = list(stacks((job for job in jobs if not store.has(_key(job, X))), largest))
    shared = (X, y, measure)
    fits = _in_turn(missing, shared, clock) if workers == 1 else _at_once(missing, shared, workers)
    for records in fits:
        for record in records:
            store.add(record)
            LOG.info("%s, seed %d: %s", record["name"], record["seed"], summary(record))


def _in_turn(missing, shared, clock):
    for stack in missing:
        if clock.over:
            LOG.warning("out of time: %d nets are left out", len(stack))
            continue
        yield _fit(stack, *shared)


def _at_once(missing, shared, workers):
    context = multiprocessing.get_context("spawn")  # a fork of what has seen a GPU has none
    precision = torch.get_float32_matmul_precision()
    # The data go with each stack: what a worker begins with, the next one would have to wait for.
    with ProcessPoolExecutor(workers, context, _begin, (precision,)) as pool:
        fits = [pool.submit(_fit, stack, *shared) for stack in missing]
        for fit in as_completed(fits):
            if fit.exception() is None:
                yield fit.result()
    for fit in fits:
        fit.result()  # raises what has failed


def _begin(precision):
    # A worker computes as the process that asks; torch.compile has no workers of its own in it.
    torch.set_float32_matmul_precision(precision)
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")


def _fit(stack, X, y, measure):
    start = time.perf_counter()
    models = fit_all([job.estimator for job in stack], X, y)
    seconds = (time.perf_counter() - start) / len(stack)
    return [
        _record(job, model, X, seconds) | measure(model)
        for job, model in zip(stack, models, strict=True)
    ]


def stacks(jobs, largest=64):
    """Yield lists of jobs whose nets are alike in all but numbers."""
    groups = {}
    for job in jobs:
        groups.setdefault(_kind(job.estimator), []).append(job)
    for group in groups.values():
        yield from (group[i : i + largest] for i in range(0, len(group), largest))


def _kind(estimator):
    parameters = estimator.get_params(deep=False)
    switches = [parameters.get("target_density") is None, bool(parameters.get("callbacks"))]
    fixed = {name: repr(value) for name, value in parameters.items() if name not in _FREE}
    return repr((type(estimator).__name__, fixed, switches))


def parameters_of(estimator):
    """Return the parameters that are not the default ones, ready for JSON."""
    defaults = type(estimator)().get_params(deep=False)
    changed = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if name not in ("callbacks", "compile", "device") and repr(value) != repr(defaults[name])
    }
    return json.loads(json.dumps(changed, default=repr))


def _key(job, X):
    return f"{job.key} | {len(X)} rows"


def _record(job, model, X, seconds):
    history = model.history_
    names = [name for name in history[-1] if np.isscalar(history[-1][name])]
    return {
        "key": _key(job, X),
        "name": job.name,
        "seed": job.seed,
        **job.notes,
        "parameters": parameters_of(job.estimator),
        "rows": len(X),
        "alpha": model.alpha_,
        "density": model.density_,
        "layers": model.sparsity_,
        "seconds": round(seconds, 2),
        "history": {
            name: [float(f"{row[name]:.6g}") for row in history]
            for name in names
            if name != "epoch"
        },
    }


class ErrorsOn:
    """A function from a fitted model to its error (in percent) and log loss on rows.

    Parameters
    ----------
    **rows
        X and y, by the name that goes before "_error" and "_loss".
    """

    def __init__(self, **rows):
        self.rows = rows

    def __call__(self, model):
        """Return a dictionary of them."""
        errors = {}
        for name, (X, y) in self.rows.items():
            probabilities = model.predict_proba(X)
            if not np.isfinite(probabilities).all():  # its training failed
                errors |= {f"{name}_error": 100.0, f"{name}_loss": 100.0}
                continue
            wrong = model.classes_[probabilities.argmax(1)] != y
            errors[f"{name}_error"] = 100 * float(wrong.mean())
            errors[f"{name}_loss"] = float(log_loss(y, probabilities, labels=model.classes_))
        return errors


def summary(record):
    """Return the figures of a record in one line."""
    errors = [f"{k} {v:.2f} %" for k, v in record.items() if k.endswith("_error")]
    return f"{', '.join(errors)}, density {record['density']:.4f}, {record['seconds']:.1f} s"


class Watch(Callback):
    """Records the error (percent) on rows after each epoch, of each net of a stack.

    "NAME_error" is of the weights that count; "NAME_error_unzeroed" of all of them, the small ones
    that count as zero left in, as the public code of the paper has it.
    """

    def __init__(self, X, y, name="test"):
        self.X, self.y, self.name = X, y, name

    def initialize(self):
        self._rows = None
        return self

    @torch.no_grad()
    def on_epoch_end(self, net, **kwargs):
        module = net.module_.eval()
        if self._rows is None:
            like = next(module.parameters())
            self._rows = (
                torch.as_tensor(self.X, dtype=like.dtype, device=like.device),
                torch.as_tensor(self.y, device=like.device),
            )
        net.history.record(f"{self.name}_error", self._error(module))
        states = [state for state in module.modules() if isinstance(state, SparseWeight)]
        tolerances = [state.tol for state in states]
        for state in states:
            state.tol = -1.0
        net.history.record(f"{self.name}_error_unzeroed", self._error(module))
        for state, tol in zip(states, tolerances, strict=True):
            state.tol = tol

    def _error(self, module):
        X, y = self._rows
        return (100 * (module(X).argmax(-1) != y).double().mean(-1)).tolist()


class Store:
    """Records in a JSON file, replaced as a whole after each addition."""

    def __init__(self, path):
        self.path = Path(path)
        self.records = json.loads(self.path.read_text()) if self.path.exists() else []
        self._keys = {record["key"] for record in self.records}

    def has(self, key):
        """Whether there is a record with this key."""
        return key in self._keys

    def add(self, record):
        """Add a record with a new key."""
        self._keys.add(record["key"])
        self.records.append(record)
        write(self.path, self.records)


def write(path, content):
    """Write JSON, all or nothing."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1))
    part.replace(path)


class Clock:
    """Says when the minutes given are over; never, if none are."""

    def __init__(self, minutes=None):
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    @property
    def over(self):
        """Whether they are."""
        return self._end is not None and time.monotonic() > self._end


def machine():
    """Return what the figures depend on: processor, threads, versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "skdropdual": skdropdual.__version__,
    }


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
