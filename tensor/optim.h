/* optim.h: the update rules of optimisers, each one fused pass over parameter, gradient and state.
 *
 * With p the parameter, g its gradient, s0, s1, s2 the state and the numbers of hz_update_args, a rule first takes
 *     d = min(max(scale·g, −limit), limit) + l2·p
 * and then does what stands beside its name. Nothing here decides what the numbers are: nn/optim/ does. The innermost
 * loops are kernels/optim_tmpl.c, built for plain C, AVX2 and AVX-512; all three give the same bits.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_OPTIM_H
#define HZ_TENSOR_OPTIM_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HZ_UPDATE_STATES = 3 }; /* arrays of state that a rule has at most */

typedef enum hz_update {
    HZ_UPDATE_SGD,              /* p = shrink·p − rate·d */
    HZ_UPDATE_MOMENTUM,         /* s0 = beta1·s0 + gain1·d;  p = shrink·p − rate·(now·d + past·s0) */
    HZ_UPDATE_ADAM,             /* s0 = beta1·s0 + gain1·d;  s1 = beta2·s1 + gain2·d²;
                         * p = shrink·p − rate·s0/(correction·√s1 + eps) */
    HZ_UPDATE_AMSGRAD,          /* the same with s2 = max(s2, s1) under the root */
    HZ_UPDATE_RMSPROP,          /* s0 = beta2·s0 + gain2·d²;  p = shrink·p − rate·d/(√s0 + eps) */
    HZ_UPDATE_RMSPROP_MOMENTUM, /* s1 = beta1·s1 + d/(√s0 + eps);  p = shrink·p − rate·s1 */
    HZ_UPDATE_RMSPROP_CENTERED, /* RMSPROP with s1 = beta2·s1 + gain2·d and √max(s0 − s1², 0) */
    HZ_UPDATE_RMSPROP_CENTERED_MOMENTUM, /* s1 as in CENTERED; s2 as s1 of MOMENTUM */
    HZ_UPDATE_ADAGRAD,                   /* s0 = s0 + d²;  p = shrink·p − rate·d/(√s0 + eps) */
    HZ_UPDATE_LION,    /* p = shrink·p − rate·sign(now·d + past·s0);  s0 = beta2·s0 + gain2·d */
    HZ_UPDATE_AVERAGE, /* s0 = s0 + gain1·(p − s0); p stays, g is not read */
    HZ_UPDATES
} hz_update;

typedef struct hz_update_args {
    double scale, limit;    /* of the gradient; 1 and infinity: as it is */
    double l2;              /* weight decay that goes through the gradient */
    double shrink;          /* decoupled weight decay: what is kept of p; 1: all */
    double rate;            /* step size */
    double beta1, gain1;    /* first moment: what is kept of it, what is added */
    double beta2, gain2;    /* second moment, likewise */
    double now, past;       /* the step's direction: weight of the gradient, of the first moment */
    double correction, eps; /* of the denominator */
} hz_update_args;

/* One parameter: n elements side by side, each array of the same float dtype. */
typedef struct hz_update_item {
    hz_dtype dtype;
    int64_t n;
    void *param;
    const void *grad;
    void *state[HZ_UPDATE_STATES]; /* as many as the rule has */
    hz_update_args args;
} hz_update_item;

/* Update all items under one rule. They are cut into shares as one long array, so that many small parameters are
 * divided among threads as well as one large one. No two arrays of an item may overlap. */
void hz_update_run(const hz_exec *ex, hz_update rule, const hz_update_item *item, int count);

#ifdef __cplusplus
}
#endif
#endif
