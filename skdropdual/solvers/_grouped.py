r"""The penalty face for groups: sparse solutions found on a small set of groups.

As in `_working_set`, with the norms of groups in place of magnitudes: a penalty concave in the norm
is majorised by a weighted sum of norms, and groups take proximal steps one after the other.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from .._array import nonzeros
from ._engine import Engine
from ._kernels import cd_groups
from ._stopping import Groups

# Sweeps between two looks, and how far a working set is solved before another is chosen.
_SWEEPS, _FRACTION = 20, 0.01
# Looks at the model of a loss that is not quadratic.
_LOOKS = 50
# Largest number of coefficients for Newton steps, and the share of the largest curvature that is
# added to all: where a penalty is flat, some directions have none.
_MOST, _JITTER = 3000, 1e-9


class Grouped(Engine):
    """Minimise loss plus a penalty on norms of groups, and possibly one on each coefficient."""

    def __init__(self, problem, penalty, alpha, **options):
        super().__init__(problem, penalty, alpha, **options)
        self.groups = Groups(penalty.labels(problem.n_features))

    def _violation(self, w, gradient):
        single, group = self.penalty.slopes(w, self.alpha)
        return self.groups.violation(w, gradient, single, group, self.positive)

    def _improve(self, w, gradient, excess):
        new = self._follow(w, gradient, excess)
        if new is w:
            # Towards a better value of the model a concave penalty may first rise: not its tangent.
            new = self._follow(w, gradient, excess, looks=1)
        return newton_on_groups(self, new) if np.array_equal(new != 0, w != 0) else new

    def _follow(self, w, gradient, excess, looks=None):
        # What minimises the model of the loss and, majorised anew at each look, the penalty.
        index, groups = self.groups.take(self._choose(w, excess))
        part, pull, new = w[index], gradient[index], w.copy()
        accuracy = max(_FRACTION * excess.max(), 0.5 * self.target)
        gram = self.problem.local(w).block(index)
        bounds = zip(groups.starts[:-1], groups.starts[1:], strict=True)
        lipschitz = np.array([np.linalg.eigvalsh(gram[a:b, a:b])[-1] for a, b in bounds])
        memory = np.empty(len(index))
        single, group = (slope[index] for slope in self.penalty.slopes(new, self.alpha))
        for _ in range(looks or (self.max_iter if self.problem.exact else _LOOKS)):
            state = pull, part, single, group[groups.starts[:-1]], lipschitz, groups.starts, memory
            cd_groups(gram, *state, 0.3 * accuracy, _SWEEPS, self.positive)
            new[index] = part
            single, group = (slope[index] for slope in self.penalty.slopes(new, self.alpha))
            if groups.violation(part, pull, single, group, self.positive).max() <= accuracy:
                break
        return self._shorten(w, new)

    def _choose(self, w, excess):
        # The groups that are not zero, and as many of those that are worst off among the others.
        order, pool = self.groups.order, self.groups.pool
        chosen, worst = pool(np.logical_or, w[order] != 0), pool(np.maximum, excess[order])
        entering = np.flatnonzero(~chosen & (worst > 0.5 * self.target))
        most = max(20, int(np.count_nonzero(chosen)))
        if entering.size > most:
            entering = entering[np.argpartition(-worst[entering], most)[:most]]
        chosen[entering] = True
        return chosen


def newton_on_groups(engine, w, max_steps=10):
    """Take Newton steps among the nonzeros of `w` as long as they help.

    Signs stay if the penalty has a kink where a coefficient is zero.

    Parameters
    ----------
    engine : Engine
        Of a penalty on norms of groups.
    w : ndarray of shape (n_features,)
        Coefficients.
    max_steps : int, default=10
        Largest number of steps.

    Returns
    -------
    ndarray of shape (n_features,)
        Coefficients that are at least as good.
    """
    problem, penalty, alpha = engine.problem, engine.penalty, engine.alpha
    support = nonzeros(w)
    if support.size == 0 or support.size > _MOST or not problem.small(support):
        return w
    kinked = penalty.slopes(w, alpha)[0].any()
    before = engine._objective(w)
    worst = pull_on_nonzeros(problem, penalty, alpha, w, support)
    for _ in range(max_steps):
        largest = np.abs(worst).max()
        if largest <= 0.01 * engine.target:
            break
        hessian = problem.local(w).block(support) + penalty.hessian(w, support, alpha)
        hessian.flat[:: support.size + 1] += _JITTER * hessian.diagonal().max()
        try:
            step = cho_solve(cho_factor(hessian), worst)
        except LinAlgError:
            break
        for size in 0.5 ** np.arange(6):
            new = w.copy()
            new[support] += size * step
            if kinked and not (new * w > 0)[support].all():
                continue
            left = pull_on_nonzeros(problem, penalty, alpha, new, support)
            after = engine._objective(new)
            helps = np.abs(left).max() < 0.9 * largest
            if after <= before + 1e-14 * abs(before) and (helps or after < before):
                break
        else:
            break
        w, worst, before = new, left, after
    return w


def pull_on_nonzeros(problem, penalty, alpha, w, support):
    """Return minus the gradient of the objective in the nonzeros of `w`."""
    pull, part = problem.gradient(w, support), w[support]
    if penalty.separable:
        return pull - penalty._take(support).slope(part, alpha) * np.sign(part)
    single, group = (slope[support] for slope in penalty.slopes(w, alpha))
    return pull - single * np.sign(part) - group * part / penalty.norm(w)[support]
