/* progress.h: how a training run is getting on: a line on a terminal, and the means that make a line of its log.
 *
 *   hz_progress bar;
 *   hz_progress_begin(&bar, &(hz_progress_opts){.out = stderr, .steps = total, .epoch = per_epoch, .first = step});
 *   for each step:
 *       hz_progress_step(&bar, samples, loss, right);      redraws the line, or prints one now and then
 *       every so often:
 *           hz_train_point point = hz_progress_point(&bar);   the means since the point before; then evaluate:
 *           point.test_accuracy = …, point.lr = …;
 *           hz_progress_keep(&bar, &point);                   leaves it standing as a line
 *           hz_train_log_write(log, &point, &err);
 *   hz_progress_end(&bar);
 *
 * On a terminal one line is drawn over and over,
 *
 *   epoch  3/20 ━━━━━━━━━━━━━━━━━━━━ 14 %  loss 0.0412  accuracy 98.74 %  8120/s  2:05 left
 *
 * cut to its width; anywhere else, and where TERM is "dumb", whole lines are printed, one every opts.every seconds at most
 * besides those kept, and without a byte of escape codes. NO_COLOR (no-color.org) turns colours off on a terminal, too. The
 * terminal and the environment are asked once, by hz_progress_begin. Nothing here fails: what cannot be written is left.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_PROGRESS_H
#define HZ_NN_PROGRESS_H

#include <stdio.h>

#include "nn/train_log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the means of the next point are taken from. A checkpoint in the middle of an epoch keeps them (hz_note), so that a
 * resumed run logs what the uninterrupted one would have. */
typedef struct hz_progress_sums {
    double loss, right, samples;
} hz_progress_sums;

typedef struct hz_progress_opts {
    FILE *out;             /* where to draw; NULL: nowhere, only the means are wanted */
    int64_t steps;         /* in the whole run; 0: not known, so that no time left is shown */
    int64_t epoch;         /* steps in one pass over the data; 0: epochs are not counted */
    int64_t first;         /* the steps done before, in a run that is resumed */
    double seconds;        /* and the time they took */
    hz_progress_sums sums; /* and what they left */
    double every;          /* seconds between lines where there is no terminal; 0: 10 */
    double (*clock)(void); /* seconds since whenever; NULL: CLOCK_MONOTONIC */
} hz_progress_opts;

typedef struct hz_progress {
    hz_progress_opts opts;
    int64_t step;          /* steps done */
    hz_progress_sums sums; /* since the last point */

    /* Private: what was asked at the beginning, and what is drawn. */
    bool terminal, colour, utf8;
    int width, drawn; /* columns of the terminal, and of the line on it */
    double began, drawn_at, interval_began, rate;
} hz_progress;

/* Nothing is allocated: there is nothing to free. */
void hz_progress_begin(hz_progress *p, const hz_progress_opts *opts);

/* One more step is done, on so many samples with this mean loss, `right` of which (NAN: not counted) were told correctly. */
void hz_progress_step(hz_progress *p, int64_t samples, double loss, double right);

/* Means since the last hz_progress_keep (weighted by samples), the time, the rate; what is measured elsewhere is NAN. */
hz_train_point hz_progress_point(const hz_progress *p);

/* Leave the point as a line of its own and begin new means. The time until now counts as no time of training, so that
 * evaluating before does not lower the rate. */
void hz_progress_keep(hz_progress *p, const hz_train_point *point);

/* Wipe the line, to print something else; the next step draws it again. Also the end of a run. */
void hz_progress_end(hz_progress *p);

#ifdef __cplusplus
}
#endif
#endif
