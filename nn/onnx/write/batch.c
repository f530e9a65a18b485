/* batch.c: which extents follow the batch. Every op's own shape rule is asked what it makes of a batch of one more; an
 * extent that then differs, and is a multiple of the batch, follows it. Nothing is computed: shape rules read no elements.
 *
 * Extents that a caller gave as numbers are made to follow where their input does. One that broadcasting made, or that the
 * adjoint of a slice of the batch has, follows if it is the batch's size.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "nn/onnx/write/write.h"
#include "tensor/file.h"

/* The shapes for the larger batch: leaves of a tape of their own, whose elements are never looked at. */
typedef struct shadow {
    hz__writer *w;
    hz_tape *t;
    hz_var *var;  /* of each node */
    int64_t more; /* the larger batch */
} shadow;

/* Extents, as attributes, of a result: those that stand beside an extent of x that changed change with it. */
static void follow_beside(const shadow *s, const hz_tensor *x, const hz_tensor *changed, int64_t *dim,
                          int rank, bool made) {
    int skip = rank - x->rank;
    bool any = false;
    for (int k = 0; k < rank; k++) {
        if (k - skip < 0 || k - skip >= x->rank || x->dim[k - skip] == changed->dim[k - skip]) continue;
        if (dim[k] == x->dim[k - skip]) dim[k] = changed->dim[k - skip];
        any = true;
    }
    for (int k = 0; made && !any && k < rank; k++) {
        bool repeated = k < skip || x->dim[k - skip] == 1;
        if (repeated && dim[k] == s->w->batch) {
            dim[k] = s->more;
            return;
        }
    }
}

/* The axis of the result that holds what axis `at` of x did: before both stand as many elements. */
static bool follow_reshape(const shadow *s, const hz_node *n, int at, int64_t *dim) {
    const hz_tensor *x = hz_in(n, 0), *y = &n->value;
    int64_t before = 1, product = 1;
    for (int k = 0; k < at; k++) before *= x->dim[k];
    for (int k = 0; k < y->rank; k++) {
        product *= y->dim[k];
        if (product <= before) continue;
        if (y->dim[k] % s->w->batch) return false;
        dim[k] = y->dim[k] / s->w->batch * s->more;
        return true;
    }
    return false;
}

static int changed_axis(const hz_tensor *x, const hz_tensor *y) {
    for (int k = 0; k < x->rank; k++)
        if (x->dim[k] != y->dim[k]) return k;
    return -1;
}

static bool adjust(const shadow *s, const hz_node *n, const hz_tensor *changed, void *attr) {
    const hz_tensor *x = hz_in(n, 0);
    int at = changed_axis(x, changed);
    if (n->op == &hz_op_reshape) {
        hz_attr_dims *a = attr;
        for (int k = 0; k < n->value.rank; k++) a->dim[k] = n->value.dim[k];
        return at < 0 || follow_reshape(s, n, at, a->dim);
    }
    if (n->op == &hz_op_broadcast_to || n->op == &hz_op_sum_to) {
        hz_attr_dims *a = attr;
        follow_beside(s, x, changed, a->dim, a->rank, n->op == &hz_op_broadcast_to);
    } else if (n->op == &hz_op_normalize_dot) {
        hz_attr_normalize_dot *a = attr;
        follow_beside(s, x, changed, a->to.dim, a->to.rank, false);
    } else if (n->op == &hz_op_slice) {
        hz_attr_slice *a = attr;
        if (at < 0 || at != hz_axis(x->rank, a->axis) || a->count != x->dim[at]) return true;
        a->count = changed->dim[at];
        if (a->step < 0) a->start = a->count - 1;
    } else if (n->op == &hz_op_slice_grad) {
        hz_attr_slice_grad *a = attr;
        int axis = hz_axis(x->rank, a->axis);
        if (at == axis) a->extent = changed->dim[axis];
        if (at == axis && a->step < 0) a->start = a->extent - 1;
        if (at < 0 && axis == 0 && a->extent == s->w->batch) a->extent = s->more;
    }
    return true;
}

