"""Penalties, each of which is also an adaptive dropout rule.

A new penalty is one class with `value` and `slope`, in a file of its own, and one line that imports
it here: name lookup, tests and the documentation find it by themselves.
"""

from .._sklearn import InvalidParameterError
from ._ard import ARD
from ._base import Penalty
from ._classical import L1, ElasticNet, LogSquareSum, LogSum, Lp
from ._compose import Scaled, Sum, Weighted
from ._counting import L0, HardThreshold
from ._dropout import HardConcrete, Standout, VarDrop
from ._effective import EffectivePenalty
from ._group import Group
from ._unbiased import MCP, SCAD

# Whatever penalty is imported above is public.
__all__ = ["get_penalty", "list_penalties"]
__all__ += sorted(n for n, c in globals().items() if isinstance(c, type) and issubclass(c, Penalty))

_NEED_ARGUMENTS = (EffectivePenalty, Group, Scaled, Sum, Weighted)  # made of a rule or of penalties


def list_penalties():
    """Return the names that `get_penalty` and the estimators take, sorted.

    Returns
    -------
    list of str
        Lower-case class names of the penalties that work without arguments.

    Examples
    --------
    >>> from skdropdual.penalties import list_penalties
    >>> list_penalties()[:3]
    ['ard', 'elasticnet', 'hardconcrete']
    """
    return sorted(_by_name())


def get_penalty(penalty):
    """Return a checked penalty object.

    Parameters
    ----------
    penalty : str or Penalty
        A name out of `list_penalties` (default parameters), or a penalty, which is given back.

    Returns
    -------
    Penalty
        With valid parameters.

    Raises
    ------
    InvalidParameterError
        If the name is unknown, the object is no penalty or its parameters are invalid.

    Examples
    --------
    >>> from skdropdual.penalties import get_penalty
    >>> get_penalty("mcp")
    MCP()
    """
    if isinstance(penalty, str) and penalty in _by_name():
        penalty = _by_name()[penalty]()
    if not isinstance(penalty, Penalty):
        raise InvalidParameterError(
            f"penalty must be one of {', '.join(list_penalties())}, or a Penalty object; "
            f"got {penalty!r}."
        )
    penalty._validate()
    return penalty


def _by_name():
    classes = [globals()[name] for name in __all__]
    return {
        cls.__name__.lower(): cls
        for cls in classes
        if isinstance(cls, type) and cls is not Penalty and cls not in _NEED_ARGUMENTS
    }
