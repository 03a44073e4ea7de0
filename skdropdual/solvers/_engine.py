"""What the two faces of one problem share: when to stop, and how a solution is finished."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpstrf

from .._array import nonzeros
from ._quadratic import GramQuadratic
from ._stopping import violation
from ._tangent import Tangent

# Weighted L1 problems that lead to a solution of a non-convex one, and how well each is solved.
_TANGENTS, _TANGENT_TOL = 3, 1e-4
# Pivots below this share of the diagonal mean that columns nearly depend on each other.
_DEPENDENT = 1e-6
# Most columns that are searched for ones that earlier ones make up.
_MOST_TIED = 500


@dataclass
class Solution:
    """Coefficients, and how they were reached."""

    w: np.ndarray
    objective: float
    stationarity: float
    n_iter: int
    gradient: np.ndarray | None = None
    loss: float = np.nan
    seen: np.ndarray | None = None  # what the penalty acts on, if not w


class Engine:
    """Minimise ``problem.loss(w) + penalty.total(w, alpha)``; a subclass improves a given w.

    Parameters
    ----------
    problem : LeastSquares or Moments
        Loss and data.
    penalty : Penalty
        Bound to the design if it depends on it.
    alpha : float > 0
        Strength.
    positive : bool, default=False
        Constrain coefficients to be >= 0.
    tol : float, default=1e-6
        Bound on the stationarity residual, relative to ``problem.scale``.
    max_iter : int, default=1000
        Largest number of reweightings or of working sets.
    """

    def __init__(self, problem, penalty, alpha, *, positive=False, tol=1e-6, max_iter=1000):
        self.problem = problem
        self.penalty = penalty
        self.alpha = alpha
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.target = tol * problem.scale
        if not (penalty.separable or penalty.constraint):
            self.target *= 0.01  # the coefficients lag behind where no Newton step finishes them
        self._ahead = penalty.convex  # whether the next step is the first, perhaps on a path
        self._warm = False  # whether the caller knows of a solution nearby
        self._pivot = 0.0  # the smallest of the Hessian on the nonzeros, when last seen
        self._slope_at_zero = penalty.slope(np.zeros(problem.n_features), alpha)
        if penalty.convex and penalty.concave and penalty.separable:
            self.penalty = Tangent(self._slope_at_zero)  # the same, and quicker to ask

    def solve(self, start=None, gradient=None, finish=True):
        """Run from `start`, or from the convex problem that touches this one at zero.

        Parameters
        ----------
        start : ndarray of shape (n_features,), default=None
            Coefficients to start from.
        gradient : ndarray of shape (n_features,), default=None
            Minus the gradient of the loss at `start`, if known.
        finish : bool, default=True
            Refine the solution to rounding, and among several solutions report the canonical one.

        Returns
        -------
        Solution
            ``stationarity > tol`` if `max_iter` was reached.
        """
        approach = start is None
        self._warm = not approach
        if approach:
            w, gradient = self._approach(np.zeros(self.problem.n_features))
        else:
            w = start
            gradient = self.problem.gradient(w) if gradient is None else gradient
        for n_iter in range(1, self.max_iter + 1):  # noqa: B007 (reported below)
            excess = self._violation(w, gradient)
            if excess.max(initial=0.0) > self.target:
                before, w = w, self._shift(self._improve(w, gradient, excess))
                if not self.problem.exact and np.array_equal(w, before):
                    break  # rounding hides what is left to gain
            else:
                if finish:
                    w = self._refine(w)
                better = self._escape(w)
                if better is None:
                    break
                w = self._approach(better)[0] if approach else better
            gradient = self.problem.gradient(w)
        if finish:
            w = self._settle(w)
            gradient = self.problem.gradient(w)
        residual = self._violation(w, gradient).max(initial=0.0) / self.problem.scale
        objective = self._objective(w) if finish else np.nan
        loss = self.problem.loss(w, gradient)
        return Solution(w, objective, residual, n_iter, gradient, loss)

    @property
    def well_posed(self):
        """Whether the nonzeros of the last solution are far from dependent."""
        return self._pivot > _DEPENDENT

    def _improve(self, w, gradient, excess):
        raise NotImplementedError

    def _shorten(self, w, new):
        # What improves a model of the objective need not improve it: go back until it does.
        if self.problem.exact:
            return new
        before = self._objective(w)
        for size in 0.5 ** np.arange(20):
            trial = new if size == 1 else w + size * (new - w)
            rise = self._objective(trial) - before
            if rise <= 1e-14 * abs(before):
                return trial
            # Where the difference may be rounding, the first-order conditions decide.
            if size == 1 and rise <= 1e-9 * abs(before) and self._excess(new) < self._excess(w) / 2:
                return new
        return w

    def _shift(self, w):
        # One number added to the coefficients of all classes changes no loss. A concave penalty is
        # least where that makes one of them zero; where it is flat, nothing else would keep all of
        # them from running off together.
        penalty, n_outputs = self.penalty, self.problem.n_outputs
        concave = penalty.separable and penalty.concave and not penalty.convex
        table = w.reshape(-1, n_outputs)
        free = np.flatnonzero(table.all(axis=1))
        if not (self.problem.relative and concave and free.size) or self.positive:
            return w
        index = (free[:, None] * n_outputs + np.arange(n_outputs)).ravel()
        part, rows = penalty._take(index), table[free]
        choices = [rows] + [rows - rows[:, [k]] for k in range(n_outputs)]
        values = [part.value(choice.ravel(), self.alpha).reshape(rows.shape) for choice in choices]
        best = np.argmin([value.sum(axis=1) for value in values], axis=0)
        new = w.copy()
        new[index] = np.take_along_axis(np.stack(choices), best[None, :, None], axis=0).ravel()
        return new

    def _excess(self, w):
        return self._violation(w, self.problem.gradient(w)).max(initial=0.0)

    def _objective(self, w):
        return self.problem.loss(w) + float(self.penalty.total(w, self.alpha))

    def _violation(self, w, gradient):
        if not self.penalty.separable:
            return violation(self.penalty, w, gradient, self.alpha, self.positive)
        # The same, with slopes computed for the nonzeros only.
        slope, support = self._slope_at_zero, nonzeros(w)
        if support.size and not isinstance(self.penalty, Tangent):
            slope = slope.copy()
            slope[support] = self.penalty._take(support).slope(w[support], self.alpha)
        return violation(Tangent(slope), w, gradient, self.alpha, self.positive)

    def _approach(self, w):
        # A penalty concave in |w| lies below its tangent at w, a weighted L1. The first few of
        # these convex problems lead both faces to one place, whence each goes on in its own way.
        gradient = self.problem.gradient(w) if w.any() else self.problem.correlation
        if self.penalty.convex or not self.penalty.concave:
            return w, gradient
        for _ in range(min(_TANGENTS, self.max_iter) if self.penalty.separable else 1):
            before, slope = w, self.penalty.slope(w, self.alpha)
            if not np.isfinite(slope).all():
                break
            solution = self._convex(Tangent(slope)).solve(before, gradient, finish=False)
            w, gradient = self._shift(solution.w), solution.gradient
            if np.array_equal(w, before):
                break
        return w, gradient

    def _convex(self, tangent):
        engine = type(self)(
            self.problem,
            tangent,
            self.alpha,
            positive=self.positive,
            tol=max(self.tol, _TANGENT_TOL),
            max_iter=self.max_iter,
        )
        engine._ahead = False
        return engine

    def _refine(self, w):
        # Newton steps on the nonzeros from the gradient of the data, until it is all rounding.
        if not (self.penalty.separable or self.penalty.constraint):
            return w
        goal = 1e-15 * self.problem.scale
        for _ in range(5):
            support = nonzeros(w)
            if support.size == 0 or not self.problem.small(support):
                break
            part, pull = w[support], self.problem.gradient(w, support)
            gram = GramQuadratic(self.problem.block(support))
            active = self.penalty._take(support)
            force = self._force(active, part, pull)
            pivot = gram.newton(pull, part, active, self.alpha, goal)
            self._pivot = pivot if pivot < np.inf else self._pivot
            if pivot == 0:
                slid = self._slide(w, support)
                if slid is w:
                    break
                w = slid
                continue
            new = np.zeros_like(w)
            new[support] = part
            pull = self.problem.gradient(new, support)
            left = self._force(active, part, pull)
            if left <= force or not part.all():
                w = new
            if part.all() and not left < 0.5 * force:
                break
        return w

    def _force(self, active, part, pull):
        # Largest violation among nonzeros.
        return np.abs(pull - active.slope(part, self.alpha) * np.sign(part)).max(initial=0.0)

    def _slide(self, w, support):
        # Among dependent columns the fit can stay while the penalty falls: move there until a
        # coefficient is zero. Only a penalty concave in |w| is sure to fall all the way.
        if not self.penalty.concave or support.size > 2000:
            return w
        size, rows = np.linalg.eigh(self.problem.block(support))
        rows = rows[:, size > 1e-13 * size.max()].T
        pull = self.penalty._take(support).slope(w[support], self.alpha) * np.sign(w[support])
        move = rows.T @ (rows @ pull) - pull
        if np.abs(move).max() <= 1e-9 * np.abs(pull).max():
            return w
        with np.errstate(divide="ignore"):
            room = np.where(move * w[support] < 0, -w[support] / move, np.inf)
        first = int(np.argmin(room))
        if not np.isfinite(room[first]):
            return w
        new = w.copy()
        new[support] += room[first] * move
        new[support[first]] = 0.0
        return new if self._objective(new) < self._objective(w) else w

    def _settle(self, w):
        # Ties show only once the rest is exact: hand over and refine until nothing moves.
        for _ in range(3):
            before, w = w, self._first_columns(w)
            if w is before:
                break
            w = self._refine(w)
        return w

    def _first_columns(self, w):
        # A convex problem with collinear columns has many solutions. Both faces report the one on
        # the first columns: a nonzero whose column earlier ones make up is handed over to them.
        penalty, problem = self.penalty, self.problem
        if not (penalty.convex and penalty.sparse and penalty.separable):
            return w
        gradient = problem.gradient(w)
        slack = np.abs(gradient) - self._slope_at_zero
        tied = np.flatnonzero((w != 0) | (np.abs(slack) <= 1e-9 * problem.scale))
        sure = self._pivot > 1e-8 and tied.size == np.count_nonzero(w)
        if sure or not 0 < tied.size <= _MOST_TIED or not problem.small(tied):
            return w
        hessian = problem.block(tied).copy()
        hessian.flat[:: tied.size + 1] += penalty._take(tied).curvature(w[tied], self.alpha)
        if dpstrf(hessian, tol=1e-10 * np.diag(hessian).max())[2] == tied.size:
            return w
        best = self._objective(w)
        for last in range(tied.size - 1, 0, -1):
            share = np.linalg.lstsq(hessian[:last, :last], hessian[:last, last], rcond=1e-10)[0]
            left = hessian[last, last] - hessian[:last, last] @ share
            if w[tied[last]] == 0 or left > 1e-10 * hessian[last, last]:
                continue
            new = w.copy()
            new[tied[:last]] += np.where(np.abs(share) > 1e-10, share, 0.0) * w[tied[last]]
            new[tied[last]] = 0.0
            if (new * gradient >= 0).all() and self._objective(new) <= best * (1 + 1e-13):
                w = new
        return w

    def _escape(self, w):
        # Stationary points need not be minima: is there a better value for one coordinate, or (for
        # penalties that are not separable) along a proximal step? Convex problems are done.
        penalty, problem = self.penalty, self.problem
        if penalty.convex or not penalty.proximable or not w.size:
            return None
        if penalty.separable and self._steadier_than_penalty(w):
            return None
        room = problem.curvature if penalty.separable else np.full(w.shape, problem.lipschitz)
        room = np.where(room > 0, room, 1.0)
        z = w + problem.gradient(w) / room
        if self.positive:
            z = np.maximum(z, 0.0)
        target = penalty.prox(z, 1 / room, self.alpha)
        before = self._objective(w)
        least = 1e-10 * before + 1e-14 * problem.energy
        if not penalty.separable:
            return target if self._objective(target) < before - least else None

        def local(u):
            return room / 2 * (u - z) ** 2 + penalty.value(u, self.alpha)

        # More than what is left of the slope at w would give.
        gain = local(w) - local(target) - self.target * np.abs(target - w)
        best = int(np.argmax(gain))
        if not gain[best] > least:
            return None
        together = np.where(gain > gain[best] / 2, target, w)
        if self._objective(together) <= before - gain[best] / 2:
            return together
        alone = w.copy()
        alone[best] = target[best]
        return alone if problem.exact or self._objective(alone) < before - least else None

    def _steadier_than_penalty(self, w):
        # Where the loss curves up more than the penalty anywhere down, each coordinate has one
        # stationary point. Looked up on a grid; penalties that differ between columns are not.
        one = np.zeros(1, dtype=np.intp)
        if self.penalty._take(one) is not self.penalty or not np.isfinite(self._slope_at_zero[0]):
            return False
        room = self.problem.curvature[self.problem.curvature > 0]
        if room.size == 0:
            return True
        reach = 2 * max(np.abs(w).max(), self.problem.scale / room.min())
        grid = reach * np.logspace(-9, 0, 100)
        return self.penalty.curvature(grid, self.alpha).min() > -room.min()
