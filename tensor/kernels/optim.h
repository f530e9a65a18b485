/* kernels/optim.h: the tables of row kernels behind tensor/optim.c, one table per dtype and instruction set.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_OPTIM_H
#define HZ_TENSOR_KERNELS_OPTIM_H

#include "tensor/optim.h"

/* n elements of a parameter, its gradient and its states, none overlapping another. */
typedef void hz__update_row(int64_t n, const hz_update_args *args, void *p, const void *g, void *const *s);

typedef struct hz__optim {
    hz__update_row *row[HZ_UPDATES];
} hz__optim;

extern const hz__optim hz__optim_f32_c, hz__optim_f64_c;
extern const hz__optim hz__optim_f32_avx2, hz__optim_f64_avx2;
extern const hz__optim hz__optim_f32_avx512, hz__optim_f64_avx512;

#endif
