r"""Adaptive dropout with masks that are really sampled.

Each round draws masks s for the current keep probabilities, minimises the loss averaged over them
in the effective weights w = E[s] u, and updates the keep probabilities from the result. With
:math:`M = \tfrac1K \sum_k m_k m_k^T` the average over normalised masks m = s / E[s], the averaged
loss is the quadratic with Gram matrix :math:`M \circ G`; its expectation is the ridge of theory,
D1. The rounds' weights are averaged, so the Monte Carlo error falls like 1/sqrt(masks).
"""

import numpy as np

from ..penalties import Lp
from ._design import DenseDesign
from ._engine import Solution
from ._glm import Glm
from ._problem import solve_psd
from ._reweighted import Reweighting
from ._second_order import rescaled
from ._stopping import violation
from ._tangent import Tangent

# A weight kept less often than this is out: its masks would hardly ever be sampled.
_LEAST_KEEP_PROB = 1e-3
# Numbers in a design of masked rows, and the ridge from whose solution a likelihood starts.
_MOST_NUMBERS, _START_RIDGE = 20_000_000, 1e-3


class SampledDropout:
    """Minimise the loss over sampled masks, keep probabilities adapting to the weights.

    Parameters
    ----------
    problem : LeastSquares
        Loss and data.
    penalty : Penalty
        The rule, as the penalty it amounts to.
    alpha : float > 0
        Strength.
    mask : type
        Family of masks with `from_relative_variance`.
    n_masks : int
        Masks drawn in each round.
    n_rounds : int
        Rounds; the second half is averaged.
    batch_size : int or None
        Rows that each mask sees, drawn without replacement; None for all of them.
    tol : float
        Stop early once the averaged weights have a stationarity residual below this.
    rng : numpy.random.RandomState
        Source of the masks and batches.
    """

    def __init__(self, problem, penalty, alpha, *, mask, n_masks, n_rounds, batch_size, tol, rng):
        self.problem = problem
        self.penalty = penalty
        self.alpha = alpha
        self.mask = mask
        self.n_masks = n_masks
        self.n_rounds = n_rounds
        self.batch_size = batch_size
        self.tol = tol
        self.rng = rng

    def solve(self, start):
        """Run from `start`.

        Parameters
        ----------
        start : ndarray of shape (n_features,) or None
            Coefficients to start from; zeros stay out where the rule drops them surely. By default
            ones.

        Returns
        -------
        Solution
            With the stationarity residual of the expected masks, which the Monte Carlo error
            dominates.
        """
        w = np.ones(self.problem.n_features) if start is None else start
        average, kept_rounds = np.zeros_like(w), 0
        for n_iter in range(1, self.n_rounds + 1):
            w = self._round(w)
            if n_iter > self.n_rounds // 2:
                kept_rounds += 1
                average += (w - average) / kept_rounds
                residual = self._residual(self._drop(average))
                if residual <= self.tol:
                    break
        average = self._drop(average)
        objective = self.problem.loss(average) + float(self.penalty.total(average, self.alpha))
        return Solution(average, objective, self._residual(average), n_iter)

    def _residual(self, w):
        gradient = self.problem.gradient(w)
        excess = violation(self.penalty, w, gradient, self.alpha)
        return excess.max(initial=0.0) / self.problem.scale

    def _drop(self, w):
        keep = self.penalty.keep_prob(w, self.alpha)
        return np.where(keep < _LEAST_KEEP_PROB, 0.0, w)

    def _round(self, w):
        w = self._drop(w)
        noise = self.penalty.ridge(w, self.alpha)
        working = np.flatnonzero(noise < np.inf)
        new = np.zeros_like(w)
        if working.size:
            new[working] = solve_psd(*self._sampled_system(working, noise[working]))
        return new

    def _sampled_system(self, working, noise):
        # Gram matrix and correlations of the loss averaged over the masks of one round.
        mask = self.mask.from_relative_variance(noise)
        sample = mask.sample((self.n_masks, working.size), self.rng) / mask.mean
        if self.batch_size is None:
            gram, correlation = self.problem.block(working), self.problem.correlation[working]
            return gram * (sample.T @ sample / self.n_masks), correlation * sample.mean(axis=0)
        n = self.problem.design.shape[0]
        rows = np.argsort(self.rng.random_sample((self.n_masks, n)), axis=1)[:, : self.batch_size]
        columns = self.problem.design.columns(working).T
        masked = columns[rows] * sample[:, None, :]
        masked = masked.reshape(-1, working.size) * np.sqrt(n / rows.size)
        target = self.problem.target[rows].ravel() * np.sqrt(n / rows.size)
        return masked.T @ masked, masked.T @ target


class SampledGlmDropout(SampledDropout):
    """The same for a generalised linear model: each row has its own masks, afresh in each round.

    The loss over sampled masks is minimised by Newton's method on as many copies of the rows.
    """

    def solve(self, start):
        """Run from `start`, or from the maximum of the likelihood with a little ridge."""
        if start is None:
            ridge = Reweighting(self.problem, Lp(p=2.0), _START_RIDGE, tol=1e-3)
            start = ridge.solve(np.zeros(self.problem.n_features), finish=False).w
        solution = super().solve(start)
        solution.seen = self._scale(solution.w) * solution.w
        return solution

    def _scale(self, w):
        return np.sqrt(self.problem.spread(w))

    def _residual(self, w):
        gradient = self.problem.gradient(w)
        penalty = rescaled(self.penalty, self._scale(w))
        return violation(penalty, w, gradient, self.alpha).max(initial=0.0) / self.problem.scale

    def _drop(self, w):
        keep = self.penalty.keep_prob(self._scale(w) * w, self.alpha)
        return np.where(keep < _LEAST_KEEP_PROB, 0.0, w)

    def _round(self, w):
        w, problem = self._drop(w), self.problem
        noise = self.penalty.ridge(self._scale(w) * w, self.alpha).reshape(-1, problem.n_outputs)
        working = np.flatnonzero((noise < np.inf).any(axis=1))
        new = np.zeros_like(noise)
        if working.size:
            mask = self.mask.from_relative_variance(noise[working].min(axis=1))
            n = problem.design.shape[0]
            times = max(min(self.n_masks, _MOST_NUMBERS // (n * working.size)), 1)
            columns = np.repeat(problem.design.columns(working).T, times, axis=0)
            columns *= mask.sample(columns.shape, self.rng) / mask.mean
            none, one = np.zeros(working.size), np.ones(working.size)
            design = DenseDesign(columns, np.ones(len(columns)), none, one)
            masked = Glm(design, problem.likelihood.repeated(times), problem.fit_intercept)
            nothing = Tangent(np.zeros(masked.n_features))
            fit = Reweighting(masked, nothing, 1.0, tol=1e-8, max_iter=100)
            start = w.reshape(noise.shape)[working].ravel()
            new[working] = fit.solve(start, finish=False).w.reshape(-1, problem.n_outputs)
        return new.ravel()
