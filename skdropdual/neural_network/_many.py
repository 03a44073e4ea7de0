"""Many estimators fitted at once: nets of one architecture are trained as a stack."""

import contextlib
import copy
import math

import torch
from skorch.history import History

from ._checkpoint import Checkpoint
from ._data import StackedRows
from ._fitting import Fit
from ._parameters import describe, resolve_device
from ._random import Streams, get_rng_state, local_rng, set_rng_state
from ._stack import stack, unstack
from ._trainer import NonFiniteLossError

_MOST_NETS = 64  # in a stack on a GPU
_CACHED_WEIGHTS = 100_000  # of a stack on a CPU

# What each net of a stack may have of its own.
_OWN = ("alpha", "lr", "target_density")
_FREE = {*_OWN, "random_state", "class_weight", "batch_size", "warmup", "verbose", "device"}


def fit_many(estimators, data, *, max_nets=None, callbacks=()):
    """Fit many `SparseMLPClassifier` or `SparseMLPRegressor`, as many as can be at once.

    Nets that differ only in their data, seed, strength, learning rate and target density are
    trained as one, by batched matrix products; each ends as it would alone, up to rounding (on a
    GPU, the noise that some methods draw is another). Those with early stopping, checkpoints or
    callbacks are fitted alone. A net whose loss becomes nan does not concern the others; its
    `loss_curve_` ends with nan.

    Parameters
    ----------
    estimators : list
        Fitted in place.
    data : list of tuple
        X, y and sample weights (or None) of each; where they are the same, the same tuple.
    max_nets : int, default=None
        Nets in a stack; None is 64 on a GPU, and on a CPU as many as stay in its caches: there
        large nets are as fast one by one.
    callbacks : iterable of skorch.callbacks.Callback, default=()
        Told of the epochs of each stack; a list that they record has an entry for each net.
    """
    jobs: dict = {}
    loaded: dict = {}
    for estimator, parts in zip(estimators, data, strict=True):
        if _alone(estimator):
            with _unless_it_diverges(estimator):
                estimator.fit(*parts)
            continue
        job = _Job(estimator, parts, loaded)
        stacks = jobs.setdefault(job.key, [[]])
        if len(stacks[-1]) == (max_nets or job.most):
            stacks.append([])
        stacks[-1].append(job)
    for stacks in jobs.values():
        for together in stacks:
            _train(together, callbacks)


@contextlib.contextmanager
def _unless_it_diverges(estimator):
    try:
        yield
    except NonFiniteLossError:
        estimator.loss_curve_ = [math.nan]


def _alone(estimator):
    # What is asked for is of a single fit.
    return (
        estimator.early_stopping
        or estimator.warm_start
        or estimator.checkpoint is not None
        or bool(estimator.callbacks)
        or bool(estimator.verbose)
    )


class _Job:
    """An estimator with its net as it is before training, and the state of its generator."""

    def __init__(self, estimator, parts, loaded):
        self.estimator = estimator
        route, device = estimator._check_parameters(), resolve_device(estimator.device)
        seed = estimator._seed()
        rows = self._load(parts, seed, device, loaded)
        with local_rng(device, seed):
            self.fit = estimator._prepare(rows, route, device, Checkpoint(None, {}), None)
            self.generator = _generator(device)
        self.seed = seed

    def _load(self, parts, seed, device, loaded):
        # Rows are validated, and go to the device, once for all nets that learn from them.
        estimator = self.estimator
        weighting = describe(getattr(estimator, "class_weight", None))
        key = (id(parts), type(estimator), weighting, estimator.precision, str(device))
        if key not in loaded:
            X, y, weight = estimator._validate(*parts, first=True)
            rows = estimator._load(X, y, weight, seed, device)
            learned = {k: v for k, v in vars(estimator).items() if k not in estimator.get_params()}
            loaded[key] = rows, learned
        rows, learned = loaded[key]
        vars(estimator).update(learned)
        return rows

    @property
    def most(self):
        """How many of them are fastest together."""
        n_weights = sum(p.numel() for p in self.fit.net.module_.parameters())
        on_cuda = self.fit.rows.device.type == "cuda"
        return _MOST_NETS if on_cuda else max(1, _CACHED_WEIGHTS // n_weights)

    @property
    def key(self):
        """What must be alike in a stack."""
        fit, options = self.fit, self.fit.trainer_options
        shapes = [tuple(p.shape) for p in fit.net.module_.parameters()]
        parameters = self.estimator.get_params()
        return (
            type(self.estimator),
            type(fit.net.criterion_),
            *(f"{k}={_named(v)}" for k, v in parameters.items() if k not in _FREE),
            *(f"{k}={v}" for k, v in options.items() if k not in _OWN),
            options["target_density"] is None,
            repr(fit.route),
            str(shapes),
            fit.rows.n,
            fit.rows.weighted,
            str(fit.rows.device),
        )


def _named(value):
    # Two functions may have one name.
    return f"{describe(value)} {id(value)}" if callable(value) else describe(value)


def _generator(device):
    # Goes on where the one of the device is.
    generator = torch.Generator(device)
    generator.set_state(get_rng_state(device))
    return generator


def _train(jobs, callbacks):
    # A single net, or a stack of them.
    first, device = jobs[0], jobs[0].fit.rows.device
    fit = first.fit if len(jobs) == 1 else _stacked(jobs)
    told = [(type(callback).__name__, callback.initialize()) for callback in callbacks]
    fit.net.callbacks_ = [*fit.net.callbacks_, *told]
    with local_rng(device, first.seed), _unless_it_diverges(first.estimator):
        set_rng_state(first.generator.get_state(), device)
        for _ in fit.epochs():
            pass
        if fit is not first.fit:
            _give_each_its_part(fit.net, [job.fit.net for job in jobs])
        for job in jobs:
            job.estimator._set_attributes(job.fit.net)


def _give_each_its_part(stacked, nets):
    unstack(stacked.module_, [net.module_ for net in nets])
    for k, net in enumerate(nets):
        for row in stacked.history:
            net.history.append({name: _of_net(value, k) for name, value in row.items()})


def _stacked(jobs):
    # The fit of all nets as one.
    fits = [job.fit for job in jobs]
    first, modules = fits[0], [fit.net.module_ for fit in fits]
    random = Streams([job.generator for job in jobs])
    net = copy.copy(first.net)
    net.module_, net.history_ = stack(modules), History()
    options = dict(first.trainer_options)
    for name in _OWN:
        if options[name] is not None:
            values = [float(fit.trainer_options[name]) for fit in fits]
            dtype = torch.float64 if name == "target_density" else first.rows.dtype
            options[name] = torch.tensor(values, dtype=dtype, device=first.rows.device)
    rows = StackedRows([fit.rows for fit in fits], random)
    sparsifier_options = first.sparsifier_options | {"random": random}
    return Fit(
        net,
        rows,
        None,
        first.route,
        sparsifier_options,
        options,
        healing_epochs=first.healing_epochs,
        patience=first.patience,
        checkpoint=Checkpoint(None, {}),
    )


def _of_net(value, k):
    return value[k] if isinstance(value, list) and value else value
