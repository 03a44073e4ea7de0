"""Penalties on the number of nonzeros."""

from numbers import Integral

import numpy as np

from .._array import namespace, odd, on_magnitude
from .._sklearn import Interval
from ._base import Penalty


class L0(Penalty):
    r"""The counting penalty: :math:`P(w) = \alpha` for every :math:`w \ne 0`.

    Its dual rule keeps every nonzero weight and never revives a zero, so estimators move by
    its hard-threshold prox.

    Examples
    --------
    >>> from skdropdual.penalties import L0
    >>> [float(w) for w in L0().prox([1.0, 3.0], 1.0, alpha=2.0)]
    [0.0, 3.0]
    """

    @on_magnitude
    def value(self, w, alpha=1.0):
        return namespace(w).where(w > 0, alpha, 0.0 * w)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return namespace(w).where(w > 0, 0.0 * w, np.inf)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return 0.0 * w

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return namespace(w).where(w > 0, np.inf, 0.0 * w)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        return namespace(z).where(z > (2 * step * alpha + 0.0 * z) ** 0.5, z, 0.0 * z)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        return namespace(eta).where(eta > 0, 2.0, 0.0 * eta)

    def _alpha_max(self, largest):
        return largest**2 / 2


class HardThreshold(Penalty):
    """The constraint of at most `k` nonzeros: P is 0 within it and inf outside.

    The array is one vector: its `k` largest magnitudes (the first ones on a tie) are free, every
    other nonzero costs inf. The strength plays no part.

    Parameters
    ----------
    k : int >= 0, default=10
        Number of weights that may be nonzero.

    References
    ----------
    Blumensath, Davies (2009). Iterative hard thresholding for compressed sensing.

    Examples
    --------
    >>> from skdropdual.penalties import HardThreshold
    >>> [float(w) for w in HardThreshold(k=1).prox([1.0, -3.0, 2.0])]
    [0.0, -3.0, 0.0]
    """

    separable = False
    constraint = True

    _parameter_constraints = {"k": [Interval(Integral, 0, None, closed="left")]}

    def __init__(self, k=10):
        self.k = k

    def _kept(self, w):
        # Rank of each entry by magnitude, largest first; nonzero and among the first k.
        xp = namespace(w)
        order = xp.argsort(-w.reshape(-1), stable=True)
        rank = xp.argsort(order, stable=True)
        return (rank < self.k).reshape(w.shape) & (w > 0)

    def _cost(self, w):
        outside = (w > 0) & ~self._kept(w)
        return namespace(w).where(outside, np.inf, 0.0)

    @on_magnitude
    def value(self, w, alpha=1.0):
        return self._cost(w)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return namespace(w).where(self._kept(w), 0.0 * w, np.inf)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return 0.0 * w

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return namespace(w).where(self._kept(w), np.inf, 0.0 * w)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        return namespace(z).where(self._kept(z), z, 0.0 * z)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        return self._cost(eta)

    def _alpha_max(self, largest):
        return np.inf if self.k else 0.0
