"""Penalties made of penalties: factors per column, sums, groups."""

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


class Sum(Penalty):
    r"""The sum of two penalties: slopes add, so :math:`1/\eta = 1/\eta_1 + 1/\eta_2`.

    Parameters
    ----------
    p1, p2 : str or Penalty
        Separable penalties; both see the same strength.

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

    def _validate(self, alpha=1.0):
        super()._validate(alpha)
        for part in self._parts:
            if not part.separable:
                raise ValueError(
                    f"Sum takes separable penalties; {type(part).__name__} is not one."
                )

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


class Group(_OnInner):
    r"""A penalty on the norm of each group: :math:`\sum_g P(\|w_g\|)`, one eta per group.

    The last axis holds the columns. `value` gives every entry its share
    :math:`P(\|w_g\|) w_j^2/\|w_g\|^2`, so that they add up.

    Parameters
    ----------
    penalty : str or Penalty
        A separable penalty.
    groups : array-like of shape (n_features,) or list of index arrays
        The label of each column, or the columns of each group; every column in exactly one.

    References
    ----------
    Yuan, Lin (2006). Model selection and estimation in regression with grouped variables. JRSS B.

    Examples
    --------
    >>> from skdropdual.penalties import Group
    >>> float(Group("l1", [0, 0, 1]).total([3.0, 4.0, 2.0]))
    7.0
    """

    concave = False  # in the norms, not in each |w|
    separable = False

    def __init__(self, penalty, groups):
        super().__init__(penalty)
        self.groups = groups

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
        groups = self.groups
        if any(np.ndim(group) for group in groups):
            members = np.concatenate([np.atleast_1d(group) for group in groups])
            if not np.array_equal(np.sort(members), np.arange(n_features)):
                raise ValueError(
                    f"groups must hold each of the {n_features} columns exactly once; got "
                    f"{members.size} indices, {np.unique(members).size} of them different."
                )
            labels = np.empty(n_features, dtype=np.intp)
            labels[members] = np.repeat(np.arange(len(groups)), [np.size(g) for g in groups])
            return labels
        if len(groups) != n_features:
            raise ValueError(
                f"groups has {len(groups)} labels for {n_features} columns; one each is needed."
            )
        return np.unique(np.asarray(groups), return_inverse=True)[1]

    def _pooled(self, x, reduce):
        # Sum or maximum of x over each group, given back to every member.
        xp, labels = namespace(x), self.labels(x.shape[-1])
        shape = (*x.shape[:-1], labels.max(initial=-1) + 1)
        if xp is np:
            pooled = np.zeros(shape[::-1], x.dtype)  # the columns first, as ufunc.at wants them
            (np.add if reduce == "sum" else np.maximum).at(pooled, labels, x.T)
            return pooled[labels].T
        index = xp.as_tensor(labels, device=x.device).expand(x.shape)
        pooled = xp.zeros(shape, dtype=x.dtype, device=x.device)
        how = "sum" if reduce == "sum" else "amax"
        return pooled.scatter_reduce(-1, index, x, how).gather(-1, index)

    def norm(self, w):
        """Return the norm of the group of each entry, without overflow.

        Parameters
        ----------
        w : ndarray or torch.Tensor
            Weights; the last axis holds the columns.

        Returns
        -------
        ndarray or torch.Tensor
            Norms, shape of `w`.
        """
        xp = namespace(w)
        largest = self._pooled(abs(w), "max")
        empty = largest == 0
        scale = xp.where(empty, 1.0 + 0.0 * largest, largest)
        squares = self._pooled((w / scale) ** 2, "sum")
        # The root at 0 has no gradient: keep autograd away from it.
        return xp.where(empty, largest, scale * xp.sqrt(xp.where(empty, scale, squares)))

    def _cosine(self, w, norm):
        return w / namespace(w).where(norm > 0, norm, 1.0 + 0.0 * norm)

    @on_magnitude
    def value(self, w, alpha=1.0):
        norm = self.norm(w)
        return self._inner.value(norm, alpha) * self._cosine(w, norm) ** 2

    @on_magnitude
    def slope(self, w, alpha=1.0):
        norm = self.norm(w)
        slope = self._inner.slope(norm, alpha)
        return namespace(w).where(norm > 0, slope * self._cosine(w, norm), slope)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        norm = self.norm(w)
        c2 = self._cosine(w, norm) ** 2
        return self._inner.curvature(norm, alpha) * c2 + self._inner.slope(norm, alpha) / norm * (
            1 - c2
        )

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return self._inner.eta(self.norm(w), alpha)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        # `step` must be the same for the members of a group.
        norm = self.norm(z)
        return self._inner.prox(norm, step, alpha) * self._cosine(z, norm)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        size = self._pooled(1.0 + 0.0 * eta, "sum")
        return self._inner.dual(self._pooled(eta, "max"), alpha) / size

    def alpha_max(self, grad0):
        self._validate()
        return self._inner.alpha_max(self.norm(as_float(grad0)))
