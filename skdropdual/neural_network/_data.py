"""Rows on a device, and the order in which they are learned."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

# Integer weights repeat rows up to this many times on average.
_MOST_REPETITIONS = 10


class Rows:
    """Training rows on the device, taken by index.

    Rows are put into an order of their own (by a hash) before an epoch shuffles them, so that a fit
    does not depend on the order they come in. Integer weights repeat rows exactly; others weigh
    the loss.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Data; a sparse one stays sparse, and is made dense batch by batch.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets as the loss wants them.
    weight : ndarray of shape (n_samples,) or None
        Weights >= 0.
    dtype : torch.dtype
        Of X, and of y where it is not integer.
    device : torch.device
        Where the rows are.

    Attributes
    ----------
    n : int
        Rows in an epoch.
    n_effective : float
        The number of samples that a default strength refers to.
    nets : tuple of int
        Leading axes of an index: none.
    """

    nets: tuple[int, ...] = ()

    def __init__(self, X, y, weight, dtype, device):
        X = X.astype(_numpy(dtype), copy=False)
        weight = np.ones(X.shape[0]) if weight is None else np.asarray(weight, dtype=float)
        counts, weight = _repetitions(weight)
        y = y if y.dtype.kind == "i" else y.astype(_numpy(dtype), copy=False)
        order = _canonical_order(X, y)
        order = np.repeat(order, counts[order])
        self.n = self.n_effective = len(order)
        self.dtype, self.device = dtype, device
        self._index = torch.as_tensor(order, device=device)
        self._sparse: Any = sp.csr_array(X) if sp.issparse(X) else None
        self._X: Any = None if sp.issparse(X) else torch.tensor(X, device=device)
        self._y = torch.tensor(y, device=device)
        self._weight = None
        if weight is not None:
            weight = weight / weight[order].mean()
            self._weight = torch.tensor(weight, dtype=dtype, device=device)

    @property
    def weighted(self):
        """Whether weights are left for the loss."""
        return self._weight is not None

    @property
    def on_cuda(self):
        """Whether a step can read its rows without leaving the GPU."""
        return self.device.type == "cuda" and self._sparse is None

    def shuffled(self):
        """Return the rows of an epoch in random order, from torch's generator."""
        return self._index[torch.randperm(self.n, device=self.device)]

    def in_order(self):
        """Return all rows."""
        return self._index

    def take(self, index):
        """Return X, y and weights (or None) of some rows."""
        if self._sparse is None:
            X = self._X[index]
        else:
            rows = self._sparse[index.cpu().numpy().ravel()].toarray()
            X = torch.as_tensor(rows, device=self.device).reshape(*index.shape, -1)
        return X, self._y[index], None if self._weight is None else self._weight[index]


class StackedRows(Rows):
    """Rows for many nets: an index has a leading axis for them.

    Parameters
    ----------
    rows : list of Rows
        Those of each net, as many for each; the same object where they are the same.
    random : Streams
        Orders the rows of each net.

    Attributes
    ----------
    n : int
        Rows in an epoch.
    nets : (int,)
        The number of nets.
    """

    def __init__(self, rows, random):
        self.n, self.nets, self._random = rows[0].n, (len(rows),), random
        self.dtype, self.device = rows[0].dtype, rows[0].device
        parts = list({id(each): each for each in rows}.values())
        starts = np.cumsum([0] + [part._y.shape[0] for part in parts])
        start = {id(part): int(start) for part, start in zip(parts, starts, strict=False)}
        self._index = torch.stack([each._index + start[id(each)] for each in rows])
        self._sparse = self._X = self._weight = None
        if parts[0]._sparse is not None:
            self._sparse = sp.vstack([part._sparse for part in parts], format="csr")
        else:
            self._X = _cat([part._X for part in parts])
        self._y = _cat([part._y for part in parts])
        if parts[0]._weight is not None:
            self._weight = _cat([part._weight for part in parts])

    def shuffled(self):
        """Return the rows of an epoch, shape (n_nets, n)."""
        return self._index.gather(1, self._random.randperm(self.n, self.device))


def _cat(parts):
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _numpy(dtype):
    return np.float64 if dtype == torch.float64 else np.float32


def _repetitions(weight):
    # How often each row comes, and the weights that are left for the loss.
    whole = np.array_equal(weight, np.floor(weight))
    if whole and weight.sum() <= _MOST_REPETITIONS * np.count_nonzero(weight):
        return weight.astype(np.intp), None
    return (weight > 0).astype(np.intp), weight


def data_fingerprint(X, y, weight):
    """Return a text that differs where the data do, but not with the order of rows."""
    parts = [X, y] if weight is None else [X, y, np.asarray(weight, dtype=float)]
    hashes = _hashes([p if sp.issparse(p) else np.asarray(p) for p in parts])
    # The hash of a row is linear in its bits: mixed, so that the sum knows what goes with what.
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(32)
    return f"{X.shape} {hashes.sum(axis=0).tolist()}"


def _canonical_order(X, y):
    return np.lexsort(_hashes([X, y]).T)


def _hashes(parts):
    # Two hashes of the bits of each row: integer sums, so exact, and alike for sparse and dense.
    rng = np.random.default_rng(0)
    hashes = np.zeros((parts[0].shape[0], 2), dtype=np.uint64)
    for part in parts:
        part = part.reshape(len(hashes), -1) if part.ndim == 1 else part
        keys = rng.integers(1, 2**62, (part.shape[1], 2), dtype=np.uint64) * np.uint64(2)
        keys += np.uint64(1)
        hashes += _bits(part) @ keys
    return hashes


def _bits(array):
    # Their bits as unsigned integers; -0 is 0.
    if sp.issparse(array):
        return sp.csr_array((_bits(array.data), array.indices, array.indptr), shape=array.shape)
    unsigned = {4: np.uint32, 8: np.uint64}[array.dtype.itemsize]
    return (array + array.dtype.type(0)).view(unsigned).astype(np.uint64)
