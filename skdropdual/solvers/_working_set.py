r"""The penalty face: sparse solutions found on a small set of columns that grows as needed.

On the working set the loss is a quadratic with a small Gram matrix. A penalty concave in \|w\| is
majorised there by weighted L1 problems (the paper's reweighting), a few sweeps of coordinate
descent each; Newton steps take over once the signs stand still. From a warm start the penalty's
own curvature enters the sweeps too, which is quicker but may end in another local minimum.
"""

import numpy as np

from .._array import nonzeros
from ._engine import Engine
from ._stopping import violation
from ._tangent import Tangent

# Sweeps between two looks: at a convex problem, and at one that is majorised anew each time.
_CONVEX_SWEEPS, _SWEEPS = 10, 3
# Rounds of sweeps with the penalty's curvature before its majoriser takes over.
_BOLD = 50
# Zeros that are looked at with the nonzeros: those pulled by this fraction of the slope at zero.
_NEAR = 0.95
# How far the violations on a working set are brought down before another is chosen.
_CONVEX_FRACTION, _FRACTION = 0.003, 0.02
# Quadratic models of another loss that are minimised on one working set.
_MODELS = 20


class WorkingSet(Engine):
    """Minimise loss plus a separable penalty whose majoriser has an L1 part."""

    def _improve(self, w, gradient, excess):
        working = self._choose(w, gradient, excess)
        penalty, pull = self.penalty._take(working), gradient[working]
        if not self.penalty.separable:
            # The majoriser depends on all coefficients: one for each working set.
            l1, _ = self.penalty.majorizer(w, self.alpha)
            penalty = Tangent(l1[working])
        fraction = _CONVEX_FRACTION if self.penalty.convex else _FRACTION
        if self.problem.complete:
            fraction = 0.0  # nothing but the products at hand decides
        worst = excess.max()
        accuracy = max(fraction * worst, 0.5 * self.target)
        if self.problem.exact:
            quadratic = self.problem.quadratic(working, w)
            return self._step(quadratic, penalty, w, pull, working, accuracy)
        ahead, self._ahead = self._ahead and w.any(), False
        for _ in range(_MODELS):
            quadratic = self.problem.quadratic(working, w, ahead)
            before, w = w, self._step(quadratic, penalty, w, pull, working, accuracy)
            if w is before:
                break
            past, pull = pull, self.problem.gradient(w, working)
            last, worst = worst, self._worst(penalty, w[working], pull)
            move = (w - before)[working]
            # Which of its minima a concave penalty ends in can hang on the age of a Hessian.
            left = worst / self.target if self.penalty.convex else np.inf
            self.problem.learn(quadratic, move, past - pull, worst / last, left)
            if worst <= 0.8 * self.target:
                break
            accuracy, ahead = max(fraction * worst, 0.5 * self.target), False
        return w

    def _step(self, quadratic, penalty, w, pull, working, accuracy):
        new = self._follow(quadratic, penalty, w, pull, working, accuracy)
        if new is w and penalty.concave:
            # Towards a better value of the model a concave penalty may first rise: not its tangent.
            penalty = Tangent(penalty.slope(w[working], self.alpha))
            new = self._follow(quadratic, penalty, w, pull, working, accuracy)
        return new

    def _follow(self, quadratic, penalty, w, pull, working, accuracy):
        # What minimises the model, or, where that is no better than w, something on the way.
        part, pull = w[working], pull.copy()
        self._descend(quadratic, penalty, part, pull, accuracy)
        new = np.zeros_like(w)
        new[working] = part
        return self._shorten(w, new)

    def _choose(self, w, gradient, excess):
        # The nonzeros, and as many of the zeros that are the first to leave.
        if self.penalty.separable:
            pull = gradient if self.positive else np.abs(gradient)
            near = 1.0 if self.penalty.convex and self.problem.exact else _NEAR
            entering = np.flatnonzero((w == 0) & (pull > near * self._slope_at_zero))
            ahead = pull[entering] - self._slope_at_zero[entering]
        else:
            entering = np.flatnonzero((w == 0) & (excess > 0.5 * self.target))
            ahead = excess[entering]
        most = max(100, int(np.count_nonzero(w)))
        if entering.size > most:
            entering = entering[np.argpartition(-ahead, most)[:most]]
        return np.sort(np.concatenate([nonzeros(w), entering]))

    def _descend(self, quadratic, penalty, w, gradient, accuracy):
        sweeps = _CONVEX_SWEEPS if penalty.convex else _SWEEPS
        patience = wait = quadratic.patience
        for done in range(self.max_iter):
            before = np.sign(w)
            l1, l2 = penalty.majorizer(w, self.alpha)
            if self._warm and penalty.concave and not penalty.convex and done < _BOLD:
                # As far as the loss outweighs it; the objective is not sure to fall.
                bend = np.where(w != 0, penalty.curvature(w, self.alpha), 0.0)
                l2 = np.maximum(bend, -0.5 * quadratic.curvature)
                l1 = l1 - l2 * np.abs(w)
            quadratic.sweep(gradient, w, l1, l2, 0.3 * accuracy, sweeps, self.positive)
            if self._worst(penalty, w, gradient) <= accuracy:
                break
            wait -= 1
            if wait > 0 or not np.array_equal(np.sign(w), before):
                continue
            pivot = quadratic.newton(gradient, w, penalty, self.alpha, 1e-14 * self.problem.scale)
            # Far from a minimum the Hessian is indefinite: leave it to the sweeps for a while.
            patience = quadratic.patience if pivot > 0 else 2 * patience
            wait = patience
            if self._worst(penalty, w, gradient) <= accuracy:
                break

    def _worst(self, penalty, w, gradient):
        return violation(penalty, w, gradient, self.alpha, self.positive).max(initial=0.0)
