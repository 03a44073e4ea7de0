"""Penalties made of penalties: factors and units per column, sums."""

import functools

import numpy as np

from .._array import as_float, like, namespace, odd, on_magnitude, to_numpy
from . import _numeric
from ._base import Penalty


@functools.cache
def _named(name):
    from . import get_penalty

    return get_penalty(name)


def _resolve(penalty):
    return penalty if isinstance(penalty, Penalty) else _named(penalty)


class _OnInner(Penalty):
    """A penalty made of one separable penalty, with its facts."""

    def __init__(self, penalty):
        self.penalty = penalty

    @property
    def _inner(self):
        return _resolve(self.penalty)

    convex = property(lambda self: self._inner.convex)
    concave = property(lambda self: self._inner.concave)
    sparse = property(lambda self: self._inner.sparse)
    joint = property(lambda self: self._inner.joint)

    def _validate(self, alpha=1.0):
        super()._validate(alpha)
        if not self._inner.separable:
            raise ValueError(
                f"{type(self).__name__} takes a separable penalty; {type(self._inner).__name__} is "
                "not one."
            )


class Weighted(_OnInner):
    r"""A factor on the strength of each column: :math:`P_j(w) = P_{\alpha c_j}(w)`.

    Parameters
    ----------
    penalty : str or Penalty
        A separable penalty.
    weights : array-like of shape (n_features,)
        Factors c >= 0; 0 leaves a column unpenalised (glmnet's and ncvreg's penalty.factor).

    Examples
    --------
    >>> from skdropdual.penalties import Weighted
    >>> [float(v) for v in Weighted("l1", [0.0, 1.0, 2.0]).value([3.0, 3.0, 3.0])]
    [0.0, 3.0, 6.0]
    """

    def __init__(self, penalty, weights):
        super().__init__(penalty)
        self.weights = weights

    def _validate(self, alpha=1.0):
        super()._validate(alpha)
        weights = to_numpy(self.weights)
        if weights.ndim != 1 or not np.all((weights >= 0) & np.isfinite(weights)):
            raise ValueError(f"weights must be a 1-D array of finite numbers >= 0; got {weights}.")

    def _split(self, w, alpha):
        # The factors, which of them are 0, and strengths that are positive everywhere.
        if w.shape and w.shape[-1] != len(self.weights):
            raise ValueError(
                f"weights has {len(self.weights)} entries for {w.shape[-1]} columns; "
                "it needs one per column."
            )
        factor = like(self.weights, w)
        free = factor == 0
        return factor, free, alpha * namespace(w).where(free, 1.0 + 0.0 * factor, factor)

    @on_magnitude
    def value(self, w, alpha=1.0):
        _, free, strength = self._split(w, alpha)
        return namespace(w).where(free, 0.0 * w, self._inner.value(w, strength))

    @on_magnitude
    def slope(self, w, alpha=1.0):
        _, free, strength = self._split(w, alpha)
        return namespace(w).where(free, 0.0 * w, self._inner.slope(w, strength))

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        _, free, strength = self._split(w, alpha)
        return namespace(w).where(free, 0.0 * w, self._inner.curvature(w, strength))

    @on_magnitude
    def eta(self, w, alpha=1.0):
        factor, free, strength = self._split(w, alpha)
        return namespace(w).where(free, np.inf, self._inner.eta(w, strength) / factor)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        _, free, strength = self._split(z, alpha)
        return namespace(z).where(free, z, self._inner.prox(z, step, strength))

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        factor, free, strength = self._split(eta, alpha)
        scaled = factor * self._inner.dual(factor * eta, strength)
        return namespace(eta).where(free, 0.0, scaled)

    def majorizer(self, w, alpha=1.0):
        _, free, strength = self._split(w, alpha)
        return tuple(np.where(free, 0.0, part) for part in self._inner.majorizer(w, strength))

    def _take(self, index):
        return Weighted(self._inner._take(index), np.asarray(self.weights)[index])

    def alpha_max(self, grad0):
        self._validate()
        if isinstance(self._inner, Scaled):  # each column has its own units: those come last
            return Scaled(Weighted(self._inner._inner, self.weights), self._inner.scale).alpha_max(
                grad0
            )
        pull, factor = np.abs(to_numpy(grad0)), to_numpy(self.weights)
        # Only a column pulled harder than all those with smaller factors can need the most.
        order = np.lexsort((-pull, factor))
        hardest = np.maximum.accumulate(pull[order])
        order = order[np.diff(hardest, prepend=-1.0) > 0]
        pairs = zip(pull[order], factor[order], strict=True)
        top = max((_ratio(self._inner.alpha_max([g]), c) for g, c in pairs), default=0.0)
        return _numeric.round_up(self, pull, top)


