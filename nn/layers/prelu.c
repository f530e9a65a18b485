/* prelu.c: a ReLU whose slope below 0 is learnt (He et al. 2015).
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers/internal.h"

/* slope (n) against x (N, C, …): one for each channel, or one for all. */
static hz_var along_channels(hz_net *net, hz_var slope, const hz_tensor *x) {
    const int64_t n = hz_numel(hz_value(slope));
    int64_t dim[HZ_MAX_RANK] = {n, 1, 1, 1, 1, 1, 1, 1};
    if (!hz_ok(slope) || n == 1) return slope;
    if (x->rank >= 2 && x->dim[1] == n) return hz_reshape(slope, x->rank - 1, dim);
    return hz_tape_fail(net->tape, HZ_ESHAPE, "\"%s\": input %s has not the %d channels of slopes %s",
                        net->path, hz_shape_str(x).s, (int)n, hz_shape_str(hz_value(slope)).s);
}

hz_var hz_layer_prelu(hz_net *net, const char *layer, hz_var x, const hz_prelu_layer *l) {
    const hz_prelu_layer o = l ? *l : (hz_prelu_layer){.slopes = 0};
    const hz_initial quarter = {.kind = HZ_INITIAL_CONSTANT, .a = 0.25};
    if (!hz_ok(x)) return x;
    hz_net_enter(net, layer);
    const bool make = net->params && !hz_ok(hz_param_optional(net, "weight"));
    const int64_t slopes = o.slopes ? o.slopes : make ? 1 : -1;
    hz_var slope = hz_param_shaped(net, "weight", HZ_DIMS(slopes), &quarter);
    hz_var below = hz_mul(x, along_channels(net, slope, hz_value(x)));
    hz_var above = hz_gt(x, hz_scalar(net->tape, hz_value(x)->dtype, 0));
    return hz_net_output(net, layer, hz_where(above, x, below));
}
