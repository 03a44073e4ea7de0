"""Sparse models where a dropout rule is a penalty and a penalty is a dropout rule.

References
----------
LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin: Duality of Adaptive
Dropout and Regularization. NeurIPS, arXiv:2106.07769.
"""

from .duality import check_duality, effective_penalty, keep_prob_rule
from .linear_model import (
    AdaptiveDropoutRegressor,
    AdaptiveDropoutRegressorCV,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
    effective_penalty_path,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "AdaptiveDropoutRegressor",
    "AdaptiveDropoutRegressorCV",
    "EffectivePenaltyRegressor",
    "EffectivePenaltyRegressorCV",
    "check_duality",
    "effective_penalty",
    "effective_penalty_path",
    "keep_prob_rule",
]
