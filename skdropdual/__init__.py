"""Sparse models where a dropout rule is a penalty and a penalty is a dropout rule.

References
----------
LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin: Duality of Adaptive
Dropout and Regularization. NeurIPS, arXiv:2106.07769.
"""

import importlib

from .duality import check_duality, effective_penalty, keep_prob_rule
from .feature_selection import StabilitySelection
from .linear_model import (
    AdaptiveDropoutClassifier,
    AdaptiveDropoutClassifierCV,
    AdaptiveDropoutRegressor,
    AdaptiveDropoutRegressorCV,
    EffectivePenaltyClassifier,
    EffectivePenaltyClassifierCV,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
    effective_penalty_path,
)

__version__ = "0.1.0.dev0"

__all__ = [
    "AdaptiveDropoutClassifier",
    "AdaptiveDropoutClassifierCV",
    "AdaptiveDropoutRegressor",
    "AdaptiveDropoutRegressorCV",
    "EffectivePenaltyClassifier",
    "EffectivePenaltyClassifierCV",
    "EffectivePenaltyRegressor",
    "EffectivePenaltyRegressorCV",
    "StabilitySelection",
    "check_duality",
    "effective_penalty",
    "effective_penalty_path",
    "keep_prob_rule",
]

# Imported when asked for: the first draws by matplotlib, the second needs torch.
_LAZY = ("inspection", "neural_network")


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
