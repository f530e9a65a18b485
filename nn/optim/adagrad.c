/* adagrad.c: Adagrad (Duchi, Hazan & Singer 2011).
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/optim/internal.h"

static void adagrad_numbers(const hz__method *m, int64_t t, hz_update_args *args) {
    const hz_adagrad_opts *o = &m->opts.adagrad;
    args->rate /= 1 + (double)(t - 1) * o->lr_decay;
    args->eps = o->eps;
}

hz_optimizer *hz_adagrad_new(const hz_adagrad_opts *opts, hz_error *err) {
    hz_adagrad_opts o = opts ? *opts : (hz_adagrad_opts){0};
    o.eps = hz__or(o.eps, 1e-10);
    if (!hz__option_in("adagrad", "lr_decay", o.lr_decay, 0, INFINITY, err) ||
        !hz__option_in("adagrad", "initial", o.initial, 0, INFINITY, err) ||
        !hz__option_in("adagrad", "eps", o.eps, 0, INFINITY, err))
        return NULL;
    const hz__method m = {
        .name = "adagrad",
        .state = {"sum"},
        .rule = HZ_UPDATE_ADAGRAD,
        .initial = o.initial,
        .numbers = adagrad_numbers,
        .lr = hz__or(o.lr, 0.01),
        .weight_decay = o.weight_decay,
        .opts.adagrad = o,
    };
    return hz__optimizer_new(&m, o.alloc, err);
}
