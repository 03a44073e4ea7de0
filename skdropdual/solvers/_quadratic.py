"""The loss on a working set: by its Gram matrix, or by sparse columns that are too many for one."""

import numpy as np
from scipy.linalg.blas import dtrsv

from .._array import nonzeros
from ._kernels import cd_csc, cd_gram, csc_combine, gather
from ._newton import newton

# Conjugate gradients for a Newton step: it need not be exact, as others follow.
_CG_TOL, _CG_STEPS = 1e-2, 50
# Rounds of sweeps between two extrapolations.
_PAST = 4


class Buffer:
    """Memory for one square block at a time: fresh memory costs more than what is done with it."""

    def __init__(self):
        self._memory = np.empty(0)

    def block(self, matrix, index):
        """Return ``matrix[index][:, index]``, valid until the next call."""
        k = len(index)
        if self._memory.size < k * k:
            self._memory = np.empty(k * k * 33 // 32)
        block = self._memory[: k * k].reshape(k, k)
        gather(matrix, index, block)
        return block


class GramQuadratic:
    """The loss on a working set, by its Gram matrix."""

    # Rounds of sweeps whose signs stood still before Newton steps are worth a try.
    patience = 2

    def __init__(self, gram):
        self.gram = gram
        self.curvature = gram.diagonal()
        self._buffer = Buffer()

    def sweep(self, gradient, w, *options):
        """As `cd_gram`."""
        cd_gram(self.gram, gradient, w, *options)

    def newton(self, gradient, w, *options):
        """As `newton`."""
        return newton(self, gradient, w, *options)

    def pull(self, support, move):
        """Return by how much moving some coefficients lowers ``gradient``."""
        return move @ self.gram[support]

    def solve(self, support, curvature, force):
        """Solve with the Hessian of some coefficients; return its smallest pivot too.

        The pivot is relative to the diagonal, and 0 if the Hessian is not positive definite.
        """
        hessian = self._buffer.block(self.gram, support)
        hessian.flat[:: support.size + 1] += curvature
        # NumPy's Cholesky rather than SciPy's: where each brings its own BLAS, the threads of one
        # that just finished a product hold up those of the other.
        try:
            factor = np.linalg.cholesky(hessian)
        except np.linalg.LinAlgError:
            return None, 0.0
        pivot = factor.diagonal().min() ** 2 / hessian.diagonal().max()
        return dtrsv(factor.T, dtrsv(factor.T, force, trans=1)), pivot


class ColumnQuadratic:
    """The loss on some sparse columns, by what is left of the target."""

    patience = 20

    def __init__(self, problem, index, w):
        design, X = problem.design, problem.design.X
        support = nonzeros(w)
        self.residual, self.offset = design.residual(problem.target, support, w[support])
        self.arrays = X.data, X.indices, X.indptr
        self.numbers = design.weight, design.center, design.scale, problem.curvature
        self.curvature = problem.curvature[index]
        self.total = float(design.weight.sum())
        self.index = index.astype(X.indices.dtype)
        self.design = design.take(index)
        self._past: list[np.ndarray] = []

    def sweep(self, gradient, w, l1, l2, *options):
        """As `cd_csc`, with an extrapolation every few rounds."""
        state = self.residual, self.offset, self.total, gradient, w, l1, l2
        _, self.offset = cd_csc(*self.arrays, *self.numbers, self.index, *state, *options)
        self._past.append(w.copy())
        if len(self._past) > _PAST:
            self._extrapolate(w, l1, l2)
        # The sweeps leave each entry as it was last seen.
        gradient[:] = self.design.correlate(self.design.root * (self.residual + self.offset))

    def _extrapolate(self, w, l1, l2):
        # Anderson: what the last rounds lead to if each does to w what the one before did.
        past, self._past = np.stack(self._past), []
        moves = np.diff(past, axis=0)
        products = moves @ moves.T
        products.flat[:: len(products) + 1] += 1e-10 * products.trace() + np.finfo(float).tiny
        share = np.linalg.solve(products, np.ones(len(products)))
        ahead = (share / share.sum()) @ past[1:]
        if not np.array_equal(np.sign(ahead), np.sign(w)):
            ahead = np.where(ahead * w > 0, ahead, 0.0)
        residual, offset = self._rest(w, ahead)
        before = self._value(self.residual + self.offset, w, l1, l2)
        if self._value(residual + offset, ahead, l1, l2) < before:
            w[:], self.residual, self.offset = ahead, residual, offset

    def _value(self, rest, w, l1, l2):
        return 0.5 * (self.design.weight @ rest**2 + l2 @ w**2) + l1 @ np.abs(w)

    def _rest(self, w, new):
        # What is left of the target if `w` becomes `new`.
        moved = np.flatnonzero(w != new)
        change = (w - new)[moved] / self.design.scale[moved]
        X, residual = self.design.X, self.residual.copy()
        csc_combine(X.data, X.indices, X.indptr, moved, change, residual)
        return residual, self.offset - float(self.design.center[moved] @ change)

    def newton(self, gradient, w, *options):
        """As `newton`."""
        before = w.copy()
        pivot = newton(self, gradient, w, *options)
        self.residual, self.offset = self._rest(before, w)
        return pivot

    def pull(self, support, move):
        """Return by how much moving some coefficients lowers ``gradient``."""
        return self.design.correlate(self.design.predict(support, move))

    def solve(self, support, curvature, force):
        """Solve with the Hessian of some coefficients by conjugate gradients.

        The second result is the least curvature met, and 0 where one was not positive.
        """
        columns = self.design.take(support)
        own = self.curvature[support]
        own = np.where(own + curvature > 0.1 * own, own + curvature, own)  # a preconditioner
        step, left = np.zeros(support.size), force.copy()
        direction, least = left / own, np.inf
        size = float(left @ direction)
        enough = _CG_TOL**2 * size
        for _ in range(_CG_STEPS):
            ahead = columns.correlate(columns.predict(slice(None), direction))
            ahead += curvature * direction
            bend = float(direction @ ahead)
            least = min(least, bend / float(direction @ direction))
            if least <= 0:
                return None, 0.0
            step += size / bend * direction
            left -= size / bend * ahead
            before, size = size, float(left @ (left / own))
            if size <= enough:
                break
            direction = left / own + size / before * direction
        return step, least
