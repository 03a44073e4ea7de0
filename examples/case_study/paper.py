"""The paper's seven rows (LeNet-300-100 on MNIST), each with its own settings.

Where the routes of the library do better than the public code of the paper, routes of this file go
back to it: learning rates of the route that fall with that of the weights, explicit gradients, the
first weights, what AdaProx counts, the doubled term in the dual of the eta-trick.
"""

from numbers import Real

import torch
from sklearn.model_selection import ShuffleSplit
from training import LENET, ErrorsOn, Job, Watch, run_jobs

from skdropdual.neural_network import SparseMLPClassifier
from skdropdual.neural_network.routes import (
    AdaProx,
    AdditiveVariationalDropout,
    EtaTrick,
    LocalVariationalDropout,
    VariationalDropout,
)
from skdropdual.neural_network.routes._penalty import optimizer_steps
from skdropdual.penalties import LogSum

EPOCHS = 200
# Test error in percent, and fraction of weights that are not zero.
PUBLISHED = {
    "VarDrop+LR+AR": (3.21, 0.0238),
    "VarDrop+LR": (1.41, 0.0885),
    "VarDrop": (1.54, 0.5946),
    "eta-Trick": (2.16, 0.0513),
    "AdaProx": (2.94, 0.0276),
    "AdaTikhonov": (2.88, 0.0183),
    "LogSum": (2.93, 0.0190),
}
RIGHT_DUAL = "eta-Trick, right dual"
STEP_OUTSIDE = "AdaProx, step outside"


class SmallStart:
    """Weights from N(0, 0.02^2), no biases; the parameters of the route learn as the weights do."""

    rate = None

    def prepare(self, state, weight):
        super().prepare(state, weight)
        return 0.02 * state.random.randn_like(weight)

    def attach(self, layer, state):
        with torch.no_grad():
            layer.bias.zero_()
        return super().attach(layer, state)


class PaperVarDrop(SmallStart, VariationalDropout):
    """Noise on the weights."""


class PaperLocal(SmallStart, LocalVariationalDropout):
    """Noise on the activations."""


class PaperAdditive(SmallStart, AdditiveVariationalDropout):
    """The same, with log sigma as the parameter (the library has log sigma^2)."""

    def __init__(self, start=-5.0, alpha_scale=1.2):
        super().__init__(start, alpha_scale)

    def log_ratio(self, state, weight):
        return (2 * state.log_r - 2 * torch.log(weight.abs() + 1e-16)).clamp(-10, 10)

    def variance(self, state, weight):
        return (2 * state.log_r).exp()

    def add_gradients(self, state, weight):
        log_r = self.log_ratio(state, weight)
        slope = state.strength * state.penalty.divergence_slope(log_r) * (log_r.abs() < 10)
        state.log_r.grad.add_(slope, alpha=2)
        weight.grad.sub_(2 * slope * torch.sign(weight) / (weight.abs() + 1e-16))


class PaperEtaTrick(EtaTrick):
    """Adam on the weights and on log(eta/alpha) alike, with a decay that is linear.

    ``doubled=True`` is the dual of the public code: both terms have the factor 2 that the logarithm
    alone should have.
    """

    rate = None
    _parameter_constraints = EtaTrick._parameter_constraints | {"doubled": ["boolean"]}

    def __init__(self, start=5.0, decay=1e-3, natural=False, doubled=True):
        super().__init__(start, decay, natural)
        self.doubled = doubled

    def add_gradients(self, state, weight):
        ridge = (-state.log_odds).exp()
        gain = state.strength * (self._dual_slope(state, state.log_odds) + self.decay)
        state.log_odds.grad = 0.5 * (gain - ridge * weight**2)
        weight.grad.add_(ridge * weight)

    def after_step(self, pairs, optimizer):
        """Nothing: the ridge is in the gradient."""

    def _dual_slope(self, state, rho):
        # f = 2 log(1 + w/epsilon) - w^2/eta at eta = w (w + epsilon), with respect to log eta.
        epsilon, eta = state.penalty.epsilon, state.strength * rho.exp()
        w = 2 * eta / ((epsilon**2 + 4 * eta).sqrt() + epsilon)
        right = w / (w + epsilon)
        return right * 2 * w / (2 * w + epsilon) if self.doubled else right


