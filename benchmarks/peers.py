"""One small class per solver, each given its own best settings."""

from functools import cache

import numpy as np
from peer import FOLDS, MANY, Ours, Peer
from stationarity import EPSILON, GAMMA, A


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


class Saga(Peer):
    """LogisticRegression by averaged stochastic gradients, each point of a path from the last."""

    name = "sklearn saga"
    losses = ("log_loss", "multinomial")
    solver = "saga"

    def prepare(self):
        """Import; rows are contiguous there, and small strengths come out of large C."""
        from sklearn.linear_model import LogisticRegression

        self.estimator = LogisticRegression
        dense = isinstance(self.X, np.ndarray)
        self.X = np.ascontiguousarray(self.X) if dense else self.X.tocsr()

    def solve(self, alphas, tol):
        """Start each point of a path from the last one."""
        model = self.estimator(l1_ratio=1.0, solver=self.solver, fit_intercept=False, tol=tol)
        model.set_params(warm_start=True, max_iter=MANY, random_state=0)
        rows = [
            model.set_params(C=1 / (alpha * len(self.y))).fit(self.X, self.y).coef_.copy()
            for alpha in alphas
        ]
        return np.stack(rows, axis=-1)

    def coefs(self, result):
        """Classes, if there are several, come first."""
        return result[0] if len(result) == 1 else result.swapaxes(0, 1)


class Liblinear(Saga):
    """LogisticRegression by coordinate descent, which has no warm start."""

    name = "sklearn liblinear"
    losses = ("log_loss",)
    solver = "liblinear"


class Celer(Peer):
    """Working sets with dual extrapolation."""

    name = "celer"
    losses = ("squared_error", "log_loss")
    newton = False

    def prepare(self):
        """Import; the log loss is a sum over y in {-1, 1} there."""
        import celer

        self.celer = celer
        self.options = {"max_iter": 1000}
        self.factor = 1
        if self.loss == "log_loss":
            self.y, self.factor = 2 * self.y - 1, len(self.y)
            self.options["use_PN"] = self.newton

    def solve(self, alphas, tol):
        """Estimator for one point, path function for more."""
        if len(alphas) == 1 and self.loss == "squared_error":
            model = self.celer.Lasso(alphas[0], fit_intercept=False, tol=tol, **self.options)
            return model.fit(self.X, self.y).coef_[:, None]
        pb = "lasso" if self.loss == "squared_error" else "logreg"
        options = self.options | {"alphas": alphas * self.factor, "tol": tol, "prune": True}
        return self.celer.celer_path(self.X, self.y, pb, **options)[1]

    def cross_validate(self, alphas, tol):
        """Use LassoCV, whose folds run in threads."""
        model = self.celer.LassoCV(
            alphas=alphas, cv=FOLDS, tol=tol, max_iter=1000, n_jobs=self.threads
        )
        return model.fit(self.X, self.y).alpha_


class CelerNewton(Celer):
    """The same with Newton steps on the working sets."""

    name = "celer Newton"
    losses = ("log_loss",)
    newton = True


class Skglm(Peer):
    """Anderson-accelerated coordinate descent on working sets; warm starts along the path."""

    name = "skglm"
    penalties = ("l1", "mcp", "scad", "logsum")
    losses = ("squared_error", "log_loss")
    newton = False

    def prepare(self):
        """Import; the tolerance is absolute there, and classes are -1 and 1."""
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
        self.solver = skglm.solvers.ProxNewton if self.newton else skglm.solvers.AndersonCD
        if self.loss == "poisson":
            self.datafit = weighted_poisson()(self.weight)
        elif self.loss == "log_loss":
            self.datafit, self.y = skglm.datafits.Logistic(), 2 * self.y - 1
        else:
            self.datafit = skglm.datafits.Quadratic()

    def solve(self, alphas, tol):
        """Start each point, and its working set, from the last one."""
        p = self.X.shape[1]
        w, Xw = np.zeros(p + self.intercept), np.zeros(len(self.y))
        out = np.empty((p, len(alphas)), order="F")
        options = {"tol": tol * self.scale, "fit_intercept": self.intercept}
        for i, alpha in enumerate(alphas):
            size = max(10, np.count_nonzero(w))
            solver = self.solver(max_iter=1000, p0=size, **options)
            w = solver.solve(self.X, self.y, self.datafit, self.rule(alpha), w, Xw)[0]
            out[:, i] = w[:p]
        return out


