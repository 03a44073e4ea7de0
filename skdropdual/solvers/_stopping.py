"""When a solution is one: the stationarity residual of theory, section 5."""

import numpy as np

from ._kernels import excess


def violation(penalty, w, gradient, alpha, positive=False):
    r"""Return, for each coefficient, how far it is from stationary.

    With :math:`g = X^T (y - X w)/n`: :math:`|g_j - P'(|w_j|) \mathrm{sign}(w_j)|` where
    :math:`w_j \ne 0`, and :math:`(|g_j| - P'(0+))_+` where :math:`w_j = 0` (norms over groups;
    with ``positive=True`` only :math:`g_j > 0` counts there).

    Parameters
    ----------
    penalty : Penalty
        P.
    w, gradient : ndarray of shape (n_features,)
        Coefficients and minus the gradient of the loss.
    alpha : float
        Strength.
    positive : bool, default=False
        Coefficients are constrained to be >= 0.

    Returns
    -------
    ndarray of shape (n_features,)
        Violations, >= 0.
    """
    slope = penalty.slope(w, alpha)
    if penalty.separable:
        result = np.empty(len(w))
        excess(gradient, w, np.ascontiguousarray(slope), positive, result)
        return result
    pull = penalty.norm(np.maximum(gradient, 0.0) if positive else gradient)
    at_zero = np.maximum(pull - slope, 0.0)
    active = penalty.norm(w) > 0
    elsewhere = np.abs(gradient - np.where(active, slope, 0.0) * np.sign(w))
    return np.where(active, elsewhere, at_zero)
