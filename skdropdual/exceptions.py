"""Errors and warnings of the library, under one name each.

They are scikit-learn's own: catching scikit-learn's catches ours.
"""

from sklearn.exceptions import ConvergenceWarning

from ._sklearn import InvalidParameterError

__all__ = ["ConvergenceWarning", "InvalidParameterError"]
