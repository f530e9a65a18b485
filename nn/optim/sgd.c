/* sgd.c: stochastic gradient descent with momentum, as PyTorch has it (Sutskever et al. 2013 have the learning rate
 * inside the momentum).
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/optim/internal.h"

static void sgd_numbers(const hz__method *m, int64_t t, hz_update_args *args) {
    const hz_sgd_opts *o = &m->opts.sgd;
    args->beta1 = m->momentum;
    args->gain1 = t == 1 ? 1 : 1 - o->dampening;
    args->now = o->nesterov ? 1 : 0;
    args->past = o->nesterov ? m->momentum : 1;
}

hz_optimizer *hz_sgd_new(const hz_sgd_opts *opts, hz_error *err) {
    const hz_sgd_opts o = opts ? *opts : (hz_sgd_opts){0};
    const bool moves = o.momentum != 0;
    if (!hz__option_in("sgd", "dampening", o.dampening, 0, INFINITY, err)) return NULL;
    if (o.nesterov && (!moves || o.dampening != 0)) {
        hz_fail(err, HZ_EINVAL, "sgd: nesterov needs a momentum and no dampening (%g and %g)", o.momentum,
                o.dampening);
        return NULL;
    }
    const hz__method m = {
        .name = "sgd",
        .state = {moves ? "momentum_buffer" : NULL},
        .rule = moves ? HZ_UPDATE_MOMENTUM : HZ_UPDATE_SGD,
        .numbers = sgd_numbers,
        .lr = hz__or(o.lr, 1e-3),
        .momentum = o.momentum,
        .has_momentum = moves,
        .weight_decay = o.weight_decay,
        .decoupled = o.decoupled,
        .opts.sgd = o,
    };
    return hz__optimizer_new(&m, o.alloc, err);
}
