"""One small class per solver, each given its own best settings.

Imports are inside the methods: a process pays only for the peers it runs.
"""

import numpy as np
from stationarity import EPSILON, GAMMA, A, ours

MANY = 1_000_000
FOLDS = 5


class Peer:
    """A solver of path problems; a single fit is a path of one point."""

    name = ""
    penalties = ("l1",)
    takes_sparse = True
    tall_only = None  # the reason, if it is for n > p alone
    tolerances = tuple(10.0**-d for d in range(4, 17))

    @classmethod
    def missing(cls, penalty, n, p, is_sparse):
        """Say why this peer does not take part, None if it does."""
        if penalty not in cls.penalties:
            return f"no {penalty} penalty"
        if is_sparse and not cls.takes_sparse:
            return "no sparse X"
        if cls.tall_only and n <= p:
            return cls.tall_only
        return None

    def __init__(self, problem, penalty, threads):
        self.X, self.y, self.penalty = problem.X, problem.y, penalty
        self.threads = threads
        self.prepare()

    def prepare(self):
        """Import, and lay the data out; not timed."""

    def solve(self, alphas, tol):
        """Fit all `alphas` (decreasing); timed. What it returns goes to `coefs`."""
        raise NotImplementedError

    def coefs(self, result):
        """Return an array (n_features, n_alphas); not timed."""
        return result

    def cross_validate(self, alphas, tol):
        """Choose among `alphas` by 5 folds and refit, with an intercept; return the choice."""
        raise NotImplementedError


class Ours(Peer):
    """skdropdual."""

    name = "skdropdual"
    penalties = ("l1", "mcp", "scad", "logsum", "vardrop")

    def prepare(self):
        """Import."""
        from skdropdual import linear_model

        self.module = linear_model
        self.rule = ours(self.penalty)

    def solve(self, alphas, tol):
        """Estimator for one point, path function for more."""
        options = {"fit_intercept": False, "standardize": False, "tol": tol}
        if len(alphas) == 1:
            model = self.module.EffectivePenaltyRegressor(self.rule, alpha=alphas[0], **options)
            return model.fit(self.X, self.y).coef_[:, None]
        return self.module.effective_penalty_path(
            self.X, self.y, penalty=self.rule, alphas=alphas, **options
        )[1]

    def cross_validate(self, alphas, tol):
        """Use EffectivePenaltyRegressorCV."""
        estimator = self.module.EffectivePenaltyRegressorCV
        # Folds one after the other: their short steps only wait for each other in threads.
        options = {"alphas": alphas, "cv": FOLDS, "standardize": False, "tol": tol}
        return estimator(self.rule, **options).fit(self.X, self.y).alpha_


class Sklearn(Peer):
    """Lasso and lasso_path."""

    name = "sklearn"
    gram = False

    def prepare(self):
        """Import."""
        from sklearn import linear_model

        self.module = linear_model

    def solve(self, alphas, tol):
        """Estimator for one point, path function for more."""
        options = {"precompute": self.gram, "tol": tol, "max_iter": MANY}
        if len(alphas) == 1:
            model = self.module.Lasso(alphas[0], fit_intercept=False, copy_X=False, **options)
            return model.fit(self.X, self.y).coef_[:, None]
        return self.module.lasso_path(self.X, self.y, alphas=alphas, copy_X=False, **options)[1]

    def cross_validate(self, alphas, tol):
        """Use LassoCV, whose folds run in threads."""
        model = self.module.LassoCV(
            alphas=alphas, cv=FOLDS, tol=tol, max_iter=MANY, n_jobs=self.threads
        )
        return model.fit(self.X, self.y).alpha_


class SklearnGram(Sklearn):
    """The same on the Gram matrix, whose time counts."""

    name = "sklearn Gram"
    gram = True
    takes_sparse = False
    tall_only = "Gram only for n > p"


class Lars(Peer):
    """Exact piecewise linear path down to the last alpha, read off at the alphas."""

    name = "sklearn LARS"
    takes_sparse = False
    tolerances = (0.0,)

    def prepare(self):
        """Import."""
        from sklearn.linear_model import lars_path

        self.lars_path = lars_path

    def solve(self, alphas, tol):
        """Follow all knots."""
        knots, _, coefs = self.lars_path(
            self.X, self.y, method="lasso", alpha_min=alphas[-1], max_iter=MANY
        )  # copy_X=False would permute the columns of X
        right = np.clip(np.searchsorted(-knots, -alphas), 1, len(knots) - 1)
        part = (knots[right - 1] - alphas) / (knots[right - 1] - knots[right])
        part = np.clip(part, 0, 1)
        return coefs[:, right - 1] * (1 - part) + coefs[:, right] * part


