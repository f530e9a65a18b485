/* half.c: 16-bit floats, bit by bit, so that the result is the same on every CPU.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/half.h"

#include <math.h>
#include <string.h>

static float f32_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float hz__f32_of_bf16(uint16_t h) {
    return f32_of_bits((uint32_t)h << 16);
}

float hz__f32_of_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = (h >> 10) & 31;
    uint32_t fraction = h & 0x3ff;
    if (exponent == 31) return f32_of_bits(sign | 0x7f800000 | fraction << 13); /* infinity, NaN */
    if (exponent == 0) { /* 0 or subnormal: fraction·2⁻²⁴ */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return f32_of_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
}

uint16_t hz__f16_of_f64(double x) {
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    double magnitude = fabs(x);
    if (isnan(x)) return sign | 0x7e00;
    if (magnitude >= 65520) return sign | 0x7c00; /* beyond the middle between the largest f16 and 2¹⁶ */
    int exponent = -13; /* zero and subnormals share the spacing of the smallest normals, 2⁻²⁴ */
    if (magnitude >= 0x1p-14) (void)frexp(magnitude, &exponent); /* magnitude = f·2^exponent, ½ ≤ f < 1 */
    double units =
        nearbyint(ldexp(magnitude, 11 - exponent)); /* spacing 2^(exponent − 11); exact until here */
    /* units has 11 bits, the top one implicit; a carry into a 12th moves on to the next exponent. */
    return sign | (uint16_t)((uint32_t)((exponent + 13) << 10) + (uint32_t)units);
}
