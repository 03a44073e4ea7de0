"""The regression problems: simulated and real, all prepared in one way.

Columns and response have unit mean square and, unless X is sparse, mean zero (the response always
has): nobody needs an intercept or a scaling, and every solver is given the same numbers.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

SNR = 10.0
RHO = 0.6
SIMULATED = {  # name: (n, p, number of nonzero coefficients)
    "a": (1000, 5000, 50),
    "b": (5000, 500, 50),
    "c": (200, 20_000, 20),
    "e": (200_000, 200, 50),
}
SIMULATED_SPARSE = {"d": (20_000, 100_000, 50)}
DENSITY = 1e-3
REAL = ("riboflavin", "hflights", "communities_crime", "imdb_bow")
NAMES = (*SIMULATED, *SIMULATED_SPARSE, *REAL)


@dataclass
class Problem:
    """A design (Fortran-ordered float64 array or CSC matrix) and its response."""

    name: str
    X: np.ndarray | sparse.csc_matrix
    y: np.ndarray

    @property
    def sparse(self):
        """Whether X is a sparse matrix."""
        return sparse.issparse(self.X)

    @property
    def nbytes(self):
        """Size of X in memory."""
        if self.sparse:
            return self.X.data.nbytes + self.X.indices.nbytes + self.X.indptr.nbytes
        return self.X.nbytes

    def grad0(self):
        """Return X'y/n, the gradient (up to its sign) at zero coefficients."""
        return self.X.T @ self.y / len(self.y)

    def save(self, folder):
        """Write plain arrays, so that child processes load the problem without copies."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "y.npy", self.y)
        if self.sparse:
            for part in ("data", "indices", "indptr", "shape"):
                np.save(folder / f"{part}.npy", getattr(self.X, part))
        else:
            np.save(folder / "X.npy", self.X)


def load(folder):
    """Read what `Problem.save` wrote."""
    folder = Path(folder)
    y = np.load(folder / "y.npy")
    if (folder / "X.npy").exists():
        return Problem(folder.name, np.load(folder / "X.npy"), y)
    data, indices, indptr, shape = (
        np.load(folder / f"{part}.npy") for part in ("data", "indices", "indptr", "shape")
    )
    return Problem(folder.name, sparse.csc_matrix((data, indices, indptr), shape=tuple(shape)), y)


def make(name, data_dir=None):
    """Build a problem.

    `name` is one of `NAMES`, or "n-p-k" with numbers for a simulated dense one of that size.
    """
    rng = np.random.default_rng(0)
    if name in REAL:
        if data_dir is None:
            raise FileNotFoundError("real data needs --data DIR (or SKDROPDUAL_DATA)")
        return _real(name, Path(data_dir))
    if name in SIMULATED_SPARSE:
        n, p, k = SIMULATED_SPARSE[name]
        X = sparse.random(n, p, DENSITY, "csc", rng=rng, data_rvs=rng.standard_normal)
        X = _scale_sparse(X)
    else:
        n, p, k = SIMULATED[name] if name in SIMULATED else map(int, name.split("-"))
        X = _standardise(_autoregressive(rng, n, p))
    w = np.zeros(p)
    w[rng.choice(p, k, replace=False)] = rng.choice([-1.0, 1.0], k)
    signal = X @ w
    y = signal + rng.standard_normal(n) * signal.std() / np.sqrt(SNR)
    return Problem(name, X, _response(y))


def _autoregressive(rng, n, p):
    """Neighbouring columns correlate by RHO."""
    X = rng.standard_normal((p, n)).T
    for j in range(1, p):
        X[:, j] *= np.sqrt(1 - RHO**2)
        X[:, j] += RHO * X[:, j - 1]
    return X


def _standardise(X):
    """Centre and scale the columns in place; drop constant ones; NaN counts as the mean."""
    keep = np.ones(X.shape[1], dtype=bool)
    for j in range(X.shape[1]):
        x = X[:, j]
        missing = np.isnan(x)
        x[missing] = x[~missing].mean()
        x -= x.mean()
        scale = np.sqrt(np.mean(x * x))
        keep[j] = scale > 1e-10
        x /= scale if keep[j] else 1.0
    return X if keep.all() else np.asfortranarray(X[:, keep])


def _scale_sparse(X):
    """Give the columns unit mean square (not mean zero: that would fill the matrix)."""
    X = sparse.csc_matrix(X, dtype=np.float64)
    square = np.asarray(X.multiply(X).sum(axis=0)).ravel() / X.shape[0]
    X = X[:, square > 0]
    X = sparse.csc_matrix(X @ sparse.diags(1 / np.sqrt(square[square > 0])))
    X.sort_indices()
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X


def _response(y):
    y = np.asarray(y, dtype=np.float64) - np.mean(y, dtype=np.float64)
    return y / np.sqrt(np.mean(y * y))


def _real(name, data_dir):
    with np.load(data_dir / f"{name}.npz", allow_pickle=False) as d:
        y = d["rating"] if name == "imdb_bow" else d["y"]
        if "X" in d:
            X = np.asarray(d["X"], dtype=np.float64, order="F")
        else:
            parts = (d["data"].astype(np.float64), d["indices"], d["indptr"])
            X = sparse.csr_matrix(parts, shape=tuple(d["shape"]))
            if name == "imdb_bow":
                return Problem(name, _scale_sparse(X), _response(y))
            X = X.toarray(order="F")
    return Problem(name, _standardise(X), _response(y))
