"""Automatic relevance determination (sparse Bayesian learning) as a penalty."""

from numbers import Real

import numpy as np

from .._array import as_float, namespace, on_magnitude
from .._sklearn import Interval
from ._base import Penalty


class ARD(Penalty):
    r"""Type-II likelihood of priors N(0, eta_j) as a penalty; it depends on the design X.

    .. math::

        P(w) = \min_\eta \tfrac{\alpha}{2} \left(\sum_j w_j^2/\eta_j
        + \log\det\left(I + X\,\mathrm{diag}(\eta) X^T / (n \tau)\right)\right)

    In an estimator P is bound to the data. Called on its own, the methods are those of an
    orthonormal design (:math:`X^T X = n I`), where P is separable:
    :math:`P'(w) = 2\alpha / (|w| + \sqrt{w^2 + 4\tau})`.

    Parameters
    ----------
    tau : float > 0 or None, default=None
        Noise level inside the determinant; None is `alpha`, the Bayesian choice with
        :math:`\alpha = \sigma^2/n`.

    References
    ----------
    Wipf, Nagarajan (2008). A new view of automatic relevance determination. NIPS.

    Examples
    --------
    >>> from skdropdual.penalties import ARD
    >>> float(ARD(tau=1.0).slope(0.0, alpha=0.5))
    0.5
    """

    _parameter_constraints = {"tau": [Interval(Real, 0, None, closed="neither"), None]}

    def __init__(self, tau=None):
        self.tau = tau

    @property
    def joint(self):
        return self.tau is None

    def _tau(self, alpha):
        return alpha if self.tau is None else self.tau

    def _sum(self, w, alpha):  # |w| + sqrt(w^2 + 4 tau), without overflow
        xp = namespace(w)
        scale = 2 * (self._tau(alpha) + 0.0 * w) ** 0.5
        top = xp.where(w > scale, w, scale)
        return w + top * xp.sqrt(1 + (xp.where(w > scale, scale, w) / top) ** 2)

    @on_magnitude
    def value(self, w, alpha=1.0):
        # At the minimising eta, w^2/eta = 2 w / S and eta/tau = w S / (2 tau).
        root = (self._tau(alpha) + 0.0 * w) ** 0.5
        log1p_ratio = 2 * namespace(w).asinh(w / root / 2)  # log(1 + eta/tau), without overflow
        return alpha / 2 * (2 * w / self._sum(w, alpha) + log1p_ratio)

    @on_magnitude
    def slope(self, w, alpha=1.0):
        return 2 * alpha / self._sum(w, alpha)

    @on_magnitude
    def curvature(self, w, alpha=1.0):
        total = self._sum(w, alpha)
        return -2 * alpha / total / (total - w)

    @on_magnitude
    def eta(self, w, alpha=1.0):
        return w * self._sum(w, alpha) / 2

    @on_magnitude
    def dual(self, eta, alpha=1.0):
        return namespace(eta).log1p(eta / self._tau(alpha))

    def bind(self, design):
        return _BoundARD(self.tau, design)


class _BoundARD(ARD):
    """ARD of one design: columns scaled so that ``design.T @ design`` is the Gram matrix."""

    separable = False
    proximable = False

    def __init__(self, tau, design):
        super().__init__(tau)
        self.design = _Columns(design) if isinstance(design, np.ndarray) else design
        self._state = {}

    def _relevance(self, w, alpha):
        r"""Return eta_hat(w), z_j = x_j^T S^-1 x_j / n for every j, and log det(S / tau)."""
        w, tau = abs(as_float(w)), self._tau(alpha)
        key = (w.tobytes(), alpha, tau)
        if self._state.get("key") != key:
            support = np.flatnonzero(w)
            cross = self.design.cross(support)
            gram = cross[support]
            log_eta = self._minimise(w[support], gram, tau, alpha)
            root = np.exp(log_eta / 2)
            # NumPy's own throughout: SciPy's BLAS would wait for the threads of NumPy's.
            factor = np.linalg.cholesky(root[:, None] * gram * root + tau * np.eye(root.size))
            half = np.linalg.solve(factor, root[:, None] * cross.T)
            z = (self.design.curvature - (half**2).sum(axis=0)) / tau
            eta = np.zeros_like(w)
            eta[support] = np.exp(log_eta)
            z[support] = (w[support] / eta[support]) ** 2  # the same by E2, without cancellation
            logdet = 2 * np.log(np.diag(factor)).sum() - root.size * np.log(tau)
            self._state = {"key": key, "result": (eta, np.maximum(z, 0), logdet)}
        return self._state["result"]

    def _minimise(self, w, gram, tau, alpha):
        # sum w^2 e^-u + log det(tau I + X diag(e^u) X^T) is convex in u = log eta: Newton's method.
        start = ARD.eta(self, w, alpha)
        u, worst = np.log(start), np.inf
        for _ in range(100):
            root = np.exp(u / 2)
            scaled = root[:, None] * gram * root
            share = np.linalg.solve(scaled + tau * np.eye(u.size), scaled)
            fit = w**2 * np.exp(-u)
            hessian = np.diag(fit + np.diag(share)) - share * share.T
            step = np.linalg.solve(hessian, fit - np.diag(share))
            last, worst = worst, np.abs(step).max(initial=1e-300)
            u = u + step * min(1.0, 2.0 / worst)
            if worst <= 1e-12 or last / 2 < worst < 1e-6:  # the latter is rounding
                break
        return u

    def value(self, w, alpha=1.0):
        eta, z, logdet = self._relevance(w, alpha)
        share = eta * z  # w^2 / eta, by E2
        return alpha / 2 * share * (1 + logdet / max(share.sum(), 1e-300))

    def slope(self, w, alpha=1.0):
        return alpha * np.sqrt(self._relevance(w, alpha)[1])

    def eta(self, w, alpha=1.0):
        return self._relevance(w, alpha)[0]

    def posterior_variance(self, w, alpha, gram):
        # alpha times the degrees of freedom that the posterior leaves to the nonzeros.
        eta = self.eta(w, alpha)[w != 0]
        return alpha * float(np.trace(np.linalg.solve(gram + np.diag(alpha / eta), gram)))


class _Columns:
    """An array as the design it is."""

    def __init__(self, array):
        self.array = array
        self.curvature = (array**2).sum(axis=0)

    def cross(self, index):
        return self.array.T @ self.array[:, index]
