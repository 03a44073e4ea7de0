"""Generalised linear problems: any smooth loss of one or several linear predictors.

From point to point they look like least-squares problems (Newton's method, or iteratively
reweighted least squares), which the engines minimise.
"""

from functools import cached_property
from typing import Any

import numpy as np

from .._array import nonzeros
from ._problem import LeastSquares, _Quadratic
from ._quadratic import GramQuadratic
from ._targets import ManyOutputs, by_feature

# Newton steps for the intercepts, and the force on them that counts as none: relative to what rows
# pull in sum, and to what they did at the start, as classes that separate pull hardly at all.
_INTERCEPT_STEPS, _INTERCEPT_TOL, _INTERCEPT_NONE = 100, 1e-11, 1e-17
# A Hessian serves on while the curvatures of the rows have changed by less than this on average.
_DRIFT, _SAMPLE = 0.01, 5000
# One that lowers the violations less is too old.
_SLOW = 0.2


class _Here:
    """What is known at one point."""

    def __init__(self, w, raw, intercept, loss, rest):
        self.w, self.raw, self.intercept, self.loss, self.rest = w, raw, intercept, loss, rest
        self.gradient = self.local = self._bends = None

    def sampled_bends(self, sample):
        """Return how the loss of some rows curves up in each of their predictors."""
        if self._bends is None:
            likelihood, rows = sample
            bends = likelihood.curvatures(self.raw[rows])
            self._bends = np.stack([bend for k, m, bend in bends if k == m])
        return self._bends


