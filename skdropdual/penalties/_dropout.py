"""Penalties that began as dropout rules: standout, variational dropout, hard concrete gates."""

import functools
import math
from numbers import Real

import numpy as np
from scipy.special import dawsn

from .._array import as_float, namespace, on_magnitude
from .._sklearn import Interval, StrOptions
from ..masks import hard_concrete_moments
from . import _divergence
from ._base import Penalty
from ._numeric import bisect
from ._table import SlopeTable

_POSITIVE = Interval(Real, 0, None, closed="neither")


class Standout(Penalty):
    r"""The rule sigmoid(c \|w\| + b) of standout, with strength :math:`\alpha = e^{-b}`.

    .. math::

        P(w) = \frac{\alpha}{c^2} \left(1 - (1 + c |w|) e^{-c |w|}\right)

    Quadratic at 0: it shrinks but makes no zeros.

    Parameters
    ----------
    slope : float > 0, default=1.0
        The c of the sigmoid.

    References
    ----------
    Ba, Frey (2013). Adaptive dropout for training deep neural networks.

    Examples
    --------
    >>> from skdropdual.penalties import Standout
    >>> float(Standout(slope=1.0).keep_prob(0.0, alpha=1.0))
    0.5
    """

    concave = False
    sparse = False

    _parameter_constraints = {"slope": [_POSITIVE]}

    def __init__(self, slope=1.0):
        self.slope = slope

    @property
    def _c(self):
        return vars(self)["_slope"]

    @on_magnitude
    def value(self, w, alpha=1.0):
        # 1 - (1+u) e^-u = e^-u u^2 sum_k u^k / (k+2)!, without cancellation for small u.
        xp = namespace(w)
        u = xp.clip(self._c * w, None, 1000.0)
        small = xp.clip(u, None, 1.0)
        series = 0.0 * u
        for k in range(18, -1, -1):
            series = series * small + 1 / math.factorial(k + 2)
        tail = (1 + u) * xp.exp(-u)
        return alpha * xp.where(u < 1, xp.exp(-u) * (w * w * series), (1 - tail) / self._c**2)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        xp = namespace(w)
        return alpha * (w * xp.exp(-self._c * w))

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        u = self._c * w
        return alpha * (1 - u) * namespace(w).exp(-u)

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return namespace(w).exp(self._c * w)


class _RootScaled(Penalty):
    r"""P_alpha(w) = alpha V(\|w\| / sqrt(alpha)) for a tabulated V."""

    joint = True

    @property
    def _table(self):
        raise NotImplementedError

    @property
    def concave(self):
        return self._table.monotone == -1  # Molchanov's approximation is not quite

    @on_magnitude
    def value(self, w, alpha=1.0):
        return alpha * self._table.value(w / alpha**0.5)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return alpha**0.5 * self._table.slope(w / alpha**0.5)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return self._table.curvature(w / alpha**0.5)


class VarDrop(_RootScaled):
    r"""Variational dropout: masks N(1, r), the log-uniform prior, and r at its optimum.

    .. math::

        P(w) = \min_r \tfrac{r w^2}{2} + \alpha\, \mathrm{KL}(r) = \alpha V(|w|/\sqrt\alpha)

    With Dawson's function D and a parameter :math:`x \ge 0` the exact V is

    .. math::

        v = 2\sqrt{x^3 D(x)}, \quad r = \frac{1}{2x^2}, \quad
        V(v) = x D(x) + 2 \int_0^x D, \quad V'(v) = \sqrt{D(x)/x}

    V is ``|v|`` at 0 and log(v) at infinity. For linear regression with noise variance
    :math:`\sigma^2` the Bayesian strength is :math:`\sigma^2/n`; in a net trained on the mean loss
    it is 1/n.

    Parameters
    ----------
    kl : {"exact", "molchanov"}, default="exact"
        The divergence itself, or its sigmoid approximation by Molchanov et al. (off by less than
        0.007).

    References
    ----------
    Kingma, Salimans, Welling (2015). Variational dropout and the local reparameterization trick.
    Molchanov, Ashukha, Vetrov (2017). Variational dropout sparsifies deep neural networks.

    Examples
    --------
    >>> from skdropdual.penalties import VarDrop
    >>> round(float(VarDrop().value(1.0, alpha=1.0)), 6)
    0.913595
    """

    _parameter_constraints = {"kl": [StrOptions({"exact", "molchanov"})]}

    def __init__(self, kl="exact"):
        self.kl = kl

    @property
    def _table(self):
        return _vardrop_table(self.kl)

    def divergence(self, log_r):
        r"""Return KL(r) of N(1, r) masks from the log-uniform prior, 0 at r = inf.

        Parameters
        ----------
        log_r : float, ndarray or torch.Tensor
            Logarithms of the relative variance r.

        Returns
        -------
        float, ndarray or torch.Tensor
            The exact divergence, or its approximation; also ``dual(1 / r) / 2``.
        """
        return _divergence.KINDS[self.kl][0](as_float(log_r))

    def divergence_slope(self, log_r):
        """Return the derivative of `divergence` with respect to log r.

        Parameters
        ----------
        log_r : float, ndarray or torch.Tensor
            Logarithms of the relative variance r.

        Returns
        -------
        float, ndarray or torch.Tensor
            Derivatives, in (-1, 0).
        """
        return _divergence.KINDS[self.kl][1](as_float(log_r))

    def posterior_variance(self, w, alpha, gram):
        """Return the variance that the masks add to the fit, ``sum_j G_jj r_j w_j^2``.

        Parameters
        ----------
        w : ndarray of shape (n_features,)
            Coefficients.
        alpha : float
            Strength, > 0.
        gram : ndarray of shape (k, k)
            Gram matrix of the columns with nonzero coefficients.

        Returns
        -------
        float
            What ``alpha="auto"`` adds to the mean squared residual for the noise variance.
        """
        kept = w[w != 0]
        return float(np.diag(gram) @ (self.ridge(kept, alpha) * kept**2))

    def _alpha_max(self, largest):
        # V'' > -1 (exact: >= -0.2217), so the prox of step 1 leaves 0 at the slope sqrt(alpha).
        return largest**2


