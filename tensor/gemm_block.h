/* gemm_block.h: one matrix product on the calling thread; what hz_gemm and the convolutions are made of. Private.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_GEMM_BLOCK_H
#define HZ_TENSOR_GEMM_BLOCK_H

#include "tensor/tensor.h"

/* A matrix in memory: element (i, j) lies at data + (i*rs + j*cs) elements. */
typedef struct hz__matrix {
    void *data;
    int64_t rs, cs;
} hz__matrix;

/* The part of m that starts at element (i, j). */
static inline hz__matrix hz__matrix_at(hz_dtype dtype, hz__matrix m, int64_t i, int64_t j) {
    int64_t size = dtype == HZ_F32 ? 4 : 8;
    m.data = (char *)m.data + (i * m.rs + j * m.cs) * size;
    return m;
}

/* C = alpha·A·B + beta·C; a (m, k), b (k, n), c (m, n). Strides must not be negative, those of c be positive.
 * With beta = 0, C is not read. Never fails. */
void hz__gemm_block(hz_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, hz__matrix a, hz__matrix b,
                    double beta, hz__matrix c);

/* C = A·B + beta·C. In f64 equal columns of B with equal ones of C give equal results, wherever they stand and whatever n is:
 * where a picture is flat, rounding does not decide which of several equal maxima under a pooling window is the first.
 * In f32 the few percent of speed that this costs are worth more: rounding decides such things there in any case. */
void hz__gemm_alike(hz_dtype dtype, int64_t m, int64_t n, int64_t k, hz__matrix a, hz__matrix b, double beta,
                    hz__matrix c);

#endif
