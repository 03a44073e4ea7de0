"""The training loop: rows by index, no loader, no synchronisation within a step."""

import contextlib
import functools
import inspect

import torch
from torch import nn

from ._cuda import GraphedStep, compiled
from ._random import get_rng_state, set_rng_state
from ._schedules import LR_SCHEDULES, cubic_density, ramp

_LOOK_EVERY = 64  # steps between looks at whether the loss is still finite
_PRUNINGS = 200  # looks at the density on its way to the target


class NonFiniteLossError(ValueError):
    """The loss is nan or inf."""


class Trainer:
    """Trains the module of a net, epoch by epoch, while a sparsifier does its part.

    The module may be a `stack` of many nets, on `StackedRows`: strength, learning rate and target
    density are then tensors with a value for each, and so is what an epoch returns.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialised; its module, criterion and optimizer are used.
    rows : Rows
        What is learned.
    sparsifier : Sparsifier
        Of the net's module.
    alpha : float or torch.Tensor
        Strength of the penalty.
    max_epochs : int
        Epochs that the schedules refer to.
    batch_size : int
        Rows in a step.
    lr : float or torch.Tensor
        Learning rate at its height.
    lr_schedule : str
        A name of `LR_SCHEDULES`.
    warmup : (float, float)
        Fractions of the epochs before the strength is on, and until it is fully so.
    target_density : float, torch.Tensor or None
        Fraction of weights to end with.
    pruning_span : (float, float)
        Fractions of the epochs between which the others go.
    max_grad_norm : float or None
        Gradients are scaled down to this norm.
    precision : str
        "bfloat16" runs the net in autocast.
    fuse : bool
        On CUDA, let torch.compile fuse the net and what its route does to the weights.
    """

    def __init__(
        self,
        net,
        rows,
        sparsifier,
        *,
        alpha,
        max_epochs,
        batch_size,
        lr,
        lr_schedule="constant-linear",
        warmup=(0.0, 0.0),
        target_density=None,
        pruning_span=(0.1, 0.7),
        max_grad_norm=None,
        precision="float32",
        fuse=False,
    ):
        self.net, self.rows, self.sparsifier = net, rows, sparsifier
        self.module, self.optimizer = net.module_, net.optimizer_
        self.alpha, self.max_epochs, self.warmup = alpha, max_epochs, warmup
        self.lr = float(lr.max()) if torch.is_tensor(lr) else lr
        self._rates = lr / self.lr  # of many nets, to the largest
        self.batch_size = min(batch_size, rows.n)
        self.target_density, self.pruning_span = target_density, pruning_span
        self.max_grad_norm, self.epoch = max_grad_norm, 0
        self._written: dict = {}  # what is on the device already
        self._lr_at = LR_SCHEDULES[lr_schedule]
        self._share_rates()
        self._parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        self._own_rates = torch.is_tensor(lr) and bool((self._rates < 1).any())
        if self._own_rates:
            for group in self.optimizer.param_groups:
                group["rates"] = self._rates[:, None, None]
        self._step_of_optimizer = self.optimizer.step
        self._bfloat16 = precision == "bfloat16"
        if fuse and rows.on_cuda:
            self._compile()
        self._graphed = GraphedStep(self.batch_size) if rows.on_cuda else None
        if rows.device.type == "cpu":
            _keep_freed_memory()
        self._steps = -(-rows.n // self.batch_size)
        self._prune_every = max(1, self._steps * max_epochs // _PRUNINGS)

    @property
    def settled(self):
        """The epoch from which strength and density are what they are to be."""
        pruned = 0.0 if self.target_density is None else self.pruning_span[1]
        return max(self.warmup[1], pruned) * self.max_epochs

    def run_epoch(self):
        """Train for one epoch.

        Returns
        -------
        dict
            "train_loss" (without penalty), "lr", "alpha", "density" at the end.

        Raises
        ------
        NonFiniteLossError
            If the loss is not finite; it says in which epoch and step.
        """
        self.module.train()
        losses = torch.zeros(self._steps, *self.rows.nets, device=self.rows.device)
        batches = self.rows.shuffled().split(self.batch_size, -1)
        for i, index in enumerate(batches):
            self._set_schedules(i)
            losses[i] = self._run_step(index)
            if not self.rows.nets and (i % _LOOK_EVERY == 0 or i == self._steps - 1):
                self._check_finite(losses[: i + 1])
        self.epoch += 1
        self._prune(self.epoch / self.max_epochs)
        sizes = losses.new_tensor([index.shape[-1] for index in batches])
        return {
            "train_loss": (sizes @ losses / self.rows.n).tolist(),
            "lr": _plain(self._lr * self._rates),
            "alpha": _plain(self._strength),
            "density": self.sparsifier.density(),
        }

    def _set_schedules(self, step):
        done = self.epoch + step / self._steps
        self._lr = self.lr * self._lr_at(done / self.max_epochs)
        for group in self.optimizer.param_groups:
            rate = self._rate(group)
            lr = self._lr if rate is None else self.lr * rate
            if not torch.is_tensor(group["lr"]):
                group["lr"] = lr
            elif lr != self._written.get(("lr", rate)):  # each is a launch
                group["lr"].fill_(lr)
                self._written["lr", rate] = lr
        fraction = ramp(done / self.max_epochs, self.warmup)
        self._strength, self._penalised = self.alpha * fraction, fraction > 0 and self._has_strength
        if self._penalised and fraction != self._written.get("strength"):
            self.sparsifier.set_strength(self._strength)
            self._written["strength"] = fraction
        if (self.epoch * self._steps + step) % self._prune_every == 0:
            self._prune(done / self.max_epochs)

    def _rate(self, group):
        # Of a group of the route, if it has a learning rate of its own.
        return self.sparsifier.route.rate if group.get("of_route") else None

    def _share_rates(self):
        # On CUDA they are tensors, of the device: a graph would take one of the CPU for a constant.
        tensors: dict = {}
        for group in self.optimizer.param_groups:
            if torch.is_tensor(group["lr"]):
                lr = group["lr"].to(self.rows.device, copy=True)
                group["lr"] = tensors.setdefault(self._rate(group), lr)

    def _prune(self, progress):
        if self.target_density is not None:
            density = cubic_density(progress, self.pruning_span, self.target_density)
            if density is not None:
                self.sparsifier.prune_to(density)
                self._written.pop("strength", None)  # it may be eased

    def _run_step(self, index):
        if self._graphed is None:
            return self._step(index)
        return self._graphed(self._step, index, (self._penalised, self.sparsifier.masked))

    def _step(self, index):
        X, y, weight = self.rows.take(index)
        self.optimizer.zero_grad()
        with self._autocast():
            loss = self._loss(X, y, weight)
            term = self.sparsifier.loss_term() if self._penalised else None
        (loss.sum() if term is None else loss.sum() + term).backward()
        self._add_gradients()
        self._update()
        return loss.detach()

    def _loss(self, X, y, weight):
        return self.net.criterion_(self.module(X), y, weight)

    def _add_gradients(self):
        self.sparsifier.add_gradients(self._penalised)

    def _update(self):
        if self.max_grad_norm is not None:
            self._clip_gradients()
        self._move()
        self.sparsifier.after_step(self.optimizer, self._penalised)

    def _compile(self):
        # The passes over the weights become one, that of the optimizer among them.
        for group in self.optimizer.param_groups:
            group.update(fused=False, foreach=True)
        bare = inspect.unwrap(type(self.optimizer).step)  # its wrappers break the graph
        self._step_of_optimizer = functools.partial(bare, self.optimizer)
        for name in ("_loss", "_add_gradients", "_update"):
            setattr(self, name, compiled(getattr(self, name)))

    @torch.no_grad()
    def _clip_gradients(self):
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        if not self.rows.nets:
            nn.utils.clip_grad_norm_(self._parameters, self.max_grad_norm)
            return
        norms = sum(g.flatten(1).square().sum(1) for g in gradients).sqrt()
        factors = (self.max_grad_norm / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(_along(factors, gradient))

    @torch.no_grad()
    def _move(self):
        if not self._own_rates:
            self._step_of_optimizer()
            return
        # The step of every optimizer here is proportional to its learning rate.
        old = [p.detach().clone() for p in self._parameters]
        self._step_of_optimizer()
        for parameter, before in zip(self._parameters, old, strict=True):
            rates = _along(self._rates, parameter)
            torch.lerp(before, parameter, rates.expand_as(parameter), out=parameter)

    def _autocast(self):
        if not self._bfloat16:
            return contextlib.nullcontext()
        return torch.autocast(self.rows.device.type, torch.bfloat16)

    def _check_finite(self, losses):
        if not bool(torch.isfinite(losses).all()):
            step = int(torch.argmin(torch.isfinite(losses).int()))
            raise NonFiniteLossError(
                f"The loss is {float(losses[step])} in epoch {self.epoch + 1}, step {step + 1}. "
                f"Try a smaller lr (now {self._lr:.3g}), max_grad_norm, or features of unit scale."
            )

    @property
    def _has_strength(self):
        return torch.is_tensor(self.alpha) or self.alpha > 0

    @torch.no_grad()
    def loss(self, rows):
        """Return the mean loss on other rows, of the weights that count."""
        self.module.eval()
        total = 0.0
        for index in rows.in_order().split(8192):
            X, y, weight = rows.take(index)
            loss = Trainer._loss(self, X, y, weight)  # as it is: these are other shapes
            total += float(loss) * len(index)
        return total / rows.n

    def state(self):
        """Return all that training depends on, as nested dictionaries of tensors and numbers."""
        devices = (torch.device("cpu"), self.rows.device)
        return {
            "module": {k: v.clone() for k, v in self.module.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "rng": {device.type: get_rng_state(device) for device in devices},
            "epoch": self.epoch,
            "sparsifier": self.sparsifier.state(),
        }

    def load_state(self, state):
        """Continue from what `state` returned, in a trainer made alike."""
        self.sparsifier.load_state(state["sparsifier"])
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._share_rates()
        self.epoch = state["epoch"]
        for device in (torch.device("cpu"), self.rows.device):
            if device.type in state["rng"]:  # it may go on elsewhere than it began
                set_rng_state(state["rng"][device.type], device)


def _keep_freed_memory():
    # malloc gives what a step frees back to the system, and each step faults it in again, unless it
    # has seen as large a block freed.
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _along(values, tensor):
    # Values of the nets, along the leading axis of a tensor.
    return values.reshape(-1, *(1,) * (tensor.ndim - 1))


def _plain(value):
    return value.tolist() if torch.is_tensor(value) else value
