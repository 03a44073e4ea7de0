r"""Dropout of a generalised linear model, the masks integrated out to second order.

Noise of relative variance r on the weights adds :math:`\tfrac12 \sum_j d_j r_j w_j^2` to the loss,
with :math:`d_j = \sum_i v_i h_i x_{ij}^2` and h the curvature of the loss (Wager, Wang, Liang
2013). So the rule acts on :math:`\sqrt{d_j} |w_j|`, and d depends on the solution: fixed-point
iteration over d, each problem a penalised one.
"""

import numpy as np

from ..penalties import Group, Scaled
from ._reweighted import Reweighting

# Most rounds, and after how many they are damped.
_ROUNDS, _PATIENCE = 100, 10


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
        scale = np.sqrt(self.problem.spread(w))
        change = np.inf
        for n_iter in range(1, _ROUNDS + 1):
            solution = self._engine(scale).solve(start if n_iter == 1 else w, finish=finish)
            w = solution.w
            before, scale = scale, np.sqrt(self.problem.spread(w))
            now, gradient = self._engine(scale), self.problem.gradient(w)
            excess = now._violation(w, gradient).max(initial=0.0)
            solution.stationarity = excess / self.problem.scale
            if solution.stationarity <= self.options["tol"] or np.array_equal(before, scale):
                break
            change, last = np.abs(np.log(scale / before)).max(), change
            if n_iter >= _PATIENCE and change > 0.7 * last:  # the rounds may go round in circles
                scale = np.sqrt(before * scale)
        solution.n_iter, solution.gradient = n_iter, gradient
        solution.objective = now._objective(w)
        solution.seen = np.sqrt(self.problem.spread(w)) * w
        return solution

    def _engine(self, scale):
        penalty = rescaled(self.penalty, scale)
        return Reweighting(self.problem, penalty, self.alpha, **self.options)


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
