/* expand.c: nodes that stand for others (hz_op.expand), and what is inside them.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/internal.h"

static bool fits(const hz_node *n, const hz_tensor *got) {
    if (got->dtype == n->value.dtype && hz_same_shape(got, &n->value)) return true;
    hz_tape_fail(n->tape, HZ_ESHAPE, "%s, which is %s %s, expands to %s %s", hz_node_str(n).s,
                 hz_dtype_name(n->value.dtype), hz_shape_str(&n->value).s, hz_dtype_name(got->dtype),
                 hz_shape_str(got).s);
    return false;
}

hz_var hz__expand_node(const hz_node *n) {
    hz_tape *t = n->tape;
    const uint32_t before = t->size;
    hz_var y = n->op->expand(n);
    if (t->error.code || y.tape != t || !hz_ok(y))
        return hz_tape_fail(t, HZ_EINVAL, "%s: expands to nothing", hz_node_str(n).s);
    if (!fits(n, hz_value(y)) || (y.id >= before && !hz__name_like(y, n))) return hz_none(t);
    return y;
}

static const hz_node *search(hz_tape *t, uint32_t from, hz__node_fn is, const void *ctx, int depth) {
    const hz_node *found = NULL;
    for (uint32_t id = from, end = t->size; id < end && !found && depth < HZ__DEPTH; id++) {
        const hz_node *n = hz__node(t, id);
        if (!n->op->expand || t->error.code) continue;
        hz_mark mark = hz_tape_mark(t);
        hz__expand_node(n);
        for (uint32_t in = end; in < t->size && !found; in++)
            if (is(hz__node(t, in), ctx)) found = n;
        if (!found && search(t, end, is, ctx, depth + 1)) found = n;
        hz_tape_rewind(t, mark);
    }
    return t->error.code ? NULL : found;
}

const hz_node *hz__search_inside(hz_tape *t, hz__node_fn is, const void *ctx) {
    return search(t, 1, is, ctx, 0);
}
