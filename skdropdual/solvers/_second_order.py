r"""Dropout of a generalised linear model, the masks integrated out to second order.

Noise of relative variance r on the weights adds :math:`\tfrac12 \sum_j d_j r_j w_j^2` to the loss,
with :math:`d_j = \sum_i v_i h_i x_{ij}^2` and h the curvature of the loss (Wager, Wang, Liang
2013). So the rule acts on :math:`\sqrt{d_j} |w_j|`, and d depends on the solution: fixed-point
iteration over d, each problem a penalised one.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ..penalties import Group, Scaled
from ._grouped import pull_on_nonzeros
from ._reweighted import Reweighting
from ._stopping import violation

# Most rounds, and after how many they are damped.
_ROUNDS, _PATIENCE = 100, 10
# How well the problem of a first guess of d is solved; how many steps follow, of how many nonzeros.
_ROUGH, _STEPS, _MOST = 1e-3, 30, 2000


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
        scale, change = self._scale(w), np.inf
        tol = max(self.options["tol"], _ROUGH)
        for n_iter in range(1, _ROUNDS + 1):
            engine = self._engine(scale, tol)
            solution = engine.solve(start if n_iter == 1 else w, finish=False)
            w = self._follow(solution.w)
            before, scale = scale, self._scale(w)
            gradient = self.problem.gradient(w)
            excess = self._violation(w, gradient, scale).max(initial=0.0)
            solution.stationarity = excess / self.problem.scale
            change, last = np.abs(np.log(scale / before)).max(), change
            still = change == 0 and tol == self.options["tol"]
            if solution.stationarity <= self.options["tol"] or still:
                break
            tol = self.options["tol"]
            if n_iter >= _PATIENCE and change > 0.7 * last:  # the rounds may go round in circles
                scale = np.sqrt(before * scale)
        solution.w, solution.n_iter, solution.gradient = w, n_iter, gradient
        solution.loss = self.problem.loss(w)
        solution.objective = self._engine(scale, tol)._objective(w) if finish else np.nan
        solution.seen = scale * w
        return solution

    def _follow(self, w):
        # Newton steps among the nonzeros. What d owes to w is not in their Hessian, and is learnt
        # on the way (Broyden's update).
        support = np.flatnonzero(w)
        if not 0 < support.size <= _MOST:
            return w
        force, hessian = self._force(w, support), self._hessian(w, support)
        try:
            inverse = cho_solve(cho_factor(hessian), np.eye(support.size))
        except (LinAlgError, ValueError):  # not near a minimum yet
            return w
        for _ in range(_STEPS):
            worst = np.abs(force).max()
            if worst <= 1e-3 * self.options["tol"] * self.problem.scale:
                break
            step, new = inverse @ force, w.copy()
            new[support] += step
            if not (new * w > 0)[support].all():
                break
            left = self._force(new, support)
            if not np.abs(left).max() < worst:
                break
            ahead = inverse @ (force - left)
            w, force = new, left
            if step @ ahead != 0:
                inverse += np.outer(step - ahead, step @ inverse) / (step @ ahead)
        return w

    def _force(self, w, support):
        # Minus the gradient of the objective in the nonzeros, d being that of w.
        return pull_on_nonzeros(
            self.problem, rescaled(self.penalty, self._scale(w)), self.alpha, w, support
        )

    def _hessian(self, w, support):
        penalty = rescaled(self.penalty, self._scale(w))
        block = self.problem.local(w).block(support)
        if not penalty.separable:
            return block + penalty.hessian(w, support, self.alpha)
        return block + np.diag(penalty._take(support).curvature(w[support], self.alpha))

    def _violation(self, w, gradient, scale):
        penalty = rescaled(self.penalty, scale)
        return violation(penalty, w, gradient, self.alpha, self.options.get("positive", False))

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
