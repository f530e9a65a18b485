/* matvec.h: products of a matrix and a vector, on the calling thread. BLIS reads the matrix at a third of the speed at
 * which memory delivers it. Private.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_MATVEC_H
#define HZ_TENSOR_MATVEC_H

#include "tensor/exec.h"
#include "tensor/gemm_block.h"

/* C = alpha·A·B + beta·C like hz__gemm_block, if m or n is 1 and the matrix has rows or columns of elements side by side;
 * otherwise false, and nothing is done. isa resolved. */
bool hz__matvec(hz_isa isa, hz_dtype dtype, int64_t m, int64_t n, int64_t k, double alpha, hz__matrix a,
                hz__matrix b, double beta, hz__matrix c);

#endif
