# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled inner loops. They know no penalty: only weighted L1 plus ridge quadratics."""

from cython cimport floating
from libc.math cimport fabs, sqrt

ctypedef fused index_t:
    int
    long long

# The one loop that the time goes into; where the compiler can, with a version for wide vectors
# that is chosen when the module is loaded.
cdef extern from *:
    """
    #if defined(__GNUC__) && defined(__x86_64__) && defined(__gnu_linux__)
    #define SKDROPDUAL_CLONES __attribute__((target_clones("avx512f", "avx2,fma", "default")))
    #else
    #define SKDROPDUAL_CLONES
    #endif
    SKDROPDUAL_CLONES static void skdropdual_subtract_double(
        double *out, const double *row, double factor, Py_ssize_t n)
    {
        for (Py_ssize_t k = 0; k < n; k++) out[k] -= factor * row[k];
    }
    SKDROPDUAL_CLONES static void skdropdual_subtract_float(
        float *out, const float *row, float factor, Py_ssize_t n)
    {
        for (Py_ssize_t k = 0; k < n; k++) out[k] -= factor * row[k];
    }
    """
    void skdropdual_subtract_double(double *, const double *, double, Py_ssize_t) nogil
    void skdropdual_subtract_float(float *, const float *, float, Py_ssize_t) nogil


cdef inline void subtract(
    floating *out, const floating *row, floating factor, Py_ssize_t n
) noexcept nogil:
    if floating is double:
        skdropdual_subtract_double(out, row, factor, n)
    else:
        skdropdual_subtract_float(out, row, factor, n)


cdef inline double shrunk(
    double z, double l1, double curvature, bint positive
) noexcept nogil:
    # argmin of curvature u^2/2 - z u + l1 |u|
    if z > l1:
        return (z - l1) / curvature
    if z < -l1 and not positive:
        return (z + l1) / curvature
    return 0.0


def cd_gram(
    const floating[:, :] gram,
    floating[::1] gradient,
    floating[::1] w,
    const floating[::1] l1,
    const floating[::1] l2,
    double tol,
    int max_epochs,
    bint positive,
):
    r"""Minimise ``w'Gw/2 - c'w + sum l1 |w| + sum l2 w^2/2`` by cyclic coordinate descent.

    `w` and ``gradient = c - G w`` are updated in place. After each sweep over all columns, sweeps
    over the nonzero ones follow until they stand still. Returns the number of sweeps; stops when
    no coordinate moves its own partial derivative by more than `tol` in a full sweep. The rows of
    `gram` are contiguous; they may be part of longer ones.
    """
    if gram.shape[1] > 1 and gram.strides[1] != sizeof(floating):
        raise ValueError("the rows of gram must be contiguous")
    cdef Py_ssize_t p = w.shape[0], j
    cdef int epoch = 0
    cdef bint full = True
    cdef double curvature, moved, worst
    with nogil:
        while epoch < max_epochs:
            worst = 0.0
            for j in range(p):
                if not full and w[j] == 0.0:
                    continue
                curvature = gram[j, j] + l2[j]
                if curvature <= 0.0:
                    continue
                moved = shrunk(gradient[j] + gram[j, j] * w[j], l1[j], curvature, positive) - w[j]
                if moved != 0.0:
                    w[j] += <floating>moved
                    subtract(&gradient[0], &gram[j, 0], <floating>moved, p)
                    moved = fabs(moved) * curvature
                    if moved > worst:
                        worst = moved
            epoch += 1
            if worst <= tol:
                if full:
                    break
                full = True
            else:
                full = False
    return epoch


def cd_groups(
    const double[:, :] gram,
    double[::1] gradient,
    double[::1] w,
    const double[::1] l1,
    const double[::1] group_l2,
    const double[::1] lipschitz,
    const Py_ssize_t[::1] starts,
    double[::1] step,
    double tol,
    int max_epochs,
    bint positive,
):
    r"""Minimise ``w'Gw/2 - c'w + sum l1 |w| + sum_g group_l2 ||w_g||`` group by group.

    Group g is the entries ``starts[g]`` to ``starts[g + 1]``; each takes a proximal step of the
    curvature `lipschitz` of its own block; `step` is memory to work in. Otherwise as `cd_gram`.
    """
    if gram.shape[1] > 1 and gram.strides[1] != sizeof(double):
        raise ValueError("the rows of gram must be contiguous")
    cdef Py_ssize_t p = w.shape[0], n_groups = starts.shape[0] - 1, g, j, first, last
    cdef int epoch = 0
    cdef bint full = True, alive
    cdef double bend, size, target, moved, worst, shrink
    with nogil:
        while epoch < max_epochs:
            worst = 0.0
            for g in range(n_groups):
                bend, first, last = lipschitz[g], starts[g], starts[g + 1]
                if bend <= 0.0:
                    continue
                if not full:
                    alive = False
                    for j in range(first, last):
                        alive = alive or w[j] != 0.0
                    if not alive:
                        continue
                size = 0.0
                for j in range(first, last):
                    target = shrunk(gradient[j] + bend * w[j], l1[j], bend, positive)
                    size += target * target
                size = sqrt(size)
                shrink = 1.0 - group_l2[g] / (bend * size) if size > 0.0 else 0.0
                if shrink < 0.0:
                    shrink = 0.0
                # The targets again, before the first move changes the gradient.
                for j in range(first, last):
                    step[j] = shrink * shrunk(
                        gradient[j] + bend * w[j], l1[j], bend, positive
                    ) - w[j]
                for j in range(first, last):
                    moved = step[j]
                    if moved != 0.0:
                        w[j] += moved
                        subtract(&gradient[0], &gram[j, 0], moved, p)
                        moved = fabs(moved) * bend
                        if moved > worst:
                            worst = moved
            epoch += 1
            if worst <= tol:
                if full:
                    break
                full = True
            else:
                full = False
    return epoch


