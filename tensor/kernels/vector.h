/* vector.h: a register of `real` for kernel templates that say themselves how many of them a loop keeps.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_VECTOR_H
#define HZ_TENSOR_KERNELS_VECTOR_H

#include <string.h>

#include "tensor/kernels/template.h"

#if defined(HZ_KERNEL_AVX512)
enum { BYTES = 64 };
#elif defined(HZ_KERNEL_AVX2)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
enum { LANES = BYTES / sizeof(real) };

typedef real vec __attribute__((vector_size(BYTES)));

/* From and to any address. */
HZ_INLINE vec load(const real *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
HZ_INLINE void store(real *p, vec v) {
    memcpy(p, &v, sizeof v);
}

#endif
