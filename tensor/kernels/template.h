/* template.h: what a kernel template sees. A `*_tmpl.c` file is compiled once per dtype and instruction set; the
 * build defines HZ_KERNEL_TYPE (f32, f64) and HZ_KERNEL_ISA (c, avx2, avx512). Everything in a template is
 * static except one const table, named with HZ_KERNEL(table), which the driver declares in kernels.h.
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

#define HZ__JOIN4(a, b, c, d) a##b##_##c##_##d
#define HZ__JOIN(a, b, c, d) HZ__JOIN4(a, b, c, d)
#define HZ_KERNEL(table) HZ__JOIN(hz__, table, HZ_KERNEL_TYPE, HZ_KERNEL_ISA)

#endif
