"""Penalties on groups of columns: they enter and leave together."""

import numpy as np

from .._array import as_float, like, namespace, odd, on_magnitude, to_numpy
from ._compose import Weighted, _OnInner


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
    weights : "sqrt", array-like of shape (n_groups,) or None, default=None
        Factors > 0 on the strength of each group, in the order of sorted labels; "sqrt" are the
        roots of their sizes.

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
    concave_in_norms = property(lambda self: self._inner.concave)

    def __init__(self, penalty, groups, weights=None):
        super().__init__(penalty)
        self.groups = groups
        self.weights = weights

    def _strength(self, w, alpha):
        # That of the group of each entry.
        if self.weights is None:
            return alpha
        labels = self.labels(w.shape[-1])
        sizes = np.bincount(labels)
        if isinstance(self.weights, str):
            if self.weights != "sqrt":
                raise ValueError(f'weights must be "sqrt" or numbers; got {self.weights!r}.')
            factor = np.sqrt(sizes)
        else:
            factor = np.asarray(self.weights, dtype=float)
            if factor.shape != sizes.shape or not (np.isfinite(factor) & (factor > 0)).all():
                raise ValueError(
                    f"weights must be {len(sizes)} finite numbers > 0, one per group; got "
                    f"{self.weights!r}."
                )
        return alpha * like(factor[labels], w)

    def slopes(self, w, alpha=1.0):
        """Return the slope in each magnitude, 0, and in the norm of each group.

        Parameters
        ----------
        w : ndarray of shape (n_features,)
            Weights.
        alpha : float, default=1.0
            Strength, > 0.

        Returns
        -------
        single, group : ndarray of shape (n_features,)
            Slopes, those in a norm once for every member.
        """
        group = self._inner.slope(self.norm(w), self._strength(w, alpha))
        return np.zeros_like(group), group

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
        known = vars(self).get("_state")
        if known is None or known[0] is not self.groups or known[1] != n_features:
            self._state = self.groups, n_features, self._read(n_features)
        return self._state[2]

    def _read(self, n_features):
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

    def hessian(self, w, index, alpha=1.0):
        r"""Return the second derivatives of the penalty in some coefficients that are not 0.

        With the unit vector u of a group, :math:`P'' u u^T + (P'/\|w_g\|) (I - u u^T)`.

        Parameters
        ----------
        w : ndarray of shape (n_features,)
            Weights.
        index : ndarray of shape (k,)
            Coefficients.
        alpha : float, default=1.0
            Strength, > 0.

        Returns
        -------
        ndarray of shape (k, k)
            Second derivatives.
        """
        strength = self._strength(w, alpha)
        strength = strength if np.ndim(strength) == 0 else strength[index]
        norm, labels = self.norm(w)[index], self.labels(len(w))[index]
        inner = self._inner._take(index)
        across = inner.slope(norm, strength) / norm
        along = inner.curvature(norm, strength) - across
        unit = w[index] / norm
        result = np.where(labels[:, None] == labels, along * np.outer(unit, unit), 0.0)
        result.flat[:: len(index) + 1] += across
        return result

    @on_magnitude
    def value(self, w, alpha=1.0):
        norm, alpha = self.norm(w), self._strength(w, alpha)
        return self._inner.value(norm, alpha) * self._cosine(w, norm) ** 2

    @on_magnitude
    def slope(self, w, alpha=1.0):
        norm, alpha = self.norm(w), self._strength(w, alpha)
        slope = self._inner.slope(norm, alpha)
        return namespace(w).where(norm > 0, slope * self._cosine(w, norm), slope)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        norm, alpha = self.norm(w), self._strength(w, alpha)
        c2 = self._cosine(w, norm) ** 2
        return self._inner.curvature(norm, alpha) * c2 + self._inner.slope(norm, alpha) / norm * (
            1 - c2
        )

    @on_magnitude
    def eta(self, w, alpha=1.0):
        strength = self._strength(w, alpha)
        return self._inner.eta(self.norm(w), strength) * (alpha / strength)

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        # `step` must be the same for the members of a group.
        norm, alpha = self.norm(z), self._strength(z, alpha)
        return self._inner.prox(norm, step, alpha) * self._cosine(z, norm)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        size = self._pooled(1.0 + 0.0 * eta, "sum")
        strength = self._strength(eta, alpha)
        factor = strength / alpha
        return factor * self._inner.dual(factor * self._pooled(eta, "max"), strength) / size

    def alpha_max(self, grad0):
        self._validate()
        pull = np.atleast_1d(self.norm(as_float(to_numpy(grad0))))
        if self.weights is None:
            return self._inner.alpha_max(pull)
        return Weighted(self._inner, self._strength(pull, 1.0)).alpha_max(pull)
