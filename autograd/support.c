/* support.c: where a cotangent can be non-zero, and the part of a node that is worth working on.
 *
 * The gradient of one unit of a convolutional layer is zero outside the unit's receptive field. The sweep carries
 * the box of the non-zero part. To pass through a node it works on the node *restricted* to that box: the same op,
 * on cropped views of its inputs, with attributes the op adjusts (padding, for a convolution). An op's ordinary
 * vjp, or a rule, then runs on the restricted node without knowing. The geometry (hz_op.reach) alone, without
 * values, gives the receptive fields at the end of this file.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "autograd/internal.h"

/* ---- one step back ---- */

/* An elementwise op with NumPy broadcasting: the same positions, all of an axis that was stretched from 1. */
static void reach_pointwise(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_tensor *x = hz_in(n, i);
    int skip = n->value.rank - x->rank;
    for (int k = 0; k < x->rank; k++) {
        bool stretched = x->dim[k] == 1 && n->value.dim[k + skip] != 1;
        in->lo[k] = stretched ? 0 : out->lo[k + skip];
        in->hi[k] = stretched ? 1 : out->hi[k + skip];
    }
}

static bool reach_inside(const hz_node *n, int i, const hz_box *out, hz_box *in);

bool hz__reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    if (n->op->flags & HZ_OP_POINTWISE) {
        reach_pointwise(n, i, out, in);
        return true;
    }
    if (n->op->expand && !n->op->reach) return reach_inside(n, i, out, in);
    return n->op->reach && n->op->reach(n, i, out, in);
}

/* ---- the restricted node ---- */

static bool crop_inputs(const hz_node *n, const hz_box *out, hz__crop *crop) {
    crop->in_box = hz_arena_alloc(&n->tape->sweeps, (size_t)n->n_in * sizeof *crop->in_box);
    if (!crop->in_box) return false;
    for (int i = 0; i < n->n_in; i++) {
        const hz_tensor *x = hz_in(n, i);
        hz_box box;
        crop->in_box[i] = hz__reach(n, i, out, &box) ? hz_box_clip(&box, x) : hz_box_full(x);
    }
    return true;
}

static bool crop_attributes(const hz_node *n, const hz_box *out, hz__crop *crop) {
    if (!n->op->crop) return true;
    void *attr = n->attr ? hz_arena_copy(&n->tape->sweeps, n->attr, n->op->attr_size) : NULL;
    if (n->attr && !attr) return false;
    crop->node.attr = attr;
    return n->op->crop(n, out, crop->in_box, attr);
}

/* It holds on to the memory: a vjp may return it, and what n is part of may be rewound before that is used. */
static hz_var push_view(const hz_node *n, const hz_box *box) {
    hz_tensor part = hz_view_box(&n->value, box);
    hz_block_ref(n->block);
    return hz__push_leaf(n->tape, &part, n->block);
}

static bool push_views(const hz_node *n, const hz_box *out, hz__crop *crop) {
    hz_tape *t = n->tape;
    hz_var *in = hz_arena_alloc(&t->sweeps, (size_t)n->n_in * sizeof *in);
    if (!in) return false;
    for (int i = 0; i < n->n_in; i++) {
        bool all = hz_box_is_full(&crop->in_box[i], hz_in(n, i));
        in[i] = all ? n->in[i] : push_view(hz__node(t, n->in[i].id), &crop->in_box[i]);
    }
    crop->node.in = in;
    crop->node.out = push_view(n, out);
    crop->node.value = *hz_value(crop->node.out);
    return hz_ok(crop->node.out);
}

bool hz__crop_node(const hz_node *n, const hz_box *out, hz__crop *crop) {
    if (!(n->op->flags & HZ_OP_POINTWISE) && !n->op->reach) return false;
    crop->node = *n;
    return crop_inputs(n, out, crop) && crop_attributes(n, out, crop) && push_views(n, out, crop);
}

/* ---- receptive fields: geometry alone ---- */

/* Boxes are kept for the target and for ids lo …, the nodes that are gone through. */
typedef struct field_search {
    uint32_t target, lo;
    hz_box *box; /* box[0]: the target's */
    bool *seen;
} field_search;

