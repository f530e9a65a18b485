/* varied.h: tensors of varied numbers, and reading them at an index that may lie outside.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_OPS_VARIED_H
#define HZ_TESTS_OPS_VARIED_H

#include "tensor/random.h"
#include "values.h"

/* Numbers in [−1, 1), all different, on the tape. */
static inline hz_var varied(hz_tape *t, hz_dtype dtype, int rank, const int64_t *dim, uint64_t seed) {
    hz_var x = hz_full(t, dtype, rank, dim, 0);
    cr_assert(hz_ok(x));
    hz_random_fill_uniform(hz_tape_exec(t), seed, 1, -1, 1, hz_value(x));
    return x;
}

/* x[n,c,y,x], 0 outside. */
static inline double at4(const hz_tensor *t, int64_t n, int64_t c, int64_t y, int64_t x) {
    const int64_t idx[] = {n, c, y, x};
    for (int k = 0; k < 4; k++)
        if (idx[k] < 0 || idx[k] >= t->dim[k]) return 0;
    return hz_get(t, idx);
}

/* The two have one shape and the same elements. */
static inline void expect_same(hz_var got, hz_var want, double tol) {
    expect_ok(got.tape);
    const hz_tensor *a = hz_value(got), *b = hz_value(want);
    cr_assert(hz_same_shape(a, b), "shape %s, expected %s", hz_shape_str(a).s, hz_shape_str(b).s);
    for (int64_t k = 0; k < hz_numel(a); k++)
        cr_expect(alike(hz_get_flat(a, k), hz_get_flat(b, k), tol), "%s, element %d: %.17g, expected %.17g",
                  hz_node_str(hz_node_of(got)).s, (int)k, hz_get_flat(a, k), hz_get_flat(b, k));
}

/* Σ x·y */
static inline double dot(hz_var x, hz_var y) {
    double sum = 0;
    for (int64_t k = 0; k < hz_numel(hz_value(x)); k++)
        sum += hz_get_flat(hz_value(x), k) * hz_get_flat(hz_value(y), k);
    return sum;
}

/* The gradient of one element of y is the same on boxes and on whole tensors, for each of n targets. */
static inline void expect_boxes_agree(hz_var y, const int64_t *unit, const hz_var *x, int n) {
    enum { MOST = 8 };
    hz_var one = hz_pick(y, unit), boxed[MOST], whole[MOST];
    cr_assert_leq(n, MOST);
    hz_grad(&one, 1, x, n, NULL, boxed);
    hz_grad(&one, 1, x, n, &(hz_grad_opts){.whole = true}, whole);
    expect_ok(y.tape);
    for (int k = 0; k < n; k++) expect_same(boxed[k], whole[k], 1e-13);
}

#endif
