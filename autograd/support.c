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

bool hz__reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    if (n->op->flags & HZ_OP_POINTWISE) {
        reach_pointwise(n, i, out, in);
        return true;
    }
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

static hz_var push_view(hz_tape *t, const hz_tensor *x, const hz_box *box) {
    hz_tensor part = hz_view_box(x, box);
    return hz__push_leaf(t, &part, NULL);
}

static bool push_views(const hz_node *n, const hz_box *out, hz__crop *crop) {
    hz_tape *t = n->tape;
    hz_var *in = hz_arena_alloc(&t->sweeps, (size_t)n->n_in * sizeof *in);
    if (!in) return false;
    for (int i = 0; i < n->n_in; i++) {
        bool all = hz_box_is_full(&crop->in_box[i], hz_in(n, i));
        in[i] = all ? n->in[i] : push_view(t, hz_in(n, i), &crop->in_box[i]);
    }
    crop->node.in = in;
    crop->node.out = push_view(t, &n->value, out);
    crop->node.value = *hz_value(crop->node.out);
    return hz_ok(crop->node.out);
}

bool hz__crop_node(const hz_node *n, const hz_box *out, hz__crop *crop) {
    if (!(n->op->flags & HZ_OP_POINTWISE) && !n->op->reach) return false;
    crop->node = *n;
    return crop_inputs(n, out, crop) && crop_attributes(n, out, crop) && push_views(n, out, crop);
}

/* ---- receptive fields: geometry alone ---- */

typedef struct field_search {
    uint32_t lo; /* id of the target; boxes are kept for ids lo … */
    hz_box *box;
    bool *seen;
} field_search;

static void widen(field_search *s, hz_var in, const hz_box *box) {
    if (in.id < s->lo || hz_box_is_empty(box, hz_value(in)->rank)) return;
    uint32_t k = in.id - s->lo;
    s->box[k] = s->seen[k] ? hz_box_union(&s->box[k], box, hz_value(in)->rank) : *box;
    s->seen[k] = true;
}

static void search_field(field_search *s, hz_tape *t, uint32_t from) {
    for (uint32_t id = from; id > s->lo; id--) {
        const hz_node *n = hz__node(t, id);
        if (!s->seen[id - s->lo]) continue;
        for (int i = 0; i < n->n_in; i++) {
            hz_box box;
            if (!hz__reach(n, i, &s->box[id - s->lo], &box)) box = hz_box_full(hz_in(n, i));
            widen(s, n->in[i], &box);
        }
    }
}

bool hz_receptive_field(hz_var y, const hz_box *unit, hz_var x, hz_box *field) {
    if (!hz_ok(y) || !hz_ok(x) || y.tape != x.tape || x.id > y.id) return false;
    hz_tape *t = y.tape;
    hz_arena_mark mark = hz_arena_now(&t->sweeps);
    size_t count = (size_t)(y.id - x.id) + 1;
    field_search s = {.lo = x.id,
                      .box = hz_arena_alloc(&t->sweeps, count * sizeof *s.box),
                      .seen = hz_arena_alloc(&t->sweeps, count * sizeof *s.seen)};
    bool found = false;
    if (s.box && s.seen) {
        memset(s.seen, 0, count * sizeof *s.seen);
        widen(&s, y, unit);
        search_field(&s, t, y.id);
        found = s.seen[0];
        if (found) *field = s.box[0];
    }
    hz_arena_rewind(&t->sweeps, mark);
    return found;
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
