"""Coefficients against the strength of the penalty."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..linear_model._search import Search
from ._drawing import Display, column_names, label_strengths, mark_alpha, strengths


class PathDisplay(Display):
    r"""Coefficients of a sparse model against the strength of its penalty.

    The columns that are the first to enter the model, from the largest strength down, are named in
    the legend. With several outputs (classes or targets) a line is the norm of a column's
    coefficients, :math:`\|\hat w_{\cdot j}(\alpha)\|_2`.

    Use `from_path` or `from_estimator` to make one.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths.
    coefs : ndarray of shape (n_features, n_alphas) or (n_outputs, n_features, n_alphas)
        Coefficients.
    feature_names : ndarray of str of shape (n_features,), default=None
        Names of columns; None is their numbers.
    alpha : float, default=None
        A strength to mark.

    Attributes
    ----------
    ax_ : Axes
        Where it was drawn.
    figure_ : Figure
        The figure of the axes.
    features_ : ndarray of int
        Columns that are drawn: those that are not zero all along, in the order they enter.
    lines_ : list of Line2D
        A line for each of them.
    alpha_line_ : Line2D or None
        The strength that is marked.

    See Also
    --------
    skdropdual.effective_penalty_path : Compute a path.
    CVPathDisplay : Errors along a path.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual import effective_penalty_path
    >>> from skdropdual.inspection import PathDisplay
    >>> data = load_diabetes()
    >>> alphas, coefs, _ = effective_penalty_path(data.data, data.target, penalty="mcp")
    >>> display = PathDisplay.from_path(alphas, coefs, feature_names=data.feature_names)
    >>> [data.feature_names[j] for j in display.features_[:3]]
    ['bmi', 's5', 'bp']
    """

    def __init__(self, *, alphas, coefs, feature_names=None, alpha=None):
        self.alphas = alphas
        self.coefs = coefs
        self.feature_names = feature_names
        self.alpha = alpha

    @classmethod
    def from_path(
        cls, alphas, coefs, *, feature_names=None, alpha=None, n_named=6, ax=None, **line_kw
    ):
        """Draw the path that `effective_penalty_path` or scikit-learn's ``lasso_path`` returns.

        Parameters
        ----------
        alphas : array-like of shape (n_alphas,)
            Strengths > 0.
        coefs : array-like of shape (n_features, n_alphas) or (n_outputs, n_features, n_alphas)
            Coefficients.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of columns; None is their numbers.
        alpha : float, default=None
            A strength to mark.
        n_named : int, default=6
            Number of columns that the legend names: the first to enter.
        ax : Axes, default=None
            Where to draw; None is a new figure.
        **line_kw
            Options of the lines, for ``Axes.plot``.

        Returns
        -------
        PathDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the shapes do not belong together or a strength is not positive.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import lasso_path
        >>> from skdropdual.inspection import PathDisplay
        >>> alphas, coefs, _ = lasso_path(*load_diabetes(return_X_y=True))
        >>> len(PathDisplay.from_path(alphas, coefs).lines_)
        10
        """
        alphas, coefs = strengths(alphas), np.asarray(coefs)
        if coefs.ndim not in (2, 3) or coefs.shape[-1] != len(alphas):
            raise ValueError(
                f"coefs must have the shape (n_features, {len(alphas)}) or (n_outputs, n_features, "
                f"{len(alphas)}), a column for each of alphas; got {coefs.shape}."
            )
        names = column_names(feature_names, coefs.shape[-2])
        display = cls(alphas=alphas, coefs=coefs, feature_names=names, alpha=alpha)
        return display.plot(ax, n_named=n_named, **line_kw)

    @classmethod
    def from_estimator(
        cls, estimator, X=None, y=None, *, feature_names=None, n_named=6, ax=None, **line_kw
    ):
        """Draw the path of a linear estimator of this library.

        Parameters
        ----------
        estimator : estimator
            One with "CV" in its name, fitted: its own path is drawn. Any other: the path of its
            parameters on X and y is computed. The strength of a fitted one is marked.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Data, for an estimator without "CV" in its name.
        y : array-like of shape (n_samples,), default=None
            Target, likewise.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of columns; None is those seen in fit, else their numbers.
        n_named : int, default=6
            Number of columns that the legend names: the first to enter.
        ax : Axes, default=None
            Where to draw; None is a new figure.
        **line_kw
            Options of the lines, for ``Axes.plot``.

        Returns
        -------
        PathDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If an estimator with "CV" in its name is not fitted.
        ValueError
            If X or y is missing, or the estimator has no path.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skdropdual import EffectivePenaltyRegressorCV
        >>> from skdropdual.inspection import PathDisplay
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = EffectivePenaltyRegressorCV("scad").fit(X, y)
        >>> PathDisplay.from_estimator(model).alpha == model.alpha_
        True
        """
        if isinstance(estimator, Search):
            check_is_fitted(estimator, "coefs_path_")
            alphas, coefs = path_of(estimator)
        else:
            if X is None or y is None or not hasattr(estimator, "path"):
                raise ValueError(
                    "from_estimator needs an estimator of this library, fitted with CV in its name "
                    f"or together with X and y; got {type(estimator).__name__}, X and y "
                    f"{'missing' if X is None or y is None else 'given'}."
                )
            alphas, coefs, _ = estimator.path(X, y)
            if feature_names is None and hasattr(X, "columns"):
                feature_names = X.columns
        names = column_names(feature_names, coefs.shape[-2], estimator)
        alpha = getattr(estimator, "alpha_", None)
        if not isinstance(alpha, float):  # several targets may have several
            alpha = None
        options = {"feature_names": names, "alpha": alpha, "n_named": n_named}
        return cls.from_path(alphas, coefs, ax=ax, **options, **line_kw)

    def plot(self, ax=None, *, n_named=6, **line_kw):
        """Draw a line for each column that is not zero all along.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None is a new figure.
        n_named : int, default=6
            Number of columns that the legend names: the first to enter.
        **line_kw
            Options of the lines, for ``Axes.plot``.

        Returns
        -------
        PathDisplay
            The display itself.
        """
        ax = self._axes(ax)
        coefs = self.coefs if self.coefs.ndim == 2 else np.linalg.norm(self.coefs, axis=0)
        self.features_ = _by_entry(self.alphas, coefs)
        names = column_names(self.feature_names, len(coefs))
        self.lines_ = []
        for rank, j in enumerate(self.features_):
            named = rank < n_named
            style = {"label": names[j], "zorder": 2.5} if named else {"color": "0.75", "lw": 1}
            self.lines_ += ax.plot(self.alphas, coefs[j], **style | line_kw)
        self.alpha_line_ = mark_alpha(ax, self.alpha)
        ylabel = "coefficient" if self.coefs.ndim == 2 else "norm of coefficients over outputs"
        label_strengths(ax, ylabel)
        return self


def path_of(search):
    """Return the strengths and coefficients of the penalty that a fitted search chose.

    Returns
    -------
    alphas : ndarray of shape (n_alphas,)
        Strengths.
    coefs : ndarray of shape (n_features, n_alphas) or (n_outputs, n_features, n_alphas)
        Coefficients.
    """
    coefs = search.coefs_path_
    if coefs.ndim == 3:  # classes come second
        coefs = np.moveaxis(coefs, 0, -1)
        coefs = coefs[0] if len(coefs) == 1 else coefs
    # Of several penalties, one whose strengths include the one chosen: others have other strengths.
    for alphas in np.atleast_2d(search.alphas_):
        alphas = alphas[np.isfinite(alphas)]
        if len(alphas) == coefs.shape[-1] and search.alpha_ in alphas:
            break
    return alphas, coefs


def _by_entry(alphas, coefs):
    """Return the columns that are nonzero somewhere, by the largest strength where they are."""
    entry = np.where(coefs != 0, alphas, 0.0).max(axis=1)
    order = np.lexsort((-np.abs(coefs).max(axis=1), -entry))
    return order[entry[order] > 0]
