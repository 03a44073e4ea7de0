"""Problems that the tests share."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

SHAPES = [(20, 5), (20, 40), (30, 12), (50, 200), (60, 25), (80, 80), (100, 20), (100, 300)]
SHAPES += [(120, 60), (150, 10), (200, 50), (200, 400), (250, 5), (300, 100), (300, 30), (350, 700)]
SHAPES += [(400, 40), (450, 150), (500, 1000), (500, 60)]


def regression_problem(seed, n, p, rho=0.6):
    """Correlated columns on scales from 1e-2 to 1e2, sparse truth, noise, weights."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, p))
    X = noise.copy()
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * noise[:, j]
    w = np.zeros(p)
    w[rng.choice(p, min(p, 6), replace=False)] = rng.normal(0, 2, min(p, 6))
    y = X @ w + 0.5 * rng.standard_normal(n) + 3
    X = X * 10 ** rng.uniform(-2, 2, p) + rng.normal(0, 1, p)
    return X, y, rng.uniform(0.2, 2, n)


def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def correlation_scale(X, y, weight, fit_intercept):
    """Largest |x_j' y| / n over standardised columns: the natural unit of alpha."""
    weight = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()
    if fit_intercept:
        X, y = X - weight @ X, y - weight @ y
    return np.abs((weight * y) @ X / np.sqrt(weight @ X**2)).max()
