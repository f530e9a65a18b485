/* adam.c: Adam, AdamW and AMSGrad (Kingma & Ba 2015; Loshchilov & Hutter 2019; Reddi et al. 2018).
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/optim/internal.h"

/* The corrections for starting at 0: of m in the rate, of v behind the root. */
static void adam_numbers(const hz__method *m, int64_t t, hz_update_args *args) {
    const hz_adam_opts *o = &m->opts.adam;
    args->beta1 = m->momentum;
    args->gain1 = 1 - m->momentum;
    args->beta2 = o->beta2;
    args->gain2 = 1 - o->beta2;
    args->rate /= 1 - pow(m->momentum, (double)t);
    args->correction = 1 / sqrt(1 - pow(o->beta2, (double)t));
    args->eps = o->eps;
}

static hz_optimizer *make(const char *name, hz_adam_opts o, bool decoupled, hz_error *err) {
    o.beta1 = hz__or(o.beta1, 0.9);
    o.beta2 = hz__or(o.beta2, 0.999);
    o.eps = hz__or(o.eps, 1e-8);
    if (!hz__option_in(name, "beta2", o.beta2, 0, 1, err) ||
        !hz__option_in(name, "eps", o.eps, 0, INFINITY, err))
        return NULL;
    const hz__method m = {
        .name = name,
        .state = {"exp_avg", "exp_avg_sq", o.amsgrad ? "max_exp_avg_sq" : NULL},
        .rule = o.amsgrad ? HZ_UPDATE_AMSGRAD : HZ_UPDATE_ADAM,
        .numbers = adam_numbers,
        .lr = hz__or(o.lr, 1e-3),
        .momentum = o.beta1,
        .has_momentum = true,
        .weight_decay = o.weight_decay,
        .decoupled = decoupled,
        .opts.adam = o,
    };
    return hz__optimizer_new(&m, o.alloc, err);
}

hz_optimizer *hz_adam_new(const hz_adam_opts *opts, hz_error *err) {
    return make("adam", opts ? *opts : (hz_adam_opts){0}, false, err);
}

hz_optimizer *hz_adamw_new(const hz_adam_opts *opts, hz_error *err) {
    hz_adam_opts o = opts ? *opts : (hz_adam_opts){0};
    o.weight_decay = hz__or(o.weight_decay, 0.01);
    return make("adamw", o, true, err);
}
