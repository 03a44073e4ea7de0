"""Test configuration: scikit-learn's array-API checks need this before scipy is imported."""

import os

os.environ.setdefault("SCIPY_ARRAY_API", "1")
