/* apply.c: recording an op. Check the inputs, let the op state its output's shape, find memory, run it, append.
 * This path is taken by every op of every network: nothing here may cost more than it must.
 *
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "autograd/internal.h"

/* The op and where it stands, in front of the text an op gave. */
static hz_var fail_in_op(hz_tape *t, const hz_op *op) {
    if (t->scope_len)
        hz_fail_in(&t->error, "%s \"%s\"", op->name, t->scope);
    else
        hz_fail_in(&t->error, "%s", op->name);
    return hz_none(t);
}

static bool check_inputs(hz_tape *t, const hz_op *op, const hz_var *in, int n_in) {
    if (op->n_in != HZ_VARIADIC && op->n_in != n_in) {
        hz_fail(&t->error, HZ_EINVAL, "takes %d inputs, not %d", op->n_in, n_in);
        return false;
    }
    for (int i = 0; i < n_in; i++) {
        if (in[i].tape != t)
            return hz_fail(&t->error, HZ_EINVAL, "input %d is on another tape than input 0", i);
        if (in[i].id == 0) return hz_fail(&t->error, HZ_EINVAL, "input %d is the inert variable", i);
        if (in[i].id >= t->size)
            return hz_fail(&t->error, HZ_EINVAL, "input %d (id %u) is no longer on the tape", i, in[i].id);
    }
    return true;
}

/* Memory for the output: a share of input 0's if the op made a view of it, otherwise a block of its own. */
static bool give_memory(hz_node *n) {
    if ((n->op->flags & HZ_OP_VIEW) && n->value.data) {
        n->block = hz__node(n->tape, n->in[0].id)->block;
        hz_block_ref(n->block);
        return true;
    }
    n->block = hz_pool_tensor(n->tape->exec.pool, &n->value, &n->tape->error);
    return n->block && n->op->forward(n, &n->tape->exec, &n->tape->error);
}

static hz_var record(hz_tape *t, const hz_op *op, const hz_var *in, int n_in, const void *attr) {
    hz_mark mark = hz_tape_mark(t);
    hz_var *inputs = hz_arena_copy(&t->arena, in, (size_t)n_in * sizeof *in);
    void *attributes = op->attr_size ? hz_arena_copy(&t->arena, attr, op->attr_size) : NULL;
    if (!inputs || (op->attr_size && !attributes)) {
        hz_fail(&t->error, HZ_ENOMEM, "no memory to record it");
        return fail_in_op(t, op);
    }
    hz_node *n = hz__push(t, op, inputs, n_in, (hz_tensor){.data = NULL}, NULL);
    if (!n) return hz_none(t);
    n->attr = attributes;
    if (!op->shape(n, &n->value, &t->error) || !give_memory(n)) {
        hz_var none = fail_in_op(t, op);
        hz_tape_rewind(t, mark);
        return none;
    }
    return n->out;
}

hz_var hz_apply(const hz_op *op, const hz_var *in, int n_in, const void *attr) {
    if (n_in < 1 || !in[0].tape) return (hz_var){NULL, 0};
    hz_tape *t = in[0].tape;
    if (t->error.code) return hz_none(t);
    if (!check_inputs(t, op, in, n_in)) return fail_in_op(t, op);
    return record(t, op, in, n_in, attr);
}

hz_var hz_apply0(const hz_op *op, hz_tape *t, const void *attr) {
    if (t->error.code) return hz_none(t);
    static const hz_var nothing;
    return record(t, op, &nothing, 0, attr);
}
