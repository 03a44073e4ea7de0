"""The only importer of scikit-learn's private API, with the reason for each name."""

# The losses behind its generalised linear models and boosted trees, with their links.
from sklearn._loss import (
    HalfBinomialLoss,
    HalfGammaLoss,
    HalfMultinomialLoss,
    HalfPoissonLoss,
    HalfTweedieLoss,
    HuberLoss,
)

# Linear classifiers predict, and make their coefficients sparse, in one way.
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin

# Makes `cv_results_`.
from sklearn.model_selection import GridSearchCV

# Takes rows of whatever has rows.
from sklearn.utils import _safe_indexing as safe_indexing

# Declares and checks parameters exactly as scikit-learn's own estimators do.
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)

# Cuts what comes with the rows as its own meta-estimators do.
from sklearn.utils.validation import _check_method_params as check_method_params

# Says what is wrong with weights in its own words.
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "LOSSES",
    "Interval",
    "InvalidParameterError",
    "LinearClassifierMixin",
    "SparseCoefMixin",
    "StrOptions",
    "check_method_params",
    "check_sample_weight",
    "inverse_link",
    "make_loss",
    "safe_indexing",
    "search_results",
    "validate_parameter_constraints",
]

# Losses of a regression by name.
LOSSES = ("squared_error", "huber", "poisson", "gamma", "tweedie")


def make_loss(name, y, huber_epsilon=1.35, tweedie_power=1.5):
    """Return a loss of `LOSSES` or the log loss, fit for the target y; None for squared errors."""
    if name == "squared_error":
        return None
    if name == "log_loss":
        n_classes = int(y.max()) + 1
        if n_classes < 2:
            raise ValueError("y must have at least two classes; got one class only.")
        return HalfBinomialLoss() if n_classes == 2 else HalfMultinomialLoss(n_classes=n_classes)
    loss = _regression_loss(name, huber_epsilon, tweedie_power)
    if not loss.in_y_true_range(y):
        least = loss.interval_y_true
        raise ValueError(
            f"y must be {'>=' if least.low_inclusive else '>'} {least.low} for the {name} loss; "
            f"its smallest value is {y.min()}."
        )
    if loss.interval_y_pred.low == 0 and not (y > 0).any(axis=0).all():
        raise ValueError(
            f"y must have positive entries for the {name} loss; all are 0, whose logarithm no "
            "intercept reaches."
        )
    return loss


def inverse_link(name, raw):
    """Return the predictions that go with linear predictors."""
    if name in ("squared_error", "huber"):
        return raw
    return _regression_loss(name, 1.0, 1.5).link.inverse(raw)


def _regression_loss(name, huber_epsilon, tweedie_power):
    if name == "huber":
        return HuberLoss(delta=huber_epsilon)
    if name == "tweedie":
        return HalfTweedieLoss(power=tweedie_power)
    return {"poisson": HalfPoissonLoss, "gamma": HalfGammaLoss}[name]()


def search_results(candidates, n_splits, scores, return_train_score):
    """Return the `cv_results_` of a search.

    Parameters
    ----------
    candidates : list of dict
        Parameters.
    n_splits : int
        Scores of each candidate.
    scores : list of dict
        "test_scores", "fit_time", "score_time", perhaps "train_scores"; split by split.
    return_train_score : bool
        Whether they are there.

    Returns
    -------
    dict of ndarray
        As `GridSearchCV` has it.
    """
    search = GridSearchCV(None, {}, return_train_score=return_train_score)
    return search._format_results(candidates, n_splits, scores)
