"""The first-order conditions of a fitted linear model, computed from its data."""

from copy import copy

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from .._sklearn import check_sample_weight
from ..duality import effective_penalty
from ..linear_model import EffectivePenaltyClassifier, EffectivePenaltyRegressor
from ..linear_model._base import LinearEstimator
from ..linear_model._faces import DropoutFace
from ..linear_model._search import Search
from ..solvers._losses import Elementwise, Softmax
from ..solvers._second_order import rescaled
from ..solvers._stopping import violation
from ..solvers._tangent import Tangent


def stationarity_of(estimator, X, y, sample_weight=None, penalty=None, alpha=None):
    """Return what `StationarityDisplay` holds.

    Parameters
    ----------
    estimator, X, y, sample_weight, penalty, alpha
        As in `StationarityDisplay.from_estimator`.

    Returns
    -------
    dict of ndarray of shape (n_coefs,)
        "coef", "residual", "pull" and "bound".
    """
    check_is_fitted(estimator, "coef_")
    model = _judged(estimator, penalty, alpha)
    X, y, sample_weight = model._validate(X, y, sample_weight)
    _check_same_shape(estimator, model, X)
    data = model._prepare(X, y, sample_weight)
    penalty = _arranged(model, penalty, data)
    pulls = _pulls(model, data, X, y, check_sample_weight(sample_weight, X, dtype=np.float64))
    coefs = data.standardize_coef(model.coef_)
    alphas = np.broadcast_to(model.alpha_, len(coefs))
    parts = zip(data.problems, coefs, pulls, alphas, strict=True)
    found = zip(*[_conditions(model, penalty, *part) for part in parts], strict=True)
    names = ("coef", "residual", "pull", "bound")
    return {name: data.arrange(part).ravel() for name, part in zip(names, found, strict=True)}


def _judged(estimator, penalty, alpha):
    """Return a copy to ask, or an estimator of this library with the same coefficients."""
    if isinstance(estimator, LinearEstimator):
        model = copy(estimator)
        model.alpha_ = estimator.alpha_ if alpha is None else alpha
        return model
    if penalty is None or alpha is None:
        raise ValueError(
            f"penalty and alpha must be given for {type(estimator).__name__}, which is no linear "
            "estimator of this library."
        )
    cls = EffectivePenaltyClassifier if is_classifier(estimator) else EffectivePenaltyRegressor
    model = cls(standardize=False, fit_intercept=getattr(estimator, "fit_intercept", True))
    model.coef_, model.intercept_, model.alpha_ = estimator.coef_, estimator.intercept_, alpha
    return model


def _check_same_shape(estimator, model, X):
    if X.shape[1] != model.coef_.shape[-1]:
        raise ValueError(
            f"X must have the {model.coef_.shape[-1]} columns of the fit; got {X.shape[1]}."
        )
    if hasattr(estimator, "classes_") and not np.array_equal(estimator.classes_, model.classes_):
        raise ValueError(
            f"y must have the classes of the fit, {estimator.classes_.tolist()}; got "
            f"{model.classes_.tolist()}."
        )


def _arranged(model, penalty, data):
    """Return the penalty of all coefficients of one problem."""
    if penalty is None and isinstance(model, Search):
        return model.penalty_
    given = getattr(model, model._penalty_parameter) if penalty is None else penalty
    return model._arrange(effective_penalty(given), data)


def _pulls(model, data, X, y, weight):
    """Return minus the gradient of the loss, as the solvers number coefficients."""
    weight = weight / weight.sum()
    raw = X @ np.atleast_2d(model.coef_).T.astype(float) + model.intercept_
    loss = model._make_loss(y)
    targets = y.reshape(len(y), -1).astype(float)
    if loss is None:
        rest = weight[:, None] * (targets - raw)
    elif loss.is_multiclass:
        rest = Softmax(loss, y, weight).look(raw)[1]
    else:
        rest = Elementwise(loss, targets, weight).look(raw)[1]
    pull = ((X.T @ rest).T - np.outer(rest.sum(axis=0), data.mean)) / data.scale
    return [part.T.ravel() for part in np.split(pull, len(data.problems))]


def _conditions(model, penalty, problem, w, pull, alpha):
    """Return w, its residuals, the sizes of the pulls and what they are compared with."""
    if alpha == 0:
        penalty = Tangent(np.zeros_like(w))
    elif isinstance(model, DropoutFace) and not problem.exact:
        penalty = rescaled(penalty, np.sqrt(problem.spread(w)))
    residual = violation(penalty, w, pull, alpha, model.positive)
    if model.positive:
        pull = np.where(w == 0, np.maximum(pull, 0.0), pull)
    if penalty.concave_in_norms is None:
        size, bound = np.abs(pull), penalty.slope(w, alpha)
    else:
        # A group that is zero stays so if what single slopes leave of its pull is small enough.
        single, group = penalty.slopes(w, alpha)
        norm = penalty.norm(w)
        left = penalty.norm(np.maximum(np.abs(pull) - single, 0.0))
        size = np.where(norm > 0, np.abs(pull), left)
        share = np.abs(w) / np.where(norm > 0, norm, 1.0)
        bound = np.where(norm > 0, single + np.where(w != 0, group * share, 0.0), group)
    return w, residual / problem.scale, size / problem.scale, bound / problem.scale
