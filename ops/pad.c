/* pad.c: a border around a tensor: of one value, or of its own elements, mirrored, repeated or wrapped around.
 *
 *   y[i] = x[source(i − before)] along every axis
 *
 * Padding with a value may be negative, which cuts; it is its own adjoint then (padding by −before, −after). The
 * other modes have pad_grad.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/padding.h"

static bool only_cuts(const hz_attr_padding *p, int rank) {
    for (int k = 0; k < rank; k++)
        if (p->before[k] > 0 || p->after[k] > 0) return false;
    return true;
}

/* The part of x that padding with a value keeps, as positions of x. */
static hz_box kept(const hz_attr_padding *p, const hz_tensor *x) {
    hz_box box = hz_box_full(x);
    for (int k = 0; k < x->rank; k++) {
        if (p->before[k] < 0) box.lo[k] -= p->before[k];
        if (p->after[k] < 0) box.hi[k] += p->after[k];
    }
    return box;
}

static bool pad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    const hz_attr_padding *p = n->attr;
    if (!hz__padding_grow(p, x, out, err)) return false;
    hz_box all = kept(p, x);
    if (only_cuts(p, x->rank)) *out = hz_view_box(x, &all);
    return true;
}

static void pad_constant(const hz_node *n, const hz_exec *ex) {
    const hz_tensor *x = hz_in(n, 0);
    const hz_attr_padding *p = n->attr;
    hz_box from = kept(p, x), to = from;
    for (int k = 0; k < x->rank; k++) to.lo[k] += p->before[k], to.hi[k] += p->before[k];
    hz_tensor part = hz_view_box(x, &from), place = hz_view_box(&n->value, &to);
    hz_fill(ex, &n->value, p->value);
    hz_copy(ex, &part, &place);
}

/* Fill the border of one axis, layer by layer, of `grown`, which has no border along the axes after it yet. */
static bool copy_border(const hz_exec *ex, const hz_attr_padding *p, const hz_tensor *grown, int axis,
                        hz_error *err) {
    for (int64_t j = 0; j < p->before[axis] + p->after[axis]; j++) {
        hz_tensor layer, source;
        if (!hz__padding_layer(p, grown, axis, j, &layer, &source, err)) return false;
        hz_copy(ex, &source, &layer);
    }
    return true;
}

static bool pad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    const hz_attr_padding *p = n->attr;
    if (hz_numel(&n->value) == 0) return true; /* however long its empty borders are */
    if (p->mode == HZ_PAD_CONSTANT) {
        pad_constant(n, ex);
        return true;
    }
    hz_tensor centre = hz__padding_centre(p, &n->value, x->dim);
    hz_copy(ex, x, &centre);
    for (int axis = 0; axis < x->rank; axis++) {
        hz_tensor grown = n->value;
        for (int k = axis + 1; k < x->rank; k++)
            if (!hz_view_slice(&grown, k, p->before[k], x->dim[k], 1, &grown, err)) return false;
        if (!copy_border(ex, p, &grown, axis, err)) return false;
    }
    return true;
}

static hz_var pad_vjp(const hz_node *n, int i, hz_var dy) {
    (void)i;
    const hz_attr_padding *p = n->attr;
    return hz_pad_grad(dy, p->before, p->after, p->mode);
}

/* The sources of positions lo ≤ k < hi of the padded axis lie between these. */
static void source_range(const hz_attr_padding *p, int axis, int64_t extent, const hz_box *out, hz_box *in) {
    int64_t lo = out->lo[axis] - p->before[axis], hi = out->hi[axis] - p->before[axis];
    in->lo[axis] = lo, in->hi[axis] = hi;
    if (p->mode == HZ_PAD_CONSTANT || (lo >= 0 && hi <= extent)) return;
    if (lo < -p->before[axis]) lo = -p->before[axis];
    if (hi > extent + p->after[axis]) hi = extent + p->after[axis];
    in->lo[axis] = extent, in->hi[axis] = 0;
    for (int64_t k = lo; k < hi; k++) {
        int64_t source = hz__padding_source(p->mode, k, extent);
        if (source < in->lo[axis]) in->lo[axis] = source;
        if (source >= in->hi[axis]) in->hi[axis] = source + 1;
    }
}

static bool pad_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_tensor *x = hz_in(n, i);
    for (int k = 0; k < x->rank; k++) source_range(n->attr, k, x->dim[k], out, in);
    return true;
}

/* Padding with a value: what lies outside x is still border. The other modes: along each axis no border, or all. */
static bool pad_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    hz_attr_padding *p = attr;
    for (int k = 0; k < n->value.rank; k++) {
        bool full = out->lo[k] == 0 && out->hi[k] == n->value.dim[k];
        int64_t lo = out->lo[k] - p->before[k], hi = out->hi[k] - p->before[k];
        bool inside = lo >= 0 && hi <= hz_in(n, 0)->dim[k];
        if (p->mode != HZ_PAD_CONSTANT && full) continue;
        if (p->mode != HZ_PAD_CONSTANT && !inside) return false;
        p->before[k] = in->lo[k] - lo;
        p->after[k] = hi - in->hi[k];
    }
    return true;
}

static const int64_t some[] = {1, 2}, more[] = {2, 0}, cut[] = {-1, 2}, cuts[] = {-1, 0};

static hz_var call_zeros(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad(x[0], some, more, HZ_PAD_CONSTANT, 0);
}

static hz_var call_value(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad(x[0], cut, more, HZ_PAD_CONSTANT, 3);
}

static hz_var call_cut(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad(x[0], cuts, cuts, HZ_PAD_CONSTANT, 0);
}

static hz_var call_reflect(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad(x[0], some, more, HZ_PAD_REFLECT, 0);
}

static hz_var call_edge(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad(x[0], some, more, HZ_PAD_EDGE, 0);
}

static hz_var call_wrap(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad(x[0], some, more, HZ_PAD_WRAP, 0);
}

static const hz_sample samples[] = {
    {"zeros", 1, {{.rank = 2, .dim = {3, 2}}}, call_zeros, false},
    {"a value, and a cut", 1, {{.rank = 2, .dim = {3, 4}}}, call_value, false},
    {"cuts", 1, {{.rank = 2, .dim = {4, 3}}}, call_cut, false},
    {"reflect", 1, {{.rank = 2, .dim = {4, 3}}}, call_reflect, false},
    {"reflect more than once", 1, {{.rank = 2, .dim = {2, 1}}}, call_reflect, false},
    {"edge", 1, {{.rank = 2, .dim = {2, 3}}}, call_edge, false},
    {"wrap", 1, {{.rank = 2, .dim = {3, 4}}}, call_wrap, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 2}}}, call_zeros, false},
};

const hz_op hz_op_pad = {.name = "pad",
                         .n_in = 1,
                         .flags = HZ_OP_VIEW,
                         .attr_size = sizeof(hz_attr_padding),
                         .shape = pad_shape,
                         .forward = pad_forward,
                         .vjp = pad_vjp,
                         .reach = pad_reach,
                         .crop = pad_crop,
                         .samples = samples,
                         .n_samples = HZ__COUNT(samples)};

hz_var hz_pad(hz_var x, const int64_t *before, const int64_t *after, hz_pad_mode mode, double value) {
    int rank = hz_ok(x) ? hz_value(x)->rank : 0;
    hz_attr_padding p = hz__padding_of(rank, before, after, mode, value);
    return hz_apply1(&hz_op_pad, x, &p);
}
