"""Penalties from the sparse-regression literature, in closed form."""

from numbers import Real

import numpy as np

from .._array import namespace, odd, on_magnitude
from .._sklearn import Interval
from ._base import Penalty

_POSITIVE = Interval(Real, 0, None, closed="neither")


class L1(Penalty):
    r"""The lasso: :math:`P(w) = \alpha |w|`, dual to the rule :math:`|w| / (|w| + \alpha)`.

    References
    ----------
    Tibshirani (1996). Regression shrinkage and selection via the lasso. JRSS B.

    Examples
    --------
    >>> from skdropdual.penalties import L1
    >>> float(L1().value(-2.0, alpha=0.5)), float(L1().prox(-2.0, 1.0, alpha=0.5))
    (1.0, -1.5)
    """

    convex = True

    @on_magnitude
    def value(self, w, alpha=1.0):
        return alpha * w

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return alpha + 0.0 * w

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return 0.0 * w

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return w

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        return namespace(z).clip(z - step * alpha, 0.0, None)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        return eta

    def _alpha_max(self, largest):
        return largest


class Lp(Penalty):
    r"""The bridge penalty :math:`P(w) = \alpha |w|^p / p` with :math:`0 < p \le 2`.

    Parameters
    ----------
    p : float in (0, 2], default=0.5
        Power. Below 1 the slope at 0 is infinite, at 1 this is `L1`, above 1 there are no zeros,
        at 2 it is the ridge (a constant keep probability: plain dropout).

    References
    ----------
    Frank, Friedman (1993). A statistical view of some chemometrics regression tools.

    Examples
    --------
    >>> from skdropdual.penalties import Lp
    >>> float(Lp(p=0.5).value(4.0))
    4.0
    """

    _parameter_constraints = {"p": [Interval(Real, 0, 2, closed="right")]}

    def __init__(self, p=0.5):
        self.p = p

    @property
    def convex(self):
        return self.p >= 1

    @property
    def concave(self):
        return self.p <= 1

    @property
    def sparse(self):
        return self.p <= 1

    @on_magnitude
    def value(self, w, alpha=1.0):
        return alpha * w**self.p / self.p

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return alpha * w ** (self.p - 1)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return alpha * (self.p - 1) * w ** (self.p - 2) if self.p != 1 else 0.0 * w

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return w ** (2 - self.p)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        xp, p, strength = namespace(z), self.p, step * alpha
        if p == 1:
            return xp.clip(z - strength, 0.0, None)
        if p == 2:
            return z / (1 + strength)
        # Root of w + strength w^(p-1) = z. Newton's steps are monotone from where they start: from
        # z for p < 1 (the sum is convex), from a lower bound for p > 1 (concave), where they are
        # taken in log(w) because the root may be any power smaller than z.
        if p < 1:
            w = z
            for _ in range(40):
                pull = strength * w ** (p - 1)
                step_ = (w + pull - z) / (1 + (p - 1) * pull / w)
                w = xp.clip(w - step_, self._jump(strength), None)
            return xp.where(z > self._threshold(strength), w, 0.0 * z)
        log_z, log_s = xp.log(z), xp.log(strength + 0.0 * z)
        u = xp.minimum(log_z, (log_z - log_s) / (p - 1)) - 1.0
        for _ in range(40):
            ratio = log_s + (p - 2) * u  # log(pull / w)
            error = log_z - u - xp.logaddexp(0.0 * ratio, ratio)
            u = u + error / (p - 1 + (2 - p) / (1 + xp.exp(ratio)))
        return xp.where(z > 0, xp.minimum(xp.exp(u), z), 0.0 * z)

    def _jump(self, strength):
        # Where the prox lands when it leaves 0 (p < 1).
        return (2 * (1 - self.p) / self.p * strength) ** (1 / (2 - self.p))

    def _threshold(self, strength):
        jump = self._jump(strength)
        return jump + strength * jump ** (self.p - 1)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        if self.p == 2:
            return namespace(eta).where(eta <= 1, 0.0 * eta, np.inf)
        q = self.p / (2 - self.p)
        return eta**q / q

    def _alpha_max(self, largest):
        if self.p == 1:
            return largest
        return float((largest / self._threshold(1.0)) ** (2 - self.p))


