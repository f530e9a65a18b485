/* internal.h: what the layers share. Private to nn/layers/.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_LAYERS_INTERNAL_H
#define HZ_NN_LAYERS_INTERNAL_H

#include "nn/layers.h"

/* An extent as hz_param_shaped wants it: 0, left open by the layer's options, is any. */
static inline int64_t hz__or_any(int64_t extent) {
    return extent ? extent : -1;
}

static inline double hz__or_default(double value, double otherwise) {
    return value == 0 ? otherwise : value;
}

/* Parameters "weight" and "bias" (n), first values uniform in ±1/√fan_in. A file may have no bias; without one
 * (`none`), or if there is none, the inert variable. */
hz_var hz__weight(hz_net *net, int rank, const int64_t *dim, int64_t fan_in);
hz_var hz__bias(hz_net *net, int64_t n, int64_t fan_in, bool none);

/* Parameters "weight" (ones) and "bias" (zeros) of a normalisation of this shape, inert if `none` or if a file has none. */
void hz__affine(hz_net *net, int rank, const int64_t *dim, bool none, hz_var *gamma, hz_var *beta);

#endif
