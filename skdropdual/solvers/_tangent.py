"""A weighted L1 penalty in the shape of a `Penalty`, without its checks: solvers ask it often."""

import numpy as np

from .._array import nonzeros


class Tangent:
    r"""What touches a penalty concave in \|w\| from above: :math:`\sum_j l_j |w_j|`.

    Parameters
    ----------
    l1 : ndarray of shape (n_features,)
        Slopes >= 0; an infinite one keeps its coefficient at zero.
    """

    convex = concave = sparse = separable = proximable = True
    constraint = False
    concave_in_norms = None

    def __init__(self, l1):
        self.l1 = l1

    def _take(self, index):
        return Tangent(self.l1[index])

    def norm(self, w):
        """As `Penalty.norm`; the others likewise, whatever the strength."""
        return np.abs(w)

    def value(self, w, alpha):
        return np.where(w != 0, self.l1, 0.0) * np.abs(w)

    def total(self, w, alpha):
        support = nonzeros(w)
        return self.l1[support] @ np.abs(w[support])

    def slope(self, w, alpha):
        return self.l1

    def curvature(self, w, alpha):
        return np.zeros_like(w)

    def majorizer(self, w, alpha):
        return self.l1, np.zeros_like(w)

    def ridge(self, w, alpha):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.l1 == 0, 0.0, self.l1 / np.abs(w))
