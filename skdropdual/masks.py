r"""What a dropout mask is distributed like.

A mask multiplies a weight by a random s. In a linear model only two numbers of it matter (theory,
D1): its mean m, absorbed into the effective weight, and its relative variance
:math:`r = \mathrm{Var}(s)/m^2`, which acts as a ridge. Each family gives both, samples itself, and
finds the parameter that has a given r.
"""

import functools
import sys

import numpy as np
from scipy.special import expit, logit
from sklearn.base import BaseEstimator

from ._array import as_float, namespace, to_numpy

__all__ = ["Bernoulli", "Gaussian", "HardConcrete", "Mask"]


class Mask(BaseEstimator):
    """A family of random masks, one parameter per entry (arrays broadcast with the shape drawn).

    Attributes
    ----------
    mean : float, ndarray or torch.Tensor
        E s.
    relative_variance : float, ndarray or torch.Tensor
        r = Var(s) / (E s)^2, in [0, inf].
    """

    @property
    def mean(self):
        raise NotImplementedError

    @property
    def relative_variance(self):
        raise NotImplementedError

    def sample(self, shape, rng):
        """Draw masks.

        Parameters
        ----------
        shape : tuple of int
            Shape of the draw; the parameter must broadcast with it.
        rng : numpy.random.Generator, numpy.random.RandomState or torch.Generator
            Source of randomness; a torch generator draws tensors on its device.

        Returns
        -------
        ndarray or torch.Tensor of shape `shape`
            The masks.
        """
        raise NotImplementedError

    @classmethod
    def from_relative_variance(cls, relative_variance, **parameters):
        """Return the mask of this family with the given relative variance.

        Parameters
        ----------
        relative_variance : float, ndarray or torch.Tensor
            Relative variance r >= 0; inf is a mask that is always 0 where the family has one.
        **parameters
            The other constructor parameters.

        Returns
        -------
        Mask
            With ``mask.relative_variance == relative_variance``.
        """
        raise NotImplementedError


class Bernoulli(Mask):
    r"""Keep with probability `keep_prob`, else 0: dropout. :math:`r = (1 - a)/a`.

    Parameters
    ----------
    keep_prob : float or array in [0, 1], default=0.5
        The keep probability a.
    scaled : bool, default=True
        Draw 1/a instead of 1, so that the mean is 1.

    References
    ----------
    Srivastava et al. (2014). Dropout: a simple way to prevent neural networks from overfitting.

    Examples
    --------
    >>> from skdropdual.masks import Bernoulli
    >>> float(Bernoulli(keep_prob=0.2).relative_variance)
    4.0
    >>> float(Bernoulli.from_relative_variance(4.0).keep_prob)
    0.2
    """

    def __init__(self, keep_prob=0.5, scaled=True):
        self.keep_prob = keep_prob
        self.scaled = scaled

    def _probability(self):
        keep = as_float(self.keep_prob)
        return _within("keep_prob", keep, (keep >= 0) & (keep <= 1), "in [0, 1]")

    @property
    def mean(self):
        keep = self._probability()
        return namespace(keep).where(keep > 0, 1.0 + 0.0 * keep, keep)[()] if self.scaled else keep

    @property
    def relative_variance(self):
        keep = self._probability()
        with np.errstate(divide="ignore"):
            return (1 - keep) / keep

    def sample(self, shape, rng):
        uniform, keep = _draw("uniform", shape, rng, self._probability())
        kept = uniform < keep
        xp = namespace(kept)
        with np.errstate(divide="ignore"):
            return xp.where(kept, 1 / keep if self.scaled else 1.0 + 0.0 * keep, 0.0)

    @classmethod
    def from_relative_variance(cls, relative_variance, **parameters):
        return cls(1 / (1 + _variance(relative_variance)), **parameters)


