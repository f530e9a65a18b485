/* layouts.h: random tensors in every kind of memory layout, and comparison with bounds that follow from the
 * arithmetic. For tests of kernels that take any strides.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_LAYOUTS_H
#define HZ_TESTS_LAYOUTS_H

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/exec.h"

/* ---- random numbers: the same ones in every run ---- */

static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* lo … hi, both included. */
static inline int64_t random_int(uint64_t *state, int64_t lo, int64_t hi) {
    return lo + (int64_t)(next_random(state) % (uint64_t)(hi - lo + 1));
}

/* ---- tensors ---- */

typedef enum layout {
    CONTIGUOUS,
    CROPPED,   /* part of a larger tensor */
    PERMUTED,  /* axes stored in another order */
    REVERSED,  /* negative strides */
    BROADCAST, /* stride 0 along one axis */
    LAYOUTS
} layout;

typedef struct sample {
    hz_tensor t;
    void *memory; /* to be freed */
} sample;

static inline void randomize(void *data, hz_dtype dtype, int64_t n, uint64_t *state) {
    for (int64_t i = 0; i < n; i++) {
        const double value = (double)random_int(state, -1000, 1000) / 500;
        if (dtype == HZ_F32)
            ((float *)data)[i] = (float)value;
        else
            ((double *)data)[i] = value;
    }
}

/* A view of shape dim whose elements lie in memory as layout says. */
static inline sample sample_of(hz_dtype dtype, int rank, const int64_t *dim, layout kind, uint64_t *state) {
    int64_t outer[HZ_MAX_RANK];
    int order[HZ_MAX_RANK], inverse[HZ_MAX_RANK];
    for (int i = 0; i < rank; i++) order[i] = i;
    for (int i = rank - 1; i > 0 && kind == PERMUTED; i--) {
        const int j = (int)random_int(state, 0, i), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (int i = 0; i < rank; i++) {
        outer[i] = dim[order[i]] + (kind == CROPPED ? 2 : 0);
        inverse[order[i]] = i;
    }
    const int flat = kind == BROADCAST ? (int)random_int(state, 0, rank - 1) : -1;
    if (flat >= 0 && outer[flat] > 1) outer[flat] = 1;
    hz_tensor shape = hz_tensor_of(NULL, dtype, rank, outer);
    sample s = {shape, malloc(hz_nbytes(&shape) + 1)};
    randomize(s.memory, dtype, hz_numel(&shape), state);
    s.t.data = s.memory;
    hz_view_permute(&s.t, inverse, &s.t, NULL);
    for (int i = 0; i < rank; i++) {
        if (kind == CROPPED) hz_view_slice(&s.t, i, 1, dim[i], 1, &s.t, NULL);
        if (kind == REVERSED && dim[i] > 0) hz_view_slice(&s.t, i, dim[i] - 1, dim[i], -1, &s.t, NULL);
    }
    cr_assert(hz_view_broadcast(&s.t, rank, dim, &s.t, NULL));
    return s;
}

/* A contiguous f64 copy of t; of |t| if absolute. */
static inline sample wide_copy(const hz_tensor *t, bool absolute) {
    sample s = {hz_tensor_of(NULL, HZ_F64, t->rank, t->dim), NULL};
    s.memory = s.t.data = malloc(hz_nbytes(&s.t) + 1);
    for (int64_t i = 0; i < hz_numel(t); i++) {
        const double value = hz_get_flat(t, i);
        ((double *)s.memory)[i] = absolute ? fabs(value) : value;
    }
    return s;
}

static inline void free_sample(sample *s) {
    free(s->memory);
}

/* Each element of got is within `ulps` roundings of want, measured in `size`, the same computation on absolute
 * values. */
static inline void check_close(const hz_tensor *got, const hz_tensor *want, const hz_tensor *size,
                               double ulps, const char *what, int trial) {
    const double eps = got->dtype == HZ_F32 ? FLT_EPSILON : DBL_EPSILON;
    for (int64_t i = 0; i < hz_numel(want); i++) {
        const double a = hz_get_flat(got, i), b = hz_get_flat(want, i);
        cr_assert(fabs(a - b) <= ulps * eps * hz_get_flat(size, i),
                  "%s, trial %d: element %lld of %s is %.9g, not %.9g", what, trial, (long long)i,
                  hz_shape_str(want).s, a, b);
    }
}

/* ---- an allocator that fails from its N-th call on ---- */

typedef struct failing_allocator {
    int calls, fail_at;
} failing_allocator;

static inline void *failing_alloc(void *ctx, size_t size) {
    failing_allocator *f = ctx;
    return ++f->calls >= f->fail_at ? NULL : malloc(size);
}

static inline void failing_free(void *ctx, void *p) {
    (void)ctx;
    free(p);
}

#endif
