"""Several least-squares problems on one design, as one whose coefficients are penalised jointly."""

from functools import cached_property

import numpy as np

from ._problem import _MANY, _Quadratic
from ._quadratic import GramQuadratic


class ManyOutputs(_Quadratic):
    """A quadratic in the coefficients of several outputs, numbered feature by feature."""

    def small(self, index):
        """Whether a system of equations in some coefficients can be solved in reasonable time."""
        return len(index) <= _MANY

    def by_columns(self, index):
        """As `LeastSquares.by_columns`."""
        return False

    def quadratic(self, index, w):
        """Return the loss as a function of some coefficients, at first those of `w`."""
        return GramQuadratic(self.block(index))


class Targets(ManyOutputs):
    r"""The loss :math:`L(W) = \sum_k L_k(W_{\cdot k})`.

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
        return by_feature([problem.correlation for problem in self.problems])

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
        gradient = by_feature([problem.gradient(part) for problem, part in parts])
        return gradient if index is None else gradient[index]

    def block(self, index):
        """Return the Hessian in some coefficients."""
        features, at = np.unique(index // self.n_outputs, return_inverse=True)
        output = index % self.n_outputs
        gram = self.problems[0].block(features)[np.ix_(at, at)]
        return gram * (output[:, None] == output)

    def _split(self, w):
        return np.ascontiguousarray(w.reshape(-1, self.n_outputs).T)


def by_feature(parts):
    """Return one array of what came output by output."""
    return np.stack(parts, axis=1).ravel()
