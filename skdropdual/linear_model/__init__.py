"""Linear estimators: each model as a penalty and as adaptive dropout."""

from ._classifier import AdaptiveDropoutClassifier, EffectivePenaltyClassifier
from ._classifier_cv import AdaptiveDropoutClassifierCV, EffectivePenaltyClassifierCV
from ._path import effective_penalty_path
from ._regressor import AdaptiveDropoutRegressor, EffectivePenaltyRegressor
from ._regressor_cv import AdaptiveDropoutRegressorCV, EffectivePenaltyRegressorCV

__all__ = [
    "AdaptiveDropoutClassifier",
    "AdaptiveDropoutClassifierCV",
    "AdaptiveDropoutRegressor",
    "AdaptiveDropoutRegressorCV",
    "EffectivePenaltyClassifier",
    "EffectivePenaltyClassifierCV",
    "EffectivePenaltyRegressor",
    "EffectivePenaltyRegressorCV",
    "effective_penalty_path",
]