@functools.cache
def _vardrop_table(kl):
    return SlopeTable(_exact_slope if kl == "exact" else _molchanov_slope)


def _exact_slope(v):
    # Solve 2 sqrt(x^3 D(x)) = v by Newton's steps in log(x), from the limit sqrt(v/2) or v/sqrt(2).
    x = np.where(v < 1, np.sqrt(v / 2), v / np.sqrt(2))
    for _ in range(8):
        shape = x * dawsn(x)
        near = np.minimum(x, 1e4)  # beyond, the limit is already exact
        order = 1.5 + 0.5 * np.where(near < 1e4, near**2 * (1 - 2 * shape) / shape, -1.0)
        x *= (v / (2 * x * np.sqrt(shape))) ** (1 / order)
    return np.sqrt(dawsn(x)) / np.sqrt(x)


def _molchanov_slope(v):
    # Stationarity v^2 = -(2/r) dKL/dlog r, bisected in log(rho) with r = rho / (v max(v, 1)).
    above_one, below_one = np.maximum(v, 1), np.maximum(1, 1 / v)
    low, high = np.full(v.shape, -6.0), np.full(v.shape, 6.0)
    for _ in range(56):
        middle = (low + high) / 2
        r = np.exp(middle) / v / above_one
        fall = -_divergence.molchanov_slope(np.log(r))
        left = 2 * fall * below_one > np.exp(middle)
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    return np.exp((low + high) / 2) / above_one


class HardConcrete(_RootScaled):
    r"""Gates clipped out of a stretched concrete distribution, with their L0 cost.

    .. math::

        P(w) = \min_{\log a} \tfrac{1}{2} r(\log a) w^2 + \alpha\, \pi(\log a)

    r is the relative variance of the gate and :math:`\pi` its probability of not being 0. P
    saturates at `alpha`; where it does, :math:`\hat\eta` jumps to inf.

    Parameters
    ----------
    beta : float > 0, default=2/3
        Temperature of the concrete distribution.
    gamma : float < 0, default=-0.1
        Lower end of the stretch.
    zeta : float > 1, default=1.1
        Upper end of the stretch.

    References
    ----------
    Louizos, Welling, Kingma (2018). Learning sparse neural networks through L0 regularization.

    Examples
    --------
    >>> from skdropdual.penalties import HardConcrete
    >>> round(float(HardConcrete().value(3.0, alpha=0.5)), 6)
    0.5
    """

    _parameter_constraints = {
        "beta": [_POSITIVE],
        "gamma": [Interval(Real, None, 0, closed="neither")],
        "zeta": [Interval(Real, 1, None, closed="neither")],
    }

    def __init__(self, beta=2 / 3, gamma=-0.1, zeta=1.1):
        self.beta = beta
        self.gamma = gamma
        self.zeta = zeta

    @property
    def _table(self):
        return _hard_concrete_table(float(self.beta), float(self.gamma), float(self.zeta))


@functools.cache
def _hard_concrete_table(beta, gamma, zeta):
    # Where the cost r u + pi (u = v^2/2) is stationary, u = -pi'/r': a function of log a that
    # rises as long as the stationary point is a minimum. From there on, or as soon as the cost
    # reaches that of an open gate (1, with r = 0), the open gate wins and the slope is 0.
    def at(log_a):  # log u, r, and whether the gate beats the open one
        _, r, active, r_prime, active_prime = hard_concrete_moments(log_a, beta, gamma, zeta)
        u = -active_prime / r_prime
        return np.log(u), r, r * u * active < active_prime

    # Each gate closes at beta y, y from log(-gamma/zeta) to log((1-gamma)/(zeta-1)). Far below,
    # r = e^-a and pi = e^a up to constants: few points will do.
    shut, wide = beta * np.log(-gamma / zeta) - 12, beta * np.log((1 - gamma) / (zeta - 1)) + 36
    grid = np.concatenate([np.linspace(shut - 240, shut, 50)[:-1], np.arange(shut, wide, 0.05)])
    log_u, r, wins = at(grid)
    lost = ~wins
    lost[1:] |= np.diff(log_u) < 1e-12  # falling, or so open that rounding hides the rise
    last = np.argmax(lost) - 1
    end = bisect(lambda a: at(a)[2], grid[[last]], grid[[last + 1]])
    if wins[last + 1]:
        end = grid[[last]]
    grid = np.append(grid[:last], end)
    log_u, r, _ = at(grid)
    rise = np.gradient(log_u, grid, edge_order=2)
    slopes = np.sqrt(2) * np.exp(log_u / 2) * r
    unsure = 1e-14 * abs(np.gradient(slopes, log_u))

    def slope(v):
        target = 2 * np.log(v) - np.log(2)
        result = np.where(target < log_u[0], slopes[0], 0.0)
        todo = (target >= log_u[0]) & (target < log_u[-1])
        target = target[todo]
        a, steepness = np.interp(target, log_u, grid), np.interp(target, log_u, rise)
        for _ in range(5):  # chords: the derivative is known to about 1e-3
            a = a + (target - at(a)[0]) / steepness
        result[todo] = v[todo] * at(a)[1]
        return result

    def noise(v):  # what the rounding of u leaves in the slope
        return np.interp(2 * np.log(v) - np.log(2), log_u, unsure)

    return SlopeTable(slope, noise)
