/* schedule.h: learning rates over time. A schedule is a pure function of the number of the step (or epoch) t = 0, 1, …
 * that returns a factor on the base rate, so that schedules multiply:
 *
 *   hz_optimizer_set_lr(opt, base * hz_lr_warm_up(t, 500, 0) * hz_lr_cosine(t, total, 0.01), &err);
 *
 * Resuming needs t alone. Only hz_plateau, which looks at results, has a state: plain numbers to put in a checkpoint.
 * Values are PyTorch's. A t below 0 counts as 0.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_SCHEDULE_H
#define HZ_NN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* gamma^⌊t/every⌋, every ≥ 1: falls by gamma after every so many steps. With every = 1: exponential decay. */
double hz_lr_step(int64_t t, int64_t every, double gamma);

/* gamma^k, k the number of milestones ≤ t; in any order. */
double hz_lr_multistep(int64_t t, const int64_t *milestones, int n, double gamma);

/* From 1 at t = 0 along half a cosine to `last` at t = total, and there it stays (Loshchilov & Hutter 2017). */
double hz_lr_cosine(int64_t t, int64_t total, double last);

/* From `first` at t = 0 in a straight line to 1 at t = steps, and there it stays. */
double hz_lr_warm_up(int64_t t, int64_t steps, double first);

/* ---- one cycle (Smith & Topin 2019): up to 1, the largest rate, then down to almost nothing ---- */

typedef struct hz_one_cycle {
    int64_t total;      /* steps in all, t = 0 … total − 1 */
    double rise;        /* the share of them in which the rate rises; 0: 0.3 */
    double first_div;   /* it begins at 1/first_div; 0: 25 */
    double last_div;    /* and ends at 1/(first_div·last_div); 0: 1e4 */
    double momentum_lo; /* the momentum while the rate is largest; 0: 0.85 */
    double momentum_hi; /* and at both ends; 0: 0.95 */
    bool linear;        /* straight lines instead of halves of a cosine */
} hz_one_cycle;
double hz_lr_one_cycle(int64_t t, const hz_one_cycle *cycle);
double hz_momentum_one_cycle(int64_t t, const hz_one_cycle *cycle); /* for hz_optimizer_set_momentum */

/* ---- plateau: lower the rate when results get better no more ---- */

typedef struct hz_plateau {
    double factor;    /* on the rate, each time; 0: 0.1 */
    double threshold; /* better is more than this share below the best (above, if rising); 0: 1e-4 */
    double lowest;    /* the product of factors goes no lower */
    int64_t patience; /* how many results in a row may be no better; 0: 10; below 0: none */
    int64_t cooldown; /* how many results after a change are not counted as such */
    bool rising;      /* larger results are better: accuracy, not loss */

    /* The state: all zero to begin with. */
    bool begun;
    double best;
    double scale;      /* product of factors so far */
    int64_t bad, rest; /* results in a row that were no better; results yet to pass over */
} hz_plateau;

/* Takes in the result of an epoch; returns the factor on the base rate for the next. A NaN is no better. */
double hz_lr_plateau(hz_plateau *p, double result);

#ifdef __cplusplus
}
#endif
#endif
