/* sequential.c: parts of a network as tables.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "nn/layers.h"

/* How many members say what to do. */
static int actions(const hz_stage *s) {
    const bool given[] = {s->op,         s->part,          s->linear,      s->embedding,
                          s->conv1d,     s->conv2d,        s->batch_norm,  s->conv_transpose1d,
                          s->group_norm, s->instance_norm, s->layer_norm,  s->conv_transpose2d,
                          s->prelu,      s->max_pool2d,    s->avg_pool2d,  s->flatten != 0,
                          s->sequential, s->residual,      s->dropout != 0};
    int n = 0;
    for (size_t k = 0; k < sizeof given / sizeof given[0]; k++) n += given[k];
    return n;
}

static hz_var own_part(hz_net *net, const char *name, hz_var x, const hz_stage *s) {
    hz_net_enter(net, name);
    return hz_net_output(net, name, s->part(net, x));
}

static hz_var record(hz_net *net, const char *name, hz_var x, const hz_stage *s) {
    if (s->linear) return hz_layer_linear(net, name, x, s->linear);
    if (s->embedding) return hz_layer_embedding(net, name, x, s->embedding);
    if (s->conv1d) return hz_layer_conv1d(net, name, x, s->conv1d);
    if (s->conv2d) return hz_layer_conv2d(net, name, x, s->conv2d);
    if (s->conv_transpose1d) return hz_layer_conv_transpose1d(net, name, x, s->conv_transpose1d);
    if (s->conv_transpose2d) return hz_layer_conv_transpose2d(net, name, x, s->conv_transpose2d);
    if (s->batch_norm) return hz_layer_batch_norm(net, name, x, s->batch_norm);
    if (s->instance_norm) return hz_layer_instance_norm(net, name, x, s->instance_norm);
    if (s->layer_norm) return hz_layer_layer_norm(net, name, x, s->layer_norm);
    if (s->group_norm) return hz_layer_group_norm(net, name, x, s->group_norm);
    if (s->prelu) return hz_layer_prelu(net, name, x, s->prelu);
    if (s->dropout != 0) return hz_layer_dropout(net, name, x, s->dropout);
    if (s->sequential) return hz_sequential(net, name, x, s->sequential);
    if (s->residual) return hz_residual(net, name, x, s->residual, s->shortcut);
    if (s->part) return own_part(net, name, x, s);
    if (s->max_pool2d) return hz_name(hz_max_pool2d(x, s->max_pool2d), name);
    if (s->avg_pool2d) return hz_name(hz_avg_pool2d(x, s->avg_pool2d), name);
    if (s->flatten) return hz_name(hz_flatten(x, s->flatten), name);
    return s->op ? hz_name(s->op(x), name) : x;
}

/* The stages one after the other, in the part that has been entered. */
static hz_var record_all(hz_net *net, hz_var x, const hz_stages *s) {
    for (int k = 0; k < s->n && hz_ok(x); k++) {
        char number[16];
        snprintf(number, sizeof number, "%d", k);
        const char *name = s->stage[k].name ? s->stage[k].name : number;
        const int n = actions(&s->stage[k]);
        if (n > 1)
            return hz_tape_fail(net->tape, HZ_EINVAL, "stage \"%s\" of \"%s\" says %d things to do, not one",
                                name, net->path, n);
        x = record(net, name, x, &s->stage[k]);
    }
    return x;
}

hz_var hz_sequential(hz_net *net, const char *name, hz_var x, const hz_stages *s) {
    if (!hz_ok(x)) return x;
    if (!*name) return record_all(net, x, s);
    hz_net_enter(net, name);
    return hz_net_output(net, name, record_all(net, x, s));
}

/* Unlike a sum in general, one of other shapes is a mistake. */
static hz_var add_same(hz_net *net, hz_var y, hz_var x) {
    if (!hz_ok(y) || !hz_ok(x)) return hz_none(net->tape);
    if (hz_same_shape(hz_value(y), hz_value(x))) return hz_add(y, x);
    return hz_tape_fail(net->tape, HZ_ESHAPE, "\"%s\": the branch makes %s, the way past it %s", net->path,
                        hz_shape_str(hz_value(y)).s, hz_shape_str(hz_value(x)).s);
}

hz_var hz_residual(hz_net *net, const char *name, hz_var x, const hz_stages *branch,
                   const hz_stages *shortcut) {
    if (!hz_ok(x)) return x;
    hz_net_enter(net, name);
    hz_var y = record_all(net, x, branch);
    if (shortcut) x = hz_sequential(net, "downsample", x, shortcut);
    return hz_net_output(net, name, add_same(net, y, x));
}
