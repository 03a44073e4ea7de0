"""Test configuration: settings that libraries read when they are first imported."""

import os
import sys

import pytest

# scikit-learn's array-API checks need this before scipy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Pictures are drawn, never shown.
os.environ["MPLBACKEND"] = "agg"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
