/* net.c: a network while it is recorded: the parts it has entered, and where its parameters come from.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "nn/layers.h"
#include "tensor/random.h"

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

hz_var hz_net_output(hz_net *net, const char *layer, hz_var y) {
    hz_name(y, "");
    hz_net_leave(net, layer);
    return y;
}

/* ---- finding tensors ---- */

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

static full_name path_of(const hz_net *net, const char *name) {
    return join(net, name, strlen(name), "");
}

static const hz_tensor *find_exactly(const hz_net *net, const char *full) {
    const hz_parameter *q = net->params ? hz_params_find(net->params, full) : NULL;
    if (net->params) return q ? &q->value : NULL;
    return net->weights ? hz_weights_find(net->weights, full) : NULL;
}

static const hz_tensor *find(const hz_net *net, const char *name) {
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    size_t before = (size_t)(last - name);
    const hz_tensor *found = find_exactly(net, join(net, name, before, last).s);
    for (int k = 0; k < SPELLINGS && !found; k++)
        if (strcmp(spellings[k][0], last) == 0)
            found = find_exactly(net, join(net, name, before, spellings[k][1]).s);
    return found;
}

static void fail_missing(const hz_net *net, const char *name) {
    hz_tensor ignored;
    hz_error err = {HZ_OK, ""};
    if (net->weights && !net->params)
        hz_weights_get(net->weights, path_of(net, name).s, &ignored, &err);
    else
        hz_fail(&err, HZ_ENOTFOUND, "no parameter is named \"%s\"", path_of(net, name).s);
    hz_tape_fail(net->tape, err.code, "%s", err.text);
}

/* ---- leaves ---- */

/* The leaf that shows value, if the tape has one already: a parameter that serves twice has one gradient. */
static hz_var leaf_of(hz_net *net, const hz_tensor *value) {
    for (uint32_t id = 1; id < hz_tape_size(net->tape); id++) {
        const hz_node *n = hz_node_of(hz_at(net->tape, id));
        if (n->op == &hz_op_leaf && n->value.data == value->data && hz_numel(value) > 0)
            return hz_at(net->tape, id);
    }
    return hz_none(net->tape);
}

static hz_var leaf(hz_net *net, const char *name, const hz_tensor *value) {
    hz_var known = net->params ? leaf_of(net, value) : hz_none(net->tape);
    if (hz_ok(known)) return known;
    hz_var x = hz_input(net->tape, value);
    return hz_name(net->f64 && value->dtype == HZ_F32 ? hz_astype(x, HZ_F64) : x, name);
}

hz_var hz_param_optional(hz_net *net, const char *name) {
    const hz_tensor *value = find(net, name);
    return value ? leaf(net, name, value) : hz_none(net->tape);
}

hz_var hz_param(hz_net *net, const char *name) {
    const hz_tensor *value = find(net, name);
    if (value) return leaf(net, name, value);
    fail_missing(net, name);
    return hz_none(net->tape);
}

/* ---- parameters of a known shape ---- */

static bool fits(const hz_tensor *t, int rank, const int64_t *dim) {
    bool same = t->rank == rank;
    for (int k = 0; same && k < rank; k++) same = dim[k] < 0 || dim[k] == t->dim[k];
    return same;
}

static bool all_known(int rank, const int64_t *dim) {
    bool known = true;
    for (int k = 0; k < rank; k++) known = known && dim[k] >= 0;
    return known;
}

/* The tensor called name, made by a store that lacks it; NULL with the reason on the tape. */
static const hz_tensor *get(hz_net *net, const char *name, const hz_tensor *shape, bool buffer,
                            const hz_initial *how, double value) {
    hz_error err = {HZ_OK, ""};
    const full_name full = path_of(net, name);
    if (shape->rank < 0 || shape->rank > HZ_MAX_RANK)
        return hz_tape_fail(net->tape, HZ_ESHAPE, "parameter \"%s\" cannot have %d axes", full.s,
                            shape->rank),
               NULL;
    const hz_tensor *found = find(net, name);
    if (!found && net->params && all_known(shape->rank, shape->dim) && hz_tape_ok(net->tape, NULL)) {
        if (!(buffer ? hz_params_add_buffer(net->params, full.s, shape, value, &err)
                     : hz_params_add(net->params, full.s, shape, how, &err)))
            return hz_tape_fail(net->tape, err.code, "%s", err.text), NULL;
        found = find(net, name);
    }
    if (!found && net->params && !all_known(shape->rank, shape->dim))
        hz_tape_fail(net->tape, HZ_ENOTFOUND,
                     "no parameter is named \"%s\", and the layer leaves its shape %s open", full.s,
                     hz_dims_str(shape->rank, shape->dim).s);
    if (!found) return fail_missing(net, name), NULL;
    if (fits(found, shape->rank, shape->dim)) return found;
    hz_tape_fail(net->tape, HZ_ESHAPE, "parameter \"%s\" is %s, but the layer needs %s", full.s,
                 hz_shape_str(found).s, hz_dims_str(shape->rank, shape->dim).s);
    return NULL;
}

/* What is asked for. Strides are left out: of extents that are open or absurd there are none. */
static hz_tensor wanted(hz_dtype dtype, int rank, const int64_t *dim) {
    hz_tensor shape = {.dtype = dtype, .rank = rank};
    for (int k = 0; k < rank && k < HZ_MAX_RANK; k++) shape.dim[k] = dim[k];
    return shape;
}

hz_var hz_param_shaped(hz_net *net, const char *name, int rank, const int64_t *dim, const hz_initial *how) {
    const hz_dtype dtype = net->params ? hz_params_dtype(net->params) : HZ_F32;
    const hz_tensor shape = wanted(dtype, rank, dim);
    const hz_tensor *value = get(net, name, &shape, false, how, 0);
    return value ? leaf(net, name, value) : hz_none(net->tape);
}

const hz_tensor *hz_buffer(hz_net *net, const char *name, hz_dtype dtype, int rank, const int64_t *dim,
                           double value) {
    const hz_tensor shape = wanted(dtype, rank, dim);
    return get(net, name, &shape, true, NULL, value);
}

uint64_t hz_net_seed(const hz_net *net, const char *name) {
    uint64_t stream = (uint64_t)net->step;
    const full_name full = path_of(net, name);
    for (const char *c = full.s; *c; c++) stream = (stream ^ (unsigned char)*c) * 1099511628211u;
    return hz_random_bits(net->seed, stream, (uint64_t)net->step);
}
