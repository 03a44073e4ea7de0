"""Numeric defaults for what a penalty does not know in closed form; vectorised, no derivatives."""

import functools

import numpy as np

from .._array import as_double, detach, like, like_dtype, namespace

# Fractions of z among which the prox looks for its basin.
_FRACTIONS = np.concatenate([np.logspace(-30, -2, 29), np.linspace(0, 1, 49)[1:]])


def bisect(left_of, low, high, n_iter=64):
    """Return the point between `low` and `high` where the mask ``left_of(point)`` turns false."""
    xp = namespace(low)
    for _ in range(n_iter):
        middle = low + (high - low) / 2
        left = left_of(middle)
        low, high = xp.where(left, middle, low), xp.where(left, high, middle)
    return low + (high - low) / 2


def in_double(function):
    """Let ``function(penalty, x, *arguments)`` work in float64: it compares close numbers."""

    @functools.wraps(function)
    def wrapper(penalty, x, *arguments):
        wide = as_double(x)
        return like_dtype(function(penalty, wide, *(like(a, wide) for a in arguments)), x)

    return wrapper


@in_double
def prox(penalty, z, step, alpha):
    """Minimise (w - z)^2/2 + step P(w) over w in [0, z] globally: a grid, then bisection."""
    xp = namespace(z)
    positive = z > 0
    z = xp.where(positive, z, 1.0 + 0.0 * z)

    def gain(f, z=z, step=step, alpha=alpha):  # (objective(f z) - objective(0)) / z^2
        return f * (f / 2 - 1) + step * penalty.value(f * z, alpha) / z / z

    def last(array):  # room for the axis of the grid
        return array if isinstance(array, float) else array[..., None]

    grid = xp.asarray(_FRACTIONS) if xp is np else xp.as_tensor(_FRACTIONS, device=z.device)
    gains = gain(grid + 0.0 * z[..., None], z[..., None], last(step), last(alpha))
    gains = xp.where(xp.isnan(gains), np.inf, gains)
    best = xp.argmin(gains, -1)
    low = xp.where(best > 0, grid[xp.clip(best - 1, 0, None)], 0.0 * z)
    high = grid[xp.clip(best + 1, None, len(grid) - 1)]

    def descending(f):
        return f - 1 + step * penalty.slope(f * z, alpha) / z < 0

    f = bisect(descending, low, high)
    # The gain must not come from a value that rounds to 0 near w = 0: the slope has to agree.
    found = positive & (gain(f) < 0) & descending(f * (1 - 1e-6))
    return xp.where(found, f * z, 0.0 * z)


@in_double
def dual(penalty, eta, alpha):
    """Return sup_w (2/alpha) P(w) - w^2/eta; the supremum is where eta_hat(w) crosses eta."""
    xp = namespace(eta)
    fixed = detach(eta)
    low = 0.0 * xp.where(xp.isinf(fixed), 0.0 * xp.ones_like(fixed), fixed)
    # The slack keeps to the left end where eta_hat is flat but for rounding; f does not see it.
    target = fixed * (1 - 1e-12)
    exponent = bisect(lambda u: penalty.eta(2.0**u, alpha) < target, low - 1000.0, low + 1000.0)
    w = 2.0**exponent
    result = 2 * penalty.value(w, alpha) / alpha - w * (w / eta)
    result = xp.where(xp.isnan(result), np.inf, xp.clip(result, 0.0, None))
    return xp.where(eta > 0, result, 0.0 * w)


def alpha_max(penalty, largest):
    """Return the smallest alpha with ``prox(largest, 1, alpha) == 0``, bisecting log2(alpha)."""

    def survives(exponent):
        return np.asarray(penalty.prox(largest, 1.0, float(2.0**exponent)) != 0)

    low = high = float(np.round(np.log2(largest)))
    while survives(high):
        low, high = high, high + 4
        if high > 1000:
            return np.inf
    while not survives(low):
        low, high = low - 4, low
        if low < -1000:
            return 0.0
    return float(2.0 ** (bisect(survives, np.asarray(low), np.asarray(high))))


def round_up(penalty, grad0, alpha):
    """Return `alpha`, raised by its rounding error until ``prox(grad0, 1, alpha)`` is all zero."""
    slack = 2.0**-52
    while 0 < alpha < np.inf and np.any(penalty.prox(grad0, 1.0, alpha) != 0):
        alpha, slack = alpha * (1 + slack), 2 * slack
    return alpha