class Gaussian(Mask):
    """Multiply by N(1, `variance`): Gaussian and variational dropout. r is the variance.

    Parameters
    ----------
    variance : float or array >= 0, default=1.0
        The variance r (variational dropout's "alpha").

    References
    ----------
    Kingma, Salimans, Welling (2015). Variational dropout and the local reparameterization trick.

    Examples
    --------
    >>> import numpy as np
    >>> from skdropdual.masks import Gaussian
    >>> Gaussian(variance=4.0).sample((2, 3), np.random.default_rng(0)).shape
    (2, 3)
    """

    def __init__(self, variance=1.0):
        self.variance = variance

    @property
    def mean(self):
        return 1.0 + 0.0 * self.relative_variance

    @property
    def relative_variance(self):
        variance = _variance(self.variance, name="variance")
        return _within("variance", variance, variance < np.inf, "finite")

    def sample(self, shape, rng):
        normal, variance = _draw("normal", shape, rng, self.relative_variance)
        return 1.0 + variance**0.5 * normal

    @classmethod
    def from_relative_variance(cls, relative_variance, **parameters):
        return cls(_variance(relative_variance), **parameters)


class HardConcrete(Mask):
    r"""A concrete variable stretched to (gamma, zeta) and clipped to [0, 1].

    .. math::

        P(s > t) = \sigma\left(\log a
        - \beta\, \mathrm{logit}\frac{t - \gamma}{\zeta - \gamma}\right), \quad 0 \le t < 1

    Mean and relative variance are integrals over t, done by quadrature.

    Parameters
    ----------
    log_a : float or array, default=0.0
        Location: the larger, the more the gate is open.
    beta : float > 0, default=2/3
        Temperature.
    gamma : float < 0, default=-0.1
        Lower end of the stretch.
    zeta : float > 1, default=1.1
        Upper end of the stretch.

    References
    ----------
    Louizos, Welling, Kingma (2018). Learning sparse neural networks through L0 regularization.

    Examples
    --------
    >>> from skdropdual.masks import HardConcrete
    >>> float(HardConcrete(log_a=0.0).mean)
    0.5
    """

    def __init__(self, log_a=0.0, beta=2 / 3, gamma=-0.1, zeta=1.1):
        self.log_a = log_a
        self.beta = beta
        self.gamma = gamma
        self.zeta = zeta

    def _moments(self):
        log_a = self._location()
        moments = hard_concrete_moments(to_numpy(log_a), self.beta, self.gamma, self.zeta)
        xp = namespace(log_a)
        return [m[()] if xp is np else xp.as_tensor(m).to(log_a) for m in moments]

    def _check(self):
        for name, valid, allowed in (
            ("beta", 0 < self.beta < np.inf, "> 0 and finite"),
            ("gamma", -np.inf < self.gamma < 0, "< 0 and finite"),
            ("zeta", 1 < self.zeta < np.inf, "> 1 and finite"),
        ):
            if not valid:
                raise ValueError(f"{name} must be {allowed}; got {getattr(self, name)}.")

    def _location(self):
        self._check()
        log_a = as_float(self.log_a)
        return _within("log_a", log_a, abs(log_a) < np.inf, "finite")

    @property
    def mean(self):
        return self._moments()[0]

    @property
    def relative_variance(self):
        return self._moments()[1]

    @property
    def active_prob(self):
        """Probability that the gate is not 0."""
        return self._moments()[2]

    def sample(self, shape, rng):
        uniform, log_a = _draw("uniform", shape, rng, self._location())
        xp = namespace(uniform)
        with np.errstate(divide="ignore", over="ignore"):
            noise = xp.log(uniform) - xp.log1p(-uniform)
            concrete = 1 / (1 + xp.exp(-(noise + log_a) / self.beta))
        return xp.clip(concrete * (self.zeta - self.gamma) + self.gamma, 0.0, 1.0)

    @classmethod
    def from_relative_variance(cls, relative_variance, **parameters):
        target = _variance(relative_variance)
        r = to_numpy(target)
        mask = cls(**parameters)
        mask._check()
        # r falls from inf to 0 in log_a, like exp(-log_a) at both ends, and is exactly that there.
        low, high = np.full(r.shape, -1e4), np.full(r.shape, 1e4)
        for _ in range(80):
            middle = (low + high) / 2
            above = hard_concrete_moments(middle, mask.beta, mask.gamma, mask.zeta)[1] > r
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        xp = namespace(target)
        return mask.set_params(log_a=high[()] if xp is np else xp.as_tensor(high).to(target))


