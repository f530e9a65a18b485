/* group_norm.c: normalisation over groups of channels of each image (Wu & He 2018); instance_norm has one channel to
 * a group.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "ops/normalization.h"

static hz_var normalize_groups(const char *op, hz_var x, hz_var gamma, hz_var beta, int64_t groups,
                               double eps) {
    hz_tensor shape = *hz_value(x);
    int64_t n = shape.dim[0], rest = shape.dim[1] / groups;
    for (int k = 2; k < shape.rank; k++) rest *= shape.dim[k];
    hz_var y = hz_normalize(hz_reshape(x, HZ_DIMS(n, groups, rest)), HZ_AXIS(2), eps);
    return hz__scale_channels(op, hz_reshape(y, shape.rank, shape.dim), gamma, beta);
}

hz_var hz_group_norm(hz_var x, hz_var gamma, hz_var beta, int64_t groups, double eps) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    if (v->rank < 2 || groups < 1 || v->dim[1] % groups != 0)
        return hz_tape_fail(x.tape, HZ_ESHAPE,
                            "group_norm: input %s is not (N, C, …) with C a multiple of %" PRId64 " groups",
                            hz_shape_str(v).s, groups);
    return normalize_groups("group_norm", x, gamma, beta, groups, eps);
}

hz_var hz_instance_norm(hz_var x, hz_var gamma, hz_var beta, double eps) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    if (v->rank < 2 || v->dim[1] < 1)
        return hz_tape_fail(x.tape, HZ_ESHAPE, "instance_norm: input %s is not (N, C, …) with C ≥ 1",
                            hz_shape_str(v).s);
    return normalize_groups("instance_norm", x, gamma, beta, v->dim[1], eps);
}
