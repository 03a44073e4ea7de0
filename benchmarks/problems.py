"""The problems: simulated and real, all prepared in one way.

Columns have mean zero, unless X is sparse, and a mean square that gives the loss curvature 1 in
each coefficient at zero; a real-valued response has mean zero and unit mean square. So nobody needs
a scaling, the concave penalties mean the same with every loss, and every solver is given the same
numbers.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from losses import LOSSES
from scipy import sparse

RHO = 0.6
SIMULATED = {  # name: (n, p, number of nonzero coefficients, loss)
    "a": (1000, 5000, 50, "squared_error"),
    "b": (5000, 500, 50, "squared_error"),
    "c": (200, 20_000, 20, "squared_error"),
    "e": (200_000, 200, 50, "squared_error"),
    "f": (1000, 5000, 20, "log_loss"),
}
SIMULATED_SPARSE = {"d": (20_000, 100_000, 50, "squared_error")}
DENSITY = 1e-3
REAL = {
    "riboflavin": "squared_error",
    "hflights": "squared_error",
    "communities_crime": "squared_error",
    "imdb_bow": "squared_error",
    "golub_leukemia": "log_loss",
    "arcene": "log_loss",
    "madelon": "log_loss",
    "spam_esl": "log_loss",
    "a9a": "log_loss",
    "rt_polarity": "log_loss",
    "be_mtpl97": "poisson",
    "khan_srbct": "multinomial",
}
SPARSE = ("imdb_bow", "a9a", "rt_polarity")  # of the real ones, those that stay it
NAMES = (*SIMULATED, *SIMULATED_SPARSE, *REAL)


class Facts(NamedTuple):
    """What decides whether a peer takes part."""

    n: int
    p: int
    sparse: bool
    loss: str
    weighted: bool
    intercept: bool
    nbytes: int


@dataclass
class Problem:
    """A design (Fortran-ordered float64 array or CSC matrix), its response and its loss.

    The loss is a mean over rows, with weights that sum to 1 if there are any.
    """

    name: str
    X: np.ndarray | sparse.csc_matrix
    y: np.ndarray
    loss: str = "squared_error"
    weight: np.ndarray | None = None

    @property
    def facts(self):
        """The problem without its data."""
        X = self.X
        is_sparse = sparse.issparse(X)
        parts = (X.data, X.indices, X.indptr) if is_sparse else (X,)
        nbytes = sum(part.nbytes for part in parts)
        counts = self.loss == "poisson"  # without an intercept their rate would be drawn to 1
        return Facts(*X.shape, is_sparse, self.loss, self.weight is not None, counts, nbytes)

    @property
    def zero(self):
        """Coefficients: one a column, or with several classes one a column and class."""
        p, classes = self.X.shape[1], int(self.y.max()) + 1
        return np.zeros((p, classes) if self.loss == "multinomial" else p)

    def look(self, w):
        """Return the loss and minus its gradient at coefficients w, with the best intercept."""
        loss, y = LOSSES[self.loss], self.y
        v = np.full(len(y), 1 / len(y)) if self.weight is None else self.weight
        f = self.X @ w
        if self.facts.intercept:
            f = f + loss.intercept(y, f, v)
        return v @ loss.value(y, f), self.X.T @ (loss.pull(y, f).T * v).T

    def grad0(self):
        """Return minus the gradient at zero coefficients."""
        return self.look(self.zero)[1]

    def save(self, folder):
        """Write plain arrays, so that child processes load the problem without copies."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "facts.json").write_text(json.dumps({"name": self.name, "loss": self.loss}))
        parts = {"y": self.y}
        if self.weight is not None:
            parts["weight"] = self.weight
        if sparse.issparse(self.X):
            parts |= {part: getattr(self.X, part) for part in ("data", "indices", "indptr")}
            parts["shape"] = self.X.shape
        else:
            parts["X"] = self.X
        for part, values in parts.items():
            np.save(folder / f"{part}.npy", values)


