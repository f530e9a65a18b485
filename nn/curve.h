/* curve.h: learning curves as a picture: a self-contained SVG with the loss on a logarithmic axis and, where it was
 * measured, the accuracy below it, over epochs (steps, where epochs were not counted).
 *
 *   hz_curve_of_log("run.jsonl", "run.svg", "LeNet on MNIST", &err);
 *
 * What was measured on the training batches breaks off where it is not finite; test values, measured now and then, are
 * joined. Of a long run the means of several points are drawn, on a band from the least of them to the largest. A loss
 * that is not positive everywhere gets a linear axis. The picture brings its background, light or dark as the viewer is.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_CURVE_H
#define HZ_NN_CURVE_H

#include "nn/train_log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Draw n ≥ 1 points in the order of the log and write the file at path, all of it or nothing. title, UTF-8, may be NULL;
 * what no XML may hold is '?' in it. HZ_EINVAL without points, HZ_EIO, HZ_ENOMEM. */
bool hz_curve_write(const char *path, const hz_train_point *point, size_t n, const char *title,
                    hz_error *err);

/* The same of the log at path `log`. */
bool hz_curve_of_log(const char *log, const char *path, const char *title, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