def cd_csc(
    const floating[::1] data,
    const index_t[::1] indices,
    const index_t[::1] indptr,
    const double[::1] weight,
    const double[::1] mean,
    const double[::1] scale,
    const double[::1] curvature,
    const index_t[::1] working,
    double[::1] residual,
    double offset,
    double total,
    double[::1] gradient,
    double[::1] w,
    const double[::1] l1,
    const double[::1] l2,
    double tol,
    int max_epochs,
    bint positive,
):
    r"""Coordinate descent as in `cd_gram`, on sparse columns that are centred without forming it.

    Column j of the design is ``(x_j - mean_j) / scale_j``, rows weighted by `weight`; what is left
    of the target is ``residual + offset``, and the weights sum to `total`. `w`, `l1`, `l2` and `gradient` belong to the columns
    `working`, the other arrays to all. `residual`, `gradient` (as each coordinate was last seen)
    and `w` are updated in place. Returns the number of sweeps and the new offset.
    """
    cdef Py_ssize_t p = w.shape[0], i, j
    cdef index_t column, k
    cdef int epoch = 0
    cdef bint full = True
    cdef double bend, pull, moved, step, worst
    with nogil:
        while epoch < max_epochs:
            worst = 0.0
            for j in range(p):
                column = working[j]
                bend = curvature[column] + l2[j]
                if (not full and w[j] == 0.0) or bend <= 0.0:
                    continue
                pull = 0.0
                for k in range(indptr[column], indptr[column + 1]):
                    pull += weight[indices[k]] * data[k] * residual[indices[k]]
                pull = (pull + total * offset * mean[column]) / scale[column]
                gradient[j] = pull
                moved = shrunk(pull + curvature[column] * w[j], l1[j], bend, positive) - w[j]
                if moved != 0.0:
                    w[j] += moved
                    step = moved / scale[column]
                    for k in range(indptr[column], indptr[column + 1]):
                        residual[indices[k]] -= step * data[k]
                    offset += step * mean[column]
                    gradient[j] -= moved * curvature[column]
                    moved = fabs(moved) * bend
                    if moved > worst:
                        worst = moved
            epoch += 1
            if worst <= tol:
                if full:
                    break
                full = True
            else:
                full = False
    return epoch, offset


def gather(const double[:, :] matrix, const Py_ssize_t[::1] index, double[:, ::1] out):
    """Write ``matrix[index][:, index]`` to `out`, which may be memory used before."""
    cdef Py_ssize_t i, j, k = index.shape[0]
    with nogil:
        for i in range(k):
            for j in range(k):
                out[i, j] = matrix[index[i], index[j]]


def excess(
    const double[::1] gradient,
    const double[::1] w,
    const double[::1] slope,
    bint positive,
    double[::1] out,
):
    """Write by how much each coefficient misses its first-order condition; nan stays nan."""
    cdef Py_ssize_t j
    cdef double left
    with nogil:
        for j in range(w.shape[0]):
            if w[j] > 0.0:
                out[j] = fabs(gradient[j] - slope[j])
            elif w[j] < 0.0:
                out[j] = fabs(gradient[j] + slope[j])
            else:
                left = (gradient[j] if positive else fabs(gradient[j])) - slope[j]
                out[j] = 0.0 if left <= 0.0 else left


def csc_dot(
    const floating[::1] data,
    const index_t[::1] indices,
    const index_t[::1] indptr,
    const double[::1] rows,
    double[::1] out,
):
    """Write the products of all columns with `rows` to `out`, summed in double precision."""
    cdef Py_ssize_t j
    cdef index_t k
    cdef double total
    with nogil:
        for j in range(out.shape[0]):
            total = 0.0
            for k in range(indptr[j], indptr[j + 1]):
                total += data[k] * rows[indices[k]]
            out[j] = total


def csc_combine(
    const floating[::1] data,
    const index_t[::1] indices,
    const index_t[::1] indptr,
    const Py_ssize_t[::1] columns,
    const double[::1] w,
    double[::1] out,
):
    """Add some columns, each times its entry of `w`, to `out`."""
    cdef Py_ssize_t j
    cdef index_t k
    with nogil:
        for j in range(columns.shape[0]):
            for k in range(indptr[columns[j]], indptr[columns[j] + 1]):
                out[indices[k]] += w[j] * data[k]


def csc_gram(
    const floating[::1] data,
    const index_t[::1] indices,
    const index_t[::1] indptr,
    const Py_ssize_t[::1] left,
    const double[::1] row_data,
    const int[::1] row_indices,
    const int[::1] row_indptr,
    Py_ssize_t old,
    double[:, :] out,
):
    """Add the products of columns `left` with others to `out`.

    The others come as the rows of their matrix, sorted: other r is column ``left[old + r]``.
    Products that symmetry gives are left out: those of ``left[l]`` with r for ``r < l - old``.
    """
    cdef Py_ssize_t l, column, r
    cdef index_t k
    cdef int m
    with nogil:
        for l in range(left.shape[0]):
            column = left[l]
            for k in range(indptr[column], indptr[column + 1]):
                for m in range(row_indptr[indices[k] + 1] - 1, row_indptr[indices[k]] - 1, -1):
                    r = row_indices[m]
                    if r < l - old:
                        break
                    out[l, r] += data[k] * row_data[m]
