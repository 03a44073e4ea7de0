"""The penalty of a dropout rule that is known only as a keep probability."""

import numpy as np

from .._array import on_magnitude
from ._base import Penalty
from ._table import SlopeTable


class EffectivePenalty(Penalty):
    r"""The effective penalty of any adaptive dropout rule (Theorem T1).

    .. math::

        P(w) = \alpha \int_0^{|w|} t\, \frac{1 - a(t)}{a(t)} dt

    Parameters
    ----------
    keep_prob : callable
        The rule a: vectorised, from magnitudes t > 0 (float64 array) to keep probabilities in
        [0, 1], nondecreasing; it may jump, also to exactly 0 or 1. It is the rule at strength 1;
        `alpha` multiplies the odds of dropping. Tabulated adaptively at first use.

    Raises
    ------
    ValueError
        If the rule decreases, leaves [0, 1] or is not vectorised; the message says at which w.

    References
    ----------
    LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin. arXiv:2106.07769.

    Examples
    --------
    >>> from skdropdual.penalties import EffectivePenalty
    >>> lasso = EffectivePenalty(keep_prob=lambda w: w / (w + 1))
    >>> round(float(lasso.value(3.0, alpha=0.5)), 10)
    1.5
    """

    _parameter_constraints = {"keep_prob": [callable]}

    def __init__(self, keep_prob):
        self.keep_prob = keep_prob

    @property
    def _table(self):
        rule = vars(self)["_keep_prob"]
        cached = vars(self).get("_state")
        if cached is None or cached[0] is not rule:
            cached = self._state = (rule, _tabulate(rule))
        return cached[1]

    @property
    def sparse(self):
        return self._table.slope_at_zero > 0

    @property
    def convex(self):
        return self._table.monotone == 1

    @property
    def concave(self):
        return self._table.monotone == -1 or _linear(self._table)

    @on_magnitude
    def value(self, w, alpha=1.0):
        return alpha * self._table.value(w)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return alpha * self._table.slope(w)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return alpha * self._table.curvature(w)


def _tabulate(rule):
    lowest, highest = _octaves(rule)
    seen_t, seen_a = [], []

    def slope(t):
        a = _checked(rule, np.minimum(t, 2.0**highest))
        seen_t.append(t)
        seen_a.append(a)
        return t * (1 - a) / a

    table = SlopeTable(slope, _noise, lowest)
    t, a = np.concatenate(seen_t), np.concatenate(seen_a)
    order = np.argsort(t)
    t, a = t[order], a[order]
    i = np.argmin(np.diff(a))
    if a[i + 1] < a[i] - 1e-12:
        raise ValueError(
            f"keep_prob must be nondecreasing in |w|; it falls from {a[i]:.6g} at w = {t[i]:.6g} "
            f"to {a[i + 1]:.6g} at w = {t[i + 1]:.6g}."
        )
    return table


def _linear(table):
    # A constant slope neither falls nor rises: P is convex and concave in |w|.
    slope = table.slope(table.breaks)
    slack = 1e-12 * slope[1:] + _noise(table.breaks[1:])
    with np.errstate(invalid="ignore"):
        return table.monotone == 1 and not (np.diff(slope) > slack).any()


def _noise(t):  # what the rounding of 1 - a leaves in the slope
    return 4e-16 * t


def _octaves(rule):
    # Between which octaves the rule means what it says. At the far ends its formula may underflow
    # (a rule that fades to 0 then looks like one that jumps there) or overflow to nan.
    octaves = np.arange(-1000, 1001)
    with np.errstate(all="ignore"):
        _checked(rule, np.array([1e-30, 1.0, 1e30]))
        a = np.asarray(rule(np.exp2(octaves.astype(float))), dtype=float)
    sound = a > 1e-280
    faded = sound.any() and a[np.argmax(sound)] < 1e-150
    lowest = np.argmax(sound) if faded or np.isnan(a[0]) else 0
    highest = a.size - 1 - np.argmax(~np.isnan(a[::-1]))
    return octaves[lowest], float(octaves[highest])


def _checked(rule, t):
    try:
        with np.errstate(all="ignore"):
            a = np.asarray(rule(t.copy()), dtype=float)
    except Exception as error:
        raise ValueError(
            f"keep_prob must be vectorised: it failed on an array of w from {t.min():.3g} to "
            f"{t.max():.3g} ({error})."
        ) from error
    if a.shape != t.shape:
        raise ValueError(
            f"keep_prob must be vectorised: for w of shape {t.shape} (from {t.min():.3g} to "
            f"{t.max():.3g}) it returned shape {a.shape}."
        )
    outside = ~((a >= 0) & (a <= 1))  # also nan
    if outside.any():
        i = np.argmax(outside)
        raise ValueError(f"keep_prob must be in [0, 1]; it is {a[i]:.6g} at w = {t[i]:.6g}.")
    return a