@functools.cache
def _quadrature(beta, gamma, zeta):
    # Gauss-Legendre over y = logit((t - gamma) / (zeta - gamma)), where the integrands of E and
    # E2 are analytic in a wide strip: t in [0, 1] and the weights of dt.
    nodes, weights = np.polynomial.legendre.leggauss(128)
    low, high = logit(-gamma / (zeta - gamma)), logit((1 - gamma) / (zeta - gamma))
    y = low + (nodes + 1) * (high - low) / 2
    t = gamma + (zeta - gamma) * expit(y)
    weights = weights * (high - low) / 2 * (zeta - gamma) * expit(y) * expit(-y)
    return beta * y, t, weights / weights.sum()


def hard_concrete_moments(log_a, beta=2 / 3, gamma=-0.1, zeta=1.1):
    r"""Return mean, relative variance and active probability of hard concrete gates.

    .. math::

        E = \int_0^1 P(s > t) dt, \quad E_2 = \int_0^1 2t P(s > t) dt, \quad r = E_2/E^2 - 1

    Parameters
    ----------
    log_a : array-like
        Locations.
    beta, gamma, zeta : float
        Temperature and stretch of the gates.

    Returns
    -------
    mean, relative_variance, active_prob, relative_variance_prime, active_prob_prime : ndarray
        Arrays of the shape of `log_a`; the last two are derivatives with respect to `log_a`.
    """
    log_a = np.asarray(log_a, dtype=float)
    y, t, weights = _quadrature(float(beta), float(gamma), float(zeta))
    above = expit(log_a[..., None] - y)
    below = expit(y - log_a[..., None])
    density = above * below
    e, e2 = above @ weights, above @ (2 * t * weights)
    f, f2 = below @ weights, below @ (2 * t * weights)
    de, de2, gap = density @ weights, density @ (2 * t * weights), density @ (2 * (1 - t) * weights)
    with np.errstate(all="ignore"):
        # Open gates (log_a > 0) are computed from the complements, which do not cancel.
        spread = below @ (2 * (1 - t) * weights)
        r = np.where(log_a > 0, (spread - f * f) / e**2, e2 / e / e - 1)
        r = np.where(e > 0, r, np.inf)
        fall = np.where(log_a > 0, -gap - de2 * f + 2 * f2 * de, de2 * e - 2 * e2 * de)
        r_prime = fall / e / e / e
    shift = beta * np.log(-gamma / zeta)
    active = expit(log_a - shift)
    return e, r, active, r_prime, active * expit(shift - log_a)


def _within(name, array, valid, allowed):
    if not bool(valid.all()):
        raise ValueError(f"{name} must be {allowed}; got {array}.")
    return array


def _variance(r, name="relative_variance"):
    r = as_float(r)[()]
    return _within(name, r, r >= 0, ">= 0")


def _draw(kind, shape, rng, parameter):
    # Noise of the given kind and shape, and the parameter, in the library of the generator.
    if hasattr(rng, "standard_normal"):
        noise = rng.random(shape) if kind == "uniform" else rng.standard_normal(shape)
        return noise, np.broadcast_to(to_numpy(parameter), noise.shape)
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(rng, torch.Generator):
        raise TypeError(f"rng must be a NumPy or a torch generator; got {type(rng).__name__}.")
    dtype = parameter.dtype if namespace(parameter) is torch else torch.get_default_dtype()
    draw = torch.rand if kind == "uniform" else torch.randn
    noise = draw(shape, generator=rng, device=rng.device, dtype=dtype)
    parameter = torch.as_tensor(parameter, dtype=dtype, device=rng.device)
    return noise, parameter.expand(noise.shape)
