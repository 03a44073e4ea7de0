"""What nets of skorch need to sparsify while they train."""

from typing import Any

import numpy as np
import torch

from .._estimator import unchanged_on_error
from .._sklearn import validate_parameter_constraints
from ._compact import compact
from ._export import to_onnx
from ._net import ROUTE_PARAMETERS
from ._parameters import CONSTRAINTS, check_spans
from ._reports import layer_sparsity
from ._schedules import cubic_density, ramp
from ._sparse_linear import to_torch_csr
from ._sparsifier import Sparsifier, find_weights
from ._trainer import NonFiniteLossError
from .routes import auto_alpha, get_route

_SHARED = (
    *("method", "penalty", "alpha", "structure", "target_density", "keep_prob_tol"),
    *("warmup", "pruning_span", "healing_epochs"),
)


_Net: Any = object  # a net of skorch comes after the mixin


class SparseNetMixin(_Net):
    """Sparsifies while a skorch net trains; comes before its class."""

    def __init__(
        self,
        module,
        *args,
        method="adaprox",
        penalty="logsum",
        alpha="auto",
        weights="all",
        structure="weight",
        target_density=None,
        keep_prob_tol=0.05,
        warmup=(0.05, 0.4),
        pruning_span=(0.1, 0.7),
        healing_epochs=0,
        train_split=None,
        verbose=0,
        **kwargs,
    ):
        super().__init__(module, *args, train_split=train_split, verbose=verbose, **kwargs)
        self.method = method
        self.penalty = penalty
        self.alpha = alpha
        self.weights = weights
        self.structure = structure
        self.target_density = target_density
        self.keep_prob_tol = keep_prob_tol
        self.warmup = warmup
        self.pruning_span = pruning_span
        self.healing_epochs = healing_epochs

    def set_params(self, **kwargs):
        """Set parameters, also those of a penalty or route object (``penalty__epsilon``).

        Parameters
        ----------
        **kwargs : dict
            Parameters by name.

        Returns
        -------
        self : object
            The net.
        """
        nested = {k: v for k, v in kwargs.items() if k.startswith(("penalty__", "method__"))}
        super().set_params(**{k: v for k, v in kwargs.items() if k not in nested})
        for key, value in nested.items():
            owner, _, name = key.partition("__")
            getattr(self, owner).set_params(**{name: value})
        return self

    def initialize(self):
        """Initialise module, criterion, optimizer and history; the route begins anew.

        Returns
        -------
        self : object
            Initialised.
        """
        self.route_state_ = None
        return super().initialize()

    @unchanged_on_error
    def fit(self, X, y=None, **fit_params):
        """Initialise the net, train it, and leave exact zeros in its weights.

        Parameters
        ----------
        X, y : array-like, tensor or Dataset
            What skorch takes.
        **fit_params : dict
            To the forward method of the module.

        Returns
        -------
        self : object
            Fitted.
        """
        self._check_own_parameters()
        return super().fit(X, y, **fit_params)

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train for `max_epochs` more epochs, and leave exact zeros in the weights.

        Parameters
        ----------
        X, y : array-like, tensor or Dataset
            What skorch takes.
        classes : array-like, default=None
            Unused.
        **fit_params : dict
            To the forward method of the module.

        Returns
        -------
        self : object
            Fitted.
        """
        self._check_own_parameters()
        if not self.initialized_:
            self.initialize()
        self._begin()
        try:
            return super().partial_fit(X, y, classes=classes, **fit_params)
        finally:
            self._finish()

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train by the route, then heal without it; see skorch.

        Parameters
        ----------
        X, y : array-like, tensor or Dataset
            What skorch takes.
        epochs : int, default=None
            Instead of `max_epochs`.
        **fit_params : dict
            To the forward method of the module.

        Returns
        -------
        self : object
            Fitted.
        """
        epochs = self.max_epochs if epochs is None else epochs
        self.progress_ |= {"first": len(self.history), "epochs": epochs, "healing": False}
        super().fit_loop(X, y, epochs, **fit_params)
        if self.healing_epochs:
            self.sparsifier_.heal()
            self.progress_ |= {"density": None, "healing": True}
            super().fit_loop(X, y, self.healing_epochs, **fit_params)
        return self

    def _check_own_parameters(self):
        constraints = {name: CONSTRAINTS[name] for name in _SHARED}
        own = {name: getattr(self, name) for name in _SHARED}
        validate_parameter_constraints(constraints, own, type(self).__name__)
        check_spans(self)

    def _begin(self):
        route, density = get_route(self.method).with_density(self.target_density)
        self.sparsifier_ = Sparsifier(
            self.module_,
            route,
            self.penalty,
            weights=self.weights,
            structure=self.structure,
            tol=self.keep_prob_tol,
        )
        self.progress_: dict[str, Any] = {"density": density}
        self.initialize_optimizer()
        if self.route_state_ is not None:
            route_state, sparsifier_state, moments = self.route_state_
            self.sparsifier_.load_state(sparsifier_state)
            self.sparsifier_.load_route_state(route_state)
            groups = self.optimizer_.state_dict()["param_groups"]
            self.optimizer_.load_state_dict({"state": moments, "param_groups": groups})

    def _finish(self):
        sparsifier = self.sparsifier_
        moments = self.optimizer_.state_dict()["state"]
        self.route_state_ = (sparsifier.route_state(), sparsifier.state(), moments)
        sparsifier.finish()
        del self.sparsifier_, self.progress_
        self.initialize_optimizer()
        layers = find_weights(self.module_, self.weights)
        weights = {name: layer.weight.detach().cpu().numpy() for name, layer in layers.items()}
        self.sparsity_ = [layer_sparsity(name, weight) for name, weight in weights.items()]
        kept = [np.count_nonzero(weights[name]) for name in sparsifier.layers]
        self.density_ = float(sum(kept) / sparsifier.size)

    @property
    def _sparsifies(self):
        return "sparsifier_" in vars(self)

    def get_params_for(self, prefix):
        """Return parameters by prefix; those of the optimizer with a group for the route.

        Parameters
        ----------
        prefix : str
            Such as "optimizer".

        Returns
        -------
        dict
            Keyword arguments.
        """
        kwargs = super().get_params_for(prefix)
        if prefix == "optimizer" and self._sparsifies:
            pattern, group = ROUTE_PARAMETERS
            rate = self.sparsifier_.route.rate
            if rate is not None:
                group = {**group, "lr": kwargs.get("lr", self.lr) * rate}
            kwargs["param_groups"] = [(pattern, group), *kwargs.get("param_groups", [])]
        return kwargs

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run an epoch of training or validation; see skorch.

        Parameters
        ----------
        iterator : iterable
            Batches.
        training : bool
            Whether it trains.
        prefix : str
            Of what is recorded.
        step_fn : callable
            For each batch.
        **fit_params : dict
            To `step_fn`.
        """
        if training and iterator is not None and self._sparsifies:
            alpha = self.alpha
            if alpha == "auto":
                alpha = auto_alpha(self.sparsifier_.route, len(iterator.dataset))
            alpha = 0.0 if self.progress_["healing"] else alpha
            self.progress_ |= {"steps": len(iterator), "step": 0, "alpha": alpha}
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if training and self._sparsifies:
            self._prune()
            self.history.record("alpha", self.progress_["alpha"] * self._strength())
            self.history.record("density", self.sparsifier_.density())

    def train_step(self, batch, **fit_params):
        """Take a step on the loss and one of the route; see skorch.

        Parameters
        ----------
        batch : tuple
            X and y.
        **fit_params : dict
            To the forward method of the module.

        Returns
        -------
        dict
            "loss" and "y_pred".
        """
        if not self._sparsifies:
            return super().train_step(batch, **fit_params)
        strength = self.progress_["alpha"] * self._strength()
        self.progress_["penalised"] = strength > 0
        if strength > 0:
            self.sparsifier_.set_strength(strength)
        step = super().train_step(batch, **fit_params)
        self.progress_["step"] += 1
        if not torch.isfinite(step["loss"]):
            raise NonFiniteLossError(
                f"The loss is {float(step['loss'])} in epoch {len(self.history)}, step "
                f"{self.progress_['step']}. Try a smaller lr, or features of unit scale."
            )
        self.sparsifier_.after_step(self.optimizer_, strength > 0)
        return step

    def train_step_single(self, batch, **fit_params):
        """Compute the gradients of the loss and of the route; see skorch.

        Parameters
        ----------
        batch : tuple
            X and y.
        **fit_params : dict
            To the forward method of the module.

        Returns
        -------
        dict
            "loss" and "y_pred".
        """
        step = super().train_step_single(batch, **fit_params)
        if self._sparsifies:
            penalised = self.progress_["penalised"]
            term = self.sparsifier_.loss_term() if penalised else None
            if term is not None:
                term.backward()
            self.sparsifier_.add_gradients(penalised)
        return step

    def _done(self):
        # The fraction of the epochs that is done.
        at = self.progress_
        return (len(self.history) - 1 - at["first"] + at["step"] / at["steps"]) / at["epochs"]

    def _strength(self):
        return ramp(self._done(), self.warmup)

    def _prune(self):
        target = self.progress_["density"]
        if target is not None:
            density = cubic_density(self._done(), self.pruning_span, target)
            if density is not None:
                self.sparsifier_.prune_to(density)

    def _get_module(self, name, msg):
        # What is saved while it sparsifies fits the plain module.
        module = super()._get_module(name, msg)
        if self._sparsifies and name == "module_":
            return _PlainModule(self.sparsifier_)
        return _PlainOptimizer(module) if self._sparsifies and name == "optimizer_" else module

    def compact(self):
        """Return a smaller dense net with the outputs of `module_`.

        Returns
        -------
        torch.nn.Sequential
            Without dead inputs, neurons and channels; its attribute `report` says which.
        """
        small, small.report = compact(self.module_)
        return small

    def to_torch_csr(self):
        """Return a copy of `module_` whose Linear weights are sparse CSR tensors.

        Returns
        -------
        torch.nn.Module
            For inference.
        """
        return to_torch_csr(self.module_)

    def to_onnx(self, path, input_shape):
        """Write `module_` as an ONNX file.

        Parameters
        ----------
        path : str or os.PathLike
            The file, replaced as a whole.
        input_shape : int or tuple of int
            Shape of one row.
        """
        to_onnx(self.module_, path, input_shape)


class _PlainModule:
    # The states of a module as it will be when it is sparse.

    def __init__(self, sparsifier):
        self.state_dict = sparsifier.plain_state
        self.load_state_dict = sparsifier.load_plain_state


class _PlainOptimizer:
    # The settings of an optimizer without those of the route; moments begin anew.

    def __init__(self, optimizer):
        self._optimizer = optimizer

    def state_dict(self):
        groups = self._optimizer.state_dict()["param_groups"]
        groups = [group for group in groups if not group.get("of_route")]
        start = 0
        for group in groups:
            size = len(group["params"])
            group["params"], start = list(range(start, start + size)), start + size
        return {"state": {}, "param_groups": groups}

    def load_state_dict(self, state_dict):
        pass
