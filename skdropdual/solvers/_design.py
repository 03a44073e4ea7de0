r"""Centred, scaled, weighted columns that are never formed: dense or sparse.

Both classes stand for

.. math::

    D_{ij} = \sqrt{v_i}\, (X_{ij} - m_j) / d_j

with sample weights v, m the weighted means (0 without an intercept) and d the scales (1 unless
standardised). X keeps its dtype, order and place in memory; results are float64.
"""

from functools import cached_property

import numpy as np
from scipy import sparse
from sklearn.utils.sparsefuncs import mean_variance_axis

from ._kernels import csc_combine, csc_dot, csc_gram

# Entries of X that are worked on at a time, so that copies stay in the processor's cache.
_CHUNK = 2**17
# A mean this many standard deviations from 0 is subtracted from a copy of X: rounding would show.
_FAR = 1e5


def make_design(X, weight, *, fit_intercept, standardize):
    """Return the design of X.

    Parameters
    ----------
    X : {ndarray, sparse matrix or array} of shape (n_samples, n_features)
        Data, float64 or float32.
    weight : ndarray of shape (n_samples,)
        Sample weights, summing to 1.
    fit_intercept : bool
        Whether columns are centred.
    standardize : bool
        Whether columns are divided by their standard deviation.

    Returns
    -------
    DenseDesign or SparseDesign
        The design.
    """
    if sparse.issparse(X):
        X = X.tocsc()
        if not X.has_canonical_format:
            X = X.copy()
            X.sum_duplicates()
        kind: type[_Design] = SparseDesign
        moments = _sparse_moments
    else:
        if not (X.flags.c_contiguous or X.flags.f_contiguous):
            X = np.asfortranarray(X)
        kind, moments = DenseDesign, _dense_moments
    n_features = X.shape[1]
    center, scale = np.zeros(n_features), np.ones(n_features)
    if not (fit_intercept or standardize):
        return kind(X, weight, center, scale)
    mean, variance = moments(X, weight, fit_intercept)
    spread = np.sqrt(variance)
    # What is left of a constant column after centring is rounding.
    constant = spread <= 10 * np.finfo(float).eps * np.abs(mean)
    if standardize:
        scale = np.where(constant | (spread == 0), 1.0, spread)
    if fit_intercept:
        center = mean
        scale = np.where(constant, np.inf, scale)
        if kind is DenseDesign and (np.abs(mean) > _FAR * spread)[~constant].any():
            design = kind(X - mean, weight, np.zeros(n_features), scale)
            design.center = mean
            return design
    return kind(X, weight, center, scale)


class _Design:
    """What dense and sparse designs share."""

    def __init__(self, X, weight, center, scale):
        self.X = X
        self.weight = weight
        self.center = center
        # An infinite scale makes a constant column zero.
        self.scale = scale
        self.root = np.sqrt(weight)
        self._shift = center if center.any() else None
        self._alike = weight[0] == weight[-1] and np.ptp(weight) == 0

    @property
    def shape(self):
        """(n_samples, n_features)."""
        return self.X.shape

    @property
    def _held_at(self):
        # What is yet to be subtracted from X.
        return np.zeros(self.shape[1]) if self._shift is None else self._shift

    def correlate(self, residual):
        """Return ``D.T @ residual``."""
        rows = self.root * residual
        result = self._dot(rows)
        if self._shift is not None:
            result -= self._shift * rows.sum()
        result /= self.scale
        return result

    def _dot(self, rows):
        raise NotImplementedError

    def reweighted(self, weight, centred):
        """Return the design with other weights of rows, and centred anew or as it is."""
        center = self._held_at
        if centred:
            plain = type(self)(self.X, np.ones_like(weight), center, self.scale)
            move = plain.correlate(weight) / weight.sum()
            center = center + np.where(np.isfinite(self.scale), self.scale, 0.0) * move
        return type(self)(self.X, weight, center, self.scale)

    def block(self, left, right):
        """Return ``D[:, left].T @ D[:, right]``."""
        raise NotImplementedError

    def cross(self, index):
        """Return ``D.T @ D[:, index]``."""
        return self.block(np.arange(self.shape[1]), index)


