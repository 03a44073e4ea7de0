"""A linear least-squares problem as one object: from its data, or from sums over them."""

from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, lstsq
from scipy.optimize import nnls
from scipy.sparse.linalg import LinearOperator, eigsh, lsqr

from .._array import nonzeros
from ._quadratic import Buffer, ColumnQuadratic, GramQuadratic

# A correlation this small (between -1 and 1) is none: its last digits are what tol asks for.
_NO_CORRELATION = 1e-8
# Never the whole Gram matrix of more columns than these (or than rows).
_MOST_COLUMNS = 10_000
# Sparse columns: up to the first number their Gram matrix is the best way, beyond the second not.
_FEW, _MANY = 300, 3000


class _Quadratic:
    r"""The loss :math:`L(w) = \tfrac{1}{2} \|t - D w\|^2`.

    Attributes
    ----------
    correlation : ndarray of shape (n_features,)
        :math:`D^T t`.
    energy : float
        :math:`t^T t`.
    curvature : ndarray of shape (n_features,)
        Diagonal of the Gram matrix.
    """

    correlation: np.ndarray
    energy: float
    # Whether every product of columns is at hand, and whether the quadratic holds everywhere.
    complete = False
    exact = True
    n_outputs = 1
    # Whether nothing but the differences between outputs counts.
    relative = False
    curvature: np.ndarray

    def gradient(self, w, index=None):
        """Return minus the gradient, D^T (t - D w), or those entries of it."""
        raise NotImplementedError

    def block(self, index):
        """Return the Gram matrix of some columns, valid until the next call."""
        raise NotImplementedError

    def local(self, w):
        """Return the least-squares problem like this one near `w`: itself."""
        return self

    @property
    def n_features(self):
        """Number of columns."""
        return len(self.correlation)

    @cached_property
    def scale(self):
        """Largest absolute correlation with the target: the unit of the stationarity residual.

        Never less than what rounding may leave of none.
        """
        size = np.abs(self.correlation)
        if not size.any():
            return 1.0
        column = np.argmax(size, keepdims=True)
        largest = np.sqrt(self.block(column)[0, 0] * self.energy)  # Cauchy-Schwarz
        return float(max(size.max(), _NO_CORRELATION * largest))

    @cached_property
    def lipschitz(self):
        """Largest eigenvalue of the Gram matrix, or a little more."""
        p = self.n_features
        if p <= 500:
            return float(np.linalg.eigvalsh(self.block(np.arange(p))).max(initial=0.0))
        product = LinearOperator(
            (p, p), lambda v: self.correlation - self.gradient(v.ravel()), dtype=float
        )
        return 1.01 * float(
            eigsh(product, 1, v0=np.ones(p), tol=1e-3, return_eigenvectors=False)[0]
        )

    def ridge(self, index, strength):
        """Minimise L(w) + sum strength w^2 / 2 over the columns `index`; return those weights."""
        return solve_psd(self.block(index) + np.diag(strength), self.correlation[index])


class Moments(_Quadratic):
    """The problem in terms of sums over rows, which add over parts of the data.

    Parameters
    ----------
    gram : ndarray of shape (n_features, n_features)
        D^T D.
    correlation : ndarray of shape (n_features,)
        D^T t.
    energy : float
        t^T t.
    """

    complete = True

    def __init__(self, gram, correlation, energy):
        self.gram = gram
        self.correlation = correlation
        self.energy = energy
        self._buffer = Buffer()

    @property
    def curvature(self):
        """Diagonal of the Gram matrix."""
        return np.diag(self.gram)

    def loss(self, w, gradient=None):
        """Return L(w); minus its gradient there saves work."""
        gradient = self.gradient(w) if gradient is None else gradient
        return 0.5 * max(self.energy - float((self.correlation + gradient) @ w), 0.0)

    def gradient(self, w, index=None):
        """Return minus the gradient, D^T (t - D w), or those entries of it."""
        support, index = nonzeros(w), slice(None) if index is None else index
        return self.correlation[index] - w[support] @ self.gram[support][:, index]

    def block(self, index):
        """Return the Gram matrix of some columns, valid until the next call."""
        return self._buffer.block(self.gram, index)

    def small(self, index):
        """Whether a system of equations in some columns can be solved in reasonable time."""
        return True

    def quadratic(self, index, w):
        """Return the loss as a function of some coefficients, at first those of `w`."""
        return GramQuadratic(self.gram if len(index) == self.n_features else self.block(index))