class Glm(_Quadratic):
    r"""The loss :math:`L(w) = \min_b \sum_i v_i \ell(y_i, D_i w + b)`.

    The intercept is always the best one for w, so that nobody else has to know of it: the gradient
    of L is that at the best b, and its Hessian that of centred columns.

    Parameters
    ----------
    design : DenseDesign or SparseDesign
        D: columns centred and scaled, rows without weights.
    likelihood : Elementwise or Softmax
        Loss, target and weights v.
    fit_intercept : bool
        Whether there is a b; else it is 0.
    """

    exact = False

    def __init__(self, design, likelihood, fit_intercept):
        self.design = design
        self.likelihood = likelihood
        self.fit_intercept = fit_intercept
        zero = np.zeros(design.shape[1] * likelihood.n_outputs)
        self._intercept = np.zeros(likelihood.n_outputs)
        self._pull = 0.0  # the largest sum of forces of rows so far: that at the start
        self._here: Any = None
        self._kept: Any = None  # the point whose Hessian is in use
        self._ahead = False  # whether the last quadratic function was for a step along a path
        self._enough = False  # whether it is good enough, however old
        self._worn = 1.0  # the curvature now over that in the Hessian
        self._fall = 1.0  # the mean curvature along a step on a path over that at its start
        self.energy = 2 * abs(self._look(zero).loss)
        self.correlation = self.gradient(zero)

    @property
    def n_outputs(self):
        """Number of linear predictors."""
        return self.likelihood.n_outputs

    @property
    def relative(self):
        """Whether nothing but the differences between linear predictors counts."""
        return self.likelihood.relative

    def loss(self, w, gradient=None):
        """Return L(w)."""
        return self._look(w).loss

    def gradient(self, w, index=None):
        """Return minus the gradient, or those entries of it."""
        here = self._look(w)
        if here.gradient is None:
            if index is not None and self._keeps_columns and 3 * len(index) < len(w):
                return self._kept.local.pull(index, here.rest[:, 0])
            here.gradient = by_feature([self.design.correlate(rest) for rest in here.rest.T])
        return here.gradient if index is None else here.gradient[index]

    def intercept(self, w):
        """Return the best intercepts."""
        return self._look(w).intercept

    @property
    def curvature(self):
        """Diagonal of the Hessian at the last point."""
        return self.local(self._here.w).curvature

    @property
    def lipschitz(self):
        """Largest eigenvalue of the Hessian at the last point, or a little more."""
        return self.local(self._here.w).lipschitz

    def spread(self, w):
        r"""Return the mean curvature of the loss at `w` with the squares of each column as weights.

        Returns
        -------
        ndarray of shape (n_features * n_outputs,)
            :math:`\sum_i v_i h_{ik} D_{ij}^2 / \sum_i v_i D_{ij}^2`, 1 for columns of zeros.
        """
        here = self._look(w)
        bends = [h for k, m, h in self.likelihood.curvatures(here.raw) if k == m]
        parts = [self.design.reweighted(bend, False).curvature for bend in bends]
        square = self.design.reweighted(self.likelihood.row_weight, False).curvature
        with np.errstate(invalid="ignore"):
            parts = [np.where(square > 0, part / square, 1.0) for part in parts]
        return by_feature(parts)

    def block(self, index):
        """Return the Hessian at the last point in some coefficients, valid until the next call."""
        return self.local(self._here.w).block(index)

    def small(self, index):
        """Whether a system of equations in some coefficients can be solved in reasonable time."""
        return self.local(self._here.w).small(index)

    def quadratic(self, index, w, ahead=False):
        """Return the loss near `w` as a quadratic function of some coefficients.

        Its Hessian may be that of a point met before, times what curvatures have changed by since.

        Parameters
        ----------
        index : ndarray of shape (k,)
            Those coefficients.
        w : ndarray
            All coefficients.
        ahead : bool, default=False
            Whether a step along a path follows, in which curvatures change as in the last such.
        """
        here = self._look(w)
        old = self._kept is None or here.local is not None
        if old or not (self._enough or self._drift(here) <= _DRIFT):
            self._kept, self._worn = here, 1.0
        local = self.local(w) if self._kept is here else self._kept.local
        if local.by_columns(index):
            self._ahead = False
            return self.local(w).quadratic(index, w)
        self._ahead = ahead
        self._scale = self._worn * self._fall if ahead else self._worn
        hessian = local.block(index)
        hessian *= self._scale
        return GramQuadratic(hessian)

    def learn(self, quadratic, move, change, gain, left):
        """See what came of a step to the minimum of a quadratic function, for the next one.

        Parameters
        ----------
        quadratic : GramQuadratic or ColumnQuadratic
            That of the last call.
        move, change : ndarray of shape (k,)
            The step, and by how much it lowered minus the gradient.
        gain : float
            Largest violation after the step over that before.
        left : float
            Largest violation over the one to reach.
        """
        # The Hessian is too old where it gains little; as good again may be all that is needed.
        self._enough = left <= 1 or gain * left <= 0.5
        if gain > _SLOW:
            self._kept = None
        if not self._ahead:
            return
        # The mean curvature along the step, over that of the Hessian in use, by the secant.
        support = nonzeros(move)
        foretold = move @ quadratic.pull(support, move[support])
        mean = self._scale * (move @ change) / foretold if foretold > 0 else self._worn
        self._fall = np.clip(mean / self._worn, 0.5, 2.0)
        self._worn = np.clip(2 * mean - self._worn, 0.5 * self._worn, 2.0 * self._worn)

    @property
    def _keeps_columns(self):
        return self._kept is not None and self.n_outputs == 1 and self.design.keeps_columns

    def _drift(self, here):
        # By how much the curvatures of rows differ from those of the Hessian in use: of some rows.
        new, old = (point.sampled_bends(self._sample) for point in (here, self._kept))
        return np.abs(new - old).sum() / (old.sum() or 1.0)

    @cached_property
    def _sample(self):
        some = slice(None, None, 1 + self.design.shape[0] // _SAMPLE)
        return self.likelihood.take(some), some

    def local(self, w):
        """Return the problem that has the gradient and Hessian of this one at `w`."""
        here = self._look(w)
        if here.local is None:
            bends = list(self.likelihood.curvatures(here.raw))
            if self.n_outputs == 1:
                here.local = self._reweighted(here, bends[0][2])
            else:
                here.local = _Coupled(self, here, bends)
        return here.local

    def _reweighted(self, here, bend):
        # With a working response as its target: where the parabola has its minimum.
        design = self.design.reweighted(bend, self.fit_intercept)
        ahead = np.zeros_like(bend)
        np.divide(here.rest[:, 0], bend, out=ahead, where=bend > 0)
        response = here.raw[:, 0] + ahead
        if self.fit_intercept:
            response = response - bend @ response / bend.sum()
        return LeastSquares(design, design.root * response)

    def _look(self, w):
        if self._here is None or (w != self._here.w).any():
            rows = predict_all(self.design, w, self.n_outputs)
            loss, rest = self._fit_intercept(rows)
            raw = rows + self._intercept
            self._here = _Here(w.copy(), raw, self._intercept.copy(), loss, rest)
        return self._here

    def _fit_intercept(self, rows):
        known = self.likelihood.intercepts(rows) if self.fit_intercept else None
        if known is not None:
            self._intercept = known
        loss, rest = self.likelihood.look(rows + self._intercept)
        if known is not None or not self.fit_intercept:
            return loss, rest
        if not np.isfinite(loss):
            self._intercept = np.zeros_like(self._intercept)
            loss, rest = self.likelihood.look(rows)
            if not np.isfinite(loss):
                return np.inf, rest  # predictions beyond what numbers hold: no place to stay
        for _ in range(_INTERCEPT_STEPS):
            force = rest.sum(axis=0)
            pull = np.abs(rest).sum()
            self._pull = max(self._pull, pull)
            if np.abs(force).max() <= max(_INTERCEPT_TOL * pull, _INTERCEPT_NONE * self._pull):
                break
            bend = np.zeros((self.n_outputs, self.n_outputs))
            for k, m, values in self.likelihood.curvatures(rows + self._intercept):
                bend[k, m] = bend[m, k] = values.sum()
            step = np.linalg.lstsq(bend, force, rcond=1e-12)[0]
            if self.relative:
                step -= step.mean()  # rounding would carry them off together
            for size in 0.5 ** np.arange(30):
                new = self._intercept + size * step
                after, left = self.likelihood.look(rows + new)
                if after < loss or np.abs(left.sum(axis=0)).max() < 0.5 * np.abs(force).max():
                    break
            else:
                break
            self._intercept, loss, rest = new, after, left
        return loss, rest


class _Coupled(ManyOutputs):
    """The second-order model of a problem with several outputs at one point."""

    def __init__(self, problem, here, curvatures):
        self.design = problem.design
        self.n_outputs = problem.n_outputs
        self.here = here
        self.bends = {(k, m): bend for k, m, bend in curvatures}
        self._gradient = problem.gradient(here.w)
        self._middle = None
        if problem.fit_intercept:
            sums = np.zeros((self.n_outputs, self.n_outputs))
            for (k, m), bend in self.bends.items():
                sums[k, m] = sums[m, k] = bend.sum()
            self._middle = np.linalg.pinv(sums, rcond=1e-12, hermitian=True)

    @cached_property
    def correlation(self):
        """Minus the gradient the model would have at zero."""
        return self._gradient + self._times(self.here.w)

    @cached_property
    def curvature(self):
        """Diagonal of the Hessian."""
        K = self.n_outputs
        result = np.empty((self.design.shape[1], K))
        for k in range(K):
            design = self.design.reweighted(self.bends[k, k], False)
            result[:, k] = design.curvature
        if self._middle is not None:
            means = np.stack([self._means(k) for k in range(K)])  # (output, intercept, feature)
            result -= np.einsum("klj,lm,kmj->jk", means, self._middle, means)
        return np.maximum(result, 0.0).ravel()

    def _means(self, k):
        # What the columns of output k have in common with each intercept.
        none = np.zeros(len(self.here.rest))
        bends = [self.bends.get((min(k, m), max(k, m)), none) for m in range(self.n_outputs)]
        return np.stack([self.design.correlate(bend) for bend in bends])

    def _times(self, w):
        rows = predict_all(self.design, w, self.n_outputs)
        pulled = np.zeros_like(rows)
        for (k, m), bend in self.bends.items():
            pulled[:, k] += bend * rows[:, m]
            if k != m:
                pulled[:, m] += bend * rows[:, k]
        if self._middle is not None:
            shift = self._middle @ pulled.sum(axis=0)
            for (k, m), bend in self.bends.items():
                pulled[:, k] -= bend * shift[m]
                if k != m:
                    pulled[:, m] -= bend * shift[k]
        return by_feature([self.design.correlate(rest) for rest in pulled.T])

    def gradient(self, w, index=None):
        """Return minus the gradient of the model, or those entries of it."""
        gradient = self.correlation - self._times(w)
        return gradient if index is None else gradient[index]

    def block(self, index):
        """Return the Hessian in some coefficients."""
        features, at = np.unique(index // self.n_outputs, return_inverse=True)
        output = index % self.n_outputs
        dense = self.design.keeps_columns
        columns: Any = self.design.columns(features) if dense else None
        members = [np.flatnonzero(output == k) for k in range(self.n_outputs)]
        block = np.zeros((len(index), len(index)))
        means = np.zeros((len(index), self.n_outputs))
        for (k, m), bend in self.bends.items():
            left, right = members[k], members[m]
            sums = columns @ bend if dense else self.design.correlate(bend)[features]
            means[left, m], means[right, k] = sums[at[left]], sums[at[right]]
            if dense:
                part = (columns[at[left]] * bend) @ columns[at[right]].T
            else:
                bent = self.design.reweighted(np.abs(bend), False)
                part = bent.block(features[at[left]], features[at[right]])
                part = part if k == m else -part  # the outputs of a multinomial compete
            block[np.ix_(left, right)] = part
            block[np.ix_(right, left)] = part.T
        if self._middle is not None:
            block -= means @ self._middle @ means.T
        return block


def predict_all(design, w, n_outputs):
    """Return ``D @ W`` for coefficients W of shape (n_features, n_outputs), given as one row."""
    if n_outputs == 1:
        support = nonzeros(w)
        return design.predict(support, w[support])[:, None]
    table = w.reshape(-1, n_outputs)
    support = np.flatnonzero(table.any(axis=1))
    if support.size == 0:
        return np.zeros((design.shape[0], n_outputs))
    return np.stack([design.predict(support, column) for column in table[support].T], axis=1)
