/* common.c: see common.h.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

hz_var hz__sum_like(hz_var dy, hz_var x) {
    const hz_tensor *to = hz_value(x);
    return hz_same_shape(hz_value(dy), to) ? dy : hz_sum_to(dy, to->rank, to->dim);
}

hz_var hz__broadcast_like(hz_var x, hz_var like) {
    const hz_tensor *to = hz_value(like);
    return hz_same_shape(hz_value(x), to) ? x : hz_broadcast_to(x, to->rank, to->dim);
}

hz_var hz__zeros_like(hz_var x) {
    const hz_tensor *value = hz_value(x);
    return hz_full(x.tape, value->dtype, value->rank, value->dim, 0.0);
}

bool hz__axes_resolve(int rank, hz_axes axes, hz_axes *mask, hz_error *err) {
    *mask = 0;
    if (axes == HZ_ALL_AXES) {
        *mask = (hz_axes)((1u << rank) - 1);
        return true;
    }
    for (int bit = 0; bit < 32; bit++) {
        if (!(axes & (hz_axes)1 << bit)) continue;
        int axis = hz_axis(rank, bit < 16 ? bit : bit - 32);
        if (axis < 0)
            return hz_fail(err, HZ_EINVAL, "axis %d is outside rank %d", bit < 16 ? bit : bit - 32, rank);
        *mask |= (hz_axes)1 << axis;
    }
    return true;
}

bool hz__forward1(const hz_node *n, const hz_exec *ex, hz_unary f, double a, double b) {
    hz_map1(ex, f, hz_in(n, 0), a, b, &n->value);
    return true;
}

/* x as a view of the output's shape. Cannot fail: the shape rule has made sure that x broadcasts. */
static hz_tensor stretched(const hz_tensor *x, const hz_tensor *out) {
    hz_tensor view = *x;
    if (!hz_same_shape(x, out)) hz_view_broadcast(x, out->rank, out->dim, &view, NULL);
    return view;
}

bool hz__forward2(const hz_node *n, const hz_exec *ex, hz_binary f, double a, double b) {
    hz_tensor x = stretched(hz_in(n, 0), &n->value), y = stretched(hz_in(n, 1), &n->value);
    hz_map2(ex, f, &x, &y, a, b, &n->value);
    return true;
}
