"""Pictures of penalties, paths and fitted models, as scikit-learn's displays draw them.

A display holds numbers. Its ``from_...`` methods find and draw them, `plot` draws them again, on
axes of one's own if wanted, and keeps what it drew in attributes that end in an underscore. Only
drawing needs matplotlib, ``pip install "skdropdual[plots]"``.
"""

from ._cv_path import CVPathDisplay
from ._duality import DualityDisplay
from ._nets import LayerSparsityDisplay, SparsityHistoryDisplay
from ._path import PathDisplay
from ._penalty import PenaltyDisplay
from ._stationarity import StationarityDisplay

__all__ = [
    "CVPathDisplay",
    "DualityDisplay",
    "LayerSparsityDisplay",
    "PathDisplay",
    "PenaltyDisplay",
    "SparsityHistoryDisplay",
    "StationarityDisplay",
]
