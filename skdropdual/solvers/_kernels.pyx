# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Compiled inner loops. They know no penalty: only weighted L1 plus ridge quadratics."""

from libc.math cimport fabs

ctypedef fused floating:
    float
    double


def cd_gram(
    const floating[:, ::1] gram,
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
    no coordinate moves its own partial derivative by more than `tol` in a full sweep.
    """
    cdef Py_ssize_t p = w.shape[0], j, k
    cdef int epoch = 0
    cdef bint full = True
    cdef double curvature, old, new, z, moved, worst
    with nogil:
        while epoch < max_epochs:
            worst = 0.0
            for j in range(p):
                old = w[j]
                if not full and old == 0.0:
                    continue
                curvature = gram[j, j] + l2[j]
                if curvature <= 0.0:
                    continue
                z = gradient[j] + gram[j, j] * old
                if z > l1[j]:
                    new = (z - l1[j]) / curvature
                elif z < -l1[j] and not positive:
                    new = (z + l1[j]) / curvature
                else:
                    new = 0.0
                moved = new - old
                if moved != 0.0:
                    w[j] = <floating>new
                    for k in range(p):
                        gradient[k] -= <floating>(moved * gram[j, k])
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