class LeastSquares(_Quadratic):
    """The problem on a design, with the Gram blocks met so far.

    Parameters
    ----------
    design : DenseDesign or SparseDesign
        D.
    target : ndarray of shape (n_samples,)
        t: the centred target, each row times the root of its weight.
    """

    def __init__(self, design, target):
        self.design = design
        self.target = target
        self.energy = float(target @ target)
        self._blocks = _GramBlocks(design)
        self._at, self._residual = np.zeros(design.shape[1]), target
        self._gradient: np.ndarray | None = None

    @cached_property
    def correlation(self):
        """D^T t."""
        return self.design.correlate(self.target)

    @property
    def n_features(self):
        """Number of columns."""
        return self.design.shape[1]

    @property
    def curvature(self):
        """Diagonal of the Gram matrix."""
        return self.design.curvature

    def residual(self, w):
        """Return t - D w; the last one is kept."""
        if not np.array_equal(w, self._at):
            support = nonzeros(w)
            predict = self._blocks.predict if self.design.keeps_columns else self.design.predict
            self._residual = self.target - predict(support, w[support])
            self._at, self._gradient = w.copy(), None
        return self._residual

    def loss(self, w, gradient=None):
        """Return L(w)."""
        residual = self.residual(w)
        return 0.5 * float(residual @ residual)

    def gradient(self, w, index=None):
        """Return minus the gradient, D^T (t - D w), or those entries of it."""
        residual = self.residual(w)
        if index is not None and self.design.keeps_columns:
            return self._blocks.correlate(index, residual)
        if self._gradient is None:
            gradient = self.design.correlate(residual)
            if self.design.keeps_columns and self.design.X.dtype == np.float32:
                # Columns that matter are kept in double precision.
                members = self._blocks.members
                gradient[members] = self._blocks.correlate(members, residual)
            self._gradient = gradient
        return self._gradient if index is None else self._gradient[index]

    def block(self, index):
        """Return the Gram matrix of some columns, valid until the next call."""
        return self._blocks.gram(index)

    def quadratic(self, index, w):
        """Return the loss as a function of some coefficients, at first those of `w`."""
        if self.by_columns(index):
            return ColumnQuadratic(self, index, w)
        return GramQuadratic(self.block(index))

    def by_columns(self, index):
        """Whether some columns are better swept by themselves than by their Gram matrix."""
        k = len(index)
        if self.design.keeps_columns or k <= _FEW:
            return False
        return k > _MANY or 4 * np.diff(self.design.X.indptr)[index].sum() < k * k

    def pull(self, index, rest):
        """Return ``D[:, index].T @ rest`` for a `rest` before the weights of rows."""
        rest = np.divide(
            rest, self.design.root, out=np.zeros_like(rest), where=self.design.root > 0
        )
        return self._blocks.correlate(index, rest)

    def small(self, index):
        """Whether a system of equations in some columns can be solved in reasonable time."""
        return self.design.keeps_columns or len(index) <= _MANY

    def moments(self):
        """Return the same problem in terms of sums over rows."""
        return Moments(self.design.gram(), self.correlation, self.energy)

    @property
    def tall(self):
        """Whether the whole Gram matrix is smaller than the data and worth its cost on a path."""
        n, p = self.design.shape
        return hasattr(self.design, "gram") and p <= min(n, _MOST_COLUMNS)

    def ridge(self, index, strength):
        """Minimise L(w) + sum strength w^2 / 2 over the columns `index`; return those weights."""
        n, p = self.design.shape[0], len(index)
        if not (n < p and (strength > 0).all()):
            return super().ridge(index, strength)
        columns = self.design.columns(index)
        shrunk = columns / strength[:, None]
        return shrunk @ solve_psd(columns.T @ shrunk + np.eye(n), self.target)

    def least_norm(self, positive):
        """Minimise L(w), the shortest w if there are many; or over w >= 0."""
        everything = np.arange(self.n_features)
        if positive:
            return nnls(self.design.columns(everything).T, self.target)[0]
        if self.design.keeps_columns:
            return np.linalg.lstsq(self.design.columns(everything).T, self.target, rcond=None)[0]
        product = LinearOperator(
            self.design.shape,
            lambda w: self.design.predict(everything, w.ravel()),
            lambda residual: self.design.correlate(residual.ravel()),
            dtype=float,
        )
        most = 100 * min(self.design.shape)
        return lsqr(product, self.target, atol=1e-15, btol=1e-15, iter_lim=most)[0]


class _GramBlocks:
    """The dense columns met so far and the products between them, computed once."""

    def __init__(self, design):
        self.design = design
        self.buffer = Buffer()
        self._forget()

    def _forget(self):
        design = self.design
        self.size = 0
        self.position = np.full(design.shape[1], -1)
        self.columns = np.empty((0, design.shape[0] if design.keeps_columns else 0))
        self.products = np.empty((0, 0))
        self.members = np.empty(0, dtype=np.intp)

    def gram(self, index):
        """Return the Gram matrix of the columns `index`."""
        self._extend(index)
        return self.buffer.block(self.products, self.position[index])

    def predict(self, index, w):
        """Return ``D[:, index] @ w``."""
        self._extend(index)
        at = self.position[index]
        if 4 * len(at) < self.size:
            return w @ self.columns[at]
        spread = np.zeros(self.size)
        spread[at] = w
        return spread @ self.columns[: self.size]

    def correlate(self, index, residual):
        """Return ``D[:, index].T @ residual``."""
        self._extend(index)
        return (self.columns[: self.size] @ residual)[self.position[index]]

    def _extend(self, index):
        new = index[self.position[index] < 0]
        if new.size == 0:
            return
        if self.size + new.size > max(_MANY, 3 * len(index)):
            # Most of what is here is of no use any more.
            self._forget()
            new = index
        old, size = self.size, self.size + new.size
        if size > len(self.products):
            self._reserve(min(max(size, 64 + 9 * size // 8), self.position.size))
        if self.design.keeps_columns:
            self.columns[old:size] = self.design.columns(new)
            self.products[:size, old:size] = self.columns[:size] @ self.columns[old:size].T
        else:
            members = np.concatenate([self.members, new])
            self.design.extend(members, old, self.products[:size, old:size])
        self.products[old:size, :old] = self.products[:old, old:size].T
        self.members = np.concatenate([self.members, new])
        self.position[new] = np.arange(old, size)
        self.size = size

    def _reserve(self, capacity):
        old = self.size
        columns = np.empty((capacity, self.columns.shape[1]))
        columns[:old] = self.columns[:old]
        self.columns = columns  # which frees the old ones before more memory is taken
        products = np.empty((capacity, capacity))
        products[:old, :old] = self.products[:old, :old]
        self.products = products


def solve_psd(matrix, right):
    """Solve a positive semidefinite system; the least-norm solution where it is singular."""
    try:
        return cho_solve(cho_factor(matrix), right)
    except LinAlgError:
        return lstsq(matrix, right, lapack_driver="gelsy")[0]
