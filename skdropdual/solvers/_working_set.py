r"""The penalty face: sparse solutions found on a small set of columns that grows as needed.

On the working set the loss is a quadratic with a small Gram matrix. A penalty concave in \|w\| is
majorised there by weighted L1 problems (the paper's reweighting), one or two sweeps of coordinate
descent each; Newton steps take over once the signs stand still.
"""

import numpy as np

from ._engine import Engine
from ._stopping import violation
from ._tangent import Tangent

# Sweeps between two looks: at a convex problem, and at one that is majorised anew each time.
_CONVEX_SWEEPS, _SWEEPS = 10, 2
# How far the violations on a working set are brought down before another is chosen.
_CONVEX_FRACTION, _FRACTION = 0.003, 0.02


class WorkingSet(Engine):
    """Minimise loss plus a separable penalty whose majoriser has an L1 part."""

    def _improve(self, w, gradient, excess):
        working = self._choose(w, excess)
        quadratic = self.problem.quadratic(working, w)
        fraction = _CONVEX_FRACTION if self.penalty.convex else _FRACTION
        if self.problem.complete:
            fraction = 0.0  # nothing but the products at hand decides
        accuracy = max(fraction * excess.max(), 0.5 * self.target)
        penalty = self.penalty._take(working)
        if not self.penalty.separable:
            # The majoriser depends on all coefficients: one for each working set.
            l1, _ = self.penalty.majorizer(w, self.alpha)
            penalty = Tangent(l1[working])
        part, pull = w[working], gradient[working]
        self._descend(quadratic, penalty, part, pull, accuracy)
        new = np.zeros_like(w)
        new[working] = part
        return new

    def _choose(self, w, excess):
        # The nonzeros, and as many of the worst violators among the zeros as there are nonzeros.
        entering = np.flatnonzero((w == 0) & (excess > 0.5 * self.target))
        most = max(100, int(np.count_nonzero(w)))
        if entering.size > most:
            entering = entering[np.argpartition(-excess[entering], most)[:most]]
        return np.sort(np.concatenate([np.flatnonzero(w), entering]))

    def _descend(self, quadratic, penalty, w, gradient, accuracy):
        sweeps = _CONVEX_SWEEPS if penalty.convex else _SWEEPS
        patience = wait = quadratic.patience
        for _ in range(self.max_iter):
            before = np.sign(w)
            l1, l2 = penalty.majorizer(w, self.alpha)
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
