/* ema.c: the exponential moving average of weights (Polyak & Juditsky 1992): an optimiser that reads parameters and
 * changes its own state alone.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "nn/optim/optimizer.h"

static void ema_numbers(const hz__method *m, int64_t t, hz_update_args *args) {
    const hz_ema_opts *o = &m->opts.ema;
    const double decay = o->warm_up ? fmin(o->decay, (double)t / (9 + (double)t)) : o->decay;
    args->gain1 = t == 1 ? 1 : 1 - decay;
}

hz_optimizer *hz_ema_new(const hz_ema_opts *opts, hz_error *err) {
    hz_ema_opts o = opts ? *opts : (hz_ema_opts){0};
    o.decay = o.decay == 0 ? 0.999 : o.decay;
    if (!hz__option_in("ema", "decay", o.decay, 0, 1, err)) return NULL;
    const hz__method m = {
        .name = "ema",
        .state = {"average"},
        .rule = HZ_UPDATE_AVERAGE,
        .numbers = ema_numbers,
        .opts.ema = o,
    };
    return hz__optimizer_new(&m, o.alloc, err);
}

static bool check_ema(const hz_optimizer *opt, hz_error *err) {
    return opt->method.rule == HZ_UPDATE_AVERAGE ||
           hz_fail(err, HZ_EINVAL, "%s: it is no moving average", opt->method.name);
}

bool hz_ema_update(hz_optimizer *ema, const hz_exec *ex, hz_error *err) {
    if (!check_ema(ema, err)) return false;
    hz__optimizer_run(ema, ex, false, 1);
    return true;
}

static void swap_bytes(char *a, char *b, size_t n) {
    char kept[4096];
    for (size_t at = 0; at < n; at += sizeof kept) {
        const size_t part = n - at < sizeof kept ? n - at : sizeof kept;
        memcpy(kept, a + at, part);
        memcpy(a + at, b + at, part);
        memcpy(b + at, kept, part);
    }
}

bool hz_ema_swap(hz_optimizer *ema, hz_error *err) {
    if (!check_ema(ema, err)) return false;
    for (int k = 0; k < ema->count; k++)
        if (ema->param[k]->step == 0 && !ema->param[k]->group.frozen)
            return hz_fail(err, HZ_EINVAL, "ema: \"%s\" has no average yet", ema->param[k]->name);
    for (int k = 0; k < ema->count; k++) {
        hz__param *p = ema->param[k];
        if (p->step > 0) swap_bytes(p->value.data, p->state[0].data, hz_nbytes(&p->value));
    }
    return true;
}
