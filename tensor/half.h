/* half.h: 16-bit floats, as files store them, to and from f32. Private to the loaders.
 *
 *   f16   sign 1, exponent 5 (bias 15), fraction 10   (IEEE 754 binary16)
 *   bf16  sign 1, exponent 8 (bias 127), fraction 7   (the upper half of an f32)
 *
 * Widening is exact, subnormals and infinities included; a NaN stays a NaN with its sign and payload.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_HALF_H
#define HZ_TENSOR_HALF_H

#include <stdint.h>

float hz__f32_of_f16(uint16_t h);
float hz__f32_of_bf16(uint16_t h);

/* Round to nearest, ties to even; from 65520 on, infinity. Takes a double so that an f64 is rounded once. */
uint16_t hz__f16_of_f64(double x);

#endif
