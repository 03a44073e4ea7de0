"""From what users pass to what solvers take, and back."""

from typing import Any

import numpy as np

from .._sklearn import check_sample_weight
from ..penalties import Group, Penalty, Weighted
from ..solvers._design import DenseDesign, make_design
from ..solvers._glm import Glm
from ..solvers._losses import Elementwise, Softmax
from ..solvers._problem import LeastSquares, Moments
from ..solvers._targets import Targets

FLOATS = [np.float64, np.float32]


class _Scaled:
    """Columns that were centred and scaled, and the way back."""

    dtype: np.dtype
    mean: np.ndarray
    scale: np.ndarray
    target_mean: Any
    problem: Any
    problems: list[Any]
    n_outputs = 1
    target_shape: tuple = ()

    def arrange(self, parts):
        """Return what came feature by feature, once for each problem, as coefficients are."""
        parts = [part.reshape(-1, self.n_outputs).T for part in parts]
        table = np.concatenate(parts)
        return table.reshape(*self.target_shape, table.shape[1])

    def solution(self, parts):
        """Return coefficients of the original columns and intercepts.

        Parameters
        ----------
        parts : list of ndarray
            The solvers' coefficients of each problem.
        """
        coef = (self.arrange(parts) / self.scale).astype(self.dtype)
        if not isinstance(self.problem, Glm):
            return coef, self.target_mean - coef @ self.mean
        pairs = zip(self.problems, parts, strict=True)
        best = np.concatenate([problem.intercept(part) for problem, part in pairs])
        return coef, best.reshape(self.target_shape) - coef @ self.mean


class Data(_Scaled):
    """The data as the solvers want it, and the way back to the original scale.

    Parameters
    ----------
    X : {ndarray, sparse matrix or array} of shape (n_samples, n_features)
        Data, float64 or float32; never copied for squared errors.
    y : ndarray of shape (n_samples,) or (n_samples, n_targets)
        Target; class numbers for a classifier.
    sample_weight : array-like of shape (n_samples,) or None
        Weights >= 0.
    fit_intercept, standardize : bool
        Whether columns are centred, and scaled.
    loss : sklearn._loss.loss.BaseLoss, default=None
        Loss of one prediction; None is half the squared error.
    joint : bool, default=False
        Whether several targets are one problem.

    Attributes
    ----------
    design : DenseDesign or SparseDesign
        X, centred, scaled and weighted.
    problems : list
        What to solve: one problem, or one for each target.
    problem : LeastSquares, Targets or Glm
        The first of them.
    n_outputs : int
        Number of linear predictors of each problem.
    """

    def __init__(self, X, y, sample_weight, fit_intercept, standardize, loss=None, joint=False):
        weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.n_effective = float(weight.sum())
        if not self.n_effective > 0:
            raise ValueError("sample_weight must have a positive sum; got only zeros.")
        weight = weight / self.n_effective
        y = y.astype(np.float64)
        self.dtype = X.dtype
        self.target_shape = y.shape[1:]
        if loss is not None:
            X = X.astype(np.float64, copy=False)  # curvatures of many sizes need the digits
        design = make_design(X, weight, fit_intercept=fit_intercept, standardize=standardize)
        self.design, self.mean, self.scale = design, design.center, design.scale
        self.target_mean = weight @ y if fit_intercept else np.zeros(self.target_shape)
        targets = np.atleast_2d(y.T)
        if loss is None:
            means = np.atleast_1d(self.target_mean)[:, None]
            centred = design.root * (targets - means)
            self.problems = [LeastSquares(design, target) for target in centred]
            if joint and len(self.problems) > 1:
                self.problems = [Targets(self.problems)]
        else:
            plain = design.reweighted(np.ones_like(weight), False)
            if loss.is_multiclass:
                likelihoods: list[Any] = [Softmax(loss, y, weight)]
                self.target_shape = (loss.n_classes,)
            else:
                parts = [targets.T] if joint else [target[:, None] for target in targets]
                likelihoods = [Elementwise(loss, part, weight) for part in parts]
            self.problems = [Glm(plain, likelihood, fit_intercept) for likelihood in likelihoods]
        self.problem = self.problems[0]
        self.n_outputs = self.problem.n_outputs

    @property
    def shape(self):
        """(number of linear predictors of all problems, n_features)."""
        return len(self.problems) * self.n_outputs, len(self.scale)

    def path_problem(self, penalty, problem=None):
        """Return the problem in the form that is fastest for many strengths."""
        problem = problem or self.problem
        tall = hasattr(problem, "tall") and problem.tall
        return problem.moments() if tall and (penalty.separable or penalty.constraint) else problem

    def standardize_coef(self, coef):
        """Return the solvers' coefficients of each problem."""
        useful = np.isfinite(self.scale) & (self.design.curvature > 0)
        table = np.where(useful, np.atleast_2d(coef), 0.0) * np.where(useful, self.scale, 1.0)
        return [part.T.ravel() for part in np.split(table, len(self.problems))]


