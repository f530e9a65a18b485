/* train_log.h: what a training run measured, as a file with one JSON object a line (JSON Lines):
 *
 *   {"step": 1407, "epoch": 3.0, "loss": 0.0412, "accuracy": 0.9874, "test_loss": null, "test_accuracy": 0.9891,
 *    "lr": 0.05, "seconds": 24.6, "samples_per_second": 8120.0}
 *
 *   hz_train_log *log = hz_train_log_open("run.jsonl", step, NULL, &last, &err);    step 0: a new run
 *   hz_train_log_write(log, &point, &err);                                          every so often
 *   hz_train_log_close(log);
 *
 * A line is on its way to the disk when hz_train_log_write returns: a run that is killed loses none. A number that is not
 * finite, or was not measured, is null. progress.h makes the points, curve.h draws them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_TRAIN_LOG_H
#define HZ_NN_TRAIN_LOG_H

#include "tensor/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One line of the log. What was not measured is NAN. */
typedef struct hz_train_point {
    int64_t step;         /* optimiser steps since the run began */
    double epoch;         /* passes over the training data since then; may be a fraction */
    double loss;          /* means over the training batches since the point before */
    double accuracy;      /* a share: 0 … 1 */
    double test_loss;     /* on data kept apart */
    double test_accuracy; /* a share: 0 … 1 */
    double lr;            /* learning rate */
    double seconds;       /* since the run began, without the time in which it was interrupted */
    double rate;          /* training samples a second */
} hz_train_point;

typedef struct hz_train_log hz_train_log;

/* Go on with the log at path, or start it. Lines of steps after `step`, where the run stands, are cut off: they are of a
 * run that was interrupted after its last checkpoint, and will be measured again. So is a last line that was never
 * finished. step ≤ 0 is a new run: every line is cut. *last, unless NULL, is the last line kept (all zero: none).
 *
 * NULL with HZ_EFORMAT if the file holds anything else than such a log, which is then left alone; HZ_EIO, HZ_ENOMEM. A
 * path that is no regular file, such as a pipe, is only written to. */
hz_train_log *hz_train_log_open(const char *path, int64_t step, const hz_allocator *alloc,
                                hz_train_point *last, hz_error *err);

/* Append one line. HZ_EIO leaves none or all of it in the file. */
bool hz_train_log_write(hz_train_log *log, const hz_train_point *point, hz_error *err);
void hz_train_log_close(hz_train_log *log); /* NULL is legal */

/* All points of a log of at most 1 GiB. *points comes from alloc and is given back with hz_free(alloc, points). Every line
 * has a step; other members that are missing are NAN, and those that are not known here are passed over, as is a last line
 * that was never finished. HZ_EFORMAT names the line that is broken. */
bool hz_train_log_read(const char *path, const hz_allocator *alloc, hz_train_point **points, size_t *n,
                       hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
