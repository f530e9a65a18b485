/* shape.c: shape rules that many ops share.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/tape.h"

static void copy_shape(const hz_tensor *x, hz_tensor *out) {
    out->dtype = x->dtype;
    out->rank = x->rank;
    for (int k = 0; k < x->rank; k++) out->dim[k] = x->dim[k];
}

bool hz_shape_same(const hz_node *n, hz_tensor *out, hz_error *err) {
    (void)err;
    copy_shape(hz_in(n, 0), out);
    return true;
}

bool hz_shape_float(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    if (!hz_dtype_is_float(x->dtype))
        return hz_fail(err, HZ_ESHAPE, "input %s is %s, not f32 or f64", hz_shape_str(x).s,
                       hz_dtype_name(x->dtype));
    copy_shape(x, out);
    return true;
}

bool hz_shape_broadcast(const hz_node *n, hz_tensor *out, hz_error *err) {
    copy_shape(hz_in(n, 0), out);
    for (int i = 1; i < n->n_in; i++) {
        const hz_tensor *x = hz_in(n, i);
        if (x->dtype != out->dtype)
            return hz_fail(err, HZ_ESHAPE, "input 0 %s is %s but input %d %s is %s",
                           hz_shape_str(hz_in(n, 0)).s, hz_dtype_name(out->dtype), i, hz_shape_str(x).s,
                           hz_dtype_name(x->dtype));
        hz_tensor so_far = *out;
        if (!hz_same_shape(&so_far, x) && !hz_broadcast_shape(&so_far, x, out, err)) return false;
    }
    return true;
}