def arrange_penalty(penalty, n_features, n_outputs, weights=None, groups=None, joint=False):
    """Return the penalty of the coefficients of one problem, numbered feature by feature.

    Parameters
    ----------
    penalty : Penalty
        Of one coefficient, or of all.
    n_features, n_outputs : int
        Numbers of columns and of linear predictors.
    weights : array-like of shape (n_features,), default=None
        A factor on the strength of each column.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that enter together; their strength is scaled by the root of the group's size.
    joint : bool, default=False
        Whether the coefficients of a column enter together.

    Returns
    -------
    Penalty
        For ``n_features * n_outputs`` coefficients.
    """
    joint = joint and n_outputs > 1
    depends = not penalty.separable or type(penalty).bind is not Penalty.bind
    if (groups is not None or joint or n_outputs > 1) and depends:
        raise ValueError(
            f"groups and several outputs need a separable penalty; {type(penalty).__name__} is not "
            "one."
        )
    if weights is not None:
        weights = np.asarray(weights, dtype=float)
        if weights.shape != (n_features,):
            raise ValueError(
                "feature_weights must have one entry per column, shape "
                f"({n_features},); got shape {weights.shape}."
            )
    if groups is None and not joint:
        if weights is None:
            return penalty
        weighted = Weighted(penalty, np.repeat(weights, n_outputs))
        weighted._validate()
        return weighted
    labels = np.arange(n_features)
    if groups is not None:
        if weights is not None:
            raise ValueError("feature_weights and groups cannot be combined; give one of them.")
        labels, weights = Group(penalty, groups).labels(n_features), "sqrt"
    outputs = np.zeros(n_outputs, dtype=int) if joint else np.arange(n_outputs)
    width = 1 if joint else n_outputs
    grouped = Group(penalty, (labels[:, None] * width + outputs).ravel(), weights)
    grouped._validate()
    grouped._strength(np.zeros(n_features * n_outputs), 1.0)
    return grouped


class FoldMoments(_Scaled):
    """The data of a fold, from the sums over all rows less those over the rows left out.

    Parameters
    ----------
    X, y, weight : ndarray
        All rows, and their weights.
    train : ndarray of int
        Rows of the fold; every other one is left out.
    fit_intercept, standardize : bool
        As in `Data`.
    whole : Data
        Of all rows.
    moments : Moments
        Of all rows.
    """

    def __init__(self, X, y, weight, train, fit_intercept, standardize, whole, moments):
        share = weight / whole.n_effective
        count = np.bincount(train, minlength=len(weight))
        gone = np.flatnonzero(count != 1)
        # A row that is there k times is left out 1 - k times; roots of weights know no sign.
        parts = [(gone[count[gone] == 0], -1.0)]
        parts += [(gone[count[gone] == k], k - 1.0) for k in np.unique(count[gone]) if k > 1]
        scale = np.where(np.isfinite(whole.scale), whole.scale, 1.0)
        constant = ~np.isfinite(whole.scale)
        gram, correlation = moments.gram, moments.correlation
        mean = np.zeros(X.shape[1])
        energy, target_mean, left = moments.energy, 0.0, 1.0
        for rows, sign in parts:
            if rows.size == 0:
                continue
            part = DenseDesign(X[rows], share[rows], whole.mean, scale)
            target = part.root * (y[rows] - whole.target_mean)
            gram = gram + sign * part.gram()
            correlation = correlation + sign * part.correlate(target)
            energy = energy + sign * float(target @ target)
            mean = mean + sign * part.correlate(part.root)
            target_mean = target_mean + sign * float(part.root @ target)
            left = left + sign * float(share[rows].sum())
        if not left > 0:
            raise ValueError("sample_weight must have a positive sum in every fold.")
        gram, correlation, energy = gram / left, correlation / left, energy / left
        mean, target_mean = mean / left, target_mean / left
        if fit_intercept:
            # The means of the fold, in units of all rows' deviations from theirs.
            gram = gram - np.outer(mean, mean)
            correlation = correlation - mean * target_mean
            energy = energy - target_mean**2
        else:
            mean, target_mean = np.zeros_like(mean), 0.0
        spread = np.sqrt(np.maximum(np.diag(gram), 0.0))
        # What is left of a column that is constant in the fold is the rounding of a difference.
        constant = constant | (spread <= 1e-7 * np.sqrt(np.diag(moments.gram)))
        own = np.where(constant, np.inf, spread if standardize else 1.0)
        self.dtype = whole.dtype
        self.scale = scale * own
        self.mean = whole.mean + mean * scale
        self.target_mean = whole.target_mean + target_mean
        gram = gram / own / own[:, None]
        self.problem = Moments(gram, correlation / own, max(energy, 0.0))
