/* common.c: see common.h.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

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

bool hz__forward2(const hz_node *n, const hz_exec *ex, hz_binary f, double a, double b) {
    hz_tensor x = hz__stretched(n, 0), y = hz__stretched(n, 1);
    hz_map2(ex, f, &x, &y, a, b, &n->value);
    return true;
}

/* Cannot fail: the shape rule has made sure that the input broadcasts. */
hz_tensor hz__stretched(const hz_node *n, int i) {
    const hz_tensor *x = hz_in(n, i);
    hz_tensor view = *x;
    if (!hz_same_shape(x, &n->value)) hz_view_broadcast(x, n->value.rank, n->value.dim, &view, NULL);
    return view;
}

bool hz__check_number(const char *what, double value, hz_error *err) {
    return !isnan(value) || hz_fail(err, HZ_EINVAL, "%s is NaN", what);
}

bool hz__shape_broadcast_float(const hz_node *n, hz_tensor *out, hz_error *err) {
    if (!hz_shape_broadcast(n, out, err)) return false;
    return hz_dtype_is_float(out->dtype) || hz_shape_float(n, out, err); /* the latter gives the text */
}

hz_var hz__vjp_zero(const hz_node *n, int i, hz_var dy) {
    (void)i, (void)dy;
    return hz_none(n->tape);
}
