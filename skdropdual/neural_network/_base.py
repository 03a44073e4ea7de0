"""What the estimators of multilayer perceptrons share: validate, train, predict, report."""

import copy

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import __version__
from .._estimator import unchanged_on_error
from ..duality import effective_penalty
from ..exceptions import InvalidParameterError
from . import _reports
from ._checkpoint import Checkpoint
from ._data import Rows, data_fingerprint
from ._fitting import Fit
from ._mlp import set_output_bias
from ._net import make_net
from ._parameters import CONSTRAINTS, check_parameters, describe, resolve_device
from ._presets import PRESETS
from ._random import local_rng
from .routes import auto_alpha, get_route

_LARGEST_BATCH, _STEPS = 128, 16  # of an epoch, where there are few rows
_WARMUP = (0.05, 0.4)  # of a net with hidden layers
_CHUNK = 8192  # rows predicted at once
# What the state of a partial fit depends on.
_LASTING = ("method", "structure", "optimizer")
# Parameters that do not change what is learned.
_FREE = {"checkpoint", "verbose", "callbacks", "device", "compile"}


class SparseMLP(_reports.SparseNetReports, CallbackSupportMixin, BaseEstimator):
    """Template of the estimators; a subclass says what the targets are."""

    _parameter_constraints: dict = CONSTRAINTS

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        activation="relu",
        method="adaprox",
        penalty="logsum",
        alpha="auto",
        structure="weight",
        target_density=None,
        keep_prob_tol=0.05,
        optimizer="adam",
        lr=2e-3,
        lr_schedule="constant-linear",
        weight_decay=0.0,
        max_grad_norm=None,
        batch_size="auto",
        max_epochs=100,
        warmup="auto",
        pruning_span=(0.1, 0.7),
        healing_epochs=0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        checkpoint=None,
        compile=False,
        precision="float32",
        device="auto",
        callbacks=None,
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.method = method
        self.penalty = penalty
        self.alpha = alpha
        self.structure = structure
        self.target_density = target_density
        self.keep_prob_tol = keep_prob_tol
        self.optimizer = optimizer
        self.lr = lr
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.warmup = warmup
        self.pruning_span = pruning_span
        self.healing_epochs = healing_epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.compile = compile
        self.precision = precision
        self.device = device
        self.callbacks = callbacks
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def from_preset(cls, name, **parameters):
        """Return an unfitted estimator with settings that have proved themselves.

        Parameters
        ----------
        name : {"vardrop-to-density"}
            Variational dropout with its noise on activations and a weak divergence (0.5/n), while
            the weights with most noise go until `target_density` is met: a hundred epochs, the
            best of a search on held-out images of MNIST at densities of 0.01 to 0.083.
        **parameters : dict
            Changes, such as ``target_density=0.0147``.

        Returns
        -------
        estimator
            Of this class.

        Raises
        ------
        InvalidParameterError
            If there is no such preset; it lists those there are.

        Examples
        --------
        >>> from skdropdual.neural_network import SparseMLPClassifier
        >>> SparseMLPClassifier.from_preset("vardrop-to-density", max_epochs=60).max_epochs
        60
        """
        if name not in PRESETS:
            raise InvalidParameterError(f"name must be one of {', '.join(PRESETS)}; got {name!r}.")
        return cls(**{**clone(PRESETS[name], safe=False), **parameters})

    @property
    def _criterion(self):
        """The loss, a `torch.nn.Module` class."""
        raise NotImplementedError

    def _validate(self, X, y, sample_weight, first):
        """Return checked X, y in numbers, and weights or None; learn what they are."""
        raise NotImplementedError

    def _targets(self, y):
        """Return y as the loss wants it."""
        return y

    def _empty_model(self, y, weight):
        """Return the outputs of the best net without inputs."""
        raise NotImplementedError

    @unchanged_on_error
    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Fit the net.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0. Integers repeat rows (up to ten times on average), exactly; other weights
            weigh the loss.

        Returns
        -------
        self : object
            Fitted.

        Raises
        ------
        ValueError
            If a parameter or the data are not valid, or the loss becomes nan; the estimator is
            then as it was.
        """
        route = self._check_parameters()
        old = getattr(self, "module_", None) if self.warm_start else None
        X, y, weight = self._validate(X, y, sample_weight, first=old is None)
        context = self._init_callback_context(max_subtasks=self.max_epochs + self.healing_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        checkpoint = self._open_checkpoint(X, y, weight)
        seed = checkpoint.seed = checkpoint.saved["seed"] if checkpoint.saved else self._seed()
        device = resolve_device(self.device)
        with local_rng(device, seed):
            data = self._load(X, y, weight, seed, device)
            fit = self._prepare(data, route, device, checkpoint, old)
            fit.net.notify("on_train_begin", X=None, y=None)
            for _ in fit.epochs():
                task = context.subcontext(task_name="epoch").call_on_fit_task_begin(estimator=self)
                fit.stopped = task.call_on_fit_task_end(
                    estimator=self, reconstruction_attributes=lambda: self._attributes_now(fit)
                )
            fit.net.notify("on_train_end", X=None, y=None)
        self._set_attributes(fit.net)
        self.__dict__.pop("_partial", None)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    @unchanged_on_error
    def _partial_fit(self, X, y, sample_weight, *classes):
        # One epoch at full strength; the raw state is kept beside the net that predicts.
        route, first = self._check_parameters(), not hasattr(self, "module_")
        X, y, weight = self._validate(X, y, sample_weight, first, *classes)
        saved, lasting = getattr(self, "_partial", None), self._lasting()
        if saved and saved["lasting"] != lasting:
            raise ValueError(
                f"partial_fit goes on with the {', '.join(_LASTING)} it began with, "
                f"{saved['lasting']}; got {lasting}. To start anew there is fit."
            )
        seed, device = saved["seed"] if saved else self._seed(), resolve_device(self.device)
        with local_rng(device, seed):
            old = None if first else self.module_
            data = self._load(X, y, weight, seed, device)
            fit = self._prepare(data, route, device, Checkpoint(None, {}), old, constant=True)
            trainer = fit.trainer()
            trainer.epoch = 0 if first else self.n_iter_
            fit.net.history.extend([] if first else self.history_)
            if saved:
                trainer.load_state(saved["trainer"])
            fit.net.notify("on_epoch_begin", dataset_train=None, dataset_valid=None)
            for name, value in trainer.run_epoch().items():
                fit.net.history.record(name, value)
            fit.net.notify("on_epoch_end", dataset_train=None, dataset_valid=None)
            state = trainer.state()
            fit.finish()
        self._set_attributes(fit.net)
        self._partial = {"seed": seed, "trainer": state, "lasting": lasting}
        return self

    def _lasting(self):
        return [describe(getattr(self, name)) for name in _LASTING]

    def _check_parameters(self):
        check_parameters(self)
        route = get_route(self.method)
        route.check_penalty(effective_penalty(self.penalty))
        if self.target_density is not None and not route.sparse:
            raise InvalidParameterError(
                f"target_density needs a method that makes zeros; method={self.method!r} does not."
            )
        return route

    def _seed(self):
        if self.random_state is None:  # fresh entropy: the global generator stays as it is
            return int(np.random.default_rng().integers(2**31))
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _open_checkpoint(self, X, y, weight):
        if self.checkpoint is None:
            return Checkpoint(None, {})
        parameters = {
            name: describe(value) for name, value in self.get_params().items() if name not in _FREE
        }
        data = {"data": data_fingerprint(X, y, weight), "version": __version__}
        return Checkpoint(self.checkpoint, {**parameters, **data, "class": type(self).__name__})

    def _load(self, X, y, weight, seed, device):
        """Return the rows to learn, those held out or None, and the outputs of the empty model."""
        parts, held_out = self._split(X, y, weight, seed)
        valid = None if held_out is None else self._rows(held_out, device)
        return self._rows(parts, device), valid, self._empty_model(parts[1], parts[2])

    def _prepare(self, data, route, device, checkpoint, old, constant=False):
        """Return the `Fit` of a new net, or of one that continues from the module `old`."""
        rows, valid, bias = data
        hidden = np.atleast_1d(self.hidden_layer_sizes).astype(int).tolist()
        sizes = [self.n_features_in_, *hidden, len(bias)]
        net = self._make_net(sizes, device, rows.dtype, self._batch_size(rows.n))
        if old is None:
            set_output_bias(net.module_, bias)
        else:
            continue_from(net.module_, old)
        route, density = route.with_density(self.target_density)
        alpha = auto_alpha(route, rows.n_effective) if self.alpha == "auto" else float(self.alpha)
        return Fit(
            net,
            rows,
            valid,
            route,
            {
                "penalty": self.penalty,
                "structure": self.structure,
                "tol": self.keep_prob_tol,
            },
            {
                "alpha": alpha,
                "max_epochs": self.max_epochs,
                "batch_size": self._batch_size(rows.n),
                "lr": self.lr,
                "lr_schedule": "constant" if constant else self.lr_schedule,
                "warmup": (0, 0) if constant else self._warmup(len(sizes) > 2),
                "target_density": density,
                "pruning_span": tuple(self.pruning_span),
                "max_grad_norm": self.max_grad_norm,
                "precision": self.precision,
                "fuse": self.compile,
            },
            healing_epochs=self.healing_epochs,
            patience=self.n_iter_no_change,
            checkpoint=checkpoint,
        )

    def _rows(self, parts, device):
        X, y, weight = parts
        dtype = torch.float64 if self.precision == "float64" else torch.float32
        return Rows(X, self._targets(y), weight, dtype, device)

    def _warmup(self, hidden):
        if isinstance(self.warmup, str):
            return _WARMUP if hidden else (0, 0)
        return tuple(self.warmup)

    def _batch_size(self, n):
        if self.batch_size != "auto":
            return int(self.batch_size)
        return int(np.clip(n // _STEPS, 8, _LARGEST_BATCH))

    def _split(self, X, y, weight, seed):
        if not self.early_stopping:
            return (X, y, weight), None
        stratify = y if self._stratified(y) else None
        index = train_test_split(
            np.arange(X.shape[0]),
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=stratify,
        )
        return tuple(
            (X[i], y[i], None if weight is None else weight[i]) for i in map(np.sort, index)
        )

    def _stratified(self, y):
        return False

    def _set_attributes(self, net):
        self.net_, self.module_, self.history_ = net, net.module_, net.history
        self.module_.eval()
        self.n_iter_ = len(net.history)
        self.loss_curve_ = [row["train_loss"] for row in net.history]
        self.alpha_ = max(row["alpha"] for row in net.history)  # it is 0 while healing
        self._set_reports()

    def _attributes_now(self, fit):
        # What predicting needs, as if the fit had ended with this epoch.
        known = {
            k: v for k, v in vars(self).items() if k.endswith("_") and k not in self.get_params()
        }
        return {**known, "module_": fit.snapshot()}

    def _restore(self, sizes, weights, history, dtype):
        """Make the net that was saved."""
        net = self._make_net(sizes, resolve_device(self.device), dtype, 1)
        net.module_.load_state_dict(weights)
        for row in history:
            net.history.append(row)
        self._set_attributes(net)

    def _make_net(self, sizes, device, dtype, batch_size):
        return make_net(
            sizes,
            self.activation,
            self._criterion,
            self.optimizer,
            self.lr,
            self.weight_decay,
            device,
            dtype,
            verbose=int(self.verbose),
            callbacks=self.callbacks,
            max_epochs=self.max_epochs,
            batch_size=batch_size,
        )

    def _scores(self, X):
        # In float64 on a copy: the batch a row is in then does not matter.
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=np.float64)
        module = copy.deepcopy(self.module_).double().eval()
        device = next(module.parameters()).device
        scores = []
        with torch.no_grad():
            for start in range(0, X.shape[0], _CHUNK):
                part = X[start : start + _CHUNK]
                part = part.toarray() if hasattr(part, "toarray") else part
                scores.append(module(torch.tensor(part, device=device)).cpu().numpy())
        return np.concatenate(scores)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def continue_from(module, old):
    """Give a new net the weights of a fitted one."""
    try:
        module.load_state_dict(old.state_dict())
    except RuntimeError as error:
        raise ValueError(
            "warm_start and partial_fit go on from a net of the same hidden_layer_sizes and "
            f"outputs; the one that was fitted has other weights ({error})."
        ) from error
