/* one_hot.c: y[…, c] = 1 where c = index[…], else 0. No gradient.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"
#include "tensor/index.h"

static bool one_hot_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *index = hz_in(n, 0);
    const hz_attr_one_hot *a = n->attr;
    if (index->dtype != HZ_I32 && index->dtype != HZ_I64)
        return hz_fail(err, HZ_ESHAPE, "indices must be i32 or i64, not %s", hz_dtype_name(index->dtype));
    if (index->rank == HZ_MAX_RANK)
        return hz_fail(err, HZ_ESHAPE, "indices %s leave no room for another axis", hz_shape_str(index).s);
    *out = hz_tensor_of(NULL, a->dtype, index->rank, index->dim);
    out->dim[out->rank++] = a->depth;
    return hz_shape_check("result", out->dtype, out->rank, out->dim, err);
}

static bool one_hot_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_one_hot *a = n->attr;
    return hz_one_hot_map(ex, hz_in(n, 0), a->depth, 1, 0, &n->value, err);
}

/* As a mask: y = x where the code is 1. */
static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_mul(x[0], hz_one_hot(x[1], 4, hz_value(x[0])->dtype));
}

static const hz_sample samples[] = {
    {"as a mask",
     2,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 1, .dim = {3}, .dtype = HZ_I64, .lo = -4, .hi = 3}},
     call,
     false},
};

const hz_op hz_op_one_hot = {.name = "one_hot",
                             .n_in = 1,
                             .attr_size = sizeof(hz_attr_one_hot),
                             .shape = one_hot_shape,
                             .forward = one_hot_forward,
                             .samples = samples,
                             .n_samples = HZ__COUNT(samples)};

hz_var hz_one_hot(hz_var index, int64_t depth, hz_dtype dtype) {
    return hz_apply1(&hz_op_one_hot, index, &(hz_attr_one_hot){.depth = depth, .dtype = dtype});
}
