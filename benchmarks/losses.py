"""The losses, written apart from every solver, for rows y with linear predictors f."""

import numpy as np
from scipy.special import expit, log_softmax, logsumexp, softmax, xlogy


class SquaredError:
    """(y - f)^2 / 2."""

    @staticmethod
    def value(y, f):
        """Return the loss of each row."""
        return (y - f) ** 2 / 2

    @staticmethod
    def pull(y, f):
        """Return minus its derivative."""
        return y - f

    @staticmethod
    def bend(f):
        """Return its second derivative."""
        return np.ones_like(f)

    @staticmethod
    def draw(rng, signal):
        """Return responses with a signal-to-noise ratio of 10."""
        return signal + rng.standard_normal(len(signal)) * signal.std() / np.sqrt(10)


class LogLoss:
    """log(1 + e^f) - y f, y in {0, 1}."""

    @staticmethod
    def value(y, f):
        """Return the loss of each row."""
        return np.logaddexp(0, f) - y * f

    @staticmethod
    def pull(y, f):
        """Return minus its derivative."""
        return y - expit(f)

    @staticmethod
    def bend(f):
        """Return its second derivative."""
        return expit(f) * expit(-f)

    @staticmethod
    def draw(rng, signal):
        """Return classes, log-odds `signal`."""
        return (rng.random(len(signal)) < expit(signal)).astype(float)


class Poisson:
    """e^f - y f, less its least value: half the deviance."""

    @staticmethod
    def value(y, f):
        """Return the loss of each row."""
        return np.exp(f) - y * f - (y - xlogy(y, y))

    @staticmethod
    def pull(y, f):
        """Return minus its derivative."""
        return y - np.exp(f)

    @staticmethod
    def bend(f):
        """Return its second derivative."""
        return np.exp(f)

    @staticmethod
    def draw(rng, signal):
        """Return counts, one in two rows on average; the signal has standard deviation 1."""
        rate = np.exp(signal / signal.std())
        return rng.poisson(rate / rate.mean() / 2).astype(float)

    @staticmethod
    def intercept(y, f, v):
        """Return what to add to f, with weights v of the rows."""
        return np.log(v @ y) - logsumexp(f, b=v)


class Multinomial:
    """log(sum_k e^f_k) - f_y, y in {0, 1, ...}; the other losses take one f a row."""

    @staticmethod
    def value(y, f):
        """Return the loss of each row."""
        return -np.take_along_axis(log_softmax(f, axis=1), y[:, None].astype(int), axis=1)[:, 0]

    @staticmethod
    def pull(y, f):
        """Return minus its gradient."""
        return np.eye(f.shape[1])[y.astype(int)] - softmax(f, axis=1)

    @staticmethod
    def bend(f):
        """Return its second derivative in each predictor."""
        share = softmax(f, axis=1)
        return share * (1 - share)

    @staticmethod
    def draw(rng, signal):
        """Return three classes, those of the thirds of the signal."""
        return np.searchsorted(np.quantile(signal, [1 / 3, 2 / 3]), signal).astype(float)


LOSSES = {
    "squared_error": SquaredError,
    "log_loss": LogLoss,
    "poisson": Poisson,
    "multinomial": Multinomial,
}
