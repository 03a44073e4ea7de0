"""Linear estimators: each model as a penalty and as adaptive dropout."""

from ._cv import AdaptiveDropoutRegressorCV, EffectivePenaltyRegressorCV
from ._path import effective_penalty_path
from ._regressor import AdaptiveDropoutRegressor, EffectivePenaltyRegressor

__all__ = [
    "AdaptiveDropoutRegressor",
    "AdaptiveDropoutRegressorCV",
    "EffectivePenaltyRegressor",
    "EffectivePenaltyRegressorCV",
    "effective_penalty_path",
]
