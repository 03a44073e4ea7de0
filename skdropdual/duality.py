r"""The duality of adaptive dropout and regularisation, as two verbs and a check.

A rule that keeps weight w with probability a(\|w\|) is, in expectation over the masks, the penalty

.. math::

    P(w) = \int_0^{|w|} t\, \frac{1 - a(t)}{a(t)} dt, \qquad a(w) = \frac{|w|}{|w| + P'(|w|)}

References
----------
LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin: Duality of Adaptive
Dropout and Regularization. NeurIPS, arXiv:2106.07769.
"""

import functools

import numpy as np

from .penalties import EffectivePenalty, Penalty, get_penalty

__all__ = ["check_duality", "effective_penalty", "keep_prob_rule"]


def effective_penalty(rule):
    r"""Return the penalty that a dropout rule amounts to.

    Parameters
    ----------
    rule : str, Penalty or callable
        A penalty, by name or object (its dual rule), or a keep probability: a vectorised,
        nondecreasing function of \|w\| > 0 with values in [0, 1]; it is the rule at strength 1.

    Returns
    -------
    Penalty
        With ``effective_penalty(a).keep_prob(w) == a(w)``.

    Raises
    ------
    ValueError
        If a callable decreases, leaves [0, 1] or is not vectorised; it says at which w.

    Examples
    --------
    >>> from skdropdual import effective_penalty
    >>> penalty = effective_penalty(lambda w: w / (w + 1))
    >>> round(float(penalty.value(2.0)), 10), penalty.concave
    (2.0, True)
    """
    if isinstance(rule, str | Penalty) or not callable(rule):
        return get_penalty(rule)
    penalty = EffectivePenalty(rule)
    penalty.slope(1.0)  # tabulate now, so that a bad rule is refused here
    return penalty


def keep_prob_rule(penalty, alpha=1.0):
    """Return the dropout rule that is dual to a penalty.

    Parameters
    ----------
    penalty : str, Penalty or callable
        What `effective_penalty` takes.
    alpha : float > 0, default=1.0
        Strength of the penalty (the paper's lambda).

    Returns
    -------
    callable
        Vectorised map from weights to keep probabilities in [0, 1].

    Examples
    --------
    >>> from skdropdual import keep_prob_rule
    >>> rule = keep_prob_rule("l1", alpha=0.5)
    >>> float(rule(1.5))
    0.75
    """
    penalty = effective_penalty(penalty)
    penalty._validate(alpha)
    return functools.partial(penalty.keep_prob, alpha=alpha)


def check_duality(rule, alpha=1.0, w=None):
    r"""Return the largest relative violation of the identities that tie a rule to its penalty.

    On a grid of weights: E1 (P is attained at :math:`\hat\eta` and below the quadratics of the
    other :math:`\eta`), E2 and E4 (:math:`\hat\eta = \alpha w / P'`), E3 (the dual is the
    supremum), D2 (keep probability from slope and from :math:`\hat\eta`) and T1 (P is the
    integral over the rule, from the smallest weight of the grid).

    Parameters
    ----------
    rule : str, Penalty or callable
        What `effective_penalty` takes; separable.
    alpha : float > 0, default=1.0
        Strength.
    w : array-like of shape (n_points,), default=None
        Weights > 0; None is 121 points from 1e-4 to 1e2.

    Returns
    -------
    float
        About 1e-10 for an exact pair; a value near 1 means that an identity fails.

    Examples
    --------
    >>> from skdropdual import check_duality
    >>> check_duality("logsum", alpha=0.3) < 1e-10
    True
    >>> check_duality(lambda w: (w / (w + 1)) ** 0.9) < 1e-8
    True
    """
    penalty = effective_penalty(rule)
    if not penalty.separable:
        raise ValueError(f"check_duality needs a separable penalty; got {penalty!r}.")
    w = np.logspace(-4, 2, 121) if w is None else np.sort(np.asarray(w, dtype=float).ravel())
    if not w.size or not w[0] > 0:
        raise ValueError("w must hold weights > 0.")
    value, slope, eta = (getattr(penalty, m)(w, alpha) for m in ("value", "slope", "eta"))
    keep, dual = penalty.keep_prob(w, alpha), penalty.dual(eta, alpha)
    with np.errstate(all="ignore"):
        # quadratics[i, k]: the quadratic of eta_k at w_i, an upper bound of P(w_i) tight at k = i.
        quadratics = alpha / 2 * (w[:, None] * (w[:, None] / eta) + dual)
        below = np.where(quadratics < value[:, None], value[:, None] - quadratics, 0.0)
        integral = effective_penalty(keep_prob_rule(penalty, alpha)).value(w)
        violations = [
            _gap(np.diag(quadratics), value),  # E1
            np.nanmax(below / value[:, None]),  # E1 and E3, away from the minimiser
            _gap(eta * slope, alpha * w) if np.isfinite(eta * slope).all() else 0.0,  # E2, E4
            _gap(keep, w / (w + slope)),  # D2
            _gap(keep, 1 / (1 + alpha / eta)),
            _gap(integral - integral[0] + value[0], value),  # T1
        ]
    return float(max(violations))


def _gap(found, expected):
    same = (found == expected) | (np.isinf(expected) & np.isnan(found))
    return np.max(
        np.where(same, 0.0, np.abs(found - expected) / np.maximum(np.abs(expected), 1e-300))
    )
