/* evaluate.h: how many pictures a network gets right.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_EVALUATE_H
#define HZ_NN_EVALUATE_H

#include "nn/data.h"
#include "nn/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hz_accuracy {
    int64_t right, of; /* top-1 */
} hz_accuracy;

/* How many labels the strongest score names (of equal scores, the first counts). Runs in batches of `batch` pictures (0: 100)
 * on a tape of its own. Gray pictures are repeated to red, green and blue. HZ_ESHAPE if the pictures have not the model's
 * size, HZ_EFORMAT if a label is no class of it. */
bool hz_evaluate(const hz_model *model, const hz_data *data, int64_t batch, const hz_tape_opts *opts,
                 hz_accuracy *accuracy, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
