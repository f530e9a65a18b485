/* params_internal.h: the inside of a store of parameters, for params.c and state_dict.c.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_PARAMS_INTERNAL_H
#define HZ_NN_PARAMS_INTERNAL_H

#include <stdlib.h>

#include "nn/params.h"

typedef struct hz__entry {
    hz_parameter public;
    int trained; /* its number in the optimiser; −1: none */
} hz__entry;

struct hz_params {
    hz_allocator alloc;
    hz_pool *pool;  /* the values */
    hz_arena arena; /* names and entries */
    hz_dtype dtype;
    uint64_t seed;
    hz__entry **entry;   /* in the order made */
    hz__entry **by_name; /* the same, sorted */
    int count, capacity;
    bool sealed; /* from here on nothing is added; the rest is filled in: */
    int n_trained;
    hz__entry **by_data; /* trained ones, sorted by the address of their values */
    hz_var *leaf;        /* scratch of a step: their leaves, */
    hz_var *dx;          /* their gradients, and two such lists more, */
    int *target;         /* and which of them the targets of a sweep are */
};

static inline bool hz__is_trained(const hz_parameter *q) {
    return !q->buffer && !q->shares;
}

/* How the store runs kernels: on one thread. */
hz_exec hz__params_exec(const hz_params *p);

#endif
