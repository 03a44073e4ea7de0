r"""The divergence of variational dropout: N(1, r) masks against the log-uniform prior.

With Dawson's function D and :math:`x = 1/\sqrt{2r}`, exactly

.. math::

    \mathrm{KL}(r) = 2 \int_0^x D, \qquad \frac{d\,\mathrm{KL}}{d \log r} = -x D(x)

Both are cubics in :math:`u = \log r` between the points of a grid (their values and slopes there
are exact), and series beyond it. All functions take NumPy arrays or torch tensors.
"""

import functools

import numpy as np
from scipy.special import dawsn, expit

from .._array import namespace

_EDGE, _STEPS = 12.0, 256  # the grid covers |log r| <= 12 in steps of 1/256: 1e-12 in value
_K1, _K2, _K3 = 0.63576, 1.87320, 1.48695  # Molchanov et al. (2017)
_AT_INFINITY = (np.euler_gamma + np.log(4)) / 2  # KL - log x for x -> inf


def exact(u):
    """Return KL at log r = u."""
    return _evaluate("value", u, _small_x, _large_x)


def exact_slope(u):
    """Return the derivative of KL with respect to log r at u."""
    return _evaluate("slope", u, _small_x_slope, _large_x_slope)


def molchanov(u):
    """Return the approximation of KL at log r = u."""
    xp = namespace(u)
    return _K1 - _K1 * _sigmoid(_K2 + _K3 * u) + 0.5 * xp.logaddexp(0.0 * u, -u)


def molchanov_slope(u):
    """Return the derivative of the approximation."""
    # Of the two sigmoids that sum to 1, the one that is exact where the slope is small.
    xp = namespace(u)
    if xp is np:
        shut = expit(-_K2 - _K3 * u)
        return (_K1 * _K3) * shut * (shut - 1) - 0.5 * expit(-u)
    shut = xp.rsub(u, -_K2, alpha=_K3).sigmoid_()  # few passes over memory: nets do it each step
    slope = xp.addcmul(shut, shut, shut, value=-1.0).mul_(-_K1 * _K3)
    return slope.sub_((-u).sigmoid_(), alpha=0.5)


KINDS = {"exact": (exact, exact_slope), "molchanov": (molchanov, molchanov_slope)}


def _sigmoid(x):
    xp = namespace(x)
    return expit(x) if xp is np else xp.sigmoid(x)


def _small_x(y):  # of y = x^2
    return y * (1 - y / 3 + 4 * y * y / 45)


def _small_x_slope(y):
    return -y * (1 - 2 * y / 3 + 4 * y * y / 15)


def _large_x(y):
    xp = namespace(y)
    return 0.5 * xp.log(y) + _AT_INFINITY - (1 / 4 + 3 / 16 / y) / y


def _large_x_slope(y):
    return -0.5 - (1 / 4 + (3 / 8 + 15 / 16 / y) / y) / y


def _evaluate(name, u, small_x, large_x):
    xp = namespace(u)
    inside = xp.clip(u, -_EDGE, _EDGE)
    place = (inside + _EDGE) * _STEPS
    cell = xp.clip(xp.floor(place), 0, 2 * _EDGE * _STEPS - 1)
    coefs = _table(name) if xp is np else _tensor(name, u.dtype, u.device)
    c = coefs[cell.astype(np.intp) if xp is np else cell.long()]
    t = place - cell
    result = c[..., 0] + t * (c[..., 1] + t * (c[..., 2] + t * c[..., 3]))
    half = xp.exp(-xp.clip(abs(u), _EDGE, 700.0)) / 2  # x^2 for u > 0, 1/(4 x^2) for u < 0
    result = xp.where(u > _EDGE, small_x(half), result)
    return xp.where(u < -_EDGE, large_x(0.25 / half), result)


@functools.cache
def _table(name):
    # Cubics on the cells from values and slopes at the grid (Hermite).
    grid = np.linspace(-_EDGE, _EDGE, int(2 * _EDGE * _STEPS) + 1)
    slope = _slope(grid)
    if name == "slope":
        x = np.exp(-grid / 2) / np.sqrt(2)
        d = dawsn(x)
        values, slopes = slope, x / 2 * (d + x * (1 - 2 * x * d))
    else:
        nodes, weights = np.polynomial.legendre.leggauss(8)
        points = grid[:-1, None] + (nodes + 1) / 2 / _STEPS
        rises = _slope(points) @ weights / 2 / _STEPS
        end = _small_x(np.exp(-_EDGE) / 2)
        values, slopes = np.append(end - np.cumsum(rises[::-1])[::-1], end), slope
    left, rise, s = values[:-1], np.diff(values), slopes / _STEPS
    return np.stack(
        [left, s[:-1], 3 * rise - 2 * s[:-1] - s[1:], s[:-1] + s[1:] - 2 * rise], axis=1
    )


def _slope(u):
    x = np.exp(-u / 2) / np.sqrt(2)
    return -x * dawsn(x)


@functools.cache
def _tensor(name, dtype, device):
    import torch

    return torch.as_tensor(_table(name), dtype=dtype, device=device)
