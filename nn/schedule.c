/* schedule.c: learning rates over time, see schedule.h.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double or (double value, double otherwise) {
    return value == 0 ? otherwise : value;
}

/* The part, 0 … 1, that is over at t. */
static double share(int64_t t, double total) {
    return t <= 0 ? 0 : (double)t >= total ? 1 : (double)t / total;
}

static double along_line(double from, double to, double part) {
    return from + (to - from) * part;
}

static double along_cosine(double from, double to, double part) {
    return to + (from - to) / 2 * (1 + cos(pi * part));
}

double hz_lr_step(int64_t t, int64_t every, double gamma) {
    return t <= 0 || every < 1 ? 1 : pow(gamma, (double)(t / every));
}

double hz_lr_multistep(int64_t t, const int64_t *milestones, int n, double gamma) {
    int passed = 0;
    for (int k = 0; k < n; k++) passed += milestones[k] <= (t > 0 ? t : 0);
    return pow(gamma, passed);
}

double hz_lr_cosine(int64_t t, int64_t total, double last) {
    return along_cosine(1, last, share(t, (double)total));
}

double hz_lr_warm_up(int64_t t, int64_t steps, double first) {
    return t >= steps ? 1 : along_line(first, 1, share(t, (double)steps));
}

/* ---- one cycle ---- */

/* From `ends` to `top` and on to `last`: the peak is at step rise·total − 1, the end at total − 1. */
static double cycle_at(int64_t t, const hz_one_cycle *c, double ends, double top, double last) {
    double (*along)(double from, double to, double part) = c->linear ? along_line : along_cosine;
    const double peak = or (c->rise, 0.3) * (double)c->total - 1, end = (double)c->total - 1;
    if (t < 0) t = 0;
    if ((double)t <= peak) return along(ends, top, peak > 0 ? (double)t / peak : 1);
    const double part = end > peak ? ((double)t - peak) / (end - peak) : 1;
    return along(top, last, part < 1 ? part : 1);
}

double hz_lr_one_cycle(int64_t t, const hz_one_cycle *c) {
    const double first = 1 / or (c->first_div, 25);
    return cycle_at(t, c, first, 1, first / or (c->last_div, 1e4));
}

double hz_momentum_one_cycle(int64_t t, const hz_one_cycle *c) {
    const double hi = or (c->momentum_hi, 0.95), lo = or (c->momentum_lo, 0.85);
    return cycle_at(t, c, hi, lo, hi);
}

/* ---- plateau ---- */

static bool is_better(const hz_plateau *p, double result) {
    const double threshold = or (p->threshold, 1e-4);
    if (!p->begun) return !isnan(result);
    return p->rising ? result > p->best * (1 + threshold) : result < p->best * (1 - threshold);
}

double hz_lr_plateau(hz_plateau *p, double result) {
    const int64_t patience = p->patience == 0 ? 10 : p->patience < 0 ? 0 : p->patience;
    p->scale = or (p->scale, 1);
    p->bad++;
    if (is_better(p, result)) {
        p->begun = true;
        p->best = result;
        p->bad = 0;
    }
    if (p->rest > 0) {
        p->rest--;
        p->bad = 0;
    }
    if (p->bad > patience) {
        p->scale = fmax(p->scale * or (p->factor, 0.1), p->lowest);
        p->rest = p->cooldown;
        p->bad = 0;
    }
    return p->scale;
}
