/* values.h: what the tests of single ops share: tensors from numbers, numbers from tensors, gradients of sums.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_OPS_VALUES_H
#define HZ_TESTS_OPS_VALUES_H

#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

#include "ops/ops.h"

/* A tensor of the tape: given(t, HZ_F64, HZ_DIMS(2, 2), (double[]){1, 2, 3, 4}). */
static inline hz_var given(hz_tape *t, hz_dtype dtype, int rank, const int64_t *dim, const double *values) {
    hz_var x = hz_full(t, dtype, rank, dim, 0);
    cr_assert(hz_ok(x));
    for (int64_t k = 0; k < hz_numel(hz_value(x)); k++) hz_set_flat(hz_value(x), k, values[k]);
    return x;
}

static inline void expect_ok(const hz_tape *t) {
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_tape_ok(t, &err), "%s", err.text);
}

/* NaN matches NaN, an infinity itself; numbers within tol · max(1, |want|). */
static inline bool alike(double got, double want, double tol) {
    if (isnan(want) || isinf(want)) return isnan(want) ? isnan(got) : got == want;
    return fabs(got - want) <= tol * fmax(1, fabs(want));
}

/* y has this shape and these elements. */
static inline void expect_values(hz_var y, int rank, const int64_t *dim, const double *want, double tol) {
    expect_ok(y.tape);
    const hz_tensor *value = hz_value(y);
    hz_tensor shape = hz_tensor_of(NULL, value->dtype, rank, dim);
    cr_assert(hz_same_shape(value, &shape), "shape %s, expected %s", hz_shape_str(value).s,
              hz_shape_str(&shape).s);
    for (int64_t k = 0; k < hz_numel(value); k++) {
        double got = hz_get_flat(value, k);
        cr_expect(alike(got, want[k], tol), "%s, element %d: %.17g, expected %.17g",
                  hz_node_str(hz_node_of(y)).s, (int)k, got, want[k]);
    }
}

/* ∂(Σ y)/∂x */
static inline hz_var gradient(hz_var y, hz_var x) {
    const hz_tensor *value = hz_value(y);
    hz_var ones = hz_full(y.tape, value->dtype, value->rank, value->dim, 1), dx;
    hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.dy = &ones, .differentiable = true}, &dx);
    return dx;
}

/* The tape failed with this code and with this in its text. The error is cleared. */
static inline void expect_error(hz_tape *t, hz_code code, const char *text) {
    hz_error err = {.code = HZ_OK};
    cr_assert(!hz_tape_ok(t, &err), "no error, expected \"%s\"", text);
    cr_expect_eq(err.code, code, "code %d: %s", err.code, err.text);
    cr_expect(strstr(err.text, text), "\"%s\" does not say \"%s\"", err.text, text);
    hz_tape_clear_error(t);
}

#endif
