/* layers.c: layers that find their parameters by name. Start with hz_layer_conv2d.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/layers.h"

#include <stdio.h>
#include <string.h>

/* ---- parts ---- */

void hz_net_enter(hz_net *net, const char *part) {
    size_t used = strlen(net->path);
    int n = snprintf(net->path + used, sizeof net->path - used, "%s%s", used ? "." : "", part);
    if (n < 0 || (size_t)n >= sizeof net->path - used) {
        net->path[used] = '\0';
        hz_tape_fail(net->tape, HZ_EINVAL, "\"%s\" with \"%.40s\" is longer than %d characters", net->path,
                     part, HZ_NET_PATH - 1);
        return;
    }
    hz_scope_push(net->tape, part);
}

void hz_net_leave(hz_net *net, const char *part) {
    size_t used = strlen(net->path), n = strlen(part);
    if (n > used || strcmp(net->path + used - n, part) != 0) {
        hz_tape_fail(net->tape, HZ_EINVAL, "the part \"%s\" does not end in \"%.40s\"", net->path, part);
        return;
    }
    net->path[used > n ? used - n - 1 : 0] = '\0';
    hz_scope_pop(net->tape, part);
}

/* ---- parameters ---- */

/* What Keras calls a parameter of ours. */
static const char *const spellings[][2] = {
    {"weight", "kernel"},
    {"weight", "gamma"},
    {"bias", "beta"},
    {"running_mean", "moving_mean"},
    {"running_var", "moving_variance"},
};
enum { SPELLINGS = sizeof spellings / sizeof spellings[0] };

typedef struct {
    char s[2 * HZ_NET_PATH];
} full_name;

/* "path.name", cut off if too long: then it is found nowhere. The first `keep` characters of name, then last. */
static full_name join(const hz_net *net, const char *name, size_t keep, const char *last) {
    full_name full;
    snprintf(full.s, sizeof full.s, "%s%s%.*s%s", net->path, *net->path ? "." : "", (int)keep, name, last);
    return full;
}

static const hz_tensor *find(const hz_net *net, const char *name) {
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    size_t before = (size_t)(last - name);
    const hz_tensor *found = hz_weights_find(net->weights, join(net, name, before, last).s);
    for (int k = 0; k < SPELLINGS && !found; k++)
        if (strcmp(spellings[k][0], last) == 0)
            found = hz_weights_find(net->weights, join(net, name, before, spellings[k][1]).s);
    return found;
}

hz_var hz_param_optional(hz_net *net, const char *name) {
    const hz_tensor *value = find(net, name);
    return value ? hz_name(hz_input(net->tape, value), name) : hz_none(net->tape);
}

hz_var hz_param(hz_net *net, const char *name) {
    hz_tensor value;
    hz_error err = {HZ_OK, ""};
    if (find(net, name)) return hz_param_optional(net, name);
    hz_weights_get(net->weights, join(net, name, strlen(name), "").s, &value, &err);
    return hz_tape_fail(net->tape, err.code, "%s", err.text);
}

/* ---- layers ---- */

/* Name the layer's output after it, and leave it. */
static hz_var leave(hz_net *net, const char *layer, hz_var y) {
    hz_name(y, "");
    hz_net_leave(net, layer);
    return y;
}

hz_var hz_layer_conv2d(hz_net *net, const char *layer, hz_var x, const hz_conv2d_opts *opts) {
    hz_net_enter(net, layer);
    hz_var weight = hz_param(net, "weight"), bias = hz_param_optional(net, "bias");
    return leave(net, layer, hz_conv2d(x, weight, bias, opts));
}

hz_var hz_layer_linear(hz_net *net, const char *layer, hz_var x) {
    hz_net_enter(net, layer);
    hz_var weight = hz_param(net, "weight"), bias = hz_param_optional(net, "bias");
    return leave(net, layer, hz_linear(x, weight, bias));
}

hz_var hz_layer_batch_norm(hz_net *net, const char *layer, hz_var x, double eps) {
    hz_net_enter(net, layer);
    hz_var gamma = hz_param_optional(net, "weight"), beta = hz_param_optional(net, "bias");
    hz_var mean = hz_param(net, "running_mean"), var = hz_param(net, "running_var");
    return leave(net, layer, hz_batch_norm_infer(x, gamma, beta, mean, var, eps));
}
