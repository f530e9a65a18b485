/* template.h: what a kernel template sees. A `*_tmpl.c` file is compiled once per dtype and instruction set; the
 * build defines HZ_KERNEL_TYPE (f32, f64) and HZ_KERNEL_ISA (c, avx2, avx512). Everything in a template is
 * static except one const table, named with HZ_KERNEL(table), which the family's header declares
 * (kernels/elementwise.h, kernels/reduce.h, kernels/conv2d.h, …).
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_KERNELS_TEMPLATE_H
#define HZ_TENSOR_KERNELS_TEMPLATE_H

#include <stdint.h>

#if defined(HZ_KERNEL_F32)
typedef float real;
#elif defined(HZ_KERNEL_F64)
typedef double real;
#endif

/* For the loop of a family, which takes the formula as a function: once inlined, the call through the constant
 * pointer is inlined, too, and the compiler vectorises formula and loop together. */
#define HZ_INLINE static inline __attribute__((always_inline))

#define HZ__JOIN4(a, b, c, d) a##b##_##c##_##d
#define HZ__JOIN(a, b, c, d) HZ__JOIN4(a, b, c, d)
#define HZ_KERNEL(table) HZ__JOIN(hz__, table, HZ_KERNEL_TYPE, HZ_KERNEL_ISA)

#endif
