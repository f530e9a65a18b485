/* where.c: z = x where the condition (u8) is not 0, y elsewhere; the three broadcast. x and y are of one dtype, any.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

static bool where_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *where = hz_in(n, 0), *x = hz_in(n, 1), *y = hz_in(n, 2);
    if (where->dtype != HZ_U8)
        return hz_fail(err, HZ_ESHAPE, "the condition %s is %s, not u8", hz_shape_str(where).s,
                       hz_dtype_name(where->dtype));
    if (x->dtype != y->dtype)
        return hz_fail(err, HZ_ESHAPE, "x %s is %s but y %s is %s", hz_shape_str(x).s,
                       hz_dtype_name(x->dtype), hz_shape_str(y).s, hz_dtype_name(y->dtype));
    hz_tensor chosen;
    if (!hz_broadcast_shape(x, y, &chosen, err) || !hz_broadcast_shape(where, &chosen, out, err))
        return false;
    out->dtype = x->dtype;
    return true;
}

static bool where_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    hz_tensor where = hz__stretched(n, 0), x = hz__stretched(n, 1), y = hz__stretched(n, 2);
    hz_where_map(ex, &where, &x, &y, &n->value);
    return true;
}

/* dx = dz where the condition holds, dy = dz elsewhere, each summed over what was broadcast */
static hz_var where_vjp(const hz_node *n, int i, hz_var dz) {
    if (i == 0 || !hz_dtype_is_float(n->value.dtype)) return hz_none(n->tape);
    hz_var zero = hz_scalar(n->tape, n->value.dtype, 0);
    hz_var d = i == 1 ? hz_where(n->in[0], dz, zero) : hz_where(n->in[0], zero, dz);
    return hz__sum_like(d, n->in[i]);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_where(x[0], x[1], x[2]);
}

static const hz_sample samples[] = {
    {"matrices",
     3,
     {{.rank = 2, .dim = {3, 4}, .dtype = HZ_U8, .lo = 0, .hi = 1},
      {.rank = 2, .dim = {3, 4}},
      {.rank = 2, .dim = {3, 4}}},
     call,
     false},
    {"all three broadcast",
     3,
     {{.rank = 2, .dim = {3, 1}, .dtype = HZ_U8, .lo = 0, .hi = 1},
      {.rank = 3, .dim = {2, 1, 4}},
      {.rank = 0}},
     call,
     false},
    {"empty",
     3,
     {{.rank = 2, .dim = {0, 3}, .dtype = HZ_U8, .lo = 0, .hi = 1}, {.rank = 2, .dim = {0, 3}}, {.rank = 0}},
     call,
     false},
};

const hz_op hz_op_where = {.name = "where",
                           .n_in = 3,
                           .flags = HZ_OP_POINTWISE,
                           .shape = where_shape,
                           .forward = where_forward,
                           .vjp = where_vjp,
                           .samples = samples,
                           .n_samples = HZ__COUNT(samples)};

hz_var hz_where(hz_var where, hz_var x, hz_var y) {
    return hz_apply3(&hz_op_where, where, x, y, NULL);
}
