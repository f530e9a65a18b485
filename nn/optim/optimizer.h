/* optimizer.h: what an optimiser is made of. Private to optimizer.c, step.c and ema.c.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_OPTIM_OPTIMIZER_H
#define HZ_NN_OPTIM_OPTIMIZER_H

#include "nn/optim/internal.h"

typedef struct hz__param {
    const char *name;
    hz_tensor value;
    hz_param_group group;
    int64_t step; /* how often it was updated */
    const char *step_name, *state_name[HZ_UPDATE_STATES];
    hz_tensor state[HZ_UPDATE_STATES];
    hz_block *block[HZ_UPDATE_STATES]; /* behind the states */

    /* During a step: */
    hz_tensor grad;     /* without data: it is passed over */
    hz_block *gathered; /* behind grad, if it had to be copied; or NULL */
} hz__param;

struct hz_optimizer {
    hz__method method;
    int states; /* how many the method has */
    hz_allocator alloc;
    hz_arena arena; /* names and parameters */
    hz_pool *pool;  /* states */
    hz__param **param;
    hz_update_item *item; /* room for as many as param */
    int count, capacity;
    double clip_norm, clip_value; /* infinity: none */
};

/* Update every parameter that is not frozen and has a gradient; without has_grads, every one that is not frozen. */
void hz__optimizer_run(hz_optimizer *opt, const hz_exec *ex, bool has_grads, double scale);

#endif
