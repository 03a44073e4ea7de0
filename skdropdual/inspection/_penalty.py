"""A penalty and its dropout rule, seen at several strengths."""

import numpy as np

from ..duality import effective_penalty
from ._drawing import panels, penalty_name, strengths

# What can be drawn, with its axis labels.
QUANTITIES = {
    "value": ("|w|", "penalty P(|w|)"),
    "slope": ("|w|", "slope P'(|w|)"),
    "prox": ("z", "prox(z)"),
    "keep_prob": ("|w|", "keep probability"),
}


class PenaltyDisplay:
    r"""Value, slope, prox and keep probability of a penalty against the weight.

    .. math::

        P(w), \qquad P'(w), \qquad \mathrm{prox}(z) = \arg\min_w \tfrac12 (w - z)^2 + P(w), \qquad
        a(w) = \frac{|w|}{|w| + P'(|w|)}

    Use `from_penalty` to make one.

    Parameters
    ----------
    w : ndarray of shape (n_points,)
        Weights.
    alphas : ndarray of shape (n_alphas,)
        Strengths.
    curves : dict of ndarray of shape (n_alphas, n_points)
        What to draw, by the name of the method: "value", "slope", "prox", "keep_prob".
    name : str, default=None
        Name of the penalty in legends.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_curves,)
        Where each curve was drawn.
    figure_ : Figure
        The figure of the axes.
    lines_ : dict of list of Line2D
        A line for each strength, by the name of the curve.

    See Also
    --------
    skdropdual.check_duality : Check numerically that penalty and rule belong together.

    Examples
    --------
    >>> from skdropdual.inspection import PenaltyDisplay
    >>> display = PenaltyDisplay.from_penalty("mcp", alphas=[0.5, 1.0])
    >>> list(display.lines_)
    ['value', 'slope', 'prox', 'keep_prob']
    """

    def __init__(self, *, w, alphas, curves, name=None):
        self.w = w
        self.alphas = alphas
        self.curves = curves
        self.name = name

    @classmethod
    def from_penalty(
        cls,
        penalty,
        alphas=(0.25, 0.5, 1.0),
        *,
        quantities=tuple(QUANTITIES),
        w=None,
        name=None,
        ax=None,
        **line_kw,
    ):
        r"""Draw a penalty, or a dropout rule as the penalty it amounts to.

        Parameters
        ----------
        penalty : str, Penalty or callable
            What `effective_penalty` takes: a name, a penalty, or a keep probability of \|w\|.
        alphas : float or array-like of shape (n_alphas,), default=(0.25, 0.5, 1.0)
            Strengths > 0.
        quantities : str or sequence of str, default=("value", "slope", "prox", "keep_prob")
            What to draw, each on axes of its own.
        w : array-like of shape (n_points,), default=None
            Weights; None is 401 points from 0 to 4.
        name : str, default=None
            Name in legends; None is that of the penalty.
        ax : Axes or array of Axes of shape (n_quantities,), default=None
            Where to draw; None is a new figure.
        **line_kw
            Options of the lines, for ``Axes.plot``.

        Returns
        -------
        PenaltyDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a quantity is unknown, a strength is not positive, or the penalty is not separable,
            so that no curve of one weight shows it.

        Examples
        --------
        >>> from skdropdual.inspection import PenaltyDisplay
        >>> rule = lambda w: w / (w + 1)  # the dropout rule of the lasso
        >>> display = PenaltyDisplay.from_penalty(rule, 1.0, quantities="slope", w=[1.0, 2.0])
        >>> display.curves["slope"].round(6)
        array([[1., 1.]])
        """
        if name is None:
            name = penalty_name(penalty)
        penalty = effective_penalty(penalty)
        if not penalty.separable:
            raise ValueError(
                f"PenaltyDisplay draws penalties of one weight; {penalty!r} depends on several."
            )
        quantities = [quantities] if isinstance(quantities, str) else list(quantities)
        unknown = [q for q in quantities if q not in QUANTITIES]
        if unknown or not quantities:
            raise ValueError(f"quantities must be out of {list(QUANTITIES)}; got {quantities!r}.")
        alphas = strengths(np.atleast_1d(alphas))
        w = np.linspace(0.0, 4.0, 401) if w is None else np.asarray(w, dtype=float)
        if w.ndim != 1 or not np.isfinite(w).all():
            raise ValueError(f"w must be a 1-D array of finite weights; got {w!r}.")
        curves = {
            q: np.array([_curve(penalty, q, w, float(a)) for a in alphas]) for q in quantities
        }
        return cls(w=w, alphas=alphas, curves=curves, name=name).plot(ax, **line_kw)

    def plot(self, ax=None, **line_kw):
        """Draw each curve on its own axes, a line for each strength.

        Parameters
        ----------
        ax : Axes or array of Axes of shape (n_curves,), default=None
            Where to draw; None is a new figure.
        **line_kw
            Options of the lines, for ``Axes.plot``.

        Returns
        -------
        PenaltyDisplay
            The display itself.
        """
        n_curves = len(self.curves)
        axes = panels(ax, n_curves, type(self).__name__, rows=1 if n_curves < 4 else 2)
        self.axes_, self.figure_, self.lines_ = axes, axes[0].figure, {}
        for ax, (quantity, curve) in zip(axes, self.curves.items(), strict=True):
            labels = [self._label(alpha) for alpha in self.alphas]
            self.lines_[quantity] = [
                ax.plot(self.w, row, **{"label": label} | line_kw)[0]
                for row, label in zip(curve, labels, strict=True)
            ]
            xlabel, ylabel = QUANTITIES[quantity]
            ax.set(xlabel=xlabel, ylabel=ylabel)
            if quantity == "keep_prob":
                ax.set_ylim(-0.03, 1.03)
        axes[0].legend(fontsize="small")
        return self

    def _label(self, alpha):
        strength = f"alpha = {alpha:.3g}"
        return strength if self.name is None else f"{self.name}, {strength}"


def _curve(penalty, quantity, w, alpha):
    if quantity == "prox":
        return penalty.prox(w, 1.0, alpha)
    return getattr(penalty, quantity)(w, alpha)
