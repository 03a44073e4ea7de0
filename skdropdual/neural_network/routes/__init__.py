"""The ways of minimising a penalty in a deep net (theory, section 6), by what they do to weights.

A route is two or three elementwise functions on one `SparseWeight` (its group dimensions, strength,
penalty and the parameters that the route keeps there) and its raw weight. A new one is a class with
these, and a line in `ROUTES`.
"""

from ..._sklearn import validate_parameter_constraints
from ...exceptions import InvalidParameterError
from ._base import Dense, Route, auto_alpha
from ._learned import EtaTrick, Factorized
from ._magnitude import HardThresholding, Prune
from ._noise import AdaDrop, GaussDrop, HardConcreteGates, StandoutMasks
from ._penalty import AdaProx, AdaTikhonov, Penalised
from ._variational import (
    AdditiveVariationalDropout,
    LocalVariationalDropout,
    VariationalDropout,
)

ROUTES: dict[str, type[Route]] = {
    "none": Dense,
    "penalty": Penalised,
    "adatikhonov": AdaTikhonov,
    "adaprox": AdaProx,
    "eta-trick": EtaTrick,
    "factorized": Factorized,
    "gaussdrop": GaussDrop,
    "adadrop": AdaDrop,
    "standout": StandoutMasks,
    "vardrop": VariationalDropout,
    "vardrop-lr": LocalVariationalDropout,
    "vardrop-lr-ar": AdditiveVariationalDropout,
    "hardconcrete": HardConcreteGates,
    "hardthreshold": HardThresholding,
    "prune": Prune,
}

__all__ = [
    "ROUTES",
    "Route",
    "auto_alpha",
    "get_route",
    "list_methods",
    *(r.__name__ for r in ROUTES.values()),
]


def list_methods():
    """Return the names that `method` takes, sorted.

    Returns
    -------
    list of str
        Names of routes.

    Examples
    --------
    >>> from skdropdual.neural_network import list_methods
    >>> "adaprox" in list_methods()
    True
    """
    return sorted(ROUTES)


def get_route(method):
    """Return a route by its name, or the one given.

    Parameters
    ----------
    method : str or Route
        A name of `list_methods` or a route object.

    Returns
    -------
    Route
        With valid parameters.

    Raises
    ------
    InvalidParameterError
        If the name is unknown; it lists what exists.
    """
    route = ROUTES[method]() if isinstance(method, str) and method in ROUTES else method
    if not isinstance(route, Route):
        raise InvalidParameterError(
            f"method must be one of {', '.join(list_methods())}, or a route object; got {method!r}."
        )
    validate_parameter_constraints(
        route._parameter_constraints, route.get_params(deep=False), type(route).__name__
    )
    return route
