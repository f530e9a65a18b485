/* gemm.h: matrix products. tensor/gemm.c is the only file that knows BLIS.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_GEMM_H
#define HZ_TENSOR_GEMM_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* C = alpha·A·B + beta·C. a (m, k), b (k, n), c (m, n), all rank 2 of one float dtype. a and b have any strides
 * (0 and negative ones, too); c any positive ones. Extents of 0 are legal: k = 0 gives beta·C. With beta = 0,
 * C is not read. The result does not depend on ex->threads. HZ_ESHAPE if the shapes disagree, HZ_ENOMEM. */
bool hz_gemm(const hz_exec *ex, double alpha, const hz_tensor *a, const hz_tensor *b, double beta,
             const hz_tensor *c, hz_error *err);

/* n products of the same kind, one per leading index: a (p, m, k), b (p, k, n), c (p, m, n); stride 0 along p
 * shares a matrix. */
bool hz_gemm_batched(const hz_exec *ex, double alpha, const hz_tensor *a, const hz_tensor *b, double beta,
                     const hz_tensor *c, hz_error *err);

/* The same as hz_gemm in three plain loops: the oracle of the tests. */
void hz_gemm_reference(double alpha, const hz_tensor *a, const hz_tensor *b, double beta, const hz_tensor *c);

#ifdef __cplusplus
}
#endif
#endif
