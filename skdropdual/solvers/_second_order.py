r"""Dropout of a generalised linear model, the masks integrated out to second order.

Noise of relative variance r on the weights adds :math:`\tfrac12 \sum_j d_j r_j w_j^2` to the loss,
with :math:`d_j = \sum_i v_i h_i x_{ij}^2` and h the curvature of the loss (Wager, Wang, Liang
2013). So the rule acts on :math:`\sqrt{d_j} |w_j|`, and d depends on the solution: rounds of
penalised problems, each with the d of the last, and Newton steps that know how d follows w.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, gmres

from .._array import nonzeros
from ..penalties import Group, Scaled
from ._grouped import pull_on_nonzeros
from ._reweighted import Reweighting
from ._stopping import violation

# Most rounds, after how many they may go in circles, how often a step is halved that leads too far.
_ROUNDS, _PATIENCE, _HALVINGS = 100, 4, 8
# How well the problem of a first guess of d is solved; how many steps follow, of how many nonzeros.
_ROUGH, _STEPS, _MOST = 1e-3, 30, 2000
# A derivative by differences: the relative size, and how well and in how many products it is used.
_DIFFERENCE, _GMRES_TOL, _GMRES_STEPS = 1e-6, 1e-3, 50


class SecondOrder:
    r"""Find w stationary for the loss plus the penalty of sqrt(d(w)) \|w\|, d taken as given.

    Parameters
    ----------
    problem : Glm
        Loss and data.
    penalty : Penalty
        The rule, as the penalty it amounts to.
    alpha : float > 0
        Strength.
    **options
        Of `Engine`.
    """

    def __init__(self, problem, penalty, alpha, **options):
        self.problem = problem
        self.penalty = penalty
        self.alpha = alpha
        self.options = options

    def solve(self, start=None, gradient=None, finish=True):
        """As `Engine.solve`."""
        w = np.zeros(self.problem.n_features) if start is None else start
        scale, tol = self._scale(w), max(self.options["tol"], _ROUGH)
        for n_iter in range(1, _ROUNDS + 1):
            engine = self._engine(scale, tol)
            solution = engine.solve(start if n_iter == 1 else w, finish=False)
            ahead = solution.w if n_iter <= _PATIENCE else self._on_the_way(w, solution.w)
            before, w = w, self._follow(ahead)
            scale, solution.stationarity = self._scale(w), self._residual(w)
            still = np.array_equal(w, before) and tol == self.options["tol"]
            if solution.stationarity <= self.options["tol"] or still:
                break
            tol = self.options["tol"]
        solution.w, solution.n_iter, solution.gradient = w, n_iter, self.problem.gradient(w)
        solution.loss = self.problem.loss(w)
        solution.objective = self._engine(scale, tol)._objective(w) if finish else np.nan
        solution.seen = scale * w
        return solution

    def _on_the_way(self, w, ahead):
        # Where d falls as w grows (classes that are nearly separate), the solution for the old d is
        # too far, the next not far enough, and so on: go as far as the force of the d met there
        # still points ahead. Coefficients that leave do so at once.
        w, support = np.where(ahead == 0, 0.0, w), nonzeros(ahead)
        move = ahead - w
        for size in 0.5 ** np.arange(_HALVINGS):
            new = ahead if size == 1 else w + size * move
            if self._force(new, support) @ move[support] >= 0:
                break
        return new

    def _follow(self, w):
        # Newton steps among the nonzeros. What d owes to w is not in their Hessian: it is learnt on
        # the way (Broyden's update), or taken by differences where that leads nowhere.
        support = nonzeros(w)
        if not 0 < support.size <= _MOST:
            return w
        force, inverse = self._force(w, support), self._inverse(w, support)
        if inverse is None:
            return w
        for _ in range(_STEPS):
            if np.abs(force).max() <= 1e-3 * self.options["tol"] * self.problem.scale:
                break
            new, left = self._shorten(w, support, force, inverse @ force)
            if new is w:
                step = self._differenced(w, support, force, inverse)
                new, left = self._shorten(w, support, force, step)
            if new is w:
                break
            step, ahead = (new - w)[support], inverse @ (force - left)
            w, force = new, left
            if step @ ahead != 0:
                inverse += np.outer(step - ahead, step @ inverse) / (step @ ahead)
        return w

    def _shorten(self, w, support, force, step):
        # Halve the step until no sign changes and the force falls; none against the force, which
        # would lead to where the fixed point is not a minimum.
        for size in 0.5 ** np.arange(_HALVINGS) if 0 < step @ force < np.inf else ():
            new = w.copy()
            new[support] += size * step
            if (new * w > 0)[support].all():
                left = self._force(new, support)
                if np.abs(left).max() < (1 - 0.1 * size) * np.abs(force).max():
                    return new, left
        return w, force

    def _differenced(self, w, support, force, inverse):
        # Newton's step with all that d owes to w.
        def product(v):
            largest = np.abs(v / w[support]).max()
            if not 0 < largest < np.inf:
                return np.zeros_like(v)
            size, new = _DIFFERENCE / largest, w.copy()
            new[support] += size * v
            return (force - self._force(new, support)) / size

        jacobian = LinearOperator(inverse.shape, product, dtype=float)
        options = {"rtol": _GMRES_TOL, "restart": _GMRES_STEPS, "maxiter": 1}
        return gmres(jacobian, force, M=inverse, **options)[0]

    def _force(self, w, support):
        # Minus the gradient of the objective in the nonzeros, d being that of w.
        return pull_on_nonzeros(
            self.problem, rescaled(self.penalty, self._scale(w)), self.alpha, w, support
        )

    def _inverse(self, w, support):
        # Of the Hessian for d given; where that is not convex, of its convex part.
        penalty = rescaled(self.penalty, self._scale(w))
        block = self.problem.local(w).block(support)
        if penalty.separable:
            bend = np.diag(penalty._take(support).curvature(w[support], self.alpha))
        else:
            bend = penalty.hessian(w, support, self.alpha)
        for hessian in (block + bend, block + np.diag(np.maximum(bend.diagonal(), 0.0))):
            try:
                return cho_solve(cho_factor(hessian), np.eye(support.size))
            except (LinAlgError, ValueError):
                pass
        return None

    def _residual(self, w):
        penalty, positive = (
            rescaled(self.penalty, self._scale(w)),
            self.options.get("positive", False),
        )
        excess = violation(penalty, w, self.problem.gradient(w), self.alpha, positive)
        return excess.max(initial=0.0) / self.problem.scale

    def _scale(self, w):
        return np.sqrt(self.problem.spread(w))

    def _engine(self, scale, tol):
        penalty = rescaled(self.penalty, scale)
        return Reweighting(self.problem, penalty, self.alpha, **self.options | {"tol": tol})


def rescaled(penalty, scale):
    """Return the penalty in other units; those of a group are the root of their mean square."""
    if penalty.separable:
        return Scaled(penalty, scale)
    if not isinstance(penalty, Group):
        raise ValueError(
            f"Beyond the squared error a dropout rule acts on single weights or groups; "
            f"{type(penalty).__name__} does neither."
        )
    labels = penalty.labels(len(scale))
    mean = np.bincount(labels, scale**2) / np.bincount(labels)
    return Group(Scaled(penalty._inner, np.sqrt(mean)[labels]), penalty.groups, penalty.weights)
