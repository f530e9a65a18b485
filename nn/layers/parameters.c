/* parameters.c: the parameters that most layers have, and their shapes.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "nn/layers/internal.h"

/* ---- shapes ---- */

int64_t hz__channels(hz_net *net, hz_var x, int rank) {
    static const char *const shape[] = {"(N, C, …)", "", "(N, C)", "(N, C, L)", "(N, C, H, W)"};
    const hz_tensor *v = hz_value(x);
    if (rank ? v->rank == rank : v->rank >= 2) return v->dim[1];
    hz_tape_fail(net->tape, HZ_ESHAPE, "\"%s\": input %s must be %s", net->path, hz_shape_str(v).s,
                 shape[rank]);
    return -1;
}

int64_t hz__share(hz_net *net, int64_t n, int64_t groups) {
    if (groups == 0 || n < 0) return n;
    if (groups > 0 && n % groups == 0) return n / groups;
    hz_tape_fail(net->tape, HZ_EINVAL, "\"%s\": %" PRId64 " channels do not make %" PRId64 " groups",
                 net->path, n, groups);
    return -1;
}

/* ---- parameters ---- */

hz_var hz__optional(hz_net *net, const char *name, int rank, const int64_t *dim, bool none,
                    const hz_initial *how) {
    if (none) return hz_none(net->tape);
    if (!net->params) return hz_param_optional(net, name);
    return hz_param_shaped(net, name, rank, dim, how);
}

void hz__weight_bias(hz_net *net, int rank, const int64_t *dim, int64_t n, bool no_bias, hz_var *weight,
                     hz_var *bias) {
    double fan_in = 1;
    for (int k = 1; k < rank; k++) fan_in *= (double)dim[k];
    const double bound = fan_in > 0 ? 1 / sqrt(fan_in) : 0;
    const hz_initial how = {.kind = HZ_INITIAL_UNIFORM, .a = -bound, .b = bound};
    *weight = hz_param_shaped(net, "weight", rank, dim, &how);
    *bias = hz__optional(net, "bias", HZ_DIMS(n), no_bias, &how);
}

hz_var hz__gamma(hz_net *net, int rank, const int64_t *dim, bool none) {
    return hz__optional(net, "weight", rank, dim, none, &(hz_initial){.a = 1});
}

hz_var hz__beta(hz_net *net, int rank, const int64_t *dim, bool none) {
    return hz__optional(net, "bias", rank, dim, none, NULL);
}
