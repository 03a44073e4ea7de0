"""The family every penalty, that is every dropout rule, belongs to."""

import numpy as np
from sklearn.base import BaseEstimator

from .._array import compiling, namespace, odd, on_magnitude, silent, to_numpy
from .._sklearn import validate_parameter_constraints
from . import _numeric

# Attributes that hold what was derived from the parameters, never a parameter.
_CACHES = ("_checked", "_state")


class Penalty(BaseEstimator):
    r"""A penalty P on ``|w|`` and, at the same time, the dropout rule that is its dual.

    A subclass gives `value` and `slope`; everything else has a numeric default that a closed form
    may override. All methods take NumPy arrays or torch tensors of any shape, negative `w` by
    symmetry, and work elementwise. The two faces are tied by

    .. math::

        P(w) &= \min_{\eta \ge 0} \tfrac{\alpha}{2} \left(w^2/\eta + f(\eta)\right),
        \qquad \hat\eta(w) = \alpha |w| / P'(|w|) \\
        \text{keep probability}(w) &= \hat\eta / (\hat\eta + \alpha) = |w| / (|w| + P'(|w|))

    Attributes
    ----------
    convex : bool
        P is convex.
    concave : bool
        P is concave in ``|w|``: local linear majorisation (weighted L1) applies.
    sparse : bool
        P'(0+) > 0: minimisers have exact zeros.
    joint : bool
        The shape of P depends on `alpha`: P is not `alpha` times a fixed function.
    separable : bool
        P of a vector is the sum of P of its entries.
    constraint : bool
        P is 0 or inf: the strength plays no part.
    proximable : bool
        `prox` is there.
    concave_in_norms : bool or None
        For penalties on norms of groups, whether they are concave in these; else None.

    References
    ----------
    LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin. arXiv:2106.07769.
    """

    convex: bool = False
    concave: bool = True
    sparse: bool = True
    joint: bool = False
    separable: bool = True
    constraint: bool = False
    proximable: bool = True
    concave_in_norms: bool | None = None

    _parameter_constraints: dict = {}

    def value(self, w, alpha=1.0):
        """Return ``P(|w|)``, elementwise.

        Parameters
        ----------
        w : float, ndarray or torch.Tensor
            Weights.
        alpha : float or array that broadcasts with `w`, default=1.0
            Strength, > 0 (the paper's lambda).

        Returns
        -------
        float, ndarray or torch.Tensor
            The penalty of each entry, shape and dtype of `w`.
        """
        raise NotImplementedError

    def slope(self, w, alpha=1.0):
        """Return ``P'(|w|)``, elementwise; at 0 the limit P'(0+), which may be inf.

        Parameters
        ----------
        w, alpha
            As in `value`.

        Returns
        -------
        float, ndarray or torch.Tensor
            The slope at each entry, >= 0.
        """
        raise NotImplementedError

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        """Return ``P''(|w|)`` for w != 0, elementwise (here by a central difference).

        Parameters
        ----------
        w, alpha
            As in `value`.

        Returns
        -------
        float, ndarray or torch.Tensor
            The second derivative at each entry.
        """
        width = 1e-5 * w
        return (self.slope(w + width, alpha) - self.slope(w - width, alpha)) / (2 * width)

    @on_magnitude
    def eta(self, w, alpha=1.0):
        r"""Return the dual variable at w, :math:`\hat\eta = \alpha |w| / P'(|w|)`.

        Parameters
        ----------
        w, alpha
            As in `value`.

        Returns
        -------
        float, ndarray or torch.Tensor
            In [0, inf]; inf leaves a weight free, 0 forces it to 0.
        """
        xp = namespace(w)
        # A slope that vanishes at 0 leaves 0/0 there: take the limit from a tiny weight.
        near = xp.where(w > 0, w, 1e-30 + 0.0 * w) if not self.sparse else w
        return alpha * near / self.slope(near, alpha)

    @on_magnitude
    def keep_prob(self, w, alpha=1.0):
        r"""Return the keep probability of the dual rule, :math:`|w| / (|w| + P'(|w|))`.

        Parameters
        ----------
        w, alpha
            As in `value`.

        Returns
        -------
        float, ndarray or torch.Tensor
            In [0, 1], nondecreasing in ``|w|``.
        """
        xp = namespace(w)
        odds = self.eta(w, alpha) / alpha
        return xp.where(odds < 1, odds / (1 + odds), 1 / (1 + 1 / odds))

    @odd
    def prox(self, z, step=1.0, alpha=1.0):
        r"""Return the global minimiser of :math:`(w - z)^2/2 + \text{step} \cdot P(|w|)`.

        Parameters
        ----------
        z : float, ndarray or torch.Tensor
            Where to start from.
        step : float or array that broadcasts with `z`, default=1.0
            Step size, > 0.
        alpha : float or array that broadcasts with `z`, default=1.0
            Strength, > 0.

        Returns
        -------
        float, ndarray or torch.Tensor
            The minimiser, elementwise; a tie goes to 0.
        """
        return _numeric.prox(self, z, step, alpha)

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        r"""Return the dual :math:`f(\eta) = \sup_w \tfrac{2}{\alpha} P(w) - w^2/\eta`.

        Parameters
        ----------
        eta : float, ndarray or torch.Tensor
            Dual variables, >= 0.
        alpha : float or array that broadcasts with `eta`, default=1.0
            Strength, > 0.

        Returns
        -------
        float, ndarray or torch.Tensor
            The dual of each entry, nondecreasing in `eta`, in [0, inf].
        """
        return _numeric.dual(self, eta, alpha)

    def total(self, w, alpha=1.0):
        """Return the penalty of the whole array: the sum of `value`.

        Parameters
        ----------
        w, alpha
            As in `value`.

        Returns
        -------
        float or torch.Tensor
            P(w), a scalar.
        """
        return self.value(w, alpha).sum()

    def alpha_max(self, grad0):
        """Return the smallest strength at which ``prox(grad0, 1, alpha)`` is all zero.

        With standardised columns and ``grad0 = X.T @ y / n`` this is where a path starts.

        Parameters
        ----------
        grad0 : array-like
            Gradient of the loss at zero coefficients (either sign).

        Returns
        -------
        float
            0 if `grad0` is zero; inf where no strength zeroes it (slope 0 at 0).
        """
        largest = float(np.abs(to_numpy(grad0)).max(initial=0.0))
        if largest == 0:
            return 0.0
        if not self.sparse:
            return np.inf
        return _numeric.round_up(self, np.asarray(largest), self._alpha_max(largest))

    def _alpha_max(self, largest):
        return _numeric.alpha_max(self, largest)

    def norm(self, w):
        """Return, for each entry, the magnitude that P acts on: ``|w|``, or its group's norm.

        Parameters
        ----------
        w : ndarray or torch.Tensor
            Weights.

        Returns
        -------
        ndarray or torch.Tensor
            Magnitudes, shape of `w`.
        """
        return abs(w)

    def majorizer(self, w, alpha=1.0):
        r"""Return (l1, l2) with :math:`P(u) \le l_1 |u| + l_2 u^2/2` + const, tight at w.

        Parameters
        ----------
        w : ndarray
            Current weights.
        alpha : float, default=1.0
            Strength, > 0.

        Returns
        -------
        l1, l2 : ndarray
            Weighted L1 where P is concave in \|w\|; else the ridge of the dropout rule.
        """
        if self.concave:
            return self.slope(w, alpha), np.zeros_like(w)
        return np.zeros_like(w), self.ridge(w, alpha)

    def ridge(self, w, alpha=1.0):
        r"""Return the ridge of the dropout rule at w, :math:`\alpha/\hat\eta(w) = r`.

        Parameters
        ----------
        w : ndarray
            Current weights.
        alpha : float, default=1.0
            Strength, > 0.

        Returns
        -------
        ndarray
            The relative variance of each mask, in [0, inf].
        """
        return silent(lambda w: alpha / self.eta(w, alpha), w)

    def bind(self, design):
        """Return this penalty for one design matrix; only ARD depends on it.

        Parameters
        ----------
        design : ndarray of shape (n_samples, n_features)
            D: centred, scaled columns, rows times the root of their share of the weight, so that
            ``D.T @ D`` is the Gram matrix of the loss. The estimators pass an object with
            ``cross(index)`` for ``D.T @ D[:, index]`` and ``curvature`` for its diagonal.

        Returns
        -------
        Penalty
            The penalty to minimise.
        """
        return self

    def _take(self, index):
        # The penalty of those entries alone, for a separable penalty.
        return self

    def _validate(self, alpha=1.0):
        # A parameter is checked once for each object it is set to: penalties are called often.
        if compiling():  # what is compiled has been called before
            return
        parameters = {k: v for k, v in vars(self).items() if k not in _CACHES}
        checked = vars(self).get("_checked")
        if checked is None or any(checked.get(k) is not v for k, v in parameters.items()):
            validate_parameter_constraints(
                self._parameter_constraints, self.get_params(deep=False), type(self).__name__
            )
            self._checked = parameters
        if isinstance(alpha, float | int):
            valid = alpha > 0
        else:
            valid = not isinstance(alpha, np.ndarray) or bool((alpha > 0).all())
        if not valid:
            raise ValueError(f"alpha, the strength of a penalty, must be > 0; got {alpha!r}.")

    def __setattr__(self, name, value):
        # A parameter may be named like a method (Standout's slope) and must not hide it.
        if callable(getattr(type(self), name, None)):
            name = "_" + name
        super().__setattr__(name, value)

    def get_params(self, deep=True):
        """Return the constructor parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of penalties inside this one.

        Returns
        -------
        dict
            Parameter names mapped to their values.
        """
        params = super().get_params(deep)
        own = vars(self)
        return {name: own.get("_" + name, value) for name, value in params.items()}

    def __getstate__(self):
        state = super().__getstate__()
        return {k: v for k, v in state.items() if k not in _CACHES}
