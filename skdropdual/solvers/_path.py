"""One problem at many strengths, each solution starting the next."""

import numpy as np

from ._reweighted import Reweighting
from ._working_set import WorkingSet


def make_engine(problem, penalty, alpha, masks, **options):
    """Return what solves the problem at one strength.

    Parameters
    ----------
    problem : LeastSquares or Moments
        Loss and data.
    penalty : Penalty
        Bound to the design if it depends on it.
    alpha : float > 0
        Strength.
    masks : bool
        Majorise by the ridge of the dropout rule; else by weighted L1 where that is possible.
    **options
        Of `Engine`.

    Returns
    -------
    Engine
        A `Reweighting` or a `WorkingSet`.
    """
    zero = np.zeros(problem.n_features)
    ridged = masks or not (penalty.majorizer(zero, alpha)[0] > 0).any()
    return (Reweighting if ridged else WorkingSet)(problem, penalty, alpha, **options)
