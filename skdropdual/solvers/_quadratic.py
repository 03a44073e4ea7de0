"""The loss on a working set: by its Gram matrix, or by sparse columns that are too many for one."""

import numpy as np
from scipy.linalg.blas import dtrsv

from ._kernels import cd_csc, cd_gram, gather
from ._newton import newton

# Conjugate gradients for a Newton step: it need not be exact, as others follow.
_CG_TOL, _CG_STEPS = 1e-3, 50


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

    patience = 8

    def __init__(self, problem, index, w):
        design, X = problem.design, problem.design.X
        support = np.flatnonzero(w)
        self.residual, self.offset = design.residual(problem.target, support, w[support])
        self.arrays = X.data, X.indices, X.indptr
        self.numbers = design.weight, design.center, design.scale, problem.curvature
        self.curvature = problem.curvature[index]
        self.total = float(design.weight.sum())
        self.index = index.astype(X.indices.dtype)
        self.design = design.take(index)

    def sweep(self, gradient, w, *options):
        """As `cd_csc`."""
        state = self.residual, self.offset, self.total, gradient, w
        _, self.offset = cd_csc(*self.arrays, *self.numbers, self.index, *state, *options)
        # The sweeps leave each entry as it was last seen.
        gradient[:] = self.design.correlate(self.design.root * (self.residual + self.offset))

    def newton(self, gradient, w, *options):
        """As `newton`."""
        before = w.copy()
        pivot = newton(self, gradient, w, *options)
        moved = np.flatnonzero(w != before)
        change = (w - before)[moved] / self.design.scale[moved]
        self.residual -= self.design.X[:, moved] @ change
        self.offset += float(self.design.center[moved] @ change)
        return pivot

    def pull(self, support, move):
        """Return by how much moving some coefficients lowers ``gradient``."""
        return self.design.correlate(self.design.predict(support, move))

    def solve(self, support, curvature, force):
        """Solve with the Hessian of some coefficients by conjugate gradients.

        The second result is the least curvature met, and 0 where one was not positive.
        """
        columns = self.design.take(support)
        step, left = np.zeros(support.size), force.copy()
        direction, size, least = left.copy(), float(left @ left), np.inf
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
            before, size = size, float(left @ left)
            if size <= enough:
                break
            direction = left + size / before * direction
        return step, least
