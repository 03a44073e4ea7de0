"""Whether a fitted model solves its problem, found from the data and nothing else."""

import numpy as np

from ._drawing import Display
from ._kkt import stationarity_of


class StationarityDisplay(Display):
    r"""Residual of the first-order conditions of each coefficient, against the tolerance.

    With the pull of the data on a coefficient, :math:`g_j = -\partial L / \partial w_j` (for the
    squared error :math:`x_j^T (y - X w) / n`), a solution has

    .. math::

        g_j = P'(|w_j|)\,\mathrm{sign}(w_j) \text{ where } w_j \ne 0, \qquad
        |g_j| \le P'(0+) \text{ where } w_j = 0.

    The residual is how far a coefficient is from that, relative to the largest pull on a model
    without columns. Pulls are computed from X and y, not taken from the fit.

    Use `from_estimator` to make one.

    Parameters
    ----------
    coef : ndarray of shape (n_coefs,)
        Coefficients, of all outputs in a row, in the units that the penalty sees.
    residual : ndarray of shape (n_coefs,)
        Relative residuals, >= 0.
    pull : ndarray of shape (n_coefs,)
        Sizes of the pulls (of a group's norm, where the group is zero), relative too.
    bound : ndarray of shape (n_coefs,)
        Slope of the penalty at each coefficient, relative too.
    tol : float, default=None
        The estimator's tolerance.

    Attributes
    ----------
    ax_ : Axes
        Where it was drawn.
    figure_ : Figure
        The figure of the axes.
    nonzero_, zero_ : Line2D
        Markers of the coefficients that are not zero, and of those that are.
    bound_line_ : Line2D or None
        The tolerance, or the slopes for ``kind="pull"``.

    See Also
    --------
    skdropdual.EffectivePenaltyRegressor : Its ``stationarity_`` is the largest residual.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual import EffectivePenaltyRegressor
    >>> from skdropdual.inspection import StationarityDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = EffectivePenaltyRegressor("mcp", alpha=5.0).fit(X, y)
    >>> display = StationarityDisplay.from_estimator(model, X, y)
    >>> bool(display.residual.max() <= model.tol)
    True
    """

    def __init__(self, *, coef, residual, pull, bound, tol=None):
        self.coef = coef
        self.residual = residual
        self.pull = pull
        self.bound = bound
        self.tol = tol

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        sample_weight=None,
        penalty=None,
        alpha=None,
        kind="residual",
        ax=None,
        **marker_kw,
    ):
        """Draw how far the coefficients of a fitted linear estimator are from stationary.

        Parameters
        ----------
        estimator : estimator
            A fitted linear estimator of this library, or any other with ``coef_`` and
            ``intercept_`` that minimises the squared error, or a classifier's log loss, plus
            `penalty` of its coefficients.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data it was fitted to.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the fit.
        penalty : str, Penalty or callable, default=None
            What `effective_penalty` takes; None is the estimator's.
        alpha : float > 0, default=None
            Strength; None is the estimator's ``alpha_``.
        kind : {"residual", "pull"}, default="residual"
            What to draw, as in `plot`.
        ax : Axes, default=None
            Where to draw; None is a new figure.
        **marker_kw
            Options of the markers, for ``Axes.plot``.

        Returns
        -------
        StationarityDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If an estimator of another library comes without penalty or strength, or the data do not
            fit the coefficients.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Lasso
        >>> from skdropdual.inspection import StationarityDisplay
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = Lasso(alpha=0.5).fit(X, y)
        >>> display = StationarityDisplay.from_estimator(model, X, y, penalty="l1", alpha=0.5)
        >>> bool(display.residual.max() < 1e-4)
        True
        """
        found = stationarity_of(estimator, X, y, sample_weight, penalty, alpha)
        tol = getattr(estimator, "tol", None) if penalty is None else None
        return cls(**found, tol=tol).plot(ax, kind=kind, **marker_kw)

    def plot(self, ax=None, *, kind="residual", **marker_kw):
        """Draw a marker for each coefficient.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None is a new figure.
        kind : {"residual", "pull"}, default="residual"
            "residual" draws residuals on a logarithmic axis, with the tolerance as a line; those
            below 1e-18 lie on its lower edge. "pull" draws the pulls, with the slope of the penalty
            at each coefficient: pulls on nonzero coefficients lie on it, the others below.
        **marker_kw
            Options of the markers, for ``Axes.plot``.

        Returns
        -------
        StationarityDisplay
            The display itself.
        """
        if kind not in ("residual", "pull"):
            raise ValueError(f'kind must be "residual" or "pull"; got {kind!r}.')
        ax = self._axes(ax)
        self.bound_line_ = None
        heights = self.pull
        if kind == "residual":
            heights = np.maximum(self.residual, _FLOOR)
            ax.set_yscale("log")
            if self.tol:
                self.bound_line_ = ax.axhline(self.tol, color="0.4", lw=1, ls="--", label="tol")
        else:
            style = {"color": "0.4", "ls": "none", "marker": "_", "ms": 9, "label": "slope of P"}
            self.bound_line_ = ax.plot(self.bound, **style)[0]
        index, inside = np.arange(len(self.coef)), self.coef != 0
        style = {"ls": "none", "marker": "o", "ms": 4}
        self.nonzero_, self.zero_ = (
            ax.plot(index[on], heights[on], **style | {"label": label} | marker_kw)[0]
            for on, label in ((inside, "nonzero"), (~inside, "zero"))
        )
        ylabel = "stationarity residual" if kind == "residual" else "pull of the data, |g|"
        ax.set(xlabel="coefficient", ylabel=ylabel)
        ax.legend(fontsize="small")
        return self


# Smaller residuals are drawn here: a logarithm has no zero.
_FLOOR = 1e-18
