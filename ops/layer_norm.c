/* layer_norm.c: normalisation over the last axes (Ba, Kiros & Hinton 2016).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/normalization.h"

/* Whether v has the shape of the last n axes of x. */
static bool is_like_last(const char *what, hz_var x, hz_var v, int n) {
    const hz_tensor *all = hz_value(x), *p = hz_value(v);
    hz_tensor last = hz_tensor_of(NULL, all->dtype, n, all->dim + all->rank - n);
    if (hz_same_shape(p, &last)) return true;
    hz_tape_fail(x.tape, HZ_ESHAPE, "layer_norm: %s %s is not %s, the last %d axes of input %s", what,
                 hz_shape_str(p).s, hz_shape_str(&last).s, n, hz_shape_str(all).s);
    return false;
}

hz_var hz_layer_norm(hz_var x, hz_var gamma, hz_var beta, int n, double eps) {
    if (!hz_ok(x)) return x;
    int rank = hz_value(x)->rank;
    if (n < 1 || n > rank)
        return hz_tape_fail(x.tape, HZ_EINVAL,
                            "layer_norm: input %s has 1 to %d axes to normalise over, not %d",
                            hz_shape_str(hz_value(x)).s, rank, n);
    hz_axes axes = 0;
    for (int k = rank - n; k < rank; k++) axes |= HZ_AXIS(k);
    if (gamma.id && !is_like_last("gamma", x, gamma, n)) return hz_none(x.tape);
    if (beta.id && !is_like_last("beta", x, beta, n)) return hz_none(x.tape);
    if (gamma.id && beta.id) return hz_normalize_affine(x, gamma, beta, axes, eps);
    hz_var y = hz_normalize(x, axes, eps);
    if (gamma.id) y = hz_mul(y, gamma);
    return beta.id ? hz_add(y, beta) : y;
}