class PaperAdaProx(AdaProx):
    """Counts by the keep probability of its last step, step size inside; or by that of the rule.

    The learning rate of the public code falls once an epoch; ours falls with each step, so that of
    the very last step is next to nothing. It counts with `least`, that of the last epoch.
    """

    _parameter_constraints = AdaProx._parameter_constraints | {
        "least": [Real],
        "inside": ["boolean"],
    }

    def __init__(self, majorizer="ridge", least=1e-4 / EPOCHS, inside=True):
        super().__init__(majorizer)
        self.least = least
        self.inside = inside

    def prepare(self, state, weight):
        super().prepare(state, weight)
        state.register_buffer("last_keep", torch.ones_like(weight))

    def after_step(self, pairs, optimizer):
        for state, weight in pairs:
            steps = optimizer_steps(optimizer, weight)
            if steps is not None:
                moments, step_of = steps
                ridge = state.penalty.ridge(weight.abs(), state.strength)
                shrinkage = step_of(*moments) * ridge
                weight.div_(1 + shrinkage)
                lr = torch.as_tensor(optimizer.param_groups[-1]["lr"], device=weight.device)
                state.last_keep.copy_(1 / (1 + shrinkage * (self.least / lr).clamp(min=1.0)))

    def keep_prob(self, state, weight):
        return state.last_keep if self.inside else super().keep_prob(state, weight)


def settings():
    """Return the parameters of each row, without what they share."""
    vardrop = {"alpha": 1 / 60_000}
    logsum = {"penalty": LogSum(epsilon=2.0), "alpha": 1e-3, "lr": 1e-4}
    return {
        "VarDrop+LR+AR": vardrop | {"method": PaperAdditive(), "lr": 1e-4},
        "VarDrop+LR": vardrop | {"method": PaperLocal(), "lr": 1e-3},
        "VarDrop": vardrop | {"method": PaperVarDrop(), "lr": 1e-3},
        "eta-Trick": logsum | {"method": PaperEtaTrick(), "lr": 1e-3},
        "AdaProx": logsum | {"method": PaperAdaProx()},
        "AdaTikhonov": logsum | {"method": "adatikhonov"},
        "LogSum": logsum | {"method": "penalty"},
        STEP_OUTSIDE: logsum | {"method": PaperAdaProx(inside=False)},
        RIGHT_DUAL: logsum | {"method": PaperEtaTrick(doubled=False), "lr": 1e-3},
    }


def jobs(names, seeds, epochs, device, callbacks=None, compiled=False):
    """Return the nets of these rows, for each seed."""
    shared = {"max_epochs": epochs, "lr_schedule": "linear", "warmup": (0, 0)}
    shared |= {"device": device, "compile": compiled}
    chosen = settings()
    return [
        Job(
            name,
            SparseMLPClassifier(
                **LENET, **shared, **chosen[name], callbacks=callbacks, random_state=seed
            ),
            seed,
            {"published": PUBLISHED.get(name, (None, None))},
        )
        for seed in seeds
        for name in names
    ]


def published_as(name):
    """Return which test error the paper has: its variational nets alone have zeros."""
    return "test_error" if name.startswith("VarDrop") else "test_error_unzeroed"


def published_error(record):
    """Return the error that the paper's number is for; without a history, that of the zeros."""
    errors = record.get("history", {}).get(published_as(record["name"]))
    return errors[-1] if errors else record["test_error"]


def split(X, y):
    """Return the rows that train (four fifths) and those held out, as the public code has them."""
    ((train, held_out),) = ShuffleSplit(1, test_size=0.2, random_state=42).split(X)
    return (X[train], y[train]), (X[held_out], y[held_out])


def run(train, test, store, *, names, seeds, epochs, device, clock, workers=1, compiled=False):
    """Fit the rows; write down test errors over the epochs, with the small weights and without."""
    (X, y), valid = split(*train)
    run_jobs(
        jobs(names, seeds, epochs, device, [Watch(*test)], compiled),
        X,
        y,
        store,
        ErrorsOn(test=test, valid=valid),
        clock=clock,
        workers=workers,
    )
