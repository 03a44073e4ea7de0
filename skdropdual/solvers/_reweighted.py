r"""Reweighting: any penalty as a short sequence of weighted quadratics.

One loop serves both faces of the duality; they differ in the majoriser. The penalty face takes
weighted L1 problems where P is concave in \|w\| (local linear approximation), the dropout face
takes the ridge that its expected masks amount to. Around them: exact zeros and re-entry, Newton
steps once the signs stand still, and a last look at whether a coordinate has a better minimum.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ..penalties import L1, Weighted
from ._kernels import cd_gram
from ._stopping import violation

# Coefficients below these fractions of the largest one are tried at zero.
_NEGLIGIBLE = np.array([1e-2, 1e-3, 1e-4, 1e-6, 1e-9])


@dataclass
class Solution:
    """Coefficients, and how they were reached."""

    w: np.ndarray
    objective: float
    stationarity: float
    n_iter: int


class Reweighting:
    """Minimise ``problem.loss(w) + penalty.total(w, alpha)``.

    Parameters
    ----------
    problem : LeastSquares
        Loss and data.
    penalty : Penalty
        Bound to the design if it depends on it.
    alpha : float > 0
        Strength.
    masks : bool
        Majorise by the ridge of the dropout rule; else by the penalty's own majoriser.
    positive : bool
        Constrain coefficients to be >= 0.
    tol : float
        Bound on the stationarity residual, relative to ``problem.scale``.
    max_iter : int
        Largest number of reweightings.
    """

    def __init__(self, problem, penalty, alpha, *, masks, positive, tol, max_iter):
        self.problem = problem
        self.penalty = penalty
        self.alpha = alpha
        self.masks = masks
        zero = np.zeros(problem.design.shape[1])
        self._ridged = masks or not (penalty.majorizer(zero, alpha)[0] > 0).any()
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter

    def solve(self, start=None):
        """Run from `start`, or from the convex problem that touches this one at zero.

        Parameters
        ----------
        start : ndarray of shape (n_features,), default=None
            Coefficients to start from.

        Returns
        -------
        Solution
            ``stationarity > tol`` if `max_iter` was reached.
        """
        if start is None:
            start = self._tangent_start()
        w, target = start, self.tol * self.problem.scale
        if not self._newton_applies:
            target *= 0.01  # the coefficients lag behind where no Newton step finishes them
        for n_iter in range(1, self.max_iter + 1):  # noqa: B007 (reported below)
            gradient = self.problem.gradient(w)
            excess = violation(self.penalty, w, gradient, self.alpha, self.positive)
            if excess.max(initial=0.0) > target:
                w = self._reweight(w, gradient, excess)
                continue
            w = self._newton(w)
            better = self._escape(w)
            if better is None:
                w = self._newton(self._first_columns(w))
                break
            w = better
        excess = violation(
            self.penalty, w, self.problem.gradient(w), self.alpha, self.positive
        ).max(initial=0.0)
        return Solution(w, self._objective(w), excess / self.problem.scale, n_iter)

    @property
    def _newton_applies(self):
        return self.penalty.separable or self.penalty.constraint

    def _objective(self, w):
        return self.problem.loss(w) + float(self.penalty.total(w, self.alpha))

    def _tangent_start(self):
        # A penalty concave in |w| lies below its tangent at 0, a weighted L1: solve that first.
        zero = np.zeros(self.problem.design.shape[1])
        if self.penalty.convex or not self.penalty.concave:
            return zero
        slope = self.penalty.slope(zero, self.alpha)
        if not np.isfinite(slope).all():
            return zero
        tangent = Reweighting(
            self.problem,
            Weighted(L1(), slope),
            1.0,
            masks=self.masks,
            positive=self.positive,
            tol=self.tol,
            max_iter=self.max_iter,
        )
        return tangent.solve(zero).w

    def _reweight(self, w, gradient, excess):
        step = self._ridge_step if self._ridged else self._l1_step
        new = step(w, gradient, excess)
        if np.array_equal(np.sign(new), np.sign(w)):
            new = self._newton(new)
        return new

    def _l1_step(self, w, gradient, excess):
        # Weighted L1 (and ridge) on a working set: the nonzeros and the worst violators.
        l1, l2 = self.penalty.majorizer(w, self.alpha)
        rank = np.where(w != 0, np.inf, excess)
        size = max(10, 2 * int(np.count_nonzero(w)))
        working = np.flatnonzero(rank > 0)
        if working.size > size:
            working = np.sort(np.argpartition(-rank, size)[:size])
        gram, _ = self.problem.block(working)
        new = np.zeros_like(w)
        new[working] = self._descend(
            gram, gradient[working], w[working], l1[working], l2[working], 0.01 * excess.max()
        )
        return new

    def _descend(self, gram, gradient, w, l1, l2, accuracy):
        w, gradient = w.copy(), gradient.copy()
        cd_gram(gram, gradient, w, l1, l2, accuracy, 1000, self.positive)
        return w

    def _ridge_step(self, w, gradient, excess):
        # The expected masks at w are a ridge; weights with eta = 0 stay out unless they re-enter.
        if (excess[w == 0] > self.tol * self.problem.scale).any():
            w = self._enter(w, gradient, excess)
        strength = self.penalty.ridge(w, self.alpha)
        working = np.flatnonzero(strength < np.inf)
        strength = strength[working]
        new = np.zeros_like(w)
        if self.positive:
            gram, correlation = self.problem.block(working)
            accuracy = 0.01 * self.tol * self.problem.scale
            zero = np.zeros(working.size)
            new[working] = self._descend(gram, correlation, zero, zero, strength, accuracy)
        else:
            new[working] = self.problem.ridge(working, strength)
        return self._prune(new) if self.penalty.sparse else new

    def _enter(self, w, gradient, excess):
        # Zeros that are not stationary take a proximal step, damped until the objective falls.
        if self.positive:
            gradient = np.maximum(gradient, 0.0)
        pull = self.penalty.norm(gradient)
        room = self.penalty.norm(np.sqrt(self.problem.curvature)) ** 2
        entering = (self.penalty.norm(w) == 0) & (excess > 0)
        move = np.zeros_like(w)
        move[entering] = (gradient * excess)[entering] / (pull * room)[entering]
        before = self._objective(w)
        for _ in range(30):
            if self._objective(w + move) < before:
                return w + move
            move = move / 2
        return w

    def _prune(self, w):
        # Reweighting reaches zeros only in the limit: take those that lower the objective now.
        size = self.penalty.norm(w * np.sqrt(self.problem.curvature))
        small = size < _NEGLIGIBLE[0] * size.max(initial=0.0)
        if not (small & (w != 0)).any():
            return w
        before = self._objective(w)
        for fraction in _NEGLIGIBLE:
            pruned = np.where(size < fraction * size.max(), 0.0, w)
            if self._objective(pruned) <= before:
                return pruned
        return w

    def _newton(self, w):
        # Newton's method on the nonzeros; a sign that would change stops at zero.
        if not self._newton_applies:
            return w
        gram = support = None
        for _ in range(20):
            if support is None or not np.array_equal(support, np.flatnonzero(w)):
                support = np.flatnonzero(w)
                gram, _ = self.problem.block(support)
            full = self._force(w)
            force = full[support]
            if np.abs(force).max(initial=0.0) <= 1e-15 * self.problem.scale:
                return w
            hessian = gram + np.diag(self.penalty.curvature(w, self.alpha)[support])
            try:
                step = cho_solve(cho_factor(hessian), force)
            except LinAlgError:
                slid = self._slide(w, support)
                if slid is w:
                    return w
                w = slid
                continue
            new = self._line_search(w, support, step, np.abs(force).max())
            if new is None:
                return w
            w = new
        return w

    def _slide(self, w, support):
        # Among dependent columns the fit can stay while the penalty falls: move there until a
        # coefficient is zero. Only a penalty concave in |w| is sure to fall all the way.
        columns = self.problem.design[:, support]
        if not self.penalty.concave or support.size > 2 * columns.shape[0]:
            return w
        _, size, rows = np.linalg.svd(columns, full_matrices=False)
        rows = rows[size > 1e-10 * size.max()]
        pull = self.penalty.slope(w, self.alpha)[support] * np.sign(w[support])
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

    def _first_columns(self, w):
        # A convex problem with collinear columns has many solutions. Both faces report the one on
        # the first columns: a nonzero whose column earlier ones make up is handed over to them.
        penalty, problem = self.penalty, self.problem
        if not (penalty.convex and penalty.sparse and penalty.separable):
            return w
        gradient = problem.gradient(w)
        slack = np.abs(gradient) - penalty.slope(w, self.alpha)
        tied = np.flatnonzero((w != 0) | (np.abs(slack) <= 1e-9 * problem.scale))
        hessian = problem.block(tied)[0] + np.diag(penalty.curvature(w, self.alpha)[tied])
        if (
            np.linalg.matrix_rank(hessian, tol=1e-10 * np.diag(hessian).max(initial=0.0))
            == tied.size
        ):
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

    def _force(self, w):
        # Minus the gradient of the objective; meant for the nonzeros.
        slope = np.where(w != 0, self.penalty.slope(w, self.alpha), 0.0)
        return self.problem.gradient(w) - slope * np.sign(w)

    def _line_search(self, w, support, step, force):
        before = self._objective(w)
        for size in 0.5 ** np.arange(6):
            new = w.copy()
            new[support] += size * step
            new[new * w < 0] = 0.0
            change = self._objective(new) - before
            if change < 0 and change < -1e-13 * abs(before):
                return new
            # At rounding level of the objective the force decides.
            if change <= 1e-13 * abs(before) and np.array_equal(new != 0, w != 0):
                left = np.abs(self._force(new)[support]).max()
                return new if left < 0.5 * force else None
        return None

    def _escape(self, w):
        # Stationary points need not be minima: is there a better value for one coordinate, or (for
        # penalties that are not separable) along a proximal step? Convex problems are done.
        penalty, problem = self.penalty, self.problem
        if penalty.convex or not penalty.proximable or not w.size:
            return None
        room = problem.curvature if penalty.separable else np.full(w.shape, problem.lipschitz)
        room = np.where(room > 0, room, 1.0)
        z = w + problem.gradient(w) / room
        if self.positive:
            z = np.maximum(z, 0.0)
        target = penalty.prox(z, 1 / room, self.alpha)
        before = self._objective(w)
        least = 1e-10 * before + 1e-14 * float(problem.target @ problem.target)
        if not penalty.separable:
            return target if self._objective(target) < before - least else None

        def local(u):
            return room / 2 * (u - z) ** 2 + penalty.value(u, self.alpha)

        gain = local(w) - local(target)
        best = int(np.argmax(gain))
        if not gain[best] > least:
            return None
        together = np.where(gain > gain[best] / 2, target, w)
        if self._objective(together) <= before - gain[best] / 2:
            return together
        alone = w.copy()
        alone[best] = target[best]
        return alone