class ElasticNet(Penalty):
    r""":math:`P(w) = \alpha (\rho |w| + (1 - \rho) w^2/2)`, scikit-learn's elastic net.

    Parameters
    ----------
    l1_ratio : float in [0, 1], default=0.5
        The mix :math:`\rho`: 1 is the lasso, 0 the ridge.

    References
    ----------
    Zou, Hastie (2005). Regularization and variable selection via the elastic net. JRSS B.

    Examples
    --------
    >>> from skdropdual.penalties import ElasticNet
    >>> float(ElasticNet(l1_ratio=0.5).value(2.0))
    2.0
    """

    convex = True

    _parameter_constraints = {"l1_ratio": [Interval(Real, 0, 1, closed="both")]}

    def __init__(self, l1_ratio=0.5):
        self.l1_ratio = l1_ratio

    @property
    def concave(self):
        return self.l1_ratio == 1

    @property
    def sparse(self):
        return self.l1_ratio > 0

    @on_magnitude
    def value(self, w, alpha=1.0):
        return alpha * w * (self.l1_ratio + (1 - self.l1_ratio) * (w / 2))

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return alpha * (self.l1_ratio + (1 - self.l1_ratio) * w)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return alpha * (1 - self.l1_ratio) + 0.0 * w

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return 1 / ((self.l1_ratio / w if self.l1_ratio > 0 else 0.0 * w) + (1 - self.l1_ratio))

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        strength = step * alpha
        kept = namespace(z).clip(z - strength * self.l1_ratio, 0.0, None)
        return kept / (1 + strength * (1 - self.l1_ratio))

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        xp, ridge = namespace(eta), 1 - self.l1_ratio
        if self.l1_ratio == 0:
            return xp.where(eta <= 1, 0.0 * eta, np.inf)
        room = 1 - ridge * eta
        return xp.where(room > 0, self.l1_ratio**2 * eta / room, np.inf)

    def majorizer(self, w, alpha=1.0):
        constant = np.full_like(w, alpha)
        return constant * self.l1_ratio, constant * (1 - self.l1_ratio)

    def _alpha_max(self, largest):
        return largest / self.l1_ratio


class LogSum(Penalty):
    r"""The log-sum penalty :math:`P(w) = \alpha \log(1 + |w|/\epsilon)` of reweighted L1.

    Parameters
    ----------
    epsilon : float > 0, default=1.0
        Scale of ``|w|`` below which P is nearly linear; the smaller, the closer to counting.

    References
    ----------
    Candes, Wakin, Boyd (2008). Enhancing sparsity by reweighted L1 minimization.

    Examples
    --------
    >>> from skdropdual.penalties import LogSum
    >>> float(LogSum(epsilon=0.5).slope(0.0)), float(LogSum(epsilon=0.5).eta(1.0))
    (2.0, 1.5)
    """

    _parameter_constraints = {"epsilon": [_POSITIVE]}

    def __init__(self, epsilon=1.0):
        self.epsilon = epsilon

    @on_magnitude
    def value(self, w, alpha=1.0):
        return alpha * namespace(w).log1p(w / self.epsilon)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return alpha / (w + self.epsilon)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return -alpha / (w + self.epsilon) ** 2

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return w * (w + self.epsilon)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        # The larger root of (w - z)(w + epsilon) + step alpha = 0, where it beats 0.
        xp = namespace(z)
        shifted, twice = z + self.epsilon, 2 * (step * alpha + 0.0 * z) ** 0.5
        root = xp.sqrt(xp.clip(shifted - twice, 0.0, None)) * xp.sqrt(shifted + twice)
        w = xp.clip(((z - self.epsilon) + root) / 2, 0.0, None)
        wins = (shifted > twice) & (w / 2 - z + step * self.value(w, alpha) / w < 0)
        return xp.where(wins, w, 0.0 * z)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        xp = namespace(eta)
        ratio = 2 / (xp.sqrt(self.epsilon**2 + 4 * eta) + self.epsilon)
        w = ratio * eta  # where eta_hat = eta
        return 2 * xp.log1p(w / self.epsilon) - w * ratio

    def _alpha_max(self, largest):
        # Up to here the scalar problem at the threshold slope is unimodal.
        if largest <= self.epsilon:
            return largest * self.epsilon
        return super()._alpha_max(largest)


class LogSquareSum(Penalty):
    r""":math:`P(w) = \alpha \log(1 + w^2/\epsilon)`: quadratic at 0, so it shrinks without zeros.

    Parameters
    ----------
    epsilon : float > 0, default=1.0
        Scale of :math:`w^2` below which P is nearly quadratic.

    References
    ----------
    Chartrand, Yin (2008). Iteratively reweighted algorithms for compressive sensing.

    Examples
    --------
    >>> from skdropdual.penalties import LogSquareSum
    >>> float(LogSquareSum(epsilon=2.0).eta(2.0))
    3.0
    """

    concave = False
    sparse = False

    _parameter_constraints = {"epsilon": [_POSITIVE]}

    def __init__(self, epsilon=1.0):
        self.epsilon = epsilon

    def _split(self, w):
        # max(u, 1) and min(u, 1/u) for u = |w| / sqrt(epsilon): no overflow, exact under autograd.
        xp = namespace(w)
        u = w / self.epsilon**0.5
        large = xp.where(u > 1, u, 1.0 + 0.0 * w)
        return large, xp.where(u > 1, 1 / large, u)

    @on_magnitude
    def value(self, w, alpha=1.0):
        xp = namespace(w)
        large, small = self._split(w)
        return alpha * (xp.log1p(small**2) + 2 * xp.log(large))

    @on_magnitude
    def slope(self, w, alpha=1.0):
        small = self._split(w)[1]
        return 2 * alpha / self.epsilon**0.5 * (small / (1 + small**2))

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        u2 = w**2 / self.epsilon
        return 2 * alpha / self.epsilon * (1 - u2) / (1 + u2) ** 2

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return (w**2 + self.epsilon) / 2

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        xp = namespace(eta)
        excess = xp.clip(2 * eta / self.epsilon, 1.0, None) - 1
        return xp.where(
            xp.isinf(eta),
            eta,
            2 * (xp.log1p(excess) - xp.where(excess > 1e300, 1.0, excess / (1 + excess))),
        )
