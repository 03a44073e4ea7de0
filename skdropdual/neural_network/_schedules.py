"""How learning rate, strength and density go over the epochs."""

import math

# Multipliers of the learning rate, of the progress t in [0, 1).
LR_SCHEDULES = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1.0 - t,
    "constant-linear": lambda t: min(1.0, 2.0 * (1.0 - t)),
    "cosine": lambda t: 0.5 * (1.0 + math.cos(math.pi * t)),
}


def ramp(progress, span):
    """Return the fraction of the strength that is on: 0, then a ramp, then 1.

    Parameters
    ----------
    progress : float
        Fraction of the epochs done.
    span : (float, float)
        Where the ramp starts and ends.

    Returns
    -------
    float
        In [0, 1].
    """
    start, end = span
    if progress >= end:
        return 1.0
    return 0.0 if progress <= start else (progress - start) / (end - start)


def cubic_density(progress, span, target):
    """Return the density that pruning has reached (Zhu and Gupta 2018), or None before it starts.

    Parameters
    ----------
    progress : float
        Fraction of the epochs done.
    span : (float, float)
        Fractions at which pruning starts and ends.
    target : float
        Density at the end.

    Returns
    -------
    float or None
        In [target, 1].
    """
    start, end = span
    if progress < start:
        return None
    if progress >= end:
        return target
    return target + (1.0 - target) * (1.0 - (progress - start) / (end - start)) ** 3
