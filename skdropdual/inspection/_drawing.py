"""What displays share: matplotlib when it is needed, axes, names of columns."""

import numpy as np


class Display:
    """A picture on one axes; a subclass draws."""

    def _axes(self, ax):
        """Set and return the axes to draw on, new ones if there are none."""
        if ax is None:
            ax = import_pyplot(type(self).__name__).subplots(layout="constrained")[1]
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def panels(ax, n, name, rows=1):
    """Return `n` axes as an array, those given or new ones for the display of that name."""
    if ax is None:
        columns = -(-n // rows)
        size = {"figsize": (4.2 * columns, 3.4 * rows), "layout": "constrained"}
        ax = import_pyplot(name).subplots(rows, columns, **size)[1]
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if axes.size != n:
        raise ValueError(f"ax must hold {n} axes, one per panel; got {axes.size}.")
    return axes


def import_pyplot(name):
    """Return ``matplotlib.pyplot``, or say how to install it for the display of that name."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{name} draws with matplotlib, which is not installed: pip install "skdropdual[plots]"'
        ) from error
    return plt


def column_names(given, n_features, estimator=None):
    """Return a name for each column: those given, those seen in fit, or their numbers."""
    if given is None:
        given = getattr(estimator, "feature_names_in_", None)
    if given is None:
        return np.arange(n_features).astype(str)
    names = np.asarray(given, dtype=str)
    if names.shape != (n_features,):
        raise ValueError(
            f"feature_names must hold one name for each of the {n_features} columns; got shape "
            f"{names.shape}."
        )
    return names


def penalty_name(penalty):
    """Return a short name of a penalty: as given, of the function, or as it prints."""
    if isinstance(penalty, str):
        return penalty
    return getattr(penalty, "__name__", repr(penalty)).replace("<lambda>", "rule")


def strengths(alphas):
    """Return strengths as an array if they are finite and positive."""
    alphas = np.asarray(alphas, dtype=float)
    if alphas.ndim != 1 or not alphas.size or not ((alphas > 0) & np.isfinite(alphas)).all():
        raise ValueError(f"alphas must be a 1-D array of finite strengths > 0; got {alphas!r}.")
    return alphas


def mark_alpha(ax, alpha):
    """Draw the strength that was chosen; return the line, None without one."""
    if alpha is None:
        return None
    return ax.axvline(alpha, color="0.4", lw=1, ls="--", label=f"alpha = {alpha:.3g}", zorder=0)


def label_strengths(ax, ylabel):
    """Label axes on which something was drawn against the strength."""
    ax.set(xscale="log", xlabel="strength alpha", ylabel=ylabel)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize="small")
