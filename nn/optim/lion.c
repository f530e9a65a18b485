/* lion.c: Lion: the sign of a momentum (Chen et al., "Symbolic discovery of optimization algorithms", 2023).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/optim/internal.h"

static void lion_numbers(const hz__method *m, int64_t t, hz_update_args *args) {
    (void)t;
    args->now = 1 - m->momentum;
    args->past = m->momentum;
    args->beta2 = m->opts.lion.beta2;
    args->gain2 = 1 - m->opts.lion.beta2;
}

hz_optimizer *hz_lion_new(const hz_lion_opts *opts, hz_error *err) {
    hz_lion_opts o = opts ? *opts : (hz_lion_opts){0};
    o.beta2 = hz__or(o.beta2, 0.99);
    if (!hz__option_in("lion", "beta2", o.beta2, 0, 1, err)) return NULL;
    const hz__method m = {
        .name = "lion",
        .state = {"exp_avg"},
        .rule = HZ_UPDATE_LION,
        .numbers = lion_numbers,
        .lr = hz__or(o.lr, 1e-4),
        .momentum = hz__or(o.beta1, 0.9),
        .has_momentum = true,
        .weight_decay = o.weight_decay,
        .decoupled = true,
        .opts.lion = o,
    };
    return hz__optimizer_new(&m, o.alloc, err);
}
