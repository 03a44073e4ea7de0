"""The penalty of Geman and Reynolds: what a new penalty takes, and no more."""

from numbers import Real

from skdropdual._array import on_magnitude
from skdropdual._sklearn import Interval
from skdropdual.penalties import Penalty


class Geman(Penalty):
    r"""The saturating penalty :math:`P(w) = \alpha |w| / (|w| + \epsilon)`.

    Parameters
    ----------
    epsilon : float > 0, default=1.0
        Size at which half of the penalty is reached.

    References
    ----------
    Geman, Reynolds (1992). Constrained restoration and the recovery of discontinuities. IEEE PAMI.

    Examples
    --------
    >>> float(Geman(epsilon=0.5).value(0.5))
    0.5
    """

    _parameter_constraints = {"epsilon": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, epsilon=1.0):
        self.epsilon = epsilon

    @on_magnitude
    def value(self, w, alpha=1.0):
        return alpha * w / (w + self.epsilon)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return alpha * self.epsilon / (w + self.epsilon) ** 2
