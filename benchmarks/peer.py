"""What a solver is to the benchmarks, and ours as one of them.

Imports are inside the methods: a process pays only for the peers it runs.
"""

import numpy as np
from stationarity import ours

MANY = 1_000_000
FOLDS = 5


class Peer:
    """A solver of path problems; a single fit is a path of one point."""

    name = ""
    penalties = ("l1",)
    losses = ("squared_error",)
    takes_sparse = True
    takes_weights = takes_intercept = False
    tall_only = None  # the reason, if it is for n > p alone
    tolerances = tuple(10.0**-d for d in range(4, 17))

    @classmethod
    def missing(cls, penalty, facts):
        """Say why this peer does not take part, None if it does."""
        if penalty not in cls.penalties:
            return f"no {penalty} penalty"
        if facts.loss not in cls.losses:
            return f"no {facts.loss} loss"
        if facts.weighted > cls.takes_weights or facts.intercept > cls.takes_intercept:
            return "no weights or no free intercept"
        if facts.sparse and not cls.takes_sparse:
            return "no sparse X"
        if cls.tall_only and facts.n <= facts.p:
            return cls.tall_only
        return None

    def __init__(self, problem, penalty, threads):
        self.X, self.y, self.weight = problem.X, problem.y, problem.weight
        self.loss, self.intercept = problem.loss, problem.facts.intercept
        self.penalty, self.threads = penalty, threads
        self.scale = np.abs(problem.grad0()).max()
        self.prepare()

    def prepare(self):
        """Import, and lay the data out; not timed."""

    def solve(self, alphas, tol):
        """Fit all `alphas` (decreasing); timed. What it returns goes to `coefs`."""
        raise NotImplementedError

    def coefs(self, result):
        """Return an array (n_features, n_alphas), with several classes of three axes; not timed."""
        return result

    def cross_validate(self, alphas, tol):
        """Choose among `alphas` by 5 folds and refit, with an intercept; return the choice."""
        raise NotImplementedError


class Ours(Peer):
    """skdropdual."""

    name = "skdropdual"
    penalties = ("l1", "mcp", "scad", "logsum", "vardrop")
    losses = ("squared_error", "log_loss", "poisson", "multinomial")
    takes_weights = takes_intercept = True

    def prepare(self):
        """Import."""
        from skdropdual import linear_model

        self.module = linear_model
        self.rule = ours(self.penalty)
        self.classes = self.loss in ("log_loss", "multinomial")
        self.options = {"fit_intercept": self.intercept, "standardize": False}

    def solve(self, alphas, tol):
        """Estimator for one point, path function for more."""
        options = self.options | {"tol": tol}
        if len(alphas) > 1:
            loss = "log_loss" if self.classes else self.loss
            options |= {"penalty": self.rule, "loss": loss, "sample_weight": self.weight}
            path = self.module.effective_penalty_path
            return path(self.X, self.y, alphas=alphas, **options)[1]
        if self.classes:
            model = self.module.EffectivePenaltyClassifier(self.rule, alpha=alphas[0], **options)
        else:
            options["loss"] = self.loss
            model = self.module.EffectivePenaltyRegressor(self.rule, alpha=alphas[0], **options)
        return model.fit(self.X, self.y, self.weight).coef_[..., None]

    def coefs(self, result):
        """Classes, if there are several, come first."""
        rows = result.reshape(-1, *result.shape[-2:])
        return rows[0] if len(rows) == 1 else rows.swapaxes(0, 1)

    def cross_validate(self, alphas, tol):
        """Use EffectivePenaltyRegressorCV."""
        estimator = self.module.EffectivePenaltyRegressorCV
        # Folds one after the other: their short steps only wait for each other in threads.
        options = {"alphas": alphas, "cv": FOLDS, "standardize": False, "tol": tol}
        return estimator(self.rule, **options).fit(self.X, self.y).alpha_
