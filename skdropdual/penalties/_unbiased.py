"""Concave penalties that are flat far from zero: large coefficients are not shrunk."""

from numbers import Real

import numpy as np

from .._array import namespace, odd, on_magnitude
from .._sklearn import Interval
from ._base import Penalty


class MCP(Penalty):
    r"""The minimax concave penalty: slope :math:`\max(0, \alpha - |w|/\gamma)`.

    .. math::

        P(w) = \alpha m - m^2/(2\gamma), \qquad m = \min(|w|, \gamma\alpha)

    Parameters
    ----------
    gamma : float > 0, default=3.0
        Concavity; P is flat beyond :math:`\gamma\alpha`. For standardised columns the scalar
        problem is convex if gamma > 1.

    References
    ----------
    Zhang (2010). Nearly unbiased variable selection under minimax concave penalty.

    Examples
    --------
    >>> from skdropdual.penalties import MCP
    >>> float(MCP(gamma=3.0).value(100.0, alpha=2.0))
    6.0
    """

    joint = True

    _parameter_constraints = {"gamma": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, gamma=3.0):
        self.gamma = gamma

    @on_magnitude
    def value(self, w, alpha=1.0):
        xp = namespace(w)
        m = xp.where(w < self.gamma * alpha, w, self.gamma * alpha)
        return m * (alpha - m / (2 * self.gamma))

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return namespace(w).clip(alpha - w / self.gamma, 0.0, None)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return namespace(w).where(w < self.gamma * alpha, -1 / self.gamma, 0.0 * w)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        xp, gamma = namespace(z), self.gamma
        firm = xp.clip(z - step * alpha, 0.0, None) / (1 - step / gamma)
        mild = xp.where(z <= gamma * alpha, firm, z)  # step < gamma: the problem is convex
        hard = xp.where(z > alpha * (step * gamma + 0.0 * z) ** 0.5, z, 0.0 * z)
        return xp.where(step + 0.0 * z < gamma, mild, hard)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        reach = self.gamma * alpha
        return reach / (1 + reach / eta)

    def _alpha_max(self, largest):
        return largest / min(1.0, float(self.gamma) ** 0.5)


class SCAD(Penalty):
    r"""The smoothly clipped absolute deviation penalty.

    .. math::

        P'(w) = \alpha \text{ for } |w| \le \alpha, \quad
        \frac{(a\alpha - |w|)_+}{a - 1} \text{ beyond}

    Parameters
    ----------
    a : float > 2, default=3.7
        P is flat beyond :math:`a\alpha`.

    References
    ----------
    Fan, Li (2001). Variable selection via nonconcave penalized likelihood. JASA.

    Examples
    --------
    >>> from skdropdual.penalties import SCAD
    >>> [float(SCAD(a=3.0).slope(w, alpha=1.0)) for w in (0.5, 2.0, 4.0)]
    [1.0, 0.5, 0.0]
    """

    joint = True

    _parameter_constraints = {"a": [Interval(Real, 2, None, closed="neither")]}

    def __init__(self, a=3.7):
        self.a = a

    @on_magnitude
    def value(self, w, alpha=1.0):
        xp, a = namespace(w), self.a
        linear = xp.where(w < alpha, w, alpha)
        bend = xp.where(w < a * alpha, w, a * alpha) - alpha
        bend = xp.clip(bend, 0.0, None)
        return alpha * linear + bend * (alpha - bend / (2 * (a - 1)))

    @on_magnitude
    def slope(self, w, alpha=1.0):
        xp = namespace(w)
        return xp.where(w <= alpha, alpha, xp.clip(self.a * alpha - w, 0.0, None) / (self.a - 1))

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        bent = (w > alpha) & (w < self.a * alpha)
        return namespace(w).where(bent, -1 / (self.a - 1), 0.0 * w)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        # One candidate on each piece of the slope; the best of them and 0 is the global minimum.
        xp, a = namespace(z), self.a
        soft = xp.clip(z - step * alpha, 0.0, None)
        firm = ((a - 1) * z - step * a * alpha) / (a - 1 - step)
        best, lowest = 0.0 * z, 0.0 * z
        for w, valid in (
            (soft, (soft > 0) & (soft <= alpha)),
            (firm, (firm > alpha) & (firm <= a * alpha) & (step + 0.0 * z < a - 1)),
            (z, z > a * alpha),
        ):
            # Times w, this is objective(w) - objective(0).
            gain = w / 2 - z + step * self.value(w, alpha) / w
            gain = xp.where(valid, gain * w, np.inf)
            better = gain < lowest
            best, lowest = xp.where(better, w, best), xp.where(better, gain, lowest)
        return best

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        rest = alpha * ((self.a + 1) - alpha / eta) / ((self.a - 1) * (alpha / eta) + 1)
        return namespace(eta).where(eta <= alpha, eta, rest)

    def _alpha_max(self, largest):
        return largest