def load(folder):
    """Read what `Problem.save` wrote."""
    parts = {path.stem: np.load(path) for path in Path(folder).glob("*.npy")}
    X = parts.get("X")
    if X is None:
        data = tuple(parts[part] for part in ("data", "indices", "indptr"))
        X = sparse.csc_matrix(data, shape=tuple(parts["shape"]))
    facts = json.loads((Path(folder) / "facts.json").read_text())
    return Problem(X=X, y=parts["y"], weight=parts.get("weight"), **facts)


def make(name, data_dir=None):
    """Build a problem.

    `name` is one of `NAMES`, or "n-p-k" with numbers for a simulated dense one of that size.
    """
    if name in REAL:
        if data_dir is None:
            raise FileNotFoundError("real data needs --data DIR (or SKDROPDUAL_DATA)")
        return _real(name, Path(data_dir))
    if name in SIMULATED_SPARSE:
        return _simulated(name, *SIMULATED_SPARSE[name], is_sparse=True)
    if name in SIMULATED:
        return _simulated(name, *SIMULATED[name])
    return _simulated(name, *map(int, name.split("-")), "squared_error")


def tiny(facts):
    """Build a small problem of the same kind: what compiles does it on this one."""
    problem = _simulated("tiny", 100, 20, 5, facts.loss)
    if facts.sparse:
        problem.X = sparse.csc_matrix(problem.X)
    if facts.weighted:
        problem.weight = np.full(100, 1 / 100)
    return problem


def _simulated(name, n, p, k, loss, is_sparse=False):
    rng = np.random.default_rng(0)
    if is_sparse:
        X = sparse.random(n, p, DENSITY, "csc", rng=rng, data_rvs=rng.standard_normal)
        X = _scale_sparse(X)
    else:
        X = _standardise(_autoregressive(rng, n, p))
    w = np.zeros(p)
    w[rng.choice(p, k, replace=False)] = rng.choice([-1.0, 1.0], k)
    return _problem(name, X, LOSSES[loss].draw(rng, X @ w), loss)


def _autoregressive(rng, n, p):
    """Neighbouring columns correlate by RHO."""
    X = rng.standard_normal((p, n)).T
    for j in range(1, p):
        X[:, j] *= np.sqrt(1 - RHO**2)
        X[:, j] += RHO * X[:, j - 1]
    return X


def _standardise(X, weight=None):
    """Centre and scale the columns in place; drop constant ones; NaN counts as the mean."""
    keep = np.ones(X.shape[1], dtype=bool)
    for j in range(X.shape[1]):
        x = X[:, j]
        missing = np.isnan(x)
        x[missing] = x[~missing].mean()
        x -= np.average(x, weights=weight)
        scale = np.sqrt(np.average(x * x, weights=weight))
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


def _problem(name, X, y, loss, weight=None):
    """Scale the response, if it is a real number, and X (in place) to curvature 1."""
    y = np.asarray(y, dtype=np.float64)
    if loss == "squared_error":
        y = y - y.mean()
        return Problem(name, X, y / np.sqrt(np.mean(y * y)))
    classes = int(y.max()) + 1
    shape = (1, classes) if loss == "multinomial" else 1
    start = np.zeros(shape) if weight is None else np.log([weight @ y])
    X *= 1 / np.sqrt(LOSSES[loss].bend(start).max())
    return Problem(name, X, y, loss, weight)


def _real(name, data_dir):
    with np.load(data_dir / f"{name}.npz", allow_pickle=False) as d:
        y = d["rating"] if name == "imdb_bow" else d["y"]
        if "X" in d:
            X = np.asarray(d["X"], dtype=np.float64, order="F")
        else:
            parts = (d["data"].astype(np.float64), d["indices"], d["indptr"])
            X = sparse.csr_matrix(parts, shape=tuple(d["shape"]))
        weight = None
        if "exposure" in d:  # claims a year, weighted by years
            weight = d["exposure"].astype(np.float64)
            y, weight = y / weight, weight / weight.sum()
    if name in SPARSE:
        X = _scale_sparse(X)
    else:
        X = _standardise(X.toarray(order="F") if sparse.issparse(X) else X, weight)
    return _problem(name, X, y, REAL[name], weight)
