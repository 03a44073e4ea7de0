"""A fit from start to finish: sparsify, heal, stop early, keep checkpoints."""

import copy
from typing import Any

from ._sparsifier import Sparsifier
from ._trainer import Trainer


class Fit:
    """One fit of a net, phase by phase: its route, then healing with the zeros frozen.

    Parameters
    ----------
    net : skorch.NeuralNet
        Initialised.
    rows, valid : Rows
        What is learned, and what tells when to stop (or None).
    route : Route
        Of the first phase.
    sparsifier_options : dict
        Penalty, weights, structure and tol of the `Sparsifier`.
    trainer_options : dict
        Of the `Trainer`.
    healing_epochs : int
        Epochs of plain training of what is left.
    patience : int
        Epochs without a better validation loss before it stops.
    checkpoint : Checkpoint
        Where states are kept.
    """

    def __init__(
        self,
        net,
        rows,
        valid,
        route,
        sparsifier_options,
        trainer_options,
        *,
        healing_epochs,
        patience,
        checkpoint,
    ):
        self.net, self.rows, self.valid, self.route = net, rows, valid, route
        self.sparsifier_options, self.trainer_options = sparsifier_options, trainer_options
        self.healing_epochs, self.patience = healing_epochs, patience
        self._checkpoint, self._saved = checkpoint, checkpoint.saved
        self.stopped = False
        self._sparsifier: Any = None
        for row in self._saved["history"] if self._saved else ():
            net.history.append(row)

    def epochs(self):
        """Train; yield after each epoch.

        Yields
        ------
        dict
            What was recorded.
        """
        first = self._saved["phase"] if self._saved else 0
        for phase in range(first, 1 + (self.healing_epochs > 0)):
            if not self.stopped:
                yield from self._phase(phase)
        self.finish()

    def trainer(self, phase=0):
        """Return the trainer of a phase; the first one puts the sparsifier on the module."""
        if self._sparsifier is None:
            self._sparsifier = Sparsifier(self.net.module_, self.route, **self.sparsifier_options)
        options = self.trainer_options
        if phase:
            self._sparsifier.heal()
            options = options | {
                "alpha": 0.0,
                "max_epochs": self.healing_epochs,
                "target_density": None,
            }
        self.net.initialize_optimizer()
        return Trainer(self.net, self.rows, self._sparsifier, **options)

    def finish(self):
        """Give the net plain weights with exact zeros."""
        self._sparsifier.finish()
        self.net.initialize_optimizer()

    def snapshot(self):
        """Return a copy of the net with the weights that count now."""
        return self._sparsifier.snapshot()

    def _phase(self, phase):
        trainer = self.trainer(phase)
        best = _Best(self.patience)
        if self._saved and self._saved["phase"] == phase:
            trainer.load_state(self._saved["trainer"])
            best.load_state(self._saved["best"])
        settled = 0 if phase else trainer.settled
        while trainer.epoch < trainer.max_epochs and not (best.is_old or self.stopped):
            self.net.notify("on_epoch_begin", dataset_train=None, dataset_valid=None)
            record = trainer.run_epoch()
            if self.valid is not None:
                record["valid_loss"] = trainer.loss(self.valid)
                if trainer.epoch >= settled:
                    best.see(record["valid_loss"], trainer.module)
            for name, value in record.items():
                self.net.history.record(name, value)
            self.net.notify("on_epoch_end", dataset_train=None, dataset_valid=None)
            self._save(phase, trainer, best)
            yield record
        best.restore(trainer.module)

    def _save(self, phase, trainer, best):
        if self._checkpoint.path is not None:
            self._checkpoint.save(
                {
                    "seed": self._checkpoint.seed,
                    "phase": phase,
                    "trainer": trainer.state(),
                    "best": best.state(),
                    "history": self.net.history.to_list(),
                }
            )


class _Best:
    """The best epoch so far, by validation loss."""

    def __init__(self, patience):
        self.patience, self._loss, self._age, self._module = patience, float("inf"), 0, None

    @property
    def is_old(self):
        return self._age >= self.patience

    def see(self, loss, module):
        if loss < self._loss:
            self._loss, self._age = loss, 0
            self._module = copy.deepcopy(module.state_dict())
        else:
            self._age += 1

    def restore(self, module):
        if self._module is not None:
            module.load_state_dict(self._module)

    def state(self):
        return {"loss": self._loss, "age": self._age, "module": self._module}

    def load_state(self, state):
        self._loss, self._age, self._module = state["loss"], state["age"], state["module"]