static bool is_searched(const field_search *s, hz_var in) {
    return in.id == s->target || in.id >= s->lo;
}

static void widen(field_search *s, hz_var in, const hz_box *box) {
    if (!is_searched(s, in) || hz_box_is_empty(box, hz_value(in)->rank)) return;
    uint32_t k = in.id == s->target ? 0 : in.id - s->lo + 1;
    s->box[k] = s->seen[k] ? hz_box_union(&s->box[k], box, hz_value(in)->rank) : *box;
    s->seen[k] = true;
}

static void search_node(field_search *s, const hz_node *n, const hz_box *out) {
    for (int i = 0; i < n->n_in; i++) {
        hz_box box;
        bool leads_on = n->in[i].id == s->target || hz_node_of(n->in[i])->n_in > 0;
        if (!leads_on || !is_searched(s, n->in[i])) continue;
        if (!hz__reach(n, i, out, &box)) box = hz_box_full(hz_in(n, i));
        widen(s, n->in[i], &box);
    }
}

/* The box of x that the elements `unit` of y depend on, by way of nodes lo … alone. */
static bool search_field(hz_var y, const hz_box *unit, hz_var x, uint32_t lo, hz_box *field) {
    hz_tape *t = y.tape;
    hz_arena_mark mark = hz_arena_now(&t->sweeps);
    size_t count = y.id >= lo ? (size_t)(y.id - lo) + 2 : 1;
    field_search s = {.target = x.id,
                      .lo = lo,
                      .box = hz_arena_alloc(&t->sweeps, count * sizeof *s.box),
                      .seen = hz_arena_alloc(&t->sweeps, count * sizeof *s.seen)};
    bool found = false;
    if (s.box && s.seen) {
        memset(s.seen, 0, count * sizeof *s.seen);
        widen(&s, y, unit);
        for (uint32_t k = (uint32_t)count - 1; k > 0; k--)
            if (s.seen[k]) search_node(&s, hz__node(t, lo + k - 1), &s.box[k]);
        found = s.seen[0];
        if (found) *field = s.box[0];
    }
    hz_arena_rewind(&t->sweeps, mark);
    return found;
}

/* Through what n stands for. No way from the input to the output: an empty box. */
static bool reach_inside(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    hz_mark mark = hz_tape_mark(n->tape);
    hz_var y = hz__expand_node(n);
    const bool ok = hz_ok(y);
    if (ok && !search_field(y, out, n->in[i], mark.nodes, in)) *in = (hz_box){{0}, {0}};
    hz_tape_rewind(n->tape, mark);
    return ok;
}

bool hz_receptive_field(hz_var y, const hz_box *unit, hz_var x, hz_box *field) {
    if (!hz_ok(y) || !hz_ok(x) || y.tape != x.tape || x.id > y.id) return false;
    return search_field(y, unit, x, x.id + 1, field);
}

bool hz_receptive_field_axis(hz_var y, int axis_y, hz_var x, int axis_x, hz_field *field) {
    if (!hz_ok(y) || !hz_ok(x)) return false;
    const hz_tensor *value = hz_value(y);
    axis_y = hz_axis(value->rank, axis_y);
    axis_x = hz_axis(hz_value(x)->rank, axis_x);
    if (axis_y < 0 || axis_x < 0) return false;
    hz_box unit, here, next;
    for (int k = 0; k < value->rank; k++) unit.lo[k] = value->dim[k] / 2, unit.hi[k] = unit.lo[k] + 1;
    int64_t at = unit.lo[axis_y];
    if (!hz_receptive_field(y, &unit, x, &here)) return false;
    unit.lo[axis_y]++, unit.hi[axis_y]++;
    if (!hz_receptive_field(y, &unit, x, &next)) return false;
    field->size = here.hi[axis_x] - here.lo[axis_x];
    field->stride = next.lo[axis_x] - here.lo[axis_x];
    field->offset = here.lo[axis_x] - at * field->stride;
    return true;
}
