/* astype.c: y = x converted to another dtype as C converts; a float too large for an integer saturates, NaN becomes 0.
 * A view where the dtype is already that. Differentiable between floats.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool astype_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_dtype *dtype = n->attr;
    const hz_tensor *x = hz_in(n, 0);
    if (hz_dtype_size(*dtype) == 0) return hz_fail(err, HZ_EINVAL, "%d is no dtype", (int)*dtype);
    if (x->dtype == *dtype) {
        *out = *x;
        return true;
    }
    if (!hz_shape_same(n, out, err)) return false;
    out->dtype = *dtype;
    return true;
}

static bool astype_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    hz_cast(ex, hz_in(n, 0), &n->value);
    return true;
}

static hz_var astype_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    hz_dtype from = hz_in(n, 0)->dtype;
    bool floats = hz_dtype_is_float(from) && hz_dtype_is_float(n->value.dtype);
    return floats ? hz_astype(dy, from) : hz_none(n->tape);
}

/* f64 → f32 would round more coarsely than a finite difference can bear: the samples convert to the same dtype and
 * from integers. */
static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_astype(x[0], hz_value(x[0])->dtype);
}

static hz_var call_from_integer(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mul(x[0], hz_astype(x[1], hz_value(x[0])->dtype));
}

static const hz_sample samples[] = {
    {"same dtype", 1, {{.rank = 2, .dim = {3, 4}}}, call, false},
    {"from an integer",
     2,
     {{.rank = 1, .dim = {4}}, {.rank = 1, .dim = {4}, .dtype = HZ_I32, .lo = 1, .hi = 5}},
     call_from_integer,
     false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_astype = {.name = "astype",
                            .n_in = 1,
                            .flags = HZ_OP_POINTWISE | HZ_OP_VIEW,
                            .attr_size = sizeof(hz_dtype),
                            .shape = astype_shape,
                            .forward = astype_forward,
                            .vjp = astype_vjp,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_astype(hz_var x, hz_dtype dtype) {
    return hz_apply1(&hz_op_astype, x, &dtype);
}
