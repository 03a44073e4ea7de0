"""Layouts of X that mean the same: dense, sparse, float32, C and Fortran order, memory-mapped."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from skdropdual.solvers._kernels import cd_csc, cd_gram
from sklearn.linear_model import Lasso

from skdropdual import (
    AdaptiveDropoutRegressor,
    EffectivePenaltyRegressor,
    EffectivePenaltyRegressorCV,
    effective_penalty_path,
)
from skdropdual.exceptions import ConvergenceWarning
from skdropdual.solvers import _problem
from skdropdual.solvers._design import make_design
from skdropdual.solvers._problem import LeastSquares

CONTAINERS = [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array]
BOTH = [EffectivePenaltyRegressor, AdaptiveDropoutRegressor]


def sparse_problem(n=80, p=60, density=0.2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < density)
    X[:, 0] = 2.0  # constant
    X[:, 1] = 0.0
    y = X[:, 2:8] @ [3.0, -2.0, 2.0, -1.0, 1.0, 2.0] + 0.3 * rng.standard_normal(n) + 5
    return X, y, rng.uniform(0.2, 2.0, n)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("penalty", ["l1", "elasticnet", "mcp", "logsum", "vardrop", "ard"])
@pytest.mark.parametrize("cls", BOTH)
def test_sparse_is_dense(cls, penalty, container):
    X, y, weight = sparse_problem()
    for options in ({}, {"fit_intercept": False}, {"standardize": False}, {"positive": True}):
        model = cls(penalty, alpha=0.05, **options)
        dense = model.fit(X, y, sample_weight=weight).coef_, model.intercept_, model.predict(X)
        model.fit(container(X), y, sample_weight=weight)
        np.testing.assert_allclose(model.coef_, dense[0], atol=1e-8)
        assert model.intercept_ == pytest.approx(dense[1], abs=1e-8)
        np.testing.assert_allclose(model.predict(container(X)), dense[2], atol=1e-8)


@pytest.mark.parametrize("penalty", ["l1", "mcp", "scad", "logsum"])
def test_columns_and_their_gram_matrix_come_to_one_solution(penalty, monkeypatch):
    X, y, weight = sparse_problem(150, 100)
    options = {"penalty": penalty, "alphas": 12, "eps": 0.1, "sample_weight": weight, "tol": 1e-10}
    _, dense, _ = effective_penalty_path(X, y, **options)
    monkeypatch.setattr(_problem, "_FEW", 0)
    monkeypatch.setattr(_problem, "_MANY", 0)
    _, columns, reached = effective_penalty_path(sparse.csc_array(X), y, **options)
    assert reached.max() <= 1e-10
    np.testing.assert_allclose(columns, dense, atol=1e-8)


def test_sparse_search_is_dense():
    X, y, weight = sparse_problem()
    model = EffectivePenaltyRegressorCV("mcp", alphas=10, eps=0.05, cv=3, tol=1e-9)
    dense = model.fit(X, y, sample_weight=weight).mse_path_
    again = model.fit(sparse.csr_array(X), y, sample_weight=weight).mse_path_
    np.testing.assert_allclose(again, dense, rtol=1e-6)


def test_duplicate_and_unsorted_entries():
    X, y, _ = sparse_problem()
    rows, columns = np.nonzero(X)
    values = X[rows, columns]
    order = np.random.default_rng(1).permutation(2 * len(rows))
    double = sparse.coo_array(
        (
            np.r_[values / 2, values / 2][order],
            (np.r_[rows, rows][order], np.r_[columns, columns][order]),
        ),
        shape=X.shape,
    )
    model = EffectivePenaltyRegressor("l1", alpha=0.05)
    expected = model.fit(X, y).coef_
    np.testing.assert_allclose(model.fit(double, y).coef_, expected, atol=1e-10)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("cls", BOTH)
def test_float32_is_kept(cls, make):
    X, y, _ = sparse_problem()
    X = make(X.astype(np.float32))
    model = cls("mcp", alpha=0.05).fit(X, y)
    assert model.coef_.dtype == np.float32
    assert model.predict(X).dtype == np.float32
    full = cls("mcp", alpha=0.05).fit(X.astype(np.float64), y)
    assert full.coef_.dtype == np.float64
    np.testing.assert_allclose(model.coef_, full.coef_, atol=1e-5)
    assert effective_penalty_path(X, y, alphas=3)[1].dtype == np.float32


@pytest.mark.parametrize("cls", BOTH)
def test_order_and_memory_map(cls, tmp_path):
    X, y, weight = sparse_problem()
    model = cls("mcp", alpha=0.05)
    expected = model.fit(X, y, sample_weight=weight).coef_
    mapped = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", float, X.shape)
    mapped[:] = X
    del mapped
    strided = np.zeros((160, 60))
    strided[::2] = X
    for other in (np.asfortranarray(X), np.load(tmp_path / "X.npy", mmap_mode="r"), strided[::2]):
        before = other.copy()
        np.testing.assert_allclose(
            model.fit(other, y, sample_weight=weight).coef_, expected, atol=1e-10
        )
        np.testing.assert_array_equal(other, before)


@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, sparse.csc_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("standardize", [True, False])
def test_designs_are_what_they_stand_for(kind, fit_intercept, standardize):
    X, y, weight = sparse_problem(40, 12)
    weight[3] = 0.0
    weight /= weight.sum()
    design = make_design(kind(X), weight, fit_intercept=fit_intercept, standardize=standardize)
    D = X - weight @ X if fit_intercept else X.copy()
    D[:, 0] = 0.0 if fit_intercept else D[:, 0]
    sd = np.sqrt(weight @ D**2)
    D = np.sqrt(weight)[:, None] * D / (np.where(sd > 0, sd, 1.0) if standardize else 1.0)
    r, index, w = y, np.array([2, 5, 0, 7]), np.array([1.0, -2.0, 0.5, 3.0])
    np.testing.assert_allclose(design.correlate(r), D.T @ r, atol=1e-12)
    np.testing.assert_allclose(design.columns(index).T, D[:, index], atol=1e-12)
    np.testing.assert_allclose(design.predict(index, w), D[:, index] @ w, atol=1e-12)
    np.testing.assert_allclose(design.curvature, (D**2).sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(design.cross(index), D.T @ D[:, index], atol=1e-12)
    block = D[:, index].T @ D[:, index[:2]]
    np.testing.assert_allclose(design.block(index, index[:2]), block, atol=1e-12)
    if kind is not sparse.csc_array:
        np.testing.assert_allclose(design.gram(), D.T @ D, atol=1e-12)
        problem = LeastSquares(design, r)
        full = np.zeros(12)
        full[index] = w
        moments = problem.moments()
        np.testing.assert_allclose(problem.gradient(full), moments.gradient(full), atol=1e-10)
        assert problem.loss(full) == pytest.approx(moments.loss(full), rel=1e-12)
        assert problem.lipschitz == pytest.approx(np.linalg.norm(D, 2) ** 2, rel=1e-10)


def test_columns_far_from_zero():
    # Means of 1e8 standard deviations: what float64 holds of the columns decides, not rounding.
    rng = np.random.default_rng(0)
    X = rng.integers(-8, 8, (100, 6)) / 8
    y = X @ [3.0, 0, -2.0, 0, 1.0, 0] + 0.1 * rng.standard_normal(100)
    expected = EffectivePenaltyRegressor("mcp", alpha=0.05).fit(X, y).coef_
    for far in (1e4, 1e8):
        for order in "CF":
            moved = np.array(X + far, order=order)
            model = EffectivePenaltyRegressor("mcp", alpha=0.05).fit(moved, y)
            np.testing.assert_allclose(model.coef_, expected, atol=1e-7)
            _, coefs, _ = effective_penalty_path(moved, y, penalty="mcp", alphas=[0.1, 0.05])
            np.testing.assert_allclose(coefs[:, 1], expected, atol=1e-5)


@pytest.mark.parametrize("penalty", ["l1", "mcp", "scad", "logsum", "vardrop"])
def test_degenerate_designs_converge_or_warn(penalty):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    y = X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(60)
    U, _, Vt = np.linalg.svd(X, full_matrices=False)
    designs = {
        "duplicates": np.c_[X, X],
        "rank": X @ rng.standard_normal((8, 30)),
        "condition 1e12": U * np.logspace(0, -12, 8) @ Vt,
        "scales": X * 10.0 ** np.linspace(-8, 8, 8),
        "one column is y": np.c_[X, y],
        "sparse duplicates": sparse.csc_array(np.c_[X, X]),
    }
    for name, data in designs.items():
        for standardize in (True, False):
            options = {"penalty": penalty, "standardize": standardize, "alphas": 20}
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                _, coefs, reached = effective_penalty_path(data, y, **options)
            assert np.isfinite(coefs).all(), name
            said = [w.category for w in caught]
            assert (reached <= 1e-6).all() or ConvergenceWarning in said, name


def test_kernels_minimise_their_quadratic():
    # The Lasso, from a Gram matrix in both precisions (rows part of longer ones), and from columns.
    X, y, _ = sparse_problem(50, 20, density=0.5)
    X, y = X[:, 2:], y - y.mean()
    n, p = X.shape
    expected = Lasso(0.05, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(X, y).coef_
    l1, l2 = np.full(p, 0.05), np.zeros(p)
    for dtype, tol, atol in ((np.float64, 1e-10, 1e-8), (np.float32, 1e-5, 1e-3)):
        store = np.zeros((p, p + 5), dtype)
        store[:, :p] = X.T @ X / n
        w, gradient = np.zeros(p, dtype), (X.T @ y / n).astype(dtype)
        options = tol, 10_000, False
        sweeps = cd_gram(store[:, :p], gradient, w, l1.astype(dtype), l2.astype(dtype), *options)
        assert 0 < sweeps < 10_000
        np.testing.assert_allclose(w, expected, atol=atol)
        np.testing.assert_allclose(gradient, X.T @ (y - X @ expected) / n, atol=10 * atol)
    with pytest.raises(ValueError, match="contiguous"):
        cd_gram(np.asfortranarray(store.astype(float)), np.zeros(p), np.zeros(p), l1, l2, *options)
    # Centred columns: the intercept is in the residual's offset.
    S = sparse.csc_array(X)
    mean = X.mean(axis=0)
    centred = Lasso(0.05, tol=1e-12, max_iter=100_000).fit(X, y).coef_
    w, gradient, residual = np.zeros(p), np.zeros(p), y.copy()
    _, offset = cd_csc(
        S.data, S.indices, S.indptr, np.full(n, 1 / n), mean, np.ones(p), X.var(axis=0),
        np.arange(p, dtype=S.indices.dtype), residual, 0.0, 1.0, gradient, w, l1, l2, 1e-12,
        10_000, False,
    )  # fmt: skip
    np.testing.assert_allclose(w, centred, atol=1e-8)
    np.testing.assert_allclose(residual + offset, y - (X - mean) @ w, atol=1e-10)


@pytest.mark.parametrize("alpha", [0, 1e-3])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csc_array])
def test_no_warning_where_nothing_correlates(alpha, kind):
    rng = np.random.default_rng(0)
    columns = np.c_[np.ones(50), rng.standard_normal((50, 6))]
    *_, y = np.linalg.qr(columns)[0].T
    for X in (columns[:, 1:-1], np.tile(columns[:, 1:-1], (1, 20)), 1e6 * columns[:, 1:-1]):
        model = EffectivePenaltyRegressor(alpha=alpha).fit(kind(X), y)
        assert model.stationarity_ <= model.tol
        np.testing.assert_allclose(model.predict(X), y.mean(), atol=1e-12)
