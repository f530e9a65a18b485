/* linear.c: y = x·Wᵀ + b: x (…, in), w (out, in), b (out) or none → (…, out).
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

#include <inttypes.h>

#include "tensor/gemm.h"

static bool linear_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0), *w = hz_in(n, 1), *b = n->n_in > 2 ? hz_in(n, 2) : NULL;
    if (!hz_shape_float(n, out, err)) return false;
    if (x->rank < 1 || w->rank != 2)
        return hz_fail(err, HZ_ESHAPE, "input %s must be (…, in) and weight %s (out, in)", hz_shape_str(x).s,
                       hz_shape_str(w).s);
    if (w->dtype != x->dtype || (b && b->dtype != x->dtype))
        return hz_fail(err, HZ_ESHAPE, "input is %s, weight %s, bias %s", hz_dtype_name(x->dtype),
                       hz_dtype_name(w->dtype), b ? hz_dtype_name(b->dtype) : "none");
    if (x->dim[x->rank - 1] != w->dim[1])
        return hz_fail(err, HZ_ESHAPE,
                       "input %s and weight %s disagree on features (%" PRId64 " vs %" PRId64 ")",
                       hz_shape_str(x).s, hz_shape_str(w).s, x->dim[x->rank - 1], w->dim[1]);
    if (b && (b->rank != 1 || b->dim[0] != w->dim[0]))
        return hz_fail(err, HZ_ESHAPE, "bias %s is not [%" PRId64 "], one number for each row of weight %s",
                       hz_shape_str(b).s, w->dim[0], hz_shape_str(w).s);
    out->dim[out->rank - 1] = w->dim[0];
    return hz_shape_check("result", out->dtype, out->rank, out->dim, err);
}

static int64_t count_rows(const hz_tensor *x) {
    int64_t rows = 1;
    for (int k = 0; k < x->rank - 1; k++) rows *= x->dim[k];
    return rows;
}

/* y = rows·Wᵀ, added to the bias that y holds already. */
static bool multiply(const hz_node *n, const hz_exec *ex, const hz_tensor *rows, hz_error *err) {
    const hz_tensor *w = hz_in(n, 1);
    hz_tensor wt, y = hz_tensor_of(n->value.data, w->dtype, HZ_DIMS(rows->dim[0], w->dim[0]));
    bool biased = n->n_in > 2;
    if (biased) {
        hz_tensor b;
        if (!hz_view_broadcast(hz_in(n, 2), y.rank, y.dim, &b, err)) return false;
        hz_copy(ex, &b, &y);
    }
    return hz_view_transpose(w, 0, 1, &wt, err) && hz_gemm(ex, 1, rows, &wt, biased ? 1 : 0, &y, err);
}

/* x as a matrix of rows: a view, or a copy where its strides allow none. */
static bool linear_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_tensor *x = hz_in(n, 0);
    int64_t dim[] = {count_rows(x), x->dim[x->rank - 1]};
    hz_tensor rows = *x;
    if (hz_can_view(x, 2, dim)) return hz_view_reshape(x, 2, dim, &rows, err) && multiply(n, ex, &rows, err);
    hz_block *block = hz_pool_tensor(ex->pool, &rows, err);
    if (!block) return false;
    hz_copy(ex, x, &rows);
    bool ok = hz_view_reshape(&rows, 2, dim, &rows, err) && multiply(n, ex, &rows, err);
    hz_block_unref(block);
    return ok;
}

static hz_var as_rows(hz_var x) {
    const hz_tensor *v = hz_value(x);
    return hz_reshape(x, HZ_DIMS(count_rows(v), v->dim[v->rank - 1]));
}

/* dx = dy·W, dW = dyᵀ·x, db = Σ dy over all rows */
static hz_var linear_vjp(const hz_node *n, int i, hz_var dy) {
    if (i == 0) return hz_matmul(dy, n->in[1]);
    if (i == 1) return hz_matmul(hz_transpose(as_rows(dy), 0, 1), as_rows(n->in[0]));
    return hz__sum_like(dy, n->in[2]);
}

static bool linear_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    int last = n->value.rank - 1;
    if (i == 0) {
        *in = *out;
        in->lo[last] = 0, in->hi[last] = hz_in(n, 0)->dim[last];
        return true;
    }
    in->lo[0] = out->lo[last], in->hi[0] = out->hi[last];
    in->lo[1] = 0, in->hi[1] = hz_in(n, 1)->dim[1];
    return true;
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_linear(x[0], x[1], x[2]);
}

static hz_var call_without_bias(hz_tape *t, const hz_var *x) {
    return hz_linear(x[0], x[1], hz_none(t));
}

static hz_var call_strided(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_linear(hz_permute(x[0], (const int[]){2, 1, 0}), x[1], x[2]);
}

static const hz_sample samples[] = {
    {"rows",
     3,
     {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {2, 4}}, {.rank = 1, .dim = {2}}},
     call,
     false},
    {"one row",
     3,
     {{.rank = 2, .dim = {1, 4}}, {.rank = 2, .dim = {3, 4}}, {.rank = 1, .dim = {3}}},
     call,
     false},
    {"a vector",
     3,
     {{.rank = 1, .dim = {4}}, {.rank = 2, .dim = {3, 4}}, {.rank = 1, .dim = {3}}},
     call,
     false},
    {"no bias", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {2, 4}}}, call_without_bias, false},
    {"more axes",
     3,
     {{.rank = 3, .dim = {2, 2, 3}}, {.rank = 2, .dim = {4, 3}}, {.rank = 1, .dim = {4}}},
     call,
     false},
    {"strides that need a copy",
     3,
     {{.rank = 3, .dim = {3, 2, 2}}, {.rank = 2, .dim = {4, 3}}, {.rank = 1, .dim = {4}}},
     call_strided,
     false},
    {"no rows",
     3,
     {{.rank = 2, .dim = {0, 4}}, {.rank = 2, .dim = {2, 4}}, {.rank = 1, .dim = {2}}},
     call,
     false},
    {"no features",
     3,
     {{.rank = 2, .dim = {2, 0}}, {.rank = 2, .dim = {3, 0}}, {.rank = 1, .dim = {3}}},
     call,
     false},
};

const hz_op hz_op_linear = {.name = "linear",
                            .n_in = HZ_VARIADIC,
                            .shape = linear_shape,
                            .forward = linear_forward,
                            .vjp = linear_vjp,
                            .reach = linear_reach,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

hz_var hz_linear(hz_var x, hz_var w, hz_var b) {
    const hz_var in[] = {x, w, b};
    return hz_apply(&hz_op_linear, in, b.id ? 3 : 2, NULL);
}
