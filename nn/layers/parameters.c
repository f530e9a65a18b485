/* parameters.c: the parameters that most layers have.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/layers/internal.h"

static hz_initial by_fan(int64_t fan_in) {
    const double bound = fan_in > 0 ? 1 / sqrt((double)fan_in) : 0;
    return (hz_initial){.kind = HZ_INITIAL_UNIFORM, .a = -bound, .b = bound};
}

hz_var hz__weight(hz_net *net, int rank, const int64_t *dim, int64_t fan_in) {
    const hz_initial how = by_fan(fan_in);
    return hz_param_shaped(net, "weight", rank, dim, &how);
}

/* Of a parameter that files may lack: what a store would make. */
static hz_var optional(hz_net *net, const char *name, int rank, const int64_t *dim, bool none,
                       const hz_initial *how) {
    if (none) return hz_none(net->tape);
    if (!net->params) return hz_param_optional(net, name);
    return hz_param_shaped(net, name, rank, dim, how);
}

hz_var hz__bias(hz_net *net, int64_t n, int64_t fan_in, bool none) {
    const hz_initial how = by_fan(fan_in);
    return optional(net, "bias", HZ_DIMS(n), none, &how);
}

void hz__affine(hz_net *net, int rank, const int64_t *dim, bool none, hz_var *gamma, hz_var *beta) {
    const hz_initial ones = {.kind = HZ_INITIAL_CONSTANT, .a = 1};
    *gamma = optional(net, "weight", rank, dim, none, &ones);
    *beta = optional(net, "bias", rank, dim, none, NULL);
}