/* *out: what n's value would be for the larger batch. */
static bool larger_shape(const shadow *s, const hz_node *n, hz_tensor *out, hz_error *err) {
    hz_var *in = hz__keep(s->w, (size_t)n->n_in + 1, sizeof *in);
    void *attr = hz__keep(s->w, n->op->attr_size + 1, 1);
    if (!in || !attr) return hz_fail(err, HZ_ENOMEM, "out of memory");
    if (n->attr) memcpy(attr, n->attr, n->op->attr_size);
    for (int i = 0; i < n->n_in; i++) in[i] = s->var[n->in[i].id];
    if (!adjust(s, n, hz_value(in[0]), attr))
        return hz_fail(err, HZ_ESHAPE, "%s: no extent of %s follows the batch", hz_node_str(n).s,
                       hz_shape_str(&n->value).s);
    hz_node larger = *n;
    larger.tape = s->t;
    larger.in = in;
    larger.attr = n->attr ? attr : NULL;
    if (n->op == &hz_op_add_n || n->op == &hz_op_detach) {
        *out = *hz_value(in[0]);
        return true;
    }
    return n->op->shape(&larger, out, err) || hz_fail_in(err, "with another batch, %s", hz_node_str(n).s);
}

/* At most one axis may differ, and be a multiple of the batch. */
static bool compare(const shadow *s, const hz_node *n, const hz_tensor *larger, hz__follows *f,
                    hz_error *err) {
    const hz_tensor *v = &n->value;
    for (int k = 0; k < v->rank; k++) {
        if (v->dim[k] == larger->dim[k]) continue;
        int64_t factor = v->dim[k] / s->w->batch;
        if (f->axis >= 0 || factor * s->w->batch != v->dim[k] || factor * s->more != larger->dim[k])
            return hz_fail(err, HZ_ESHAPE,
                           "%s is %s, with a batch of one more %s: not a multiple of the batch",
                           hz_node_str(n).s, hz_shape_str(v).s, hz_shape_str(larger).s);
        *f = (hz__follows){k, factor};
    }
    return true;
}

static bool follow_node(const shadow *s, const hz_node *n, hz_error *err) {
    static const char element; /* stands for all of them */
    hz_tensor larger = n->value;
    bool is_input = s->w->declared[n->id] != 0;
    if (is_input && larger.rank > 0)
        larger.dim[0] = s->more;
    else if (!is_input && n->op != &hz_op_leaf && !larger_shape(s, n, &larger, err))
        return false;
    if (!compare(s, n, &larger, &s->w->follows[n->id], err)) return false;
    larger.data = (void *)&element;
    hz_tensor_set_contiguous(&larger);
    s->var[n->id] = hz_input(s->t, &larger);
    return hz_tape_ok(s->t, err);
}

static bool check_batch(hz__writer *w, hz_error *err) {
    for (int k = 0; k < w->n_inputs; k++) {
        const hz_tensor *x = hz_value(w->input[k]);
        if (x->rank == 0) continue;
        if (!w->batch) w->batch = x->dim[0];
        if (x->dim[0] != w->batch)
            return hz_fail(err, HZ_ESHAPE, "inputs of batches of %" PRId64 " and %" PRId64, w->batch,
                           x->dim[0]);
    }
    if (w->batch > 1) return true;
    return hz_fail(err, HZ_EINVAL,
                   "a batch of any size is told from other extents by its size: record at least 2 examples, "
                   "not %" PRId64,
                   w->batch);
}

bool hz__follow_batch(hz__writer *w, hz_error *err) {
    if (!check_batch(w, err)) return false;
    shadow s = {.w = w, .more = w->batch + 1, .t = hz_tape_new(&(hz_tape_opts){.alloc = w->opts->alloc})};
    s.var = hz__keep(w, w->size, sizeof *s.var);
    bool ok = s.t && s.var;
    if (!ok) hz_fail(err, HZ_ENOMEM, "out of memory");
    for (uint32_t id = 1; id < w->size && ok; id++)
        if (w->needed[id] || w->declared[id]) ok = follow_node(&s, hz_node_of(hz_at(w->t, id)), err);
    hz_tape_free(s.t);
    return ok;
}
