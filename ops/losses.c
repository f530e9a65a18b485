/* losses.c: losses that are made of other ops. Input and target must be of one shape: broadcasting (N, 1) against (N)
 * would quietly compute N² differences.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "ops/common.h"

static bool check_pair(const char *loss, hz_var x, hz_var target) {
    const hz_tensor *a = hz_value(x), *b = hz_value(target);
    if (!x.tape) return false; /* nobody to tell */
    if (!hz_ok(x) || !hz_ok(target))
        hz_tape_fail(x.tape, HZ_EINVAL, "%s: the %s is the inert variable", loss,
                     hz_ok(x) ? "target" : "input");
    else if (a->dtype != b->dtype || !hz_same_shape(a, b))
        hz_tape_fail(x.tape, HZ_ESHAPE, "%s: input %s %s and target %s %s must be alike", loss,
                     hz_dtype_name(a->dtype), hz_shape_str(a).s, hz_dtype_name(b->dtype), hz_shape_str(b).s);
    else
        return true;
    return false;
}

static hz_var reduced(const char *name, hz_var loss, hz_reduce_loss how) {
    switch (how) {
    case HZ_LOSS_MEAN:
        return hz_mean(loss, HZ_ALL_AXES, false);
    case HZ_LOSS_SUM:
        return hz_sum(loss, HZ_ALL_AXES, false);
    case HZ_LOSS_NONE:
        return loss;
    }
    return hz_tape_fail(loss.tape, HZ_EINVAL, "%s: %d is no hz_reduce_loss", name, (int)how);
}

hz_var hz_mse(hz_var x, hz_var target, hz_reduce_loss how) {
    if (!check_pair("mse", x, target)) return hz_none(x.tape);
    return reduced("mse", hz_square(hz_sub(x, target)), how);
}

/* max(log p, −100). log never sees p = 0: its derivative there is infinite, and ∞ times the 0 from the clip is NaN. */
static hz_var bounded_log(hz_var p) {
    const double tiny = 1e-44; /* representable in f32, and its logarithm is below −100 */
    hz_dtype dtype = hz_value(p)->dtype;
    hz_var is_zero = hz_eq(p, hz_scalar(p.tape, dtype, 0));
    hz_var positive = hz_where(is_zero, hz_scalar(p.tape, dtype, tiny), p);
    return hz_clip(hz_log(positive), -100, INFINITY);
}

hz_var hz_bce(hz_var p, hz_var target, hz_reduce_loss how) {
    if (!check_pair("bce", p, target)) return hz_none(p.tape);
    hz_var yes = hz_mul(target, bounded_log(p));
    hz_var no = hz_mul(hz_affine(target, -1, 1), bounded_log(hz_affine(p, -1, 1)));
    return reduced("bce", hz_neg(hz_add(yes, no)), how);
}

/* t·log(1 + e^−x) + (1 − t)·log(1 + e^x): two terms ≥ 0, so nothing cancels. hz_softplus(x, −1) is −log(1 + e^−x). */
hz_var hz_bce_with_logits(hz_var x, hz_var target, hz_reduce_loss how) {
    if (!check_pair("bce_with_logits", x, target)) return hz_none(x.tape);
    hz_var yes = hz_mul(target, hz_softplus(x, -1));
    hz_var no = hz_mul(hz_affine(target, -1, 1), hz_softplus(x, 1));
    return reduced("bce_with_logits", hz_sub(no, yes), how);
}

hz_var hz_l1(hz_var x, hz_var target, hz_reduce_loss how) {
    if (!check_pair("l1", x, target)) return hz_none(x.tape);
    return reduced("l1", hz_abs(hz_sub(x, target)), how);
}

/* c·(d − c/2) with c = d clipped to ±delta */
static hz_var huber_terms(hz_var x, hz_var target, double delta) {
    hz_var d = hz_sub(x, target), c = hz_clip(d, -delta, delta);
    return hz_mul(c, hz_sub(d, hz_scale(c, 0.5)));
}

hz_var hz_huber(hz_var x, hz_var target, double delta, hz_reduce_loss how) {
    if (!check_pair("huber", x, target)) return hz_none(x.tape);
    if (!(delta > 0)) return hz_tape_fail(x.tape, HZ_EINVAL, "huber: delta is %g, not above 0", delta);
    return reduced("huber", huber_terms(x, target, delta), how);
}

hz_var hz_smooth_l1(hz_var x, hz_var target, double beta, hz_reduce_loss how) {
    if (!check_pair("smooth_l1", x, target)) return hz_none(x.tape);
    if (!(beta >= 0 && beta < INFINITY))
        return hz_tape_fail(x.tape, HZ_EINVAL, "smooth_l1: beta is %g, not a number ≥ 0", beta);
    if (beta == 0) return reduced("smooth_l1", hz_abs(hz_sub(x, target)), how);
    return reduced("smooth_l1", hz_scale(huber_terms(x, target, beta), 1 / beta), how);
}

/* Where p is 0 the logarithm is that of 1: 0·log 0 is 0, and its derivative log 0 would be no number to work with. */
hz_var hz_kl(hz_var log_q, hz_var p, hz_reduce_loss how) {
    if (!check_pair("kl", log_q, p)) return hz_none(log_q.tape);
    hz_dtype dtype = hz_value(p)->dtype;
    hz_var is_zero = hz_eq(p, hz_scalar(p.tape, dtype, 0));
    hz_var positive = hz_where(is_zero, hz_scalar(p.tape, dtype, 1), p);
    return reduced("kl", hz_mul(p, hz_sub(hz_log(positive), log_q)), how);
}

hz_var hz_hinge(hz_var x, hz_var target, hz_reduce_loss how) {
    if (!check_pair("hinge", x, target)) return hz_none(x.tape);
    return reduced("hinge", hz_relu(hz_affine(hz_mul(target, x), -1, 1)), how);
}
