/* random.h: counter-based random numbers (Philox 4×32-10; Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011).
 *
 * Number k of stream (seed, stream) is a pure function of the three: the same whatever the thread count, order or
 * instruction set. Use one stream per purpose.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_RANDOM_H
#define HZ_TENSOR_RANDOM_H

#include "tensor/exec.h"

#ifdef __cplusplus
extern "C" {
#endif

uint64_t hz_random_bits(uint64_t seed, uint64_t stream, uint64_t k);  /* 64 random bits */
double hz_random_uniform(uint64_t seed, uint64_t stream, uint64_t k); /* in [0, 1), 53 bits */
double hz_random_normal(uint64_t seed, uint64_t stream, uint64_t k);  /* mean 0, variance 1 (Box–Muller) */
int64_t hz_random_below(uint64_t seed, uint64_t stream, uint64_t k, int64_t n); /* 0 … n−1, n ≥ 1 */

/* The generator itself: ten rounds of Philox 4×32 on a counter under a key. Numbers 2c and 2c + 1 of a stream are
 * the two halves, low words first, of counter (c, stream) under the key seed. */
void hz_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Fill y (float, any strides) in row-major order with numbers k = 0, 1, …: lo + (hi − lo)·uniform, rounded but
 * never up to hi, or mean + std·normal. Integer dtypes: the integers lo … hi inclusive, within ±2^53. */
void hz_random_fill_uniform(const hz_exec *ex, uint64_t seed, uint64_t stream, double lo, double hi,
                            const hz_tensor *y);
void hz_random_fill_normal(const hz_exec *ex, uint64_t seed, uint64_t stream, double mean, double std,
                           const hz_tensor *y);

/* A random permutation of 0 … n−1. */
void hz_random_permutation(uint64_t seed, uint64_t stream, int64_t n, int64_t *out);

#ifdef __cplusplus
}
#endif
#endif
