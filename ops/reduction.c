/* reduction.c: see reduction.h.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/reduction.h"

static bool has(hz_axes mask, int axis) {
    return mask >> axis & 1;
}

/* ---- the pieces ---- */

void hz__reduced_shape(const hz_tensor *x, hz_axes mask, bool keep, hz_tensor *out) {
    out->rank = 0;
    for (int k = 0; k < x->rank; k++) {
        if (!has(mask, k))
            out->dim[out->rank++] = x->dim[k];
        else if (keep)
            out->dim[out->rank++] = 1;
    }
}

void hz__reduced_reach(const hz_tensor *x, hz_axes mask, bool keep, const hz_box *out, hz_box *in) {
    int axis = 0; /* of the output */
    for (int k = 0; k < x->rank; k++) {
        bool whole = has(mask, k);
        in->lo[k] = whole ? 0 : out->lo[axis];
        in->hi[k] = whole ? x->dim[k] : out->hi[axis];
        axis += !whole || keep;
    }
}

bool hz__covers(const hz_box *box, const hz_tensor *x, hz_axes mask) {
    for (int k = 0; k < x->rank; k++)
        if (has(mask, k) && (box->lo[k] > 0 || box->hi[k] < x->dim[k])) return false;
    return true;
}

/* Cannot fail: the shape rule has resolved them once. */
static hz_axes resolved(const hz_node *n, hz_axes axes) {
    hz_axes mask;
    hz__axes_resolve(hz_in(n, 0)->rank, axes, &mask, NULL);
    return mask;
}

/* ---- reductions ---- */

hz_var hz__reduce(const hz_op *op, hz_var x, hz_axes axes, bool keep) {
    return hz_apply1(op, x, &(hz_attr_reduction){.axes = axes, .keep = keep});
}

bool hz__reduction_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_reduction *r = n->attr;
    hz_axes mask;
    if (!hz_shape_float(n, out, err) || !hz__axes_resolve(out->rank, r->axes, &mask, err)) return false;
    hz__reduced_shape(hz_in(n, 0), mask, r->keep, out);
    return true;
}

/* The kernels want the reduced axes kept: the same memory, seen so. */
bool hz__reduction_forward(const hz_node *n, const hz_exec *ex, hz_reduction kind, hz_error *err) {
    const hz_attr_reduction *r = n->attr;
    const hz_tensor *x = hz_in(n, 0);
    hz_axes mask = resolved(n, r->axes);
    hz_tensor kept = n->value;
    hz__reduced_shape(x, mask, true, &kept);
    hz_tensor_set_contiguous(&kept);
    return hz_reduce(ex, kind, x, mask, &kept, err);
}

bool hz__reduction_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_attr_reduction *r = n->attr;
    hz__reduced_reach(hz_in(n, i), resolved(n, r->axes), r->keep, out, in);
    return true;
}

hz_var hz__reduction_keep(const hz_node *n, hz_var v) {
    const hz_attr_reduction *r = n->attr;
    if (r->keep) return v;
    hz_tensor kept;
    hz__reduced_shape(hz_in(n, 0), resolved(n, r->axes), true, &kept);
    return hz_reshape(v, kept.rank, kept.dim);
}

hz_var hz__extreme_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_attr_reduction *r = n->attr;
    hz_var x = n->in[i];
    hz_var extreme = hz_astype(hz_eq(x, hz__reduction_keep(n, n->out)), n->value.dtype);
    hz_var share = hz_div(hz__reduction_keep(n, dy), hz_sum(extreme, r->axes, true));
    return hz_mul(extreme, share);
}

int64_t hz__reduction_count(const hz_node *n) {
    const hz_attr_reduction *r = n->attr;
    const hz_tensor *x = hz_in(n, 0);
    hz_axes mask = resolved(n, r->axes);
    int64_t count = 1;
    if (hz_numel(x) == 0) return 0; /* with an extent of 0, the product of the others may overflow */
    for (int k = 0; k < x->rank; k++)
        if (has(mask, k)) count *= x->dim[k];
    return count;
}

/* ---- softmax and its kin ---- */

bool hz__along_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_axes *axes = n->attr;
    hz_axes mask;
    if (!hz_shape_float(n, out, err) || !hz__axes_resolve(out->rank, *axes, &mask, err)) return false;
    for (int i = 1; i < n->n_in; i++) {
        const hz_tensor *x = hz_in(n, i);
        if (x->dtype != out->dtype || !hz_same_shape(x, out))
            return hz_fail(err, HZ_ESHAPE, "input 0 %s %s and input %d %s %s must be alike",
                           hz_dtype_name(out->dtype), hz_shape_str(out).s, i, hz_dtype_name(x->dtype),
                           hz_shape_str(x).s);
    }
    return true;
}

hz_axes hz__along_mask(const hz_node *n) {
    const hz_axes *axes = n->attr;
    return resolved(n, *axes);
}

bool hz__along_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    hz__reduced_reach(hz_in(n, i), hz__along_mask(n), true, out, in);
    return true;
}

bool hz__along_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    (void)in, (void)attr;
    return hz__covers(out, &n->value, hz__along_mask(n));
}
