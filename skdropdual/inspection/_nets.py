"""Sparse nets: how they became so, and where weights are left."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._drawing import Display, panels

# Panels of a history: columns of it, label and scale of the axis.
PANELS = {
    "density": (("density",), "fraction of weights", "log"),
    "loss": (("train_loss", "valid_loss"), "loss", "linear"),
    "alpha": (("alpha",), "strength alpha", "linear"),
}


class SparsityHistoryDisplay:
    """Density, loss and strength of a sparse net over the epochs of its training.

    The strength is 0 at first and then rises (`warmup`), density falls, and the loss, of training
    rows and of those held out if there are any, shows what that costs.

    Use `from_estimator` to make one.

    Parameters
    ----------
    history : dict of ndarray of shape (n_epochs,)
        "density", "train_loss", "valid_loss", "alpha"; those that there are.

    Attributes
    ----------
    axes_ : ndarray of Axes of shape (n_panels,)
        Where density, loss and strength were drawn, those that there are.
    figure_ : Figure
        The figure of the axes.
    lines_ : dict of Line2D
        A line for each entry of the history.

    See Also
    --------
    LayerSparsityDisplay : Where weights are left.

    Examples
    --------
    >>> from skdropdual.inspection import SparsityHistoryDisplay
    >>> history = {"density": [1.0, 0.5, 0.1], "train_loss": [2.0, 1.0, 0.8]}
    >>> display = SparsityHistoryDisplay(history=history).plot()
    >>> sorted(display.lines_)
    ['density', 'train_loss']
    """

    def __init__(self, *, history):
        self.history = history

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **line_kw):
        """Draw the history of a fitted net.

        Parameters
        ----------
        estimator : estimator
            A fitted net of `skdropdual.neural_network`.
        ax : array of Axes of shape (n_panels,), default=None
            Where to draw; None is a new figure.
        **line_kw
            Options of the lines, for ``Axes.plot``.

        Returns
        -------
        SparsityHistoryDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the net is not fitted.
        """
        check_is_fitted(estimator, "density_")
        # skorch's own nets leave out the underscore.
        rows = list(estimator.history_ if hasattr(estimator, "history_") else estimator.history)
        names = [name for columns, _, _ in PANELS.values() for name in columns]
        history = {
            name: np.array([row.get(name, np.nan) for row in rows], dtype=float)
            for name in names
            if any(name in row for row in rows)
        }
        return cls(history=history).plot(ax, **line_kw)

    def plot(self, ax=None, **line_kw):
        """Draw a panel each for density, loss and strength, those that there are.

        Parameters
        ----------
        ax : array of Axes of shape (n_panels,), default=None
            Where to draw; None is a new figure.
        **line_kw
            Options of the lines, for ``Axes.plot``.

        Returns
        -------
        SparsityHistoryDisplay
            The display itself.
        """
        there = [p for p in PANELS.values() if any(name in self.history for name in p[0])]
        axes = panels(ax, len(there), type(self).__name__)
        self.axes_, self.figure_, self.lines_ = axes, axes[0].figure, {}
        for ax, (columns, label, scale) in zip(axes, there, strict=True):
            names = [name for name in columns if name in self.history]
            for name in names:
                values = self.history[name]
                style = {"label": name.replace("_loss", "")} | line_kw
                self.lines_[name] = ax.plot(np.arange(1, len(values) + 1), values, **style)[0]
            ax.set(xlabel="epoch", ylabel=label, yscale=scale)
            if len(names) > 1:
                ax.legend(fontsize="small")
        return self


class LayerSparsityDisplay(Display):
    """Weights that are left in each layer of a sparse net, or at each of its inputs.

    Use `from_estimator` to make one.

    Parameters
    ----------
    layers : list of str
        Names of the weights.
    weights : ndarray of shape (n_layers,)
        Number of weights of each layer.
    nonzero : ndarray of shape (n_layers,)
        Number of those that are not zero.
    kept : ndarray of shape (n_inputs,), default=None
        Number of weights that are left at each input of the net.

    Attributes
    ----------
    ax_ : Axes
        Where it was drawn.
    figure_ : Figure
        The figure of the axes.
    bars_ : BarContainer or None
        A bar for each layer, or input.
    image_ : AxesImage or None
        The map of the inputs.
    colorbar_ : Colorbar or None
        The scale of the map.

    See Also
    --------
    SparsityHistoryDisplay : How the net became sparse.

    Examples
    --------
    >>> import numpy as np
    >>> from skdropdual.inspection import LayerSparsityDisplay
    >>> display = LayerSparsityDisplay(
    ...     layers=["first", "second"], weights=np.array([100, 20]), nonzero=np.array([5, 10])
    ... ).plot()
    >>> [float(bar.get_height()) for bar in display.bars_]
    [0.05, 0.5]
    """

    def __init__(self, *, layers, weights, nonzero, kept=None):
        self.layers = layers
        self.weights = weights
        self.nonzero = nonzero
        self.kept = kept

    @classmethod
    def from_estimator(cls, estimator, *, kind="layers", image_shape=None, ax=None, **artist_kw):
        """Draw where weights are left in a fitted net.

        Parameters
        ----------
        estimator : estimator
            A fitted net of `skdropdual.neural_network`.
        kind : {"layers", "inputs"}, default="layers"
            What to draw, as in `plot`.
        image_shape : tuple of int, default=None
            For inputs that are pixels: rows and columns.
        ax : Axes, default=None
            Where to draw; None is a new figure.
        **artist_kw
            Options of the bars, for ``Axes.bar``, or of the map, for ``Axes.imshow``.

        Returns
        -------
        LayerSparsityDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the net is not fitted.
        ValueError
            If `kind` or `image_shape` does not fit the net.
        """
        check_is_fitted(estimator, "sparsity_")
        rows = estimator.sparsity_
        first = estimator.module_.get_parameter(rows[0]["layer"]).detach().cpu().numpy()
        display = cls(
            layers=[row["layer"].removesuffix(".weight") for row in rows],
            weights=np.array([row["weights"] for row in rows]),
            nonzero=np.array([row["nonzero"] for row in rows]),
            kept=np.count_nonzero(first, axis=0) if first.ndim == 2 else None,
        )
        return display.plot(ax, kind=kind, image_shape=image_shape, **artist_kw)

    def plot(self, ax=None, *, kind="layers", image_shape=None, **artist_kw):
        """Draw the density of each layer, or the weights left at each input.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None is a new figure.
        kind : {"layers", "inputs"}, default="layers"
            "layers" draws a bar for the density of each layer, with its number of weights; "inputs"
            the number of weights that the first layer has left for each input.
        image_shape : tuple of int, default=None
            For inputs that are pixels: rows and columns; they are drawn as a map.
        **artist_kw
            Options of the bars, for ``Axes.bar``, or of the map, for ``Axes.imshow``.

        Returns
        -------
        LayerSparsityDisplay
            The display itself.
        """
        if kind not in ("layers", "inputs"):
            raise ValueError(f'kind must be "layers" or "inputs"; got {kind!r}.')
        if kind == "inputs" and self.kept is None:
            raise ValueError('kind="inputs" needs a net that begins with a linear layer.')
        if image_shape is not None and (kind != "inputs" or np.prod(image_shape) != self.kept.size):
            raise ValueError(
                'image_shape is for kind="inputs", and its product the number of inputs; got '
                f"{image_shape!r} for kind={kind!r}."
            )
        ax = self._axes(ax)
        self.bars_ = self.image_ = self.colorbar_ = None
        if image_shape is not None:
            style = {"cmap": "magma", "vmin": 0} | artist_kw
            self.image_ = ax.imshow(self.kept.reshape(image_shape), **style)
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=ax, label="weights left")
            ax.set(xticks=[], yticks=[])
        elif kind == "inputs":
            self.bars_ = ax.bar(np.arange(self.kept.size), self.kept, **artist_kw)
            ax.set(xlabel="input", ylabel="weights left")
        else:
            self.bars_ = ax.bar(self.layers, self.nonzero / self.weights, **artist_kw)
            counts = zip(self.nonzero, self.weights, strict=True)
            ax.bar_label(self.bars_, [f"{kept:,} of {all_:,}" for kept, all_ in counts])
            ax.set(xlabel="layer", ylabel="fraction of weights")
            ax.margins(y=0.12)
        return self
