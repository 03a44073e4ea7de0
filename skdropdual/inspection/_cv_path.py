"""Errors of cross-validation, or an information criterion, against the strength."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..linear_model._search import Search
from ._drawing import Display, label_strengths, mark_alpha, penalty_name


class CVPathDisplay(Display):
    r"""Error of cross-validation against strength, with its spread over folds.

    A line is the mean over folds, the band around it a standard error on either side,
    :math:`\bar e \pm s / \sqrt{K}` for K folds with standard deviation s. Several penalties have a
    line each. A model selected by an information criterion has that criterion and no band.

    Use `from_estimator` to make one.

    Parameters
    ----------
    alphas : list of ndarray of shape (n_alphas,)
        Strengths of each penalty.
    errors : list of ndarray of shape (n_alphas, n_folds)
        Errors of each penalty; a single column has no spread.
    alpha : float, default=None
        The strength chosen.
    chosen : int, default=0
        The penalty chosen.
    names : list of str, default=None
        Names of the penalties.
    quantity : str, default="error"
        What the errors are.

    Attributes
    ----------
    ax_ : Axes
        Where it was drawn.
    figure_ : Figure
        The figure of the axes.
    lines_ : list of Line2D
        The mean error of each penalty.
    bands_ : list of PolyCollection
        The spread of each penalty; empty without one.
    alpha_line_ : Line2D or None
        The strength chosen.
    point_ : Line2D or None
        The mean error at the strength chosen.

    See Also
    --------
    PathDisplay : Coefficients along a path.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual import EffectivePenaltyRegressorCV
    >>> from skdropdual.inspection import CVPathDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = EffectivePenaltyRegressorCV(["l1", "mcp"], selection="1se").fit(X, y)
    >>> display = CVPathDisplay.from_estimator(model)
    >>> [line.get_label() for line in display.lines_]
    ['l1', 'mcp']
    """

    def __init__(self, *, alphas, errors, alpha=None, chosen=0, names=None, quantity="error"):
        self.alphas = alphas
        self.errors = errors
        self.alpha = alpha
        self.chosen = chosen
        self.names = names
        self.quantity = quantity

    @classmethod
    def from_estimator(cls, estimator, *, names=None, ax=None, line_kw=None, band_kw=None):
        """Draw what a fitted search for the strength has found.

        Parameters
        ----------
        estimator : estimator
            A fitted `EffectivePenaltyRegressorCV`, `AdaptiveDropoutRegressorCV`, one of their
            classifiers, or one of scikit-learn's with ``alphas_``, ``alpha_`` and ``mse_path_``.
        names : list of str, default=None
            Names of the penalties; None is as they were given to the estimator.
        ax : Axes, default=None
            Where to draw; None is a new figure.
        line_kw : dict, default=None
            Options of the lines, for ``Axes.plot``.
        band_kw : dict, default=None
            Options of the bands, for ``Axes.fill_between``.

        Returns
        -------
        CVPathDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is no search.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import LassoCV
        >>> from skdropdual.inspection import CVPathDisplay
        >>> model = LassoCV().fit(*load_diabetes(return_X_y=True))
        >>> CVPathDisplay.from_estimator(model).errors[0].shape
        (100, 5)
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "alphas_"):
            raise TypeError(
                "CVPathDisplay needs a search over strengths, an estimator with CV in its name; "
                f"got {type(estimator).__name__}."
            )
        table, quantity, sign = _measured(estimator)
        alphas, errors = [], []
        for row, error in zip(np.atleast_2d(estimator.alphas_), table, strict=True):
            inside = np.isfinite(row)  # a path that ends early is filled up with nan
            alphas.append(row[inside])
            errors.append(error[: inside.sum()])
        names = _names(estimator) if names is None else list(names)
        if names is not None and len(names) != len(errors):
            raise ValueError(f"names must hold {len(errors)} names; got {names!r}.")
        alpha = float(estimator.alpha_)
        best = [
            np.min(sign * error.mean(axis=1)) if alpha in row else np.inf
            for row, error in zip(alphas, errors, strict=True)
        ]
        display = cls(
            alphas=alphas,
            errors=errors,
            alpha=alpha,
            chosen=int(np.argmin(best)),
            names=names,
            quantity=quantity,
        )
        return display.plot(ax, line_kw=line_kw, band_kw=band_kw)

    def plot(self, ax=None, *, line_kw=None, band_kw=None):
        """Draw the mean error of each penalty, its spread, and the strength chosen.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None is a new figure.
        line_kw : dict, default=None
            Options of the lines, for ``Axes.plot``.
        band_kw : dict, default=None
            Options of the bands, for ``Axes.fill_between``.

        Returns
        -------
        CVPathDisplay
            The display itself.
        """
        ax = self._axes(ax)
        names = self.names or [None] * len(self.errors)
        self.lines_, self.bands_ = [], []
        for alphas, error, name in zip(self.alphas, self.errors, names, strict=True):
            mean, n_folds = error.mean(axis=1), error.shape[1]
            (line,) = ax.plot(alphas, mean, **{"label": name} | (line_kw or {}))
            self.lines_.append(line)
            if n_folds > 1:
                spread = error.std(axis=1, ddof=1) / np.sqrt(n_folds)
                style = {"color": line.get_color(), "alpha": 0.15, "lw": 0} | (band_kw or {})
                self.bands_.append(ax.fill_between(alphas, mean - spread, mean + spread, **style))
        self.alpha_line_, self.point_ = mark_alpha(ax, self.alpha), None
        if self.alpha is not None:
            line = self.lines_[self.chosen]
            at = np.argmin(np.abs(np.log(self.alphas[self.chosen] / self.alpha)))
            style = {"marker": "o", "color": line.get_color(), "ls": "none"}
            self.point_ = ax.plot(self.alpha, line.get_ydata()[at], **style)[0]
        label_strengths(ax, self.quantity)
        return self


def _measured(estimator):
    """Return the errors of each penalty, what they are, and 1 if smaller is better, else -1."""
    if hasattr(estimator, "mse_path_"):
        squared = getattr(estimator, "loss", "squared_error") == "squared_error"
        quantity = "mean squared error" if squared else f"mean {estimator.loss} deviance"
        errors, sign = estimator.mse_path_, 1
    elif hasattr(estimator, "scores_"):
        scores = np.moveaxis(estimator.scores_, 0, -1)
        scoring = estimator.scoring
        quantity = "log loss" if scoring is None else getattr(scoring, "__name__", str(scoring))
        errors, sign = (-scores, 1) if scoring is None else (scores, -1)
    else:
        check_is_fitted(estimator, "criterion_path_")
        score = estimator.criterion_path_
        scores = score if isinstance(score, list) else [score]
        return [each[:, None] for each in scores], estimator.selection.upper(), 1
    return errors if errors.ndim == 3 else [errors], quantity, sign


def _names(estimator):
    """Return the names of the penalties of a search of this library."""
    if not isinstance(estimator, Search):
        return None
    given = getattr(estimator, estimator._penalty_parameter)
    given = given if isinstance(given, list | tuple) else [given]
    if estimator.penalty_params:
        return [repr(candidate) for candidate in estimator._candidates()]
    return [penalty_name(penalty) for penalty in given]
