"""The largest groups by a k-th value are those that sorting gives."""

import math

import numpy as np
import pytest
import torch

from skdropdual.neural_network._ranking import closest, fitting


def draw(seed, sizes):
    # Many ties, some groups that are never taken; the arrays of two layers.
    rng = np.random.default_rng(seed)
    shapes = [(4, 5), (3, 2)]
    scores = [torch.tensor(rng.integers(0, 5, shape).astype(float)) for shape in shapes]
    scores[0][0] = -math.inf
    norms = [torch.tensor(rng.integers(0, 4, shape).astype(float)) for shape in shapes]
    return scores, norms, int(rng.integers(1, 27 * max(sizes)))


def flat(parts):
    return np.concatenate([part.numpy().ravel() for part in parts])


@pytest.mark.parametrize("sizes", [[1, 1], [3, 3], [3, 2]])
@pytest.mark.parametrize("seed", range(20))
def test_closest(seed, sizes):
    scores, norms, wanted = draw(seed, sizes)
    weights = np.repeat(sizes, [20, 6])
    magnitude = flat(norms) / np.sqrt(weights)
    order = np.lexsort((np.arange(26), -magnitude, -flat(scores)))
    missed = abs(np.cumsum(weights[order]) - wanted)
    count = int(np.flatnonzero(missed == missed.min())[0]) + 1
    expected = np.zeros(26, dtype=bool)
    expected[order[:count]] = True
    expected &= flat(scores) > -math.inf
    target = torch.tensor(float(wanted))
    if np.sum(missed == missed.min()) == 1:  # else either will do
        np.testing.assert_array_equal(flat(closest(scores, norms, sizes, target, 0)), expected)
    two = [torch.stack([-s, s]) for s in scores], [torch.stack([n, n]) for n in norms]
    both = closest(*two, sizes, torch.stack([target, target]), 1)
    one = closest(scores, norms, sizes, target, 0)
    for mask, alone in zip(both, one, strict=True):
        assert torch.equal(mask[1], alone)


@pytest.mark.parametrize("sizes", [[1, 1], [3, 3], [3, 2]])
@pytest.mark.parametrize("seed", range(20))
def test_fitting(seed, sizes):
    scores, _, wanted = draw(seed, sizes)
    order = np.lexsort((np.arange(26), -flat(scores)))
    expected = np.zeros(26, dtype=bool)
    expected[order] = np.cumsum(np.repeat(sizes, [20, 6])[order]) <= wanted
    np.testing.assert_array_equal(flat(fitting(scores, sizes, wanted, 0)), expected)
    both = fitting([torch.stack([-s, s]) for s in scores], sizes, wanted, 1)
    np.testing.assert_array_equal(flat([part[1] for part in both]), expected)
