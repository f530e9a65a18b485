/* normalization.c: see normalization.h.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/normalization.h"

#include <inttypes.h>
#include <math.h>

bool hz__check_eps(double eps, hz_error *err) {
    if (eps >= 0 && isfinite(eps)) return true;
    return hz_fail(err, HZ_EINVAL, "eps must be a number ≥ 0, not %g", eps);
}

bool hz__normalization_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_attr_normalization *a = n->attr;
    return hz__along_shape(n, out, err) && hz__check_eps(a->eps, err);
}

bool hz__affine_shape(const hz_node *n, int first, hz_tensor *out, hz_error *err) {
    const hz_attr_normalization *a = n->attr;
    hz_axes mask;
    hz_tensor ignored;
    if (!hz_shape_float(n, out, err) || !hz__axes_resolve(out->rank, a->axes, &mask, err)) return false;
    for (int i = first; i < n->n_in; i++) {
        const hz_tensor *p = hz_in(n, i);
        if (p->dtype != out->dtype || !hz_view_broadcast(p, out->rank, out->dim, &ignored, NULL))
            return hz_fail(err, HZ_ESHAPE, "%s %s %s does not broadcast to input %s %s",
                           i == first ? "gamma" : "beta", hz_dtype_name(p->dtype), hz_shape_str(p).s,
                           hz_dtype_name(out->dtype), hz_shape_str(out).s);
    }
    return hz__check_eps(a->eps, err);
}

/* Of a parameter, what stands against what x̂ needs of x. */
bool hz__affine_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_tensor *p = hz_in(n, i);
    const int skip = n->value.rank - p->rank;
    if (hz_same_shape(p, &n->value)) return hz__along_reach(n, i, out, in);
    for (int k = 0; k < p->rank; k++) {
        const bool repeated = p->dim[k] != n->value.dim[k + skip];
        in->lo[k] = repeated ? 0 : out->lo[k + skip];
        in->hi[k] = repeated ? 1 : out->hi[k + skip];
    }
    return true;
}

hz_axes hz__all_but_channels(const hz_tensor *x) {
    return ((hz_axes)((1u << x->rank) - 1)) & ~HZ_AXIS(1);
}

hz_var hz__per_channel(hz_var v, int rank) {
    int64_t dim[HZ_MAX_RANK] = {hz_numel(hz_value(v)), 1, 1, 1, 1, 1, 1, 1};
    return hz_reshape(v, rank - 1, dim);
}

hz_tensor hz__with_rank(const hz_tensor *t, int rank) {
    hz_tensor y = *t;
    y.rank = rank;
    for (int k = rank - 1; k >= 0; k--) {
        const int at = k - (rank - t->rank);
        y.dim[k] = at < 0 ? 1 : t->dim[at];
        y.stride[k] = at < 0 ? 0 : t->stride[at];
    }
    return y;
}

static bool is_per_channel(const char *op, const char *what, hz_var y, hz_var v) {
    const hz_tensor *x = hz_value(y), *p = hz_value(v);
    if (x->rank >= 2 && p->rank == 1 && p->dim[0] == x->dim[1]) return true;
    hz_tape_fail(y.tape, HZ_ESHAPE, "%s: %s %s does not have one number for each channel of input %s", op,
                 what, hz_shape_str(p).s, hz_shape_str(x).s);
    return false;
}

hz_var hz__scale_channels(const char *op, hz_var y, hz_var gamma, hz_var beta) {
    if (!hz_ok(y)) return y;
    int rank = hz_value(y)->rank;
    if (gamma.id) {
        if (!is_per_channel(op, "gamma", y, gamma)) return hz_none(y.tape);
        y = hz_mul(y, hz__per_channel(gamma, rank));
    }
    if (!beta.id || !hz_ok(y)) return y;
    if (!is_per_channel(op, "beta", y, beta)) return hz_none(y.tape);
    return hz_add(y, hz__per_channel(beta, rank));
}

hz_var hz__normalize_channels(const char *op, hz_var x, hz_axes axes, hz_var gamma, hz_var beta, double eps) {
    const int rank = hz_value(x)->rank;
    if (!gamma.id || !beta.id) return hz__scale_channels(op, hz_normalize(x, axes, eps), gamma, beta);
    if (!is_per_channel(op, "gamma", x, gamma) || !is_per_channel(op, "beta", x, beta))
        return hz_none(x.tape);
    return hz_normalize_affine(x, hz__per_channel(gamma, rank), hz__per_channel(beta, rank), axes, eps);
}
