"""The two faces of one regression: a penalty, and the dropout rule that is its dual."""

from numbers import Integral, Real

from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._sklearn import LOSSES, Interval, StrOptions, inverse_link, make_loss
from ._base import LinearEstimator
from ._data import FLOATS
from ._faces import DropoutFace, PenaltyFace
from ._path import SHARED, SHARED_OF_LOSSES, PathMethod


class LinearRegressor(RegressorMixin, LinearEstimator):
    """Fit and predict; `_penalty_parameter` names what holds the penalty."""

    _multi_output = True
    _parameter_constraints = {
        **LinearEstimator._parameter_constraints,
        "loss": [StrOptions(set(LOSSES))],
        "huber_epsilon": [Interval(Real, 0, None, closed="neither")],
        "tweedie_power": [Interval(Real, None, None, closed="neither")],
    }

    def fit(self, X, y, sample_weight=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data; float32 gives float32 coefficients. For a loss other than the squared error it is
            solved in a float64 copy.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0; only their ratios matter.

        Returns
        -------
        self
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, getattr(self, self._penalty_parameter))

    def _validate(self, X, y, sample_weight):
        kinds = {"dtype": FLOATS, "accept_sparse": ["csc", "csr"]}
        X, y = validate_data(self, X, y, y_numeric=True, multi_output=self._multi_output, **kinds)
        if y.ndim > 1 and y.shape[1] == 1:
            y = y[:, 0]
        return X, y, sample_weight

    def _make_loss(self, y):
        return make_loss(self.loss, y, self.huber_epsilon, self.tweedie_power)

    def predict(self, X):
        """Return the predictions, ``X @ coef_.T + intercept_`` or its exponential.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, accept_sparse=["csr", "csc"], reset=False)
        return inverse_link(self.loss, X @ self.coef_.T + self.intercept_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = self._multi_output
        return tags


class EffectivePenaltyRegressor(PenaltyFace, LinearRegressor):
    r"""Linear regression with any penalty of the library.

    Minimises, over coefficients w and an unpenalised intercept b,

    .. math::

        \frac{1}{2 \sum_i s_i} \sum_i s_i (y_i - x_i^T w - b)^2 + \sum_j P_\alpha(|w_j|\, d_j)

    with sample weights s, and d the standard deviation of each column (its root mean square
    without an intercept) for ``standardize=True``, else 1.

    Parameters
    ----------
    penalty : str or Penalty, default="logsum"
        A name from `list_penalties` or a penalty object.
    alpha : float >= 0, "auto" or None, default=1.0
        Strength (the paper's lambda); 0 is least squares, the least-norm solution. "auto" (for
        "vardrop" and "ard") is noise variance / n_samples, the noise estimated in the same loop
        (and at least 1e-8 of the target's variance; a warning says where it fell to nothing).
        None leaves it to `n_nonzero`.
    n_nonzero : int > 0, default=None
        With ``alpha=None``: the largest model with at most so many nonzero coefficients on a path
        of 100 strengths down to ``alpha_max / 1000``, which ends where there are more.
    fit_intercept : bool, default=True
        Whether to fit b.
    standardize : bool, default=True
        Penalise ``coef_ * d`` (what dropout does, whatever the units of the columns), or ``coef_``
        itself (scikit-learn's Lasso). Coefficients are always on the original scale.
    positive : bool, default=False
        Constrain coefficients to be >= 0.
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column; 0 is never penalised.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that enter together: the label of each, or the columns of each group. The penalty
        acts on the norm of each group, its strength times the root of the group's size.
    penalize : {"coefficient", "feature"}, default="coefficient"
        With several targets: each coefficient by itself, the targets being independent, or the norm
        of each column's coefficients, so that a column is in or out for all targets.
    loss : {"squared_error", "huber", "poisson", "gamma", "tweedie"}, default="squared_error"
        Loss of one prediction, as scikit-learn's; the last three predict
        :math:`\exp(x^T w + b)`. For counts over different exposures, y is the count per unit and
        `sample_weight` the exposure.
    huber_epsilon : float > 0, default=1.35
        Absolute error beyond which ``loss="huber"`` is linear, in units of y.
    tweedie_power : float, default=1.5
        Power of the variance for ``loss="tweedie"``.
    solver : {"auto", "coordinate_descent", "reweighted"}, default="auto"
        "coordinate_descent" reweights L1 problems (penalties concave in \|w\| and mixtures with a
        ridge; others use the ridge), "reweighted" the ridge of the dual dropout rule, which are the
        steps of `AdaptiveDropoutRegressor`. "auto" is "coordinate_descent".
    tol : float >= 0, default=1e-6
        Bound on ``stationarity_``.
    max_iter : int, default=1000
        Largest number of reweightings.
    warm_start : bool, default=False
        Start from ``coef_`` if there is one.
    random_state : int, RandomState or None, default=None
        Unused by these deterministic solvers; there for grid searches over both faces.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients, exact zeros included.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept.
    alpha_ : float or ndarray of shape (n_targets,)
        Strength of the solution; of each target, where `n_nonzero` or "auto" gives different ones.
    n_iter_ : int
        Reweightings, or working sets, of the last solve.
    eta_ : ndarray, shape of `coef_`
        Dual variables at the solution; 0 for a dropped column, inf for a free one.
    keep_prob_ : ndarray, shape of `coef_`
        Keep probabilities of the dual dropout rule at the solution.
    objective_ : float
        Loss plus penalty.
    stationarity_ : float
        Largest violation of the first-order conditions, relative to :math:`\max_j |x_j^T y|/n`.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    See Also
    --------
    AdaptiveDropoutRegressor : The same model as adaptive dropout.

    References
    ----------
    LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin. arXiv:2106.07769.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual import EffectivePenaltyRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = EffectivePenaltyRegressor("mcp", alpha=10.0).fit(X, y)
    >>> int((model.coef_ != 0).sum())
    2
    """

    _parameter_constraints = {
        **LinearRegressor._parameter_constraints,
        **PenaltyFace._face_constraints,
    }

    def __init__(
        self,
        penalty="logsum",
        alpha=1.0,
        *,
        n_nonzero=None,
        fit_intercept=True,
        standardize=True,
        positive=False,
        feature_weights=None,
        groups=None,
        penalize="coefficient",
        loss="squared_error",
        huber_epsilon=1.35,
        tweedie_power=1.5,
        solver="auto",
        tol=1e-6,
        max_iter=1000,
        warm_start=False,
        random_state=None,
    ):
        self.penalty = penalty
        self.alpha = alpha
        self.n_nonzero = n_nonzero
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.feature_weights = feature_weights
        self.groups = groups
        self.penalize = penalize
        self.loss = loss
        self.huber_epsilon = huber_epsilon
        self.tweedie_power = tweedie_power
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state

    path = PathMethod(SHARED | SHARED_OF_LOSSES | {"penalty": "penalty", "solver": "solver"})


class AdaptiveDropoutRegressor(DropoutFace, LinearRegressor):
    r"""Linear regression by dropout whose keep probabilities adapt to the weights.

    Alternates

    .. math::

        w \leftarrow \arg\min_w \mathbb{E}_s L(s \odot u), \quad w = \mathbb{E}[s]\, u, \qquad
        a_j \leftarrow a(|w_j|)

    over masks s with keep probabilities a, until both stand still. That is where the objective of
    `EffectivePenaltyRegressor` with the rule's effective penalty is stationary.

    Parameters
    ----------
    rule : str, Penalty or callable, default="vardrop"
        What `effective_penalty` takes: a penalty (its dual rule) or a keep probability of \|w\|.
    alpha : float >= 0, "auto" or None, default=1.0
        Strength (the paper's lambda); 0 keeps everything: least squares. "auto" (for "vardrop"
        and "ard") is noise variance / n_samples, the noise estimated in the same loop. None leaves
        it to `n_nonzero`.
    n_nonzero : int > 0, default=None
        With ``alpha=None``: the largest model with at most so many nonzero coefficients on a path
        of 100 strengths down to ``alpha_max / 1000``, which ends where there are more.
    masks : {"expected", "bernoulli", "gaussian"}, default="expected"
        "expected" integrates the masks out: each step is the ridge with strength
        :math:`r_j = \mathrm{Var}(s_j)/\mathbb{E}[s_j]^2 = \alpha/\hat\eta_j`, weights that are
        dropped for good become exact zeros, and zeros that are not stationary come back. The others
        really sample `n_masks` masks in each of `max_iter` rounds (at most 100) and average the
        second half of the rounds.
    n_masks : int, default=1000
        Masks in each round when they are sampled; the error falls like its inverse root.
    batch_size : int or None, default=None
        Rows that each sampled mask sees; None is all of them.
    fit_intercept : bool, default=True
        Whether to fit an intercept; it is never dropped.
    standardize : bool, default=True
        The rule sees ``coef_ * d``, d the standard deviation of each column, or ``coef_`` itself.
    positive : bool, default=False
        Constrain coefficients to be >= 0 (expected masks only).
    feature_weights : array-like of shape (n_features,), default=None
        A factor >= 0 on the strength of each column; 0 is never dropped.
    groups : array-like of shape (n_features,) or list of index arrays, default=None
        Columns that enter together: the label of each, or the columns of each group. The penalty
        acts on the norm of each group, its strength times the root of the group's size.
    penalize : {"coefficient", "feature"}, default="coefficient"
        With several targets: each coefficient by itself, the targets being independent, or the norm
        of each column's coefficients, so that a column is in or out for all targets.
    loss : {"squared_error", "huber", "poisson", "gamma", "tweedie"}, default="squared_error"
        Loss of one prediction, as scikit-learn's; the last three predict
        :math:`\exp(x^T w + b)`. For counts over different exposures, y is the count per unit and
        `sample_weight` the exposure.
    huber_epsilon : float > 0, default=1.35
        Absolute error beyond which ``loss="huber"`` is linear, in units of y.
    tweedie_power : float, default=1.5
        Power of the variance for ``loss="tweedie"``.
    tol : float >= 0, default=1e-6
        Bound on ``stationarity_``.
    max_iter : int, default=1000
        Largest number of reweightings.
    warm_start : bool, default=False
        Start from ``coef_`` if there is one.
    random_state : int, RandomState or None, default=None
        Source of sampled masks.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Effective coefficients, exact zeros included.
    intercept_ : float or ndarray of shape (n_targets,)
        Intercept.
    alpha_ : float or ndarray of shape (n_targets,)
        Strength of the solution; of each target, where `n_nonzero` or "auto" gives different ones.
    n_iter_ : int
        Reweightings, or working sets, of the last solve.
    eta_ : ndarray, shape of `coef_`
        Dual variables at the solution.
    keep_prob_ : ndarray, shape of `coef_`
        Keep probabilities at the solution.
    objective_ : float
        Loss plus effective penalty.
    stationarity_ : float
        Largest violation of the first-order conditions, relative to :math:`\max_j |x_j^T y|/n`.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if they were strings.

    See Also
    --------
    EffectivePenaltyRegressor : The same model as a penalised regression.

    References
    ----------
    LeJeune, Javadi, Baraniuk (2021). The Flip Side of the Reweighted Coin. arXiv:2106.07769.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skdropdual import AdaptiveDropoutRegressor, EffectivePenaltyRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> dropout = AdaptiveDropoutRegressor("mcp", alpha=10.0).fit(X, y)
    >>> penalised = EffectivePenaltyRegressor("mcp", alpha=10.0).fit(X, y)
    >>> np.allclose(dropout.coef_, penalised.coef_, rtol=1e-8)
    True
    """

    _parameter_constraints = {
        **LinearRegressor._parameter_constraints,
        **DropoutFace._face_constraints,
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        rule="vardrop",
        alpha=1.0,
        *,
        n_nonzero=None,
        masks="expected",
        n_masks=1000,
        batch_size=None,
        fit_intercept=True,
        standardize=True,
        positive=False,
        feature_weights=None,
        groups=None,
        penalize="coefficient",
        loss="squared_error",
        huber_epsilon=1.35,
        tweedie_power=1.5,
        tol=1e-6,
        max_iter=1000,
        warm_start=False,
        random_state=None,
    ):
        self.rule = rule
        self.alpha = alpha
        self.n_nonzero = n_nonzero
        self.masks = masks
        self.n_masks = n_masks
        self.batch_size = batch_size
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.positive = positive
        self.feature_weights = feature_weights
        self.groups = groups
        self.penalize = penalize
        self.loss = loss
        self.huber_epsilon = huber_epsilon
        self.tweedie_power = tweedie_power
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state

    path = PathMethod(SHARED | SHARED_OF_LOSSES | {"penalty": "rule"}, solver="reweighted")
