/* pad_grad.c: the adjoint of pad for the modes that fill the border with copies: every copy is added back to where
 * it came from. Padding with a value needs no op of its own: hz_pad with the padding negated.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/padding.h"

#include <inttypes.h>

/* dx, of which dy is the padded form. */
static bool pad_grad_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *dy = hz_in(n, 0);
    const hz_attr_padding *p = n->attr;
    hz_tensor inner, outer;
    if (!hz_shape_float(n, out, err)) return false;
    inner = hz_tensor_of(NULL, dy->dtype, dy->rank, dy->dim);
    for (int k = 0; k < dy->rank; k++) {
        if (p->before[k] < 0 || p->after[k] < 0 || p->before[k] > dy->dim[k] - p->after[k])
            return hz_fail(err, HZ_ESHAPE,
                           "cotangent %s cannot have a border of %" PRId64 " and %" PRId64 " along axis %d",
                           hz_shape_str(dy).s, p->before[k], p->after[k], k);
        inner.dim[k] -= p->before[k] + p->after[k];
    }
    if (!hz__padding_grow(p, &inner, &outer, err)) return false;
    *out = inner;
    return true;
}

/* copy_border of pad.c backwards: add every layer of the border to the one it was copied from. */
static bool add_border(const hz_exec *ex, const hz_attr_padding *p, const hz_tensor *grown, int axis,
                       hz_error *err) {
    for (int64_t j = 0; j < p->before[axis] + p->after[axis]; j++) {
        hz_tensor layer, source;
        if (!hz__padding_layer(p, grown, axis, j, &layer, &source, err)) return false;
        hz_map2(ex, HZ_ADD, &source, &layer, 0, 0, &source);
    }
    return true;
}

/* Fold the borders of sum, a copy of dy, into its centre, the last axis first. */
static bool fold(const hz_node *n, const hz_exec *ex, const hz_tensor *sum, hz_error *err) {
    const hz_attr_padding *p = n->attr;
    hz_tensor grown = *sum;
    for (int axis = sum->rank - 1; axis >= 0; axis--) {
        if (!add_border(ex, p, &grown, axis, err)) return false;
        if (!hz_view_slice(&grown, axis, p->before[axis], n->value.dim[axis], 1, &grown, err)) return false;
    }
    hz_copy(ex, &grown, &n->value);
    return true;
}

static bool pad_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    hz_tensor sum = *hz_in(n, 0);
    if (hz_numel(&sum) == 0) return true; /* however long its empty borders are */
    hz_block *block = hz_pool_tensor(ex->pool, &sum, err);
    if (!block) return false;
    hz_copy(ex, hz_in(n, 0), &sum);
    bool ok = fold(n, ex, &sum, err);
    hz_block_unref(block);
    return ok;
}

static hz_var pad_grad_vjp(const hz_node *n, int i, hz_var ddx) {
    (void)i;
    const hz_attr_padding *p = n->attr;
    return hz_pad(ddx, p->before, p->after, p->mode, 0);
}

static const int64_t some[] = {1, 2}, more[] = {2, 0};

static hz_var call_reflect(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad_grad(x[0], some, more, HZ_PAD_REFLECT);
}

static hz_var call_edge(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad_grad(x[0], some, more, HZ_PAD_EDGE);
}

static hz_var call_wrap(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_pad_grad(x[0], some, more, HZ_PAD_WRAP);
}

static const hz_sample samples[] = {
    {"reflect", 1, {{.rank = 2, .dim = {7, 5}}}, call_reflect, false},
    {"reflect more than once", 1, {{.rank = 2, .dim = {5, 3}}}, call_reflect, false},
    {"edge", 1, {{.rank = 2, .dim = {5, 4}}}, call_edge, false},
    {"wrap", 1, {{.rank = 2, .dim = {6, 5}}}, call_wrap, false},
};

const hz_op hz_op_pad_grad = {.name = "pad_grad",
                              .n_in = 1,
                              .attr_size = sizeof(hz_attr_padding),
                              .shape = pad_grad_shape,
                              .forward = pad_grad_forward,
                              .vjp = pad_grad_vjp,
                              .samples = samples,
                              .n_samples = HZ__COUNT(samples)};

hz_var hz_pad_grad(hz_var dy, const int64_t *before, const int64_t *after, hz_pad_mode mode) {
    int rank = hz_ok(dy) ? hz_value(dy)->rank : 0;
    hz_attr_padding p = hz__padding_of(rank, before, after, mode, 0);
    if (mode != HZ_PAD_CONSTANT) return hz_apply1(&hz_op_pad_grad, dy, &p);
    for (int k = 0; k < rank; k++) p.before[k] = -p.before[k], p.after[k] = -p.after[k];
    return hz_pad(dy, p.before, p.after, mode, 0);
}
