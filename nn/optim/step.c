/* step.c: one step of an optimiser: check, clip, update. Start reading at hz_optimizer_step.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "nn/optim/optimizer.h"
#include "tensor/elementwise.h"
#include "tensor/reduce.h"

/* ---- the norm of gradients ---- */

/* *sum += Σ g² */
static bool add_squares(const hz_exec *ex, const hz_tensor *grad, double *sum, hz_error *err) {
    double squares = 0; /* room for either dtype */
    hz_tensor total = *grad;
    if (!grad->data) return true;
    for (int k = 0; k < total.rank; k++) total.dim[k] = 1;
    hz_tensor_set_contiguous(&total);
    total.data = &squares;
    const hz_axes all = ((hz_axes)1 << grad->rank) - 1;
    if (!hz_reduce(ex, HZ_REDUCE_SUM_SQUARES, grad, all, &total, err)) return false;
    *sum += hz_get_flat(&total, 0);
    return true;
}

bool hz_grad_norm(const hz_exec *ex, const hz_tensor *grad, int n, double *norm, hz_error *err) {
    double sum = 0;
    for (int k = 0; k < n; k++)
        if (!add_squares(ex, &grad[k], &sum, err)) return false;
    *norm = sqrt(sum);
    return true;
}

/* What to multiply gradients by so that their norm is at most clip_norm. */
static bool clip_scale(const hz_optimizer *opt, const hz_exec *ex, double *scale, hz_error *err) {
    *scale = 1;
    if (isinf(opt->clip_norm)) return true;
    double sum = 0;
    for (int k = 0; k < opt->count; k++)
        if (!add_squares(ex, &opt->param[k]->grad, &sum, err)) return false;
    const double norm = sqrt(sum);
    if (!isfinite(norm))
        return hz_fail(err, HZ_ENUMERIC, "%s: the norm of the gradients is %g, which cannot be clipped to %g",
                       opt->method.name, norm, opt->clip_norm);
    *scale = fmin(1, opt->clip_norm / (norm + 1e-6));
    return true;
}

/* ---- gradients of a step ---- */

static bool take_grad(const hz_optimizer *opt, hz__param *p, const hz_tensor *grad, hz_error *err) {
    p->grad = *grad;
    p->gathered = NULL;
    if (p->group.frozen) p->grad.data = NULL;
    if (!p->grad.data || (grad->dtype == p->value.dtype && hz_same_shape(grad, &p->value))) return true;
    return hz_fail(err, HZ_ESHAPE, "%s: parameter \"%s\" is %s %s, its gradient %s %s", opt->method.name,
                   p->name, hz_dtype_name(p->value.dtype), hz_shape_str(&p->value).s,
                   hz_dtype_name(grad->dtype), hz_shape_str(grad).s);
}

/* The kernels want gradients side by side. */
static bool gather_grad(const hz_exec *ex, hz__param *p, hz_error *err) {
    if (!p->grad.data || hz_is_contiguous(&p->grad)) return true;
    hz_tensor dense = p->grad;
    p->gathered = hz_pool_tensor(ex->pool, &dense, err);
    if (!p->gathered) return false;
    hz_copy(ex, &p->grad, &dense);
    p->grad = dense;
    return true;
}

static void release_grads(const hz_optimizer *opt) {
    for (int k = 0; k < opt->count; k++) hz_block_unref(opt->param[k]->gathered);
}

/* ---- updates ---- */

static hz_update_item next_update(const hz_optimizer *opt, hz__param *p, double scale) {
    const hz__method *m = &opt->method;
    const double lr = m->lr * (p->group.lr_scale == 0 ? 1 : p->group.lr_scale);
    const double decay = p->group.no_decay ? 0 : m->weight_decay;
    hz_update_item item = {
        .dtype = p->value.dtype,
        .n = hz_numel(&p->value),
        .param = p->value.data,
        .grad = p->grad.data,
        .args = {.scale = scale,
                 .limit = opt->clip_value,
                 .l2 = m->decoupled ? 0 : decay,
                 .shrink = m->decoupled ? 1 - lr * decay : 1,
                 .rate = lr},
    };
    for (int k = 0; k < opt->states; k++) item.state[k] = p->state[k].data;
    m->numbers(m, ++p->step, &item.args);
    return item;
}

void hz__optimizer_run(hz_optimizer *opt, const hz_exec *ex, bool has_grads, double scale) {
    int items = 0;
    for (int k = 0; k < opt->count; k++) {
        hz__param *p = opt->param[k];
        if (!p->group.frozen && (p->grad.data || !has_grads)) opt->item[items++] = next_update(opt, p, scale);
    }
    hz_update_run(ex, opt->method.rule, opt->item, items);
}

/* With all gradients taken. */
static bool finish_step(hz_optimizer *opt, const hz_exec *ex, hz_error *err) {
    double scale;
    bool ok = clip_scale(opt, ex, &scale, err);
    for (int k = 0; ok && k < opt->count; k++) ok = gather_grad(ex, opt->param[k], err);
    if (ok) hz__optimizer_run(opt, ex, true, scale);
    release_grads(opt);
    return ok;
}

static bool check_call(const hz_optimizer *opt, int n, hz_error *err) {
    if (opt->method.rule == HZ_UPDATE_AVERAGE)
        return hz_fail(err, HZ_EINVAL, "%s: it takes no gradients, call hz_ema_update", opt->method.name);
    if (n != opt->count)
        return hz_fail(err, HZ_EINVAL, "%s: %d gradients for %d parameters", opt->method.name, n, opt->count);
    return true;
}

bool hz_optimizer_step(hz_optimizer *opt, const hz_exec *ex, const hz_tensor *grad, int n, hz_error *err) {
    if (!check_call(opt, n, err)) return false;
    for (int k = 0; k < n; k++)
        if (!take_grad(opt, opt->param[k], &grad[k], err)) return false;
    return finish_step(opt, ex, err);
}

bool hz_optimizer_step_vars(hz_optimizer *opt, const hz_var *grad, int n, hz_error *err) {
    const hz_exec *ex = NULL;
    if (!check_call(opt, n, err)) return false;
    for (int k = 0; k < n; k++) {
        hz_tensor value = hz_ok(grad[k]) ? *hz_value(grad[k]) : (hz_tensor){.data = NULL};
        if (grad[k].tape && !hz_tape_ok(grad[k].tape, err)) return false;
        if (!take_grad(opt, opt->param[k], &value, err)) return false;
        if (hz_ok(grad[k])) ex = hz_tape_exec(grad[k].tape);
    }
    return !ex || finish_step(opt, ex, err); /* nothing to run, and nobody to run it */
}