class Celer(Peer):
    """Working sets with dual extrapolation."""

    name = "celer"

    def prepare(self):
        """Import."""
        import celer

        self.celer = celer

    def solve(self, alphas, tol):
        """Estimator for one point, path function for more."""
        if len(alphas) == 1:
            model = self.celer.Lasso(alphas[0], fit_intercept=False, tol=tol, max_iter=1000)
            return model.fit(self.X, self.y).coef_[:, None]
        return self.celer.celer_path(
            self.X, self.y, "lasso", alphas=alphas, tol=tol, max_iter=1000, prune=True
        )[1]

    def cross_validate(self, alphas, tol):
        """Use LassoCV, whose folds run in threads."""
        model = self.celer.LassoCV(
            alphas=alphas, cv=FOLDS, tol=tol, max_iter=1000, n_jobs=self.threads
        )
        return model.fit(self.X, self.y).alpha_


class Skglm(Peer):
    """Anderson-accelerated coordinate descent on working sets; warm starts along the path."""

    name = "skglm"
    penalties = ("l1", "mcp", "scad", "logsum")

    def prepare(self):
        """Import; the tolerance is absolute there."""
        import skglm.datafits
        import skglm.penalties
        import skglm.solvers

        family = skglm.penalties
        self.rule = {
            "l1": lambda alpha: family.L1(alpha),
            "mcp": lambda alpha: family.MCPenalty(alpha, GAMMA),
            "scad": lambda alpha: family.SCAD(alpha, A),
            "logsum": lambda alpha: family.LogSumPenalty(alpha, EPSILON),
        }[self.penalty]
        self.datafit = skglm.datafits.Quadratic()
        self.solver = skglm.solvers.AndersonCD
        self.scale = np.abs(self.X.T @ self.y).max() / len(self.y)

    def solve(self, alphas, tol):
        """Start each point, and its working set, from the last one."""
        w, Xw = np.zeros(self.X.shape[1]), np.zeros(len(self.y))
        out = np.empty((len(w), len(alphas)), order="F")
        for i, alpha in enumerate(alphas):
            size = max(10, np.count_nonzero(w))
            solver = self.solver(1000, p0=size, tol=tol * self.scale, fit_intercept=False)
            w = solver.solve(self.X, self.y, self.datafit, self.rule(alpha), w, Xw)[0]
            out[:, i] = w
        return out


class Adelie(Peer):
    """Group elastic net with groups of one, naive updates."""

    name = "adelie"

    def prepare(self):
        """Import; a sparse X is wrapped."""
        import adelie

        self.adelie = adelie
        self.design = self.X
        if not isinstance(self.X, np.ndarray):
            self.design = adelie.matrix.sparse(self.X, method="naive", n_threads=self.threads)
        self.options = {
            "alpha": 1,
            "early_exit": False,
            "progress_bar": False,
            "max_iters": 10**9,
            "n_threads": self.threads,
        }

    def solve(self, alphas, tol):
        """One call for the path."""
        glm = self.adelie.glm.gaussian(self.y)
        return self.adelie.grpnet(
            self.design, glm, lmda_path=alphas, tol=tol, intercept=False, **self.options
        )

    def coefs(self, result):
        """Sparse rows to dense columns; fewer rows mean that it stopped before the end."""
        rows = result.betas.toarray().T
        points = len(result.lmda_path)
        return np.pad(rows, ((0, 0), (0, points - rows.shape[1])), constant_values=np.nan)


class AdelieGram(Adelie):
    """The covariance method, whose Gram matrix counts."""

    name = "adelie Gram"
    takes_sparse = False
    tall_only = "Gram only for n > p"

    def solve(self, alphas, tol):
        """Gram matrix, then one call for the path."""
        n = len(self.y)
        gram = np.asfortranarray(self.X.T @ self.X / n)
        return self.adelie.solver.gaussian_cov(
            gram, self.X.T @ self.y / n, lmda_path=alphas, tol=tol, **self.options
        )


class Pycasso(Peer):
    """Active sets and coordinate descent in C++; copies X in its constructor, which counts."""

    name = "pycasso"
    penalties = ("l1", "mcp", "scad")
    takes_sparse = False

    def prepare(self):
        """Import; rows are contiguous there."""
        import pycasso

        self.pycasso = pycasso
        self.X = np.ascontiguousarray(self.X)

    def solve(self, alphas, tol):
        """One call for the path."""
        solver = self.pycasso.Solver(
            self.X,
            self.y,
            lambdas=np.asarray(alphas),
            penalty=self.penalty,
            gamma={"mcp": GAMMA, "scad": A}.get(self.penalty, 3.0),
            useintercept=False,
            standardize=False,
            prec=tol,
            max_ite=MANY,
        )
        solver.train()
        return solver.coef()["beta"], len(alphas)

    def coefs(self, result):
        """Rows to columns; fewer rows mean that it stopped before the end."""
        beta, points = result
        return np.pad(beta.T, ((0, 0), (0, points - len(beta))), constant_values=np.nan)


PEERS = {
    peer.name: peer
    for peer in (Ours, Sklearn, SklearnGram, Lars, Celer, Skglm, Adelie, AdelieGram, Pycasso)
}