class DenseDesign(_Design):
    """The design of a dense X, in C or Fortran order."""

    # Whether a problem keeps copies of the columns it works on.
    keeps_columns = True

    def columns(self, index):
        """Return the columns `index` as the rows of an array."""
        rows = self.X.T[index].astype(np.float64, copy=False)
        if self._shift is not None:
            rows -= self._shift[index, None]
        if self._alike:
            rows *= self.root[0] / self.scale[index, None]
        else:
            rows *= self.root
            rows /= self.scale[index, None]
        return rows

    def predict(self, index, w):
        """Return ``D[:, index] @ w``."""
        if self.X.dtype != np.float64:
            return w @ self.columns(index)
        w = w / self.scale[index]
        if 3 * len(index) > self.shape[1]:
            everywhere = np.zeros(self.shape[1])
            everywhere[index] = w
            rows = self.X @ everywhere
        else:
            rows = w @ self.X.T[index]
        if self._shift is not None:
            rows -= self._shift[index] @ w
        rows *= self.root
        return rows

    def _dot(self, rows):
        rows = rows.astype(self.X.dtype, copy=False)
        return np.asarray(self.X.T @ rows, dtype=np.float64)

    def block(self, left, right):
        """Return ``D[:, left].T @ D[:, right]``."""
        return self.columns(left) @ self.columns(right).T

    @cached_property
    def curvature(self):
        """Diagonal of the Gram matrix."""
        return _dense_moments(self.X, self.weight, False, self._held_at)[1] / self.scale**2

    def gram(self):
        """Return the Gram matrix ``D.T @ D``."""
        n, p = self.shape
        if self._alike and self.X.dtype == np.float64 and self._shift is None:
            gram = self.X.T @ self.X
            gram *= self.weight[0]
        else:
            gram = np.zeros((p, p))
            step = max(_CHUNK // max(p, 1), 256)
            for first in range(0, n, step):
                rows = self.X[first : first + step].astype(np.float64)
                rows -= self._held_at
                rows *= self.root[first : first + step, None]
                gram += rows.T @ rows
        gram /= self.scale
        gram /= self.scale[:, None]
        return gram


class SparseDesign(_Design):
    """The design of a sparse X in CSC format, never densified."""

    keeps_columns = False

    def columns(self, index):
        """Return the columns `index` as the rows of an array."""
        rows = self.X[:, index].T.toarray().astype(np.float64)
        rows -= self.center[index, None]
        rows *= self.root
        rows /= self.scale[index, None]
        return rows

    def predict(self, index, w):
        """Return ``D[:, index] @ w``."""
        w = w / self.scale[index]
        rows = np.full(self.shape[0], -float(self.center[index] @ w))
        if isinstance(index, slice):
            index = np.arange(self.shape[1])
        csc_combine(self.X.data, self.X.indices, self.X.indptr, index, w, rows)
        rows *= self.root
        return rows

    def _dot(self, rows):
        result = np.empty(self.shape[1])
        csc_dot(self.X.data, self.X.indices, self.X.indptr, rows, result)
        return result

    def block(self, left, right):
        """Return ``D[:, left].T @ D[:, right]``."""
        together = np.zeros((len(left) + len(right), len(right)))
        self.extend(np.concatenate([left, right]), len(left), together)
        return together[: len(left)]

    def extend(self, index, old, out):
        """Write the products of all columns `index` with those from place `old` on to `out`."""
        new = index[old:]
        rows = self.X[:, new].astype(np.float64).tocsr()
        rows.data *= np.repeat(self.weight, np.diff(rows.indptr))
        arrays = rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
        out[:] = 0.0
        csc_gram(self.X.data, self.X.indices, self.X.indptr, index, *arrays, old, out)
        square = out[old:]
        square[:] = np.triu(square) + np.triu(square, 1).T
        if self._shift is not None:
            sums = self._dot(self.weight)
            out -= np.outer(sums[index], self.center[new])
            out -= np.outer(self.center[index], sums[new] - self.weight.sum() * self.center[new])
        out /= self.scale[index, None]
        out /= self.scale[new]

    def take(self, index):
        """Return the design of some columns."""
        return SparseDesign(self.X[:, index], self.weight, self.center[index], self.scale[index])

    def residual(self, target, index, w):
        """Return what ``D[:, index] @ w`` leaves of the target, before the weights of rows.

        In two parts: an array, and a number for every row.
        """
        w = w / self.scale[index]
        whole = np.divide(target, self.root, out=np.zeros_like(target), where=self.root > 0)
        return whole - self.X[:, index] @ w, float(self.center[index] @ w)

    @cached_property
    def curvature(self):
        """Diagonal of the Gram matrix."""
        squares = self.X.astype(np.float64).power(2)
        squares = squares.T @ self.weight
        if self._shift is not None:
            means = self.X.T @ self.weight
            squares = squares - (2 * means - self.weight.sum() * self.center) * self.center
        return np.maximum(squares, 0.0) / self.scale**2


def _dense_moments(X, weight, centred, mean=None):
    # Weighted means, and weighted mean squares about them: corrected two-pass, a chunk at a time.
    # Without centring the mean squares about `mean` or 0.
    n, p = X.shape
    about = weight.astype(X.dtype) @ X if centred else np.zeros(p) if mean is None else mean
    about = about.astype(np.float64)
    first, second = np.zeros(p), np.zeros(p)
    if X.flags.f_contiguous:
        step = max(_CHUNK // max(n, 1), 1)
        chunks = [(slice(None), slice(k, k + step)) for k in range(0, p, step)]
    else:
        step = max(_CHUNK // max(p, 1), 1)
        chunks = [(slice(k, k + step), slice(None)) for k in range(0, n, step)]
    for rows, columns in chunks:
        left = X[rows, columns].astype(np.float64)
        left -= about[columns]
        if centred:
            first[columns] += weight[rows] @ left
        left *= left
        second[columns] += weight[rows] @ left
    if not centred:
        return about, second
    return about + first, np.maximum(second - first**2, 0.0)


def _sparse_moments(X, weight, centred):
    mean, variance = mean_variance_axis(X.astype(np.float64, copy=False), axis=0, weights=weight)
    # Its rounding is that of a difference of squares.
    variance[variance <= 100 * np.finfo(float).eps * mean**2] = 0.0
    return (mean, variance) if centred else (np.zeros_like(mean), variance + mean**2)
