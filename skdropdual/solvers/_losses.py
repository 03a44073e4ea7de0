"""The losses of scikit-learn over all rows at once: value, slope and curvature in the predictor."""

import numpy as np

from .._sklearn import HalfGammaLoss, HalfPoissonLoss

# Curvatures below this fraction of the largest count as that: a step divides by them.
_LEAST_CURVATURE = 1e-10
# How far the parabola of one row may have its minimum from the prediction: far on the wrong side
# the loss is nearly straight.
_REACH = 1e3


class Elementwise:
    r"""A loss of one number for each row and output, :math:`\sum_{ik} v_i \ell(y_{ik}, f_{ik})`.

    Parameters
    ----------
    loss : sklearn._loss.loss.BaseLoss
        The loss of one prediction.
    target : ndarray of shape (n_samples, n_outputs)
        y.
    weight : ndarray of shape (n_samples,)
        v, summing to 1.
    """

    # Whether nothing but the differences between predictors counts.
    relative = False

    def __init__(self, loss, target, weight):
        self.loss = loss
        self.shape = target.shape
        self.target = np.ascontiguousarray(target, dtype=np.float64).ravel()
        self.weight = np.repeat(weight, target.shape[1])
        self.row_weight = weight

    def repeated(self, times):
        """Return the same with every row there so many times, one after the other."""
        rows = self.target.reshape(self.shape)
        return Elementwise(self.loss, *_repeated(rows, self.row_weight, times))

    def take(self, rows):
        """Return the same for some rows."""
        return Elementwise(self.loss, self.target.reshape(self.shape)[rows], self.row_weight[rows])

    @property
    def n_outputs(self):
        """Number of linear predictors."""
        return self.shape[1]

    def look(self, raw):
        """Return the loss, and minus its gradient in the predictors.

        Parameters
        ----------
        raw : ndarray of shape (n_samples, n_outputs)
            Linear predictors.

        Returns
        -------
        loss : float
            Sum over rows.
        rest : ndarray of shape (n_samples, n_outputs)
            Minus its gradient.
        """
        flat = np.ascontiguousarray(raw).ravel()
        with np.errstate(over="ignore", invalid="ignore"):
            loss, gradient = self.loss.loss_gradient(self.target, flat, self.weight)
            return float(loss.sum()), -gradient.reshape(self.shape)

    def intercepts(self, rows):
        r"""Return the best intercepts beside these predictors, where a formula gives them.

        With the log link, a loss of power p pulls a row by :math:`v (y e^{(1-p)f} - e^{(2-p)f})`.
        The pulls of all rows sum to zero at

        .. math:: b = \log\sum_i v_i y_i e^{(1-p) f_i} - \log\sum_i v_i e^{(2-p) f_i}.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, n_outputs)
            Linear predictors without intercepts.

        Returns
        -------
        ndarray of shape (n_outputs,) or None
            None for other losses, and where the best is not finite.
        """
        power = self._power
        if power is None:
            return None
        weight = self.weight.reshape(self.shape)
        up = _log_sum(weight * self.target.reshape(self.shape), (1 - power) * rows)
        best = up - _log_sum(weight, (2 - power) * rows)
        return best if np.isfinite(best).all() else None

    @property
    def _power(self):
        # Of the mean, to which the variance is proportional.
        known = {HalfPoissonLoss: 1.0, HalfGammaLoss: 2.0}
        return getattr(self.loss.closs, "power", known.get(type(self.loss)))

    def curvatures(self, raw):
        """Yield the second derivatives (k, l, ndarray of shape (n_samples,)) with k <= l, not 0.

        Parameters
        ----------
        raw : ndarray of shape (n_samples, n_outputs)
            Linear predictors.
        """
        bend = self._bend(np.ascontiguousarray(raw).ravel()).reshape(self.shape)
        for k in range(self.n_outputs):
            yield k, k, bend[:, k]

    def _bend(self, raw):
        if hasattr(self.loss.closs, "delta"):
            # The parabola that touches Huber's loss from above: its own curvature may vanish.
            gap = np.maximum(np.abs(self.target - raw), self.loss.closs.delta)
            return self.weight * (self.loss.closs.delta / gap)
        slope, bend = self.loss.gradient_hessian(self.target, raw, self.weight)
        if self.loss.constant_hessian:
            return self.weight.copy()
        np.maximum(bend, np.abs(slope) / _REACH, out=bend)
        return np.maximum(bend, _LEAST_CURVATURE * self.weight, out=bend)


class Softmax:
    r"""The multinomial loss :math:`\sum_i v_i (\log\sum_k e^{f_{ik}} - f_{i y_i})`.

    Parameters
    ----------
    loss : sklearn._loss.HalfMultinomialLoss
        The loss of one prediction.
    target : ndarray of shape (n_samples,)
        Class numbers.
    weight : ndarray of shape (n_samples,)
        v, summing to 1.
    """

    relative = True

    def __init__(self, loss, target, weight):
        self.loss = loss
        self.target = np.ascontiguousarray(target, dtype=np.float64)
        self.weight = self.row_weight = weight

    def repeated(self, times):
        """As `Elementwise.repeated`."""
        return Softmax(self.loss, *_repeated(self.target, self.weight, times))

    def take(self, rows):
        """As `Elementwise.take`."""
        return Softmax(self.loss, self.target[rows], self.weight[rows])

    @property
    def n_outputs(self):
        """Number of linear predictors."""
        return self.loss.n_classes

    def look(self, raw):
        """As `Elementwise.look`."""
        loss, gradient = self.loss.loss_gradient(self.target, raw, self.weight)
        return float(loss.sum()), -gradient

    def intercepts(self, rows):
        """As `Elementwise.intercepts`: no formula."""

    def curvatures(self, raw):
        """As `Elementwise.curvatures`."""
        share = self.loss.predict_proba(raw)
        for k in range(self.n_outputs):
            for m in range(k, self.n_outputs):
                bend = share[:, k] * ((k == m) - share[:, m])
                if k == m:
                    slope = np.abs((self.target == k) - share[:, k])
                    bend = np.maximum(bend, np.maximum(slope / _REACH, _LEAST_CURVATURE))
                yield k, m, self.weight * bend


def _log_sum(weight, exponent):
    # log of sum weight exp(exponent) over rows, whatever the size of the exponents.
    top = exponent.max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log((weight * np.exp(exponent - top)).sum(axis=0)) + top


def _repeated(target, weight, times):
    return np.repeat(target, times, axis=0), np.repeat(weight / times, times)
