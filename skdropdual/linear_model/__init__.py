"""Linear estimators: each model as a penalty and as adaptive dropout."""

from ._regressor import AdaptiveDropoutRegressor, EffectivePenaltyRegressor

__all__ = ["AdaptiveDropoutRegressor", "EffectivePenaltyRegressor"]
