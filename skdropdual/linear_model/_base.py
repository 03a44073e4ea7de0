"""What the linear estimators share: validate, find the strength, solve, set attributes."""

import warnings
from numbers import Integral, Real
from operator import attrgetter

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks

from .._estimator import unchanged_on_error
from .._sklearn import Interval, StrOptions, validate_parameter_constraints
from ..duality import effective_penalty
from ..exceptions import ConvergenceWarning
from ..solvers._engine import Solution
from ..solvers._path import alpha_grid, make_engine, solve_path
from ..solvers._reweighted import Reweighting
from ..solvers._tangent import Tangent
from ._data import Data, arrange_penalty

# The path that `n_nonzero` is looked for on, and the bounds of the search for the noise.
_PATH_POINTS, _PATH_EPS = 100, 1e-3
_NOISE_ROUNDS, _NOISE_TOL, _NOISE_STRETCH, _LEAST_NOISE = 200, 1e-7, 50.0, 1e-8
# A share of the target's energy that is no noise.
_NO_NOISE = 1e-6

# Share of the target's energy below which the loss is lost in the rounding of sums.
_LOST = 1e-6


class LinearEstimator(CallbackSupportMixin, BaseEstimator):
    """Template of the linear estimators; a subclass names its penalty and solves."""

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"}), None],
        "n_nonzero": [Interval(Integral, 1, None, closed="left"), None],
        "fit_intercept": ["boolean"],
        "standardize": ["boolean"],
        "positive": ["boolean"],
        "feature_weights": ["array-like", None],
        "groups": ["array-like", None],
        "penalize": [StrOptions({"coefficient", "feature"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    def _solve(self, problem, penalty, alpha, start, **options):
        """Return the `Solution` of one problem; `options` come before the estimator's own."""
        raise NotImplementedError

    @property
    def _masks(self):
        """Whether the problem is solved by the ridge of the dropout rule."""
        raise NotImplementedError

    # Whether, beyond the squared error, the rule sees what noise does to the loss.
    _second_order = False

    def _options(self):
        return {"positive": self.positive, "tol": self.tol, "max_iter": self.max_iter}

    @unchanged_on_error
    @with_callbacks
    def _fit(self, X, y, sample_weight, penalty):
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(deep=False), type(self).__name__
        )
        self._check_strength()
        penalty = effective_penalty(penalty)
        X, y, sample_weight = self._validate(X, y, sample_weight)
        data = self._prepare(X, y, sample_weight)
        penalty = self._arrange(penalty, data)
        context = self._init_callback_context()
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        starts = self._starts(data)
        found = []
        for problem, start in zip(data.problems, starts, strict=True):
            found.append(self._find(data, problem, penalty, start))  # its warnings count frames
        for problem, (alpha, solution) in zip(data.problems, found, strict=True):
            self._warn_if_not_converged(solution)
            if isinstance(self.alpha, str):
                self._warn_if_noise_vanished(data, problem, alpha)
        self._set_attributes(data, penalty, found)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes={})
        return self

    def _validate(self, X, y, sample_weight):
        """Return checked data, the target as the loss wants it, and weights."""
        raise NotImplementedError

    def _make_loss(self, y):
        """Return the loss of one prediction as scikit-learn has it, None for the squared error."""
        raise NotImplementedError

    def _prepare(self, X, y, sample_weight):
        joint = self.penalize == "feature"
        options = {"loss": self._make_loss(y), "joint": joint}
        return Data(X, y, sample_weight, self.fit_intercept, self.standardize, **options)

    def _arrange(self, penalty, data):
        shape = data.design.shape[1], data.n_outputs
        joint = self.penalize == "feature"
        penalty = arrange_penalty(penalty, *shape, self.feature_weights, self.groups, joint)
        bound = penalty.bind(data.design)
        if bound is not penalty and not (data.problem.exact and data.n_outputs == 1):
            raise ValueError(
                f"{type(penalty).__name__} is defined for the squared error of one target."
            )
        return bound

    def _starts(self, data):
        known = self.coef_ if self.warm_start and hasattr(self, "coef_") else None
        if known is not None and np.atleast_2d(known).shape == data.shape:
            starts = data.standardize_coef(known)
            return [np.maximum(w, 0.0) if self.positive else w for w in starts]
        return [None] * len(data.problems)

    def _check_strength(self):
        if (self.alpha is None) != (self.n_nonzero is not None):
            raise ValueError(
                "Either alpha is a strength or n_nonzero a number of coefficients, with alpha=None;"
                f" got alpha={self.alpha!r} and n_nonzero={self.n_nonzero!r}."
            )

    def _find(self, data, problem, penalty, start):
        """Return the strength, and the solution there."""
        if self.n_nonzero is not None:
            path = self._path_up_to(data.path_problem(penalty, problem), penalty)
            while True:
                alpha, start = path.pop()
                solution = self._solve(problem, penalty, alpha, start)
                # A better minimum than the path's may be larger.
                if np.count_nonzero(solution.w) <= self.n_nonzero or not path:
                    return alpha, solution
        if isinstance(self.alpha, str):
            return self._estimate_noise(data, problem, penalty)
        alpha = 1.0 if penalty.constraint else float(self.alpha)
        if alpha == 0:
            return alpha, least_squares(problem, **self._options())
        penalty.slope(np.zeros(problem.n_features), alpha)  # refuses a wrong number of columns
        return alpha, self._solve(problem, penalty, alpha, start)

    def _path_up_to(self, problem, penalty):
        # The strengths and solutions with at most n_nonzero coefficients, and the empty one first.
        kind = {"second_order": self._second_order}
        alphas = alpha_grid(problem, penalty, _PATH_POINTS, _PATH_EPS, self.positive, **kind)
        path = [(float(alphas[0]), np.zeros(problem.n_features))]
        options = self._options() | kind | {"max_nonzero": self.n_nonzero}
        solutions = solve_path(problem, penalty, alphas, self._masks, **options)
        best = 0
        for alpha, solution in zip(alphas, solutions, strict=False):
            size = int(np.count_nonzero(solution.w))
            if size > best:  # the first of several strengths with the largest model
                best = size
                path.append((float(alpha), solution.w))
        return path

    def _estimate_noise(self, data, problem, penalty):
        # alpha = sigma^2 / n where sigma^2 is what the residuals and the posterior leave.
        alpha, start = problem.energy / data.n_effective, None
        if not hasattr(penalty, "posterior_variance"):
            raise ValueError(
                'alpha="auto" estimates the noise of a Bayesian model: the penalty must be vardrop '
                f"or ard; got {type(penalty).__name__}."
            )
        if not problem.exact:
            raise ValueError('alpha="auto" estimates the noise of the squared error alone.')
        if alpha == 0:
            return alpha, least_squares(problem, **self._options())
        before, stretch, least = 0.0, 0.0, _LEAST_NOISE * alpha
        for _ in range(_NOISE_ROUNDS):
            # Far from the noise no solution need be exact.
            solution = self._solve(problem, penalty, alpha, start, max_iter=min(self.max_iter, 20))
            start, support = solution.w, np.flatnonzero(solution.w)
            left = penalty.posterior_variance(start, alpha, problem.block(support))
            found = max((2 * problem.loss(start) + left) / data.n_effective, least)
            gap = np.log(found / alpha)
            if abs(gap) <= _NOISE_TOL and solution.stationarity <= self.tol:
                break
            # A secant step on the gap where the rounds contract, else the round itself.
            ratio = gap / before if stretch == 1 else 0.0
            stretch = min(1 / (1 - ratio), _NOISE_STRETCH) if 0 < ratio < 1 else 1.0
            before = gap
            alpha = alpha * np.exp(stretch * gap)
        else:
            warnings.warn(
                f"The noise variance moved by {abs(gap):.3g} (relative) in the last "
                f"of {_NOISE_ROUNDS} rounds; give alpha a number instead.",
                ConvergenceWarning,
                stacklevel=7,
            )
        return alpha, self._solve(problem, penalty, alpha, start)

    def _warn_if_noise_vanished(self, data, problem, alpha):
        whole = problem.energy / data.n_effective
        rows, columns = np.count_nonzero(data.design.root), problem.n_features
        if rows <= columns + self.fit_intercept and 0 < alpha <= _NO_NOISE * whole:
            warnings.warn(
                f"The estimated noise fell to nothing, {alpha / whole:.1g} of the target's "
                f"variance (the least is {_LEAST_NOISE:.1g}): with {columns} columns and {rows} "
                "rows the model interpolates. Give alpha a number, or choose it by "
                "cross-validation.",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _warn_if_not_converged(self, solution):
        if solution.stationarity > self.tol:
            warnings.warn(
                f"{type(self).__name__} stopped after {solution.n_iter} iterations with a "
                f"stationarity residual of {solution.stationarity:.3g} > tol = {self.tol:.3g}. "
                f"{self._advice()}",
                ConvergenceWarning,
                stacklevel=6,
            )

    def _advice(self):
        return "Increase max_iter or tol."

    def _set_attributes(self, data, penalty, found):
        alphas, solutions = zip(*found, strict=True)
        parts = [solution.w for solution in solutions]
        self.alpha_ = alphas[0] if len(set(alphas)) == 1 else np.array(alphas)
        self.coef_, self.intercept_ = data.solution(parts)
        if np.ndim(self.intercept_) == 0:
            self.intercept_ = float(self.intercept_)
        self.n_iter_ = max(solution.n_iter for solution in solutions)
        self.objective_ = sum(solution.objective for solution in solutions)
        self.stationarity_ = max(solution.stationarity for solution in solutions)
        seen = [w if s.seen is None else s.seen for s, w in zip(solutions, parts, strict=True)]
        pairs = [
            # Where nothing is penalised, nothing is dropped.
            (penalty.eta(w, a), penalty.keep_prob(w, a))
            if a > 0
            else (np.full(w.shape, np.inf), np.ones_like(w))
            for a, w in zip(alphas, seen, strict=True)
        ]
        self.eta_, self.keep_prob_ = (data.arrange(both) for both in zip(*pairs, strict=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def solve_once(problem, penalty, alpha, masks, start, **options):
    """Return the solution at one strength, from all rows or from sums over them."""
    quick = False
    if hasattr(problem, "tall") and penalty.separable:
        n, p = problem.design.shape
        quick = p <= 256 and n >= 10 * p and n * p > 1e6 and problem.tall
    if quick:
        # A few passes over many rows cost more than the Gram matrix of a few columns.
        engine = make_engine(problem.moments(), penalty, alpha, masks, **options)
        solution = engine.solve(start)
        if engine.well_posed and solution.loss > _LOST * problem.energy:
            return solution
        start = solution.w  # sums over rows have lost digits that the rows have
    engine = make_engine(problem, penalty, alpha, masks, **options)
    solution = engine.solve(start)
    single = not problem.exact and problem.n_outputs == 1
    if start is None and single and penalty.separable and not penalty.convex:
        other = _from_nothing(problem, penalty, alpha, options)
        if engine._objective(other) < solution.objective * (1 - 1e-9):
            return min(engine.solve(other), solution, key=attrgetter("objective"))
    return solution


def _from_nothing(problem, penalty, alpha, options):
    # Another way down, alike for both faces: from zero, and not by the convex problems that touch
    # this one. Which minimum is the lower one shows at the end only.
    options = options | {"tol": max(options["tol"], 1e-3), "max_iter": min(options["max_iter"], 20)}
    start = np.zeros(problem.n_features)
    return make_engine(problem, penalty, alpha, False, **options).solve(start, finish=False).w


def least_squares(problem, positive, tol, max_iter):
    """Return the solution without a penalty: of several, the shortest for squared errors."""
    if not hasattr(problem, "least_norm"):
        nothing = Tangent(np.zeros(problem.n_features))
        options = {"positive": positive, "tol": tol, "max_iter": max_iter}
        return Reweighting(problem, nothing, 1.0, **options).solve()
    w = problem.least_norm(positive)
    gradient = problem.gradient(w)
    excess = np.where((w == 0) & positive, np.maximum(gradient, 0), np.abs(gradient))
    return Solution(w, problem.loss(w), excess.max(initial=0.0) / problem.scale, 1, gradient)
