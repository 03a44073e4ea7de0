"""A penalty known only through its slope, tabulated to near machine precision.

Theorem T1 of the theory gives a penalty as the integral of its slope. The slope is interpolated
by polynomials on pieces that are halved until they fit (down to the last bit around a jump), and
the pieces are integrated exactly.
"""

import numpy as np
from numpy.polynomial import chebyshev

from .._array import as_double, like_dtype, namespace

_DEGREE = 16
_LOWEST, _HIGHEST = -1000, 1000  # octaves; they cover 1e-300 .. 1e300
_MOST_PIECES = 200_000
_NODES = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))[::-1]
_CHECKS = np.array([-1.0, -0.97, -0.6, -0.03, 0.33, 0.8, 1.0])  # between the nodes, and the ends


# Values at the nodes -> Chebyshev coefficients (discrete orthogonality).
_TO_CHEBYSHEV = chebyshev.chebvander(_NODES, _DEGREE) * 2 / (_DEGREE + 1)
_TO_CHEBYSHEV[:, 0] /= 2


class SlopeTable:
    r"""The slope P'(t) and its integral P(t) = \int_0^t P'(u) du, for t in (0, inf).

    Parameters
    ----------
    slope : callable
        Vectorised map from t > 0 (float64 array) to P'(t) in [0, inf].
    noise : callable, default=None
        Absolute rounding error of ``slope`` at t; pieces are not refined below it.
    lowest : int, default=-1000
        The table starts at 2^lowest; below, the slope goes on as the power of t found there.
    """

    def __init__(self, slope, noise=None, lowest=_LOWEST):
        self._noise = noise
        self._octaves = np.exp2(np.arange(lowest, _HIGHEST + 1.0))
        self.breaks, coefs = self._refine(slope)
        left, right = self.breaks[:-1], self.breaks[1:]
        self._half = (right - left) / 2
        self._center = left + self._half
        with np.errstate(all="ignore"):
            self._set_polynomials(coefs)
        self._arrays = {}
        self.monotone = self._direction(slope)

    def _direction(self, slope):
        # +1 if P' never falls (P convex), -1 if it never rises (concave in |w|), else 0.
        with np.errstate(all="ignore"):
            sampled = np.asarray(slope(self.breaks))
            steps = np.diff(sampled)
            slack = 1e-12 * sampled[1:] + (
                0.0 if self._noise is None else self._noise(self.breaks[1:])
            )
        infinite = np.isinf(sampled[:-1])
        falls = (steps < -slack) | (infinite & ~np.isinf(sampled[1:]))
        if not falls.any():
            return 1
        return 0 if (steps > slack).any() else -1

    def _refine(self, slope):
        # Fit every pending piece at once; keep those that fit, halve the others.
        left, right = self._octaves[:-1], self._octaves[1:]
        done_left, done_coefs = [], []
        while left.size:
            half = (right - left) / 2
            center = left + half
            points = center[:, None] + half[:, None] * np.concatenate([_NODES, _CHECKS])
            with np.errstate(all="ignore"):
                values = np.asarray(slope(points.ravel())).reshape(points.shape)
                if np.isnan(values).any():
                    raise ValueError(f"The slope is nan at w = {points[np.isnan(values)][0]:.6g}.")
                coefs = values[:, : _NODES.size] @ _TO_CHEBYSHEV
                last_bit = half <= 4e-16 * center  # holds a jump: no polynomial, its left value
                coefs[last_bit] = values[last_bit, :1] * (np.arange(_NODES.size) == 0)
                fits = last_bit | self._fits(points, values, coefs)
            done_left.append(left[fits])
            done_coefs.append(coefs[fits])
            left, center, right = left[~fits], center[~fits], right[~fits]
            left, right = np.concatenate([left, center]), np.concatenate([center, right])
            if left.size > _MOST_PIECES:
                raise ValueError(f"The slope is too rough to tabulate near w = {left[0]:.6g}.")
        left = np.concatenate(done_left)
        order = np.argsort(left)
        return np.append(left[order], self._octaves[-1]), np.concatenate(done_coefs)[order]

    def _fits(self, points, values, coefs):
        fitted = chebyshev.chebval(_CHECKS, coefs.T)
        error = np.abs(fitted - values[:, _NODES.size :]).max(axis=1)
        allowed = 2e-13 * values.max(axis=1)
        if self._noise is not None:
            allowed += self._noise(points).max(axis=1)
        infinite = np.isinf(values).all(axis=1)
        return (error <= allowed) | infinite

    def _set_polynomials(self, coefs):
        infinite = ~np.isfinite(coefs).all(axis=1)
        coefs[infinite] = 0.0
        coefs[infinite, 0] = np.inf
        self._slope = coefs.T.copy()
        self._curvature = chebyshev.chebder(self._slope) / self._half
        integral = chebyshev.chebint(self._slope, lbnd=-1) * self._half
        pieces = chebyshev.chebval(1.0, integral)
        pieces[infinite] = np.inf
        self._set_limits_at_zero(pieces)
        integral[0] += self._below + np.concatenate([[0.0], np.cumsum(pieces)[:-1]])
        overflow = ~np.isfinite(integral).all(axis=0)
        integral[:, overflow] = 0.0
        integral[0, overflow] = np.inf
        self._value = integral

    def _set_limits_at_zero(self, pieces):
        # The lowest two octaves tell how P' behaves at 0: like t^power.
        start, second, third = np.searchsorted(self.breaks, self._octaves[:3])
        lowest, above = pieces[start:second].sum(), pieces[second:third].sum()
        ratio = lowest / above if 0 < above < np.inf else 0.0
        # Geometric tail of the octaves below the table; no decay means a divergent integral.
        converges = lowest < np.inf and ratio < 1 - 1e-9
        self._below = lowest * ratio / (1 - ratio) if converges else np.inf
        power = -np.log2(ratio) - 1 if ratio > 0 else 1.0  # 0: no slope there, or underflow
        self._power = 0.0 if abs(power) < 1e-6 else float(power)
        if not converges or self._power < 0:
            self.slope_at_zero = np.inf
        else:
            self.slope_at_zero = float(self._slope[:, 0] @ (-1.0) ** np.arange(_DEGREE + 1))
            self.slope_at_zero *= self._power == 0

    def _on(self, xp, array):
        # The table's arrays in the library and on the device of the argument.
        device = None if xp is np else array.device
        if (xp, device) not in self._arrays:
            names = ("breaks", "_center", "_half", "_value", "_slope", "_curvature")
            convert = (lambda a: a) if xp is np else lambda a: xp.as_tensor(a, device=device)
            self._arrays[xp, device] = {name: convert(getattr(self, name)) for name in names}
        return self._arrays[xp, device]

    def _evaluate(self, name, t):
        xp = namespace(t)
        table = self._on(xp, t)
        wide = as_double(t)
        wide = xp.clip(wide, self.breaks[0], self.breaks[-1])
        piece = xp.searchsorted(
            table["breaks"], wide.detach() if xp is not np else wide, side="right"
        )
        piece = xp.clip(piece - 1, 0, self._half.size - 1)
        x = (wide - table["_center"][piece]) / table["_half"][piece]
        coefs = table[name]
        later, last = 0.0, coefs[-1][piece]  # Clenshaw's recurrence
        for coefficient in reversed(coefs[1:-1]):
            later, last = last, coefficient[piece] + 2 * x * last - later
        result = coefs[0][piece] + x * last - later
        return like_dtype(result, t)

    def value(self, t):
        """Return P(t)."""
        return self._extended("_value", t, self._power + 1, 0.0)

    def slope(self, t):
        """Return P'(t), and P'(0+) at 0."""
        result = self._extended("_slope", t, self._power, self.slope_at_zero)
        return namespace(t).clip(result, 0.0, None)

    def _extended(self, name, t, power, at_zero):
        # Below the table a power of t, at 0 the limit.
        xp, start = namespace(t), float(self.breaks[0])
        result, wide = self._evaluate(name, t), as_double(t)  # `start` is 0 in float32
        below = wide < start
        if xp is not np or below.any():  # a branch on a tensor would wait for its device
            safe = xp.where(below & (t > 0), wide, start + 0.0 * wide)
            result = xp.where(below, result * like_dtype((safe / start) ** power, t), result)
            result = xp.where(t == 0, at_zero + 0.0 * t, result)
        return result

    def curvature(self, t):
        """Return P''(t)."""
        return self._evaluate("_curvature", t)

    def __getstate__(self):
        return {**self.__dict__, "_arrays": {}}
