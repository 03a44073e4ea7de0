"""From what users pass to what solvers take, and back."""

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from ..penalties import Weighted
from ..solvers._design import DenseDesign, make_design
from ..solvers._problem import LeastSquares, Moments

FLOATS = [np.float64, np.float32]


class _Scaled:
    """Columns that were centred and scaled, and the way back."""

    dtype: np.dtype
    mean: np.ndarray
    scale: np.ndarray
    target_mean: float

    def original_coef(self, w):
        """Return coefficients of the original columns, in the dtype of X."""
        return (w / self.scale).astype(self.dtype)

    def intercept(self, coef):
        """Return the intercept that goes with coefficients of the original columns."""
        return self.target_mean - self.mean @ coef


class Data(_Scaled):
    """The data as the solvers want it, and the way back to the original scale.

    Parameters
    ----------
    X : {ndarray, sparse matrix or array} of shape (n_samples, n_features)
        Data, float64 or float32; never copied.
    y : ndarray of shape (n_samples,)
        Target.
    sample_weight : array-like of shape (n_samples,) or None
        Weights >= 0.
    fit_intercept, standardize : bool
        Whether columns are centred, and scaled.
    """

    def __init__(self, X, y, sample_weight, fit_intercept, standardize):
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.n_effective = float(weight.sum())
        if not self.n_effective > 0:
            raise ValueError("sample_weight must have a positive sum; got only zeros.")
        weight = weight / self.n_effective
        y = y.astype(np.float64)
        self.dtype = X.dtype
        self.target_mean = float(weight @ y) if fit_intercept else 0.0
        design = make_design(X, weight, fit_intercept=fit_intercept, standardize=standardize)
        self.mean, self.scale = design.center, design.scale
        self.problem = LeastSquares(design, design.root * (y - self.target_mean))

    def path_problem(self, penalty):
        """Return the problem in the form that is fastest for many strengths."""
        tall = self.problem.tall and (penalty.separable or penalty.constraint)
        return self.problem.moments() if tall else self.problem

    def standardize_coef(self, coef):
        """Return the solvers' coefficients."""
        useful = (self.problem.curvature > 0) & np.isfinite(self.scale)
        return np.where(useful, coef, 0.0) * np.where(useful, self.scale, 1.0)


def weigh_features(penalty, weights, n_features):
    """Return the penalty with a factor on the strength of each column, if there are any."""
    if weights is None:
        return penalty
    weights = np.asarray(weights, dtype=float)
    if weights.shape != (n_features,):
        raise ValueError(
            f"feature_weights must have one entry per column, shape ({n_features},); got shape "
            f"{weights.shape}."
        )
    weighted = Weighted(penalty, weights)
    weighted._validate()
    return weighted


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