def _ratio(alpha, factor):
    # The common strength at which factor * strength reaches alpha.
    return alpha / factor if factor > 0 else (np.inf if alpha > 0 else 0.0)


class Scaled(_OnInner):
    r"""A penalty in other units of each column: :math:`P_j(w) = P(s_j |w|)`.

    Parameters
    ----------
    penalty : str or Penalty
        A separable penalty.
    scale : array-like of shape (n_features,)
        Factors s > 0.

    Examples
    --------
    >>> from skdropdual.penalties import Scaled
    >>> [float(v) for v in Scaled("l1", [1.0, 2.0]).value([3.0, 3.0])]
    [3.0, 6.0]
    """

    def __init__(self, penalty, scale):
        super().__init__(penalty)
        self.scale = scale

    def _validate(self, alpha=1.0):
        super()._validate(alpha)
        scale = to_numpy(self.scale)
        if scale.ndim != 1 or not np.all((scale > 0) & np.isfinite(scale)):
            raise ValueError(f"scale must be a 1-D array of finite numbers > 0; got {scale}.")

    def _factor(self, w):
        if w.shape and w.shape[-1] != len(self.scale):
            raise ValueError(
                f"scale has {len(self.scale)} entries for {w.shape[-1]} columns; "
                "it needs one per column."
            )
        return like(self.scale, w)

    @on_magnitude
    def value(self, w, alpha=1.0):
        return self._inner.value(self._factor(w) * w, alpha)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        factor = self._factor(w)
        return factor * self._inner.slope(factor * w, alpha)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        factor = self._factor(w)
        return factor**2 * self._inner.curvature(factor * w, alpha)

    @on_magnitude
    def eta(self, w, alpha=1.0):
        factor = self._factor(w)
        return self._inner.eta(factor * w, alpha) / factor**2

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        factor = self._factor(z)
        return self._inner.prox(factor * z, step * factor**2, alpha) / factor

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        return self._inner.dual(self._factor(eta) ** 2 * eta, alpha)

    def majorizer(self, w, alpha=1.0):
        factor = self._factor(w)
        l1, l2 = self._inner.majorizer(factor * w, alpha)
        return factor * l1, factor**2 * l2

    def _take(self, index):
        return Scaled(self._inner._take(index), np.asarray(self.scale)[index])

    def alpha_max(self, grad0):
        self._validate()
        pull = np.abs(to_numpy(grad0)).astype(float)
        low = self._inner.alpha_max(pull / to_numpy(self.scale))
        if not 0 < low < np.inf:
            return low

        # Where another minimum is better than the one at zero, more is needed.
        def stays(alpha):
            return np.any(self.prox(pull, 1.0, alpha) != 0)

        high = low * (1 + 1e-12)
        if stays(high):
            while stays(high):
                low, high = high, 2 * high
            while low < (low + high) / 2 < high:
                middle = (low + high) / 2
                low, high = (middle, high) if stays(middle) else (low, middle)
            low = high
        return _numeric.round_up(self, pull, low)


