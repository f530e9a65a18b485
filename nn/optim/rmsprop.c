/* rmsprop.c: RMSprop (Hinton, Neural Networks for Machine Learning, lecture 6e; centred: Graves 2013).
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/optim/internal.h"

static void rmsprop_numbers(const hz__method *m, int64_t t, hz_update_args *args) {
    const hz_rmsprop_opts *o = &m->opts.rmsprop;
    (void)t;
    args->beta1 = m->momentum;
    args->beta2 = o->alpha;
    args->gain2 = 1 - o->alpha;
    args->eps = o->eps;
}

/* The rule and the names of its states, by [centered][momentum]. */
static const struct {
    hz_update rule;
    const char *state[HZ_UPDATE_STATES];
} variants[2][2] = {
    {{HZ_UPDATE_RMSPROP, {"square_avg"}}, {HZ_UPDATE_RMSPROP_MOMENTUM, {"square_avg", "momentum_buffer"}}},
    {{HZ_UPDATE_RMSPROP_CENTERED, {"square_avg", "grad_avg"}},
     {HZ_UPDATE_RMSPROP_CENTERED_MOMENTUM, {"square_avg", "grad_avg", "momentum_buffer"}}},
};

hz_optimizer *hz_rmsprop_new(const hz_rmsprop_opts *opts, hz_error *err) {
    hz_rmsprop_opts o = opts ? *opts : (hz_rmsprop_opts){0};
    const bool moves = o.momentum != 0;
    o.alpha = hz__or(o.alpha, 0.99);
    o.eps = hz__or(o.eps, 1e-8);
    if (!hz__option_in("rmsprop", "alpha", o.alpha, 0, 1, err) ||
        !hz__option_in("rmsprop", "eps", o.eps, 0, INFINITY, err))
        return NULL;
    hz__method m = {
        .name = "rmsprop",
        .rule = variants[o.centered][moves].rule,
        .numbers = rmsprop_numbers,
        .lr = hz__or(o.lr, 0.01),
        .momentum = o.momentum,
        .has_momentum = moves,
        .weight_decay = o.weight_decay,
        .opts.rmsprop = o,
    };
    for (int k = 0; k < HZ_UPDATE_STATES; k++) m.state[k] = variants[o.centered][moves].state[k];
    return hz__optimizer_new(&m, o.alloc, err);
}
