"""Several least-squares problems on one design, as one whose coefficients are penalised jointly."""

from functools import cached_property

import numpy as np

from ._problem import _Quadratic
from ._quadratic import GramQuadratic


class Targets(_Quadratic):
    r"""The loss :math:`L(W) = \sum_k L_k(W_{\cdot k})`.

    Coefficients are numbered feature by feature, the targets of each together.

    Parameters
    ----------
    problems : list of LeastSquares
        One for each target, on the same design.
    """

    def __init__(self, problems):
        self.problems = problems
        self.n_outputs = len(problems)
        self.energy = sum(problem.energy for problem in problems)

    @cached_property
    def correlation(self):
        """Minus the gradient at zero."""
        return self._join([problem.correlation for problem in self.problems])

    @cached_property
    def curvature(self):
        """Diagonal of the Hessian."""
        return np.repeat(self.problems[0].curvature, self.n_outputs)

    @property
    def lipschitz(self):
        """Largest eigenvalue of the Gram matrix, or a little more."""
        return self.problems[0].lipschitz

    def loss(self, w, gradient=None):
        """Return L(w)."""
        parts = zip(self.problems, self._split(w), strict=True)
        return sum(problem.loss(part) for problem, part in parts)

    def gradient(self, w, index=None):
        """Return minus the gradient, or those entries of it."""
        parts = zip(self.problems, self._split(w), strict=True)
        gradient = self._join([problem.gradient(part) for problem, part in parts])
        return gradient if index is None else gradient[index]

    def block(self, index):
        """Return the Hessian in some coefficients."""
        features, at = np.unique(index // self.n_outputs, return_inverse=True)
        output = index % self.n_outputs
        gram = self.problems[0].block(features)[np.ix_(at, at)]
        return gram * (output[:, None] == output)

    def small(self, index):
        """Whether a system of equations in some coefficients can be solved in reasonable time."""
        return len(index) <= 3000

    def quadratic(self, index, w):
        """Return the loss as a function of some coefficients, at first those of `w`."""
        return GramQuadratic(self.block(index))

    def _split(self, w):
        return np.ascontiguousarray(w.reshape(-1, self.n_outputs).T)

    def _join(self, parts):
        return np.stack(parts, axis=1).ravel()
