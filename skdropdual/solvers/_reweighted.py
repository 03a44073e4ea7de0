"""The dropout face: any penalty as a sequence of ridges, those of its expected masks.

Reweighting alone reaches zeros only in the limit and never leaves them. Here a weight that is
negligible is tried at zero, and a zero that is not stationary comes back.
"""

import numpy as np

from .._array import nonzeros
from ._engine import Engine
from ._grouped import newton_on_groups
from ._kernels import cd_gram
from ._quadratic import GramQuadratic

# Coefficients below these fractions of the largest one are tried at zero.
_NEGLIGIBLE = np.array([1e-2, 1e-3, 1e-4, 1e-6, 1e-9])


class Reweighting(Engine):
    """Minimise loss plus penalty by the ridge of the dropout rule."""

    def _improve(self, w, gradient, excess):
        new = self._ridge_step(w, gradient, excess)
        support = nonzeros(new)
        if self.penalty.concave_in_norms and np.array_equal(new != 0, w != 0):
            return newton_on_groups(self, new)
        if support.size and self.penalty.separable and np.array_equal(np.sign(new), np.sign(w)):
            part, pull = new[support], self.problem.gradient(new, support)
            gram, active = GramQuadratic(self.problem.block(support)), self.penalty._take(support)
            if gram.newton(pull, part, active, self.alpha, 1e-14 * self.problem.scale):
                ahead = np.zeros_like(new)
                ahead[support] = part
                new = self._shorten(new, ahead)
            else:
                slid = self._slide(new, support)
                new = self._leave_saddle(new, support) if slid is new else slid
        return new

    def _ridge_step(self, w, gradient, excess):
        # The expected masks at w are a ridge; weights with eta = 0 stay out unless they re-enter.
        if (excess[w == 0] > self.target).any():
            w = self._enter(w, gradient, excess)
        strength, local = self.penalty.ridge(w, self.alpha), self.problem.local(w)
        working = np.flatnonzero(strength < np.inf)
        strength = strength[working]
        new = np.zeros_like(w)
        if self.positive:
            pull, part = local.correlation[working].copy(), np.zeros(working.size)
            gram, accuracy = local.block(working), 0.01 * self.target
            cd_gram(gram, pull, part, np.zeros(working.size), strength, accuracy, 1000, True)
            new[working] = part
        else:
            new[working] = local.ridge(working, strength)
        new = self._shorten(w, new)
        return self._prune(new) if self.penalty.sparse else new

    def _leave_saddle(self, w, support):
        # Where the objective curves down, ridges crawl: go that way, at most until a sign changes.
        old, active = w[support], self.penalty._take(support)
        hessian = self.problem.block(support).copy()
        hessian.flat[:: support.size + 1] += active.curvature(old, self.alpha)
        if support.size > 2000 or not np.isfinite(hessian).all():
            return w
        bends, directions = np.linalg.eigh(hessian)
        if bends[0] >= 0:
            return w
        force = self.problem.gradient(w, support) - active.slope(old, self.alpha) * np.sign(old)
        move = directions[:, 0] * (1.0 if directions[:, 0] @ force >= 0 else -1.0)
        with np.errstate(divide="ignore"):
            room = np.where(move * old < 0, -old / move, np.inf).min()
        room = min(room, 10 * np.abs(old).max())
        before = self._objective(w)
        for size in room * 0.5 ** np.arange(20):
            new = w.copy()
            new[support] += size * move
            if self._objective(new) < before:
                return new
        return w

    def _enter(self, w, gradient, excess):
        # Zeros that are not stationary take a proximal step, damped until the objective falls.
        if self.positive:
            gradient = np.maximum(gradient, 0.0)
        pull = self.penalty.norm(gradient)
        room = self.penalty.norm(np.sqrt(self.problem.curvature)) ** 2
        entering = (w == 0) & (excess > 0) & (pull * room > 0)  # no underflow
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