class SkglmNewton(Skglm):
    """Newton steps, each solved by coordinate descent on working sets."""

    name = "skglm Newton"
    losses = ("log_loss", "poisson")
    takes_weights = takes_intercept = True
    newton = True


@cache
def weighted_poisson():
    """Return skglm's Poisson datafit with weights that sum to 1, which it does not have itself."""
    from numba import float64
    from skglm.datafits import Poisson

    class WeightedPoisson(Poisson):
        def __init__(self, weight):
            self.weight = weight

        def get_spec(self):
            return (("weight", float64[:]),)

        def params_to_dict(self):
            return {"weight": self.weight}

        def raw_grad(self, y, Xw):
            return self.weight * (np.exp(Xw) - y)

        def raw_hessian(self, y, Xw):
            return self.weight * np.exp(Xw)

        def value(self, y, w, Xw):
            return np.sum(self.weight * (np.exp(Xw) - y * Xw))

    return WeightedPoisson


class Adelie(Peer):
    """Group elastic net with groups of one, naive updates; weighted ones for other losses."""

    name = "adelie"
    losses = ("squared_error", "log_loss", "poisson")
    takes_weights = takes_intercept = True

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
        family = self.adelie.glm
        options = self.options | {"lmda_path": alphas, "tol": tol, "intercept": self.intercept}
        if self.loss == "squared_error":
            return self.adelie.grpnet(self.design, family.gaussian(self.y), **options)
        options["irls_tol"] = tol
        one = {"log_loss": family.binomial, "poisson": family.poisson}[self.loss]
        return self.adelie.grpnet(self.design, one(self.y, weights=self.weight), **options)

    def coefs(self, result):
        """Sparse rows to dense columns; fewer rows mean that it stopped before the end."""
        rows = result.betas.toarray().T
        points = len(result.lmda_path)
        return np.pad(rows, ((0, 0), (0, points - rows.shape[1])), constant_values=np.nan)


class AdelieGram(Adelie):
    """The covariance method, whose Gram matrix counts."""

    name = "adelie Gram"
    losses = ("squared_error",)
    takes_sparse = takes_weights = takes_intercept = False
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
    losses = ("squared_error", "log_loss")
    takes_sparse = False

    def prepare(self):
        """Import; rows are contiguous there."""
        import pycasso

        self.pycasso = pycasso
        self.X = np.ascontiguousarray(self.X)
        self.options = {"family": "gaussian"}
        if self.loss == "log_loss":
            self.options = {"family": "binomial", "lla_max_stages": 1000}

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
            **self.options,
        )
        solver.train()
        return solver.coef()["beta"], len(alphas)

    def coefs(self, result):
        """Rows to columns; fewer rows mean that it stopped before the end."""
        beta, points = result
        return np.pad(beta.T, ((0, 0), (0, points - len(beta))), constant_values=np.nan)


class Glum(Peer):
    """Newton steps by coordinate descent on the Gram matrix; warm starts along the path."""

    name = "glum"
    losses = ("log_loss", "poisson")
    takes_weights = takes_intercept = True

    def prepare(self):
        """Import; the tolerance is absolute there."""
        from glum import GeneralizedLinearRegressor

        self.estimator = GeneralizedLinearRegressor
        family = {"log_loss": "binomial", "poisson": "poisson"}[self.loss]
        self.options = {"family": family, "fit_intercept": self.intercept, "l1_ratio": 1.0}
        self.options |= {"copy_X": False, "check_input": False, "max_iter": 1000}

    def solve(self, alphas, tol):
        """One call for the path."""
        options = self.options | {"gradient_tol": tol * self.scale, "alpha": list(alphas)}
        model = self.estimator(alpha_search=True, **options)
        return model.fit(self.X, self.y, sample_weight=self.weight).coef_path_.T


PEERS = {
    peer.name: peer
    for peer in (
        *(Ours, Sklearn, SklearnGram, Lars, Saga, Liblinear),
        *(Celer, CelerNewton, Skglm, SkglmNewton, Adelie, AdelieGram, Glum, Pycasso),
    )
}
