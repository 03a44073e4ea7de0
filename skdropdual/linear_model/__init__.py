"""Linear estimators: each model as a penalty and as adaptive dropout."""

from ._classifier import AdaptiveDropoutClassifier, EffectivePenaltyClassifier
from ._cv import (
    AdaptiveDropoutClassifierCV,
    AdaptiveDropoutRegressorCV,
    EffectivePenaltyClassifierCV,
    EffectivePenaltyRegressorCV,
)
from ._path import effective_penalty_path
from ._regressor import AdaptiveDropoutRegressor, EffectivePenaltyRegressor

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
