"""The only importer of scikit-learn's private API, with the reason for each name."""

# Declares and checks parameters exactly as scikit-learn's own estimators do.
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)

__all__ = ["Interval", "InvalidParameterError", "StrOptions", "validate_parameter_constraints"]
