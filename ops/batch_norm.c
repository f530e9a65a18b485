/* batch_norm.c: normalisation by the statistics of the batch, per channel (Ioffe & Szegedy 2015, algorithm 1).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/normalization.h"

hz_var hz_batch_norm(hz_var x, hz_var gamma, hz_var beta, double eps) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    if (v->rank < 2)
        return hz_tape_fail(x.tape, HZ_ESHAPE, "batch_norm: input %s must be (N, C, …)", hz_shape_str(v).s);
    return hz__normalize_channels("batch_norm", x, hz__all_but_channels(v), gamma, beta, eps);
}
