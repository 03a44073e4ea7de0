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
    if penalty.separable:
        result = np.empty(len(w))
        slope = np.ascontiguousarray(penalty.slope(w, alpha))
        excess(gradient, w, slope, positive, result)
        return result
    if penalty.concave_in_norms is not None:
        groups = Groups(penalty.labels(len(w)))
        single, group = penalty.slopes(w, alpha)
        return groups.violation(w, gradient, single, group, positive)
    slope = penalty.slope(w, alpha)
    pull = penalty.norm(np.maximum(gradient, 0.0) if positive else gradient)
    at_zero = np.maximum(pull - slope, 0.0)
    active = penalty.norm(w) > 0
    elsewhere = np.abs(gradient - np.where(active, slope, 0.0) * np.sign(w))
    return np.where(active, elsewhere, at_zero)


class Groups:
    """Columns in groups.

    Parameters
    ----------
    labels : ndarray of shape (n_features,)
        The group of each column, 0..n_groups-1.

    Attributes
    ----------
    order : ndarray of shape (n_features,)
        Columns, group by group.
    starts : ndarray of shape (n_groups + 1,)
        Where each group begins in that order, and the end.
    """

    def __init__(self, labels):
        self.order = np.argsort(labels, kind="stable")
        self.starts = np.append(0, np.cumsum(np.bincount(labels)))

    @property
    def sizes(self):
        """Number of columns of each group."""
        return np.diff(self.starts)

    def pool(self, ufunc, values):
        """Reduce the values of each group, which come in the order of groups."""
        return ufunc.reduceat(values, self.starts[:-1])

    def take(self, chosen):
        """Return the columns of some groups, and those groups of these columns alone."""
        sizes = self.sizes[chosen]
        part = Groups.__new__(Groups)
        part.order = np.arange(sizes.sum())
        part.starts = np.append(0, np.cumsum(sizes))
        return self.order[np.repeat(chosen, self.sizes)], part

    def violation(self, w, gradient, single, group, positive=False):
        """Return how far each coefficient, or its group if that is zero, is from stationary.

        Parameters
        ----------
        w, gradient : ndarray of shape (n_features,)
            Coefficients and minus the gradient of the loss.
        single, group : ndarray of shape (n_features,)
            Slopes of the penalty in each magnitude and in the norm of its group.
        positive : bool, default=False
            Coefficients are constrained to be >= 0.

        Returns
        -------
        ndarray of shape (n_features,)
            Violations, >= 0.
        """
        w, gradient, single, group = (x[self.order] for x in (w, gradient, single, group))
        norm = np.repeat(np.sqrt(self.pool(np.add, w**2)), self.sizes)
        pull = np.maximum(gradient, 0.0) if positive else np.abs(gradient)
        left = np.maximum(pull - single, 0.0)
        at_zero = np.repeat(np.sqrt(self.pool(np.add, left**2)), self.sizes) - group
        bound = np.where(norm > 0, group, 0.0) * w / np.where(norm > 0, norm, 1.0)
        inside = np.abs(gradient - np.where(w != 0, single, 0.0) * np.sign(w) - bound)
        inside = np.where(w != 0, inside, left)
        result = np.empty_like(w)
        result[self.order] = np.where(norm > 0, inside, np.maximum(at_zero, 0.0))
        return result
