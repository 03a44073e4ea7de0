"""The two faces of one model, coefficient against coefficient."""

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.utils.validation import check_is_fitted

from .. import linear_model
from ..duality import effective_penalty
from ..linear_model._base import LinearEstimator
from ..linear_model._search import Search
from ._drawing import Display


class DualityDisplay(Display):
    """Coefficients of a penalised model against those of its dual dropout rule.

    Where both estimators have found the same minimum, all points lie on the diagonal. For a
    classifier, or a loss other than the squared error, dropout is a ridge to second order only, and
    they need not.

    Use `from_estimators` or `from_estimator` to make one.

    Parameters
    ----------
    penalised : ndarray of shape (n_coefs,)
        Coefficients of the penalised model, of all outputs in a row.
    dropout : ndarray of shape (n_coefs,)
        Coefficients of adaptive dropout.
    keep_prob : ndarray of shape (n_coefs,), default=None
        Keep probabilities of adaptive dropout, which colour the points.

    Attributes
    ----------
    ax_ : Axes
        Where it was drawn.
    figure_ : Figure
        The figure of the axes.
    points_ : PathCollection
        A point for each coefficient.
    diagonal_ : Line2D
        Where both are equal.
    colorbar_ : Colorbar or None
        The scale of the keep probabilities.
    difference_ : float
        Largest absolute difference of the coefficients.

    See Also
    --------
    skdropdual.check_duality : Check numerically that penalty and rule belong together.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual import AdaptiveDropoutRegressor, EffectivePenaltyRegressor
    >>> from skdropdual.inspection import DualityDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> display = DualityDisplay.from_estimators(
    ...     EffectivePenaltyRegressor("mcp", alpha=10.0).fit(X, y),
    ...     AdaptiveDropoutRegressor("mcp", alpha=10.0).fit(X, y),
    ... )
    >>> display.difference_ < 1e-8
    True
    """

    def __init__(self, *, penalised, dropout, keep_prob=None):
        self.penalised = penalised
        self.dropout = dropout
        self.keep_prob = keep_prob

    @classmethod
    def from_estimators(cls, penalised, dropout, *, ax=None, **scatter_kw):
        """Draw two fitted estimators against each other.

        Parameters
        ----------
        penalised : estimator
            Fitted `EffectivePenaltyRegressor`, `EffectivePenaltyClassifier` or CV sibling.
        dropout : estimator
            Fitted `AdaptiveDropoutRegressor`, `AdaptiveDropoutClassifier` or CV sibling.
        ax : Axes, default=None
            Where to draw; None is a new figure.
        **scatter_kw
            Options of the points, for ``Axes.scatter``.

        Returns
        -------
        DualityDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If one of them is not fitted.
        ValueError
            If their coefficients have different shapes.
        """
        check_is_fitted(penalised, "coef_")
        check_is_fitted(dropout, "coef_")
        if penalised.coef_.shape != dropout.coef_.shape:
            raise ValueError(
                "Both estimators must have coefficients of one shape; got "
                f"{penalised.coef_.shape} and {dropout.coef_.shape}."
            )
        keep_prob = getattr(dropout, "keep_prob_", None)
        display = cls(
            penalised=np.ravel(penalised.coef_),
            dropout=np.ravel(dropout.coef_),
            keep_prob=None if keep_prob is None else np.ravel(keep_prob),
        )
        return display.plot(ax, **scatter_kw)

    @classmethod
    def from_estimator(cls, estimator, X, y, *, sample_weight=None, ax=None, **scatter_kw):
        """Fit an estimator and its other face, and draw them against each other.

        Parameters
        ----------
        estimator : estimator
            `EffectivePenaltyRegressor`, `AdaptiveDropoutRegressor` or one of the classifiers. It is
            not changed: both models are fitted anew, with what they have in common set alike.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        ax : Axes, default=None
            Where to draw; None is a new figure.
        **scatter_kw
            Options of the points, for ``Axes.scatter``.

        Returns
        -------
        DualityDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If the estimator has no other face.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skdropdual import AdaptiveDropoutRegressor
        >>> from skdropdual.inspection import DualityDisplay
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = AdaptiveDropoutRegressor("logsum", alpha=3.0)
        >>> DualityDisplay.from_estimator(model, X, y).difference_ < 1e-8
        True
        """
        pair = [face.fit(X, y, sample_weight) for face in _both_faces(estimator)]
        return cls.from_estimators(*pair, ax=ax, **scatter_kw)

    def plot(self, ax=None, **scatter_kw):
        """Draw a point for each coefficient, and the diagonal.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None is a new figure.
        **scatter_kw
            Options of the points, for ``Axes.scatter``.

        Returns
        -------
        DualityDisplay
            The display itself.
        """
        ax = self._axes(ax)
        self.difference_ = float(np.abs(self.penalised - self.dropout).max(initial=0.0))
        style = {"label": f"largest difference {self.difference_:.1e}", "s": 25}
        if self.keep_prob is not None and not {"c", "color"} & scatter_kw.keys():
            style |= {"c": self.keep_prob, "vmin": 0.0, "vmax": 1.0}
        self.points_ = ax.scatter(self.penalised, self.dropout, **style | scatter_kw)
        self.colorbar_ = None
        if self.points_.get_array() is not None:
            self.colorbar_ = self.figure_.colorbar(self.points_, ax=ax, label="keep probability")
        self.diagonal_ = ax.axline((0.0, 0.0), slope=1.0, color="0.7", lw=1, zorder=0)
        ax.set(xlabel="coefficient, penalised", ylabel="coefficient, adaptive dropout")
        ax.legend(fontsize="small")
        return self


def _both_faces(estimator):
    """Return the estimator as penalised model and as adaptive dropout, unfitted."""
    if not isinstance(estimator, LinearEstimator):
        raise TypeError(
            "DualityDisplay needs a linear estimator of this library; got "
            f"{type(estimator).__name__}."
        )
    kind = "Classifier" if is_classifier(estimator) else "Regressor"
    kind += "CV" if isinstance(estimator, Search) else ""
    params = clone(estimator).get_params(deep=False)
    given = params.pop(estimator._penalty_parameter)
    if isinstance(given, list | tuple):
        rule = [effective_penalty(each) for each in given]
    else:
        rule = effective_penalty(given)
    for face in ("EffectivePenalty", "AdaptiveDropout"):
        cls = getattr(linear_model, face + kind)
        shared = {name: value for name, value in params.items() if name in cls._get_param_names()}
        yield cls(**shared, **{cls._penalty_parameter: rule})
