"""The two faces: what estimators with a penalty share, and those with a dropout rule."""

from numbers import Integral

from sklearn.utils import check_random_state

from .. import masks
from .._sklearn import Interval, StrOptions
from ..penalties import Penalty, list_penalties
from ..solvers._second_order import SecondOrder
from ..solvers._stochastic import SampledDropout, SampledGlmDropout
from ._base import LinearEstimator, solve_once


class PenaltyFace(LinearEstimator):
    """Minimise loss plus penalty; comes before the estimator."""

    _face_constraints: dict = {
        "penalty": [StrOptions(set(list_penalties())), Penalty],
        "solver": [StrOptions({"auto", "coordinate_descent", "reweighted"})],
    }
    _penalty_parameter = "penalty"
    solver: str

    @property
    def _masks(self):
        return self.solver == "reweighted"

    def _solve(self, problem, penalty, alpha, start, **options):
        options = self._options() | options
        return solve_once(problem, penalty, alpha, self._masks, start, **options)


class DropoutFace(LinearEstimator):
    """Let a dropout rule adapt, its masks integrated out or sampled; comes before the estimator."""

    _face_constraints: dict = {
        "rule": [StrOptions(set(list_penalties())), Penalty, callable],
        "masks": [StrOptions({"expected", "bernoulli", "gaussian"})],
        "n_masks": [Interval(Integral, 1, None, closed="left")],
    }
    _penalty_parameter = "rule"
    _masks = _second_order = True
    masks: str
    n_masks: int
    batch_size: int | None = None

    def _solve(self, problem, penalty, alpha, start, **options):
        options = self._options() | options
        if self.masks == "expected":
            if problem.exact:
                return solve_once(problem, penalty, alpha, True, start, **options)
            return SecondOrder(problem, penalty, alpha, **options).solve(start)
        if self.positive:
            raise ValueError(f'positive=True needs masks="expected"; got masks={self.masks!r}.')
        if problem.n_outputs > 1 and (problem.exact or self.penalize != "feature"):
            raise ValueError(
                f"masks={self.masks!r} are drawn for columns: with several outputs they need "
                'penalize="feature" and, for the squared error, masks="expected".'
            )
        rows = problem.design.shape[0]
        kind = SampledDropout if problem.exact else SampledGlmDropout
        sampled = kind(
            problem,
            penalty,
            alpha,
            mask={"bernoulli": masks.Bernoulli, "gaussian": masks.Gaussian}[self.masks],
            n_masks=self.n_masks,
            n_rounds=min(self.max_iter, 100),
            batch_size=None if self.batch_size is None else min(self.batch_size, rows),
            tol=self.tol,
            rng=check_random_state(self.random_state),
        )
        return sampled.solve(start)

    def _advice(self):
        if self.masks == "expected":
            return super()._advice()
        return "Increase n_masks (the error of sampled masks falls like its inverse root) or tol."
