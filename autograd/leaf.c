/* leaf.c: variables that no op made (borrowed inputs, copies, constants) and detach, which makes a leaf of
 * something that was made.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "autograd/internal.h"
#include "tensor/elementwise.h"

static bool leaf_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    (void)out;
    return hz_fail(err, HZ_EINVAL, "%s is not recorded by hz_apply", n->op->name);
}

const hz_op hz_op_leaf = {.name = "leaf", .n_in = 0, .shape = leaf_shape};

hz_var hz__push_leaf(hz_tape *t, const hz_tensor *value, hz_block *block) {
    hz_node *n = hz__push(t, &hz_op_leaf, NULL, 0, *value, block);
    return n ? n->out : hz_none(t);
}

/* The caller's tensor, after checking what can be checked; what says who asked. */
static bool check_value(hz_tape *t, const char *what, const hz_tensor *value) {
    if (!hz_shape_check(what, value->dtype, value->rank, value->dim, t->error.code ? NULL : &t->error))
        return false;
    if (!value->data && hz_numel(value) > 0) {
        hz_tape_fail(t, HZ_EINVAL, "%s: data is NULL for shape %s", what, hz_shape_str(value).s);
        return false;
    }
    return true;
}

hz_var hz_input(hz_tape *t, const hz_tensor *value) {
    if (t->error.code || !check_value(t, "hz_input", value)) return hz_none(t);
    hz_var known = hz__replayed_leaf(t, value);
    return hz_ok(known) ? known : hz__push_leaf(t, value, NULL);
}

static hz_var push_new(hz_tape *t, hz_tensor *shape) {
    hz_block *block = hz_pool_tensor(t->exec.pool, shape, &t->error);
    return block ? hz__push_leaf(t, shape, block) : hz_none(t);
}

hz_var hz_copy_in(hz_tape *t, const hz_tensor *value) {
    if (t->error.code || !check_value(t, "hz_copy_in", value)) return hz_none(t);
    hz_tensor copy = *value;
    hz_var x = push_new(t, &copy);
    if (hz_ok(x)) hz_copy(&t->exec, value, &copy);
    return x;
}

hz_var hz_full(hz_tape *t, hz_dtype dtype, int rank, const int64_t *dim, double fill) {
    if (t->error.code || !hz_shape_check("hz_full", dtype, rank, dim, &t->error)) return hz_none(t);
    hz_tensor value = hz_tensor_of(NULL, dtype, rank, dim);
    hz_var x = push_new(t, &value);
    if (hz_ok(x)) hz_fill(&t->exec, &value, fill);
    return x;
}

hz_var hz_scalar(hz_tape *t, hz_dtype dtype, double value) {
    return hz_full(t, dtype, 0, NULL, value);
}

double hz_item(hz_var x) {
    if (!hz_ok(x)) return NAN;
    const hz_tensor *value = hz_value(x);
    if (hz_numel(value) != 1) {
        hz_tape_fail(x.tape, HZ_ESHAPE, "hz_item: %s has shape %s, not one element",
                     hz_node_str(hz_node_of(x)).s, hz_shape_str(value).s);
        return NAN;
    }
    return hz_get_flat(value, 0);
}

/* ---- detach: the same memory, no way back ---- */

static bool detach_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    (void)err;
    *out = *hz_in(n, 0);
    return true;
}

static bool detach_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    hz_copy(ex, hz_in(n, 0), &n->value);
    return true;
}

const hz_op hz_op_detach = {
    .name = "detach", .n_in = 1, .flags = HZ_OP_VIEW, .shape = detach_shape, .forward = detach_forward};

hz_var hz_detach(hz_var x) {
    return hz_apply1(&hz_op_detach, x, NULL);
}
