"""MNIST and Fashion-MNIST as standardised rows, the test images apart from the others."""

import os
from pathlib import Path

import numpy as np

# What an archive, and OpenML, call them; mean and standard deviation of their pixels.
SETS = {
    "mnist": ("mnist", "mnist_784", 0.1307, 0.3081),
    "fashion": ("fashion_mnist", "Fashion-MNIST", 0.2860, 0.3530),
}
N_TRAIN = 60_000


def load_train(name="mnist", folder=None):
    """Return the 60,000 training images and their classes.

    Parameters
    ----------
    name : {"mnist", "fashion"}
        Which.
    folder : path, default=None
        Where ``mnist.npz`` and ``fashion_mnist.npz`` are (arrays x_train, y_train, x_test, y_test
        of uint8), by default that of the variable SKDROPDUAL_DATA; without one, OpenML.

    Returns
    -------
    X : ndarray of float32, shape (60000, 784)
        Pixels, standardised.
    y : ndarray of int, shape (60000,)
        Classes 0 to 9.
    """
    return _load(name, folder, "train")


def load_test(name="mnist", folder=None):
    """Return the 10,000 test images and their classes, as `load_train`."""
    return _load(name, folder, "test")


def load_mnist(name="mnist", folder=None):
    """Return the training images, their classes, the test images, and theirs."""
    return *load_train(name, folder), *load_test(name, folder)


def _load(name, folder, part):
    archive, openml, mean, deviation = SETS[name]
    folder = folder or os.environ.get("SKDROPDUAL_DATA")
    if folder is None:
        X, y = _from_openml(openml, part)
    else:
        with np.load(Path(folder) / f"{archive}.npz", allow_pickle=False) as arrays:
            X, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    X = X.reshape(len(X), -1).astype(np.float32) / 255
    return (X - np.float32(mean)) / np.float32(deviation), y.astype(np.int64)


def _from_openml(name, part):
    from sklearn.datasets import fetch_openml

    X, y = fetch_openml(name, version=1, return_X_y=True, as_frame=False, parser="liac-arff")
    rows = slice(N_TRAIN) if part == "train" else slice(N_TRAIN, None)
    return X[rows], y[rows]