class Sum(Penalty):
    r"""The sum of two penalties: slopes add, so :math:`1/\eta = 1/\eta_1 + 1/\eta_2`.

    Parameters
    ----------
    p1, p2 : str or Penalty
        Separable penalties, or one of them a `Group` (sparse groups); both see the same strength.

    Examples
    --------
    >>> from skdropdual.penalties import Lp, Sum
    >>> float(Sum("l1", Lp(p=2.0)).slope(3.0))
    4.0
    """

    def __init__(self, p1, p2):
        self.p1 = p1
        self.p2 = p2

    @property
    def _parts(self):
        return _resolve(self.p1), _resolve(self.p2)

    convex = property(lambda self: all(p.convex for p in self._parts))
    concave = property(lambda self: all(p.concave for p in self._parts))
    sparse = property(lambda self: any(p.sparse for p in self._parts))
    joint = property(lambda self: any(p.joint for p in self._parts))
    separable = property(lambda self: all(p.separable for p in self._parts))
    proximable = separable

    @property
    def concave_in_norms(self):
        """As in `Penalty`."""
        if self.separable:
            return None
        single, group = self._by_kind
        return single.concave and group.concave_in_norms

    def _validate(self, alpha=1.0):
        super()._validate(alpha)
        parts = self._parts
        if not all(p.separable or p.concave_in_norms is not None for p in parts):
            raise ValueError(
                "Sum takes separable penalties and at most one Group; got "
                f"{' and '.join(type(p).__name__ for p in parts)}."
            )
        if not any(p.separable for p in parts):
            raise ValueError("Sum takes at most one Group; got two.")

    @property
    def _by_kind(self):
        # The separable part, and the group.
        p1, p2 = self._parts
        return (p1, p2) if p1.separable else (p2, p1)

    def labels(self, n_features):
        """Return the group of each column as an integer in 0..n_groups-1.

        Parameters
        ----------
        n_features : int
            Number of columns that the groups must cover.

        Returns
        -------
        ndarray of shape (n_features,)
            Group numbers.
        """
        return self._by_kind[1].labels(n_features)

    def slopes(self, w, alpha=1.0):
        """Return the slope in each magnitude and in the norm of each group.

        Parameters
        ----------
        w, alpha
            As in `Group.slopes`.

        Returns
        -------
        single, group : ndarray of shape (n_features,)
            Slopes, those in a norm once for every member.
        """
        single, group = self._by_kind
        return single.slope(w, alpha), group.slopes(w, alpha)[1]

    def hessian(self, w, index, alpha=1.0):
        """Return the second derivatives of the penalty in some coefficients that are not 0.

        Parameters
        ----------
        w, index, alpha
            As in `Group.hessian`.

        Returns
        -------
        ndarray of shape (k, k)
            Second derivatives.
        """
        single, group = self._by_kind
        result = group.hessian(w, index, alpha)
        bend = single._take(index).curvature(w[index], alpha)
        result.flat[:: len(index) + 1] += bend
        return result

    def norm(self, w):
        return abs(w) if self.separable else self._by_kind[1].norm(w)

    def alpha_max(self, grad0):
        if self.separable:
            return super().alpha_max(grad0)
        self._validate()
        single, group = self._by_kind
        grad0 = np.atleast_1d(as_float(to_numpy(grad0)))
        bounds = [p.alpha_max(grad0) for p in (single, group)]
        upper = min(bounds)
        if upper == 0 or not np.isfinite(upper):
            return upper

        def left(alpha):
            # What is left of the pull on the group that is hardest to keep at zero.
            l1, l2 = self.slopes(np.zeros_like(grad0), alpha)
            return float((group.norm(np.maximum(abs(grad0) - l1, 0.0)) - l2).max())

        low, high = upper * 1e-8, upper
        if left(low) <= 0:
            return low
        while high - low > 1e-15 * high:
            middle = (low + high) / 2
            if middle in (low, high):
                break
            low, high = (middle, high) if left(middle) > 0 else (low, middle)
        return high

    @on_magnitude
    def value(self, w, alpha=1.0):
        return sum(p.value(w, alpha) for p in self._parts)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return sum(p.slope(w, alpha) for p in self._parts)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        return sum(p.curvature(w, alpha) for p in self._parts)

    def _take(self, index):
        parts = self._parts
        taken = [p._take(index) for p in parts]
        return self if all(t is p for t, p in zip(taken, parts, strict=True)) else Sum(*taken)

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return 1 / sum(1 / p.eta(w, alpha) for p in self._parts)

    def majorizer(self, w, alpha=1.0):
        return tuple(
            sum(both) for both in zip(*(p.majorizer(w, alpha) for p in self._parts), strict=True)
        )
