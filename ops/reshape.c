/* reshape.c: the same elements in row-major order under another shape. A view where the strides allow it, else a
 * copy. Also flatten, squeeze and unsqueeze.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"

static bool reshape_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    const hz_attr_dims *to = n->attr;
    hz_tensor in_order = *x; /* whether a view is possible is not a question of right or wrong here */
    hz_tensor_set_contiguous(&in_order);
    if (!hz_view_reshape(&in_order, to->rank, to->dim, out, err)) return false;
    if (!hz_can_view(x, out->rank, out->dim)) {
        out->data = NULL;
        return true;
    }
    hz_tensor shape = *out;
    return hz_view_reshape(x, shape.rank, shape.dim, out, err);
}

static bool reshape_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    const hz_tensor *x = hz_in(n, 0);
    hz_tensor y = hz_tensor_of(n->value.data, x->dtype, x->rank, x->dim);
    hz_copy(ex, x, &y);
    return true;
}

static hz_var reshape_vjp(const hz_node *n, int i, hz_var dy) {
    const hz_tensor *x = hz_in(n, i);
    return hz_reshape(dy, x->rank, x->dim);
}

/* ---- boxes ----
 *
 * Both shapes fall into the smallest runs of axes of equal element count: [2,3,4,5] and [6,4,1,5] into 2·3 = 6,
 * 4 = 4, 5 = 1·5. Where a run is one axis on both sides, positions carry over. Where it is not, those inside the
 * box have row-major numbers first … last in the run, and become the smallest box of the other side around them. */

typedef struct run {
    int from, to; /* axes from ≤ k < to */
} run;

/* Extend both runs, which begin at `from`, to the first place where their element counts agree. */
static void next_runs(const hz_tensor *x, const hz_tensor *y, run *a, run *b) {
    int64_t count_a = 1, count_b = 1;
    while (a->to < x->rank && x->dim[a->to] == 1) a->to++;
    while (b->to < y->rank && y->dim[b->to] == 1) b->to++;
    do {
        if (count_a <= count_b && a->to < x->rank)
            count_a *= x->dim[a->to++];
        else if (b->to < y->rank)
            count_b *= y->dim[b->to++];
    } while (count_a != count_b);
}

/* The only axis of the run with more than one element, or −1 if there is none or more than one. */
static int single_axis(const hz_tensor *x, run r) {
    int found = -1;
    for (int k = r.from; k < r.to; k++) {
        if (x->dim[k] == 1) continue;
        if (found >= 0) return -1;
        found = k;
    }
    return found;
}

static int64_t number_in_run(const hz_tensor *x, run r, const int64_t *idx) {
    int64_t number = 0;
    for (int k = r.from; k < r.to; k++) number = number * x->dim[k] + idx[k];
    return number;
}

/* The smallest box around elements first … last of the run: axes in which both agree, one in which they do not, all
 * of the axes after it. */
static void around_numbers(const hz_tensor *x, run r, int64_t first, int64_t last, hz_box *box) {
    for (int k = r.to - 1; k >= r.from; k--) {
        box->lo[k] = first % x->dim[k], box->hi[k] = last % x->dim[k] + 1;
        first /= x->dim[k], last /= x->dim[k];
    }
    int k = r.from;
    while (k < r.to && box->hi[k] - box->lo[k] == 1) k++;
    for (k++; k < r.to; k++) box->lo[k] = 0, box->hi[k] = x->dim[k];
}

static void reach_run(const hz_tensor *x, run a, const hz_tensor *y, run b, const hz_box *out, hz_box *in) {
    for (int k = a.from; k < a.to; k++) in->lo[k] = 0, in->hi[k] = 1;
    int axis = single_axis(x, a), from = single_axis(y, b);
    if (axis >= 0 && from >= 0) {
        in->lo[axis] = out->lo[from], in->hi[axis] = out->hi[from];
        return;
    }
    hz_box inside = hz_box_clip(out, y);
    int64_t last[HZ_MAX_RANK] = {0};
    for (int k = b.from; k < b.to; k++) last[k] = inside.hi[k] - 1;
    around_numbers(x, a, number_in_run(y, b, inside.lo), number_in_run(y, b, last), in);
}

static bool reshape_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_tensor *x = hz_in(n, i), *y = &n->value;
    hz_box inside = hz_box_clip(out, y);
    if (hz_box_is_empty(&inside, y->rank)) return false;
    run a = {0, 0}, b = {0, 0};
    while (a.to < x->rank || b.to < y->rank) {
        a.from = a.to, b.from = b.to;
        next_runs(x, y, &a, &b);
        reach_run(x, a, y, b, out, in);
    }
    return true;
}

/* The box of the input holds at least the elements of the output's, in the same order. If it holds no others, the
 * restricted op is a reshape again. */
