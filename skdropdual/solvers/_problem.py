"""A linear least-squares problem on centred, scaled columns, as one object."""

from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, lstsq


class LeastSquares:
    r"""The loss :math:`L(w) = \tfrac{1}{2} \|t - D w\|^2`.

    Parameters
    ----------
    design : ndarray of shape (n_samples, n_features)
        D: centred, scaled columns; each row times the root of its share of the weight.
    target : ndarray of shape (n_samples,)
        t: the centred target, rows weighted likewise.
    """

    def __init__(self, design, target):
        self.design = design
        self.target = target

    @cached_property
    def curvature(self):
        """Diagonal of the Gram matrix."""
        return np.einsum("ij,ij->j", self.design, self.design)

    @cached_property
    def lipschitz(self):
        """Largest eigenvalue of the Gram matrix."""
        return float(np.linalg.norm(self.design, 2) ** 2) if self.design.size else 0.0

    @cached_property
    def scale(self):
        """Largest absolute correlation with the target: the unit of the stationarity residual."""
        return float(np.abs(self.design.T @ self.target).max(initial=0.0)) or 1.0

    def loss(self, w):
        """Return L(w)."""
        residual = self.target - self.design @ w
        return 0.5 * float(residual @ residual)

    def gradient(self, w):
        """Return minus the gradient, D^T (t - D w)."""
        return self.design.T @ (self.target - self.design @ w)

    def block(self, index):
        """Return the Gram matrix and the correlations of some columns."""
        columns = self.design[:, index]
        return columns.T @ columns, columns.T @ self.target

    def ridge(self, index, strength):
        """Minimise L(w) + sum strength w^2 / 2 over the columns `index`; return those weights."""
        columns = self.design[:, index]
        n, p = columns.shape
        if n < p and (strength > 0).all():
            shrunk = columns / strength
            return shrunk.T @ solve_psd(shrunk @ columns.T + np.eye(n), self.target)
        return solve_psd(columns.T @ columns + np.diag(strength), columns.T @ self.target)


def solve_psd(matrix, right):
    """Solve a positive semidefinite system; the least-norm solution where it is singular."""
    try:
        return cho_solve(cho_factor(matrix), right)
    except LinAlgError:
        return lstsq(matrix, right, lapack_driver="gelsy")[0]
