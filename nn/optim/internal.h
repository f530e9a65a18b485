/* internal.h: what an optimiser tells optimizer.c of itself. Private to nn/optim/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_OPTIM_INTERNAL_H
#define HZ_NN_OPTIM_INTERNAL_H

#include "nn/optim.h"
#include "tensor/optim.h"

/* An optimiser with its options. hz_NAME_new checks and completes the options and hands this to hz__optimizer_new. */
typedef struct hz__method hz__method;
struct hz__method {
    const char *name; /* "adam" */
    const char
        *state[HZ_UPDATE_STATES]; /* what its states are called; NULL from the first it does not have */
    hz_update rule;
    double initial; /* of state 0 */

    /* Numbers of the step that is the t-th, from 1, of a parameter. Filled in already: gradient, weight decay, and
     * rate, the learning rate of the parameter. */
    void (*numbers)(const hz__method *m, int64_t t, hz_update_args *args);

    double lr, momentum, weight_decay; /* momentum: β₁ of the Adam family; set from outside between steps */
    bool has_momentum;                 /* it may be */
    bool decoupled;
    union {
        hz_sgd_opts sgd;
        hz_adam_opts adam;
        hz_rmsprop_opts rmsprop;
        hz_adagrad_opts adagrad;
        hz_lion_opts lion;
        hz_ema_opts ema;
    } opts;
};

/* Checks the three common numbers, too. */
hz_optimizer *hz__optimizer_new(const hz__method *m, const hz_allocator *alloc, hz_error *err);

/* lo ≤ value < hi, or HZ_EINVAL: 'adam: beta2 is 1.5, outside [0, 1)'. hi may be infinity. */
bool hz__option_in(const char *optimizer, const char *option, double value, double lo, double hi,
                   hz_error *err);

static inline double hz__or(double value, double otherwise) {
    return value == 0 ? otherwise : value;
}

#endif