static bool reshape_crop(const hz_node *n, const hz_box *out, const hz_box *in, void *attr) {
    hz_attr_dims *to = attr;
    to->rank = n->value.rank;
    hz__dims_crop(to, out);
    return hz_box_numel(out, n->value.rank) == hz_box_numel(in, hz_in(n, 0)->rank);
}

/* ---- samples ---- */

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_reshape(x[0], HZ_DIMS(4, -1));
}

static hz_var call_units(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_reshape(x[0], HZ_DIMS(1, 2, 1, 3, 4));
}

static hz_var call_runs(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_reshape(x[0], HZ_DIMS(6, 2, 2, 3));
}

static hz_var call_flatten(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_flatten(x[0], 1);
}

static hz_var call_copy(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_reshape(hz_transpose(x[0], 0, 1), HZ_DIMS(2, 6));
}

static hz_var call_empty(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_reshape(x[0], HZ_DIMS(3, 0, 2));
}

static hz_var call_scalar(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_reshape(x[0], 0, NULL);
}

static const hz_sample samples[] = {
    {"merge and split", 1, {{.rank = 3, .dim = {2, 3, 4}}}, call, false},
    {"axes of one element", 1, {{.rank = 4, .dim = {2, 1, 3, 4}}}, call_units, false},
    {"runs", 1, {{.rank = 4, .dim = {2, 3, 4, 3}}}, call_runs, false},
    {"flatten", 1, {{.rank = 4, .dim = {2, 3, 2, 3}}}, call_flatten, false},
    {"of a transposed view", 1, {{.rank = 2, .dim = {3, 4}}}, call_copy, false},
    {"to a scalar", 1, {{.rank = 3, .dim = {1, 1, 1}}}, call_scalar, false},
    {"empty", 1, {{.rank = 2, .dim = {0, 3}}}, call_empty, false},
};

const hz_op hz_op_reshape = {.name = "reshape",
                             .n_in = 1,
                             .flags = HZ_OP_VIEW,
                             .attr_size = sizeof(hz_attr_dims),
                             .shape = reshape_shape,
                             .forward = reshape_forward,
                             .vjp = reshape_vjp,
                             .reach = reshape_reach,
                             .crop = reshape_crop,
                             .samples = samples,
                             .n_samples = HZ__COUNT(samples)};

/* ---- functions ---- */

hz_var hz_reshape(hz_var x, int rank, const int64_t *dim) {
    hz_attr_dims to = hz__dims_of(rank, dim);
    return hz_apply1(&hz_op_reshape, x, &to);
}

hz_var hz_flatten(hz_var x, int axis) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    int from = axis == v->rank ? axis : hz_axis(v->rank, axis);
    if (from < 0)
        return hz_tape_fail(x.tape, HZ_EINVAL, "flatten: axis %d is outside %s", axis, hz_shape_str(v).s);
    hz_attr_dims to = hz__dims_of(from, v->dim);
    int64_t rest = 1;
    for (int k = from; k < v->rank; k++) rest *= v->dim[k];
    if (from == HZ_MAX_RANK) return x; /* nothing to merge and no room for an axis of one element */
    to.dim[to.rank++] = rest;
    return hz_reshape(x, to.rank, to.dim);
}

hz_var hz_squeeze(hz_var x, hz_axes axes) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    hz_axes mask;
    hz_error why = {.code = HZ_OK};
    if (!hz__axes_resolve(v->rank, axes, &mask, &why))
        return hz_tape_fail(x.tape, HZ_EINVAL, "squeeze: %s", why.text);
    hz_attr_dims to = {.rank = 0};
    for (int k = 0; k < v->rank; k++) {
        bool drop = mask & HZ_AXIS(k);
        if (drop && v->dim[k] != 1 && axes != HZ_ALL_AXES)
            return hz_tape_fail(x.tape, HZ_ESHAPE, "squeeze: axis %d of %s is not 1", k, hz_shape_str(v).s);
        if (!drop || v->dim[k] != 1) to.dim[to.rank++] = v->dim[k];
    }
    return hz_reshape(x, to.rank, to.dim);
}

hz_var hz_unsqueeze(hz_var x, int axis) {
    if (!hz_ok(x)) return x;
    const hz_tensor *v = hz_value(x);
    int at = hz_axis(v->rank + 1, axis);
    if (at < 0 || v->rank == HZ_MAX_RANK)
        return hz_tape_fail(x.tape, HZ_EINVAL, "unsqueeze: %s, of at most %d axes, cannot be given one at %d",
                            hz_shape_str(v).s, HZ_MAX_RANK, axis);
    hz_attr_dims to = {.rank = v->rank + 1};
    for (int k = 0; k < to.rank; k++) to.dim[k] = k < at ? v->dim[k] : k == at ? 1 : v->dim[k - 1];
    return hz_reshape(x, to.rank, to.dim);
}
