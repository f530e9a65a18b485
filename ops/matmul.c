/* matmul.c: C = A·B, A (…, m, k), B (…, k, n) → (…, m, n), leading axes broadcast as in NumPy.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

#include <inttypes.h>

#include "tensor/gemm.h"

/* ---- shape ---- */

/* The axes before the matrix, as a tensor without data. */
static hz_tensor leading(const hz_tensor *x) {
    return hz_tensor_of(NULL, x->dtype, x->rank - 2, x->dim);
}

static bool check_matrices(const hz_tensor *a, const hz_tensor *b, hz_error *err) {
    if (a->rank < 2 || b->rank < 2)
        return hz_fail(err, HZ_ESHAPE, "%s and %s must have at least one axis each", hz_shape_str(a).s,
                       hz_shape_str(b).s);
    if (a->dtype != b->dtype || !hz_dtype_is_float(a->dtype))
        return hz_fail(err, HZ_ESHAPE, "%s is %s and %s is %s, not one of f32 and f64", hz_shape_str(a).s,
                       hz_dtype_name(a->dtype), hz_shape_str(b).s, hz_dtype_name(b->dtype));
    int64_t k = a->dim[a->rank - 1], rows = b->dim[b->rank - 2];
    if (k != rows)
        return hz_fail(err, HZ_ESHAPE,
                       "%s and %s disagree on the inner extent (%" PRId64 " columns vs %" PRId64 " rows)",
                       hz_shape_str(a).s, hz_shape_str(b).s, k, rows);
    return true;
}

static bool matmul_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    const hz_tensor *a = hz_in(n, 0), *b = hz_in(n, 1);
    if (!check_matrices(a, b, err)) return false;
    hz_tensor batch_a = leading(a), batch_b = leading(b), c = {.dtype = a->dtype};
    if (!hz_broadcast_shape(&batch_a, &batch_b, &c, err)) return false;
    c.dim[c.rank++] = a->dim[a->rank - 2];
    c.dim[c.rank++] = b->dim[b->rank - 1];
    if (!hz_shape_check("result", c.dtype, c.rank, c.dim, err)) return false;
    *out = c;
    return true;
}

/* ---- forward ---- */

/* x broadcast to the leading axes of the result. Cannot fail: the shape rule has made sure. */
static hz_tensor stretched(const hz_tensor *x, const hz_tensor *c) {
    hz_tensor target = *c, view = *x;
    target.dim[c->rank - 2] = x->dim[x->rank - 2];
    target.dim[c->rank - 1] = x->dim[x->rank - 1];
    hz_view_broadcast(x, target.rank, target.dim, &view, NULL);
    return view;
}

/* All axes before the last `keep` as one; false if the strides do not allow it. */
static bool merged(const hz_tensor *x, int keep, hz_tensor *view) {
    int64_t dim[HZ_MAX_RANK] = {1};
    int lead = x->rank - keep;
    for (int k = 0; k < lead; k++) dim[0] *= x->dim[k];
    for (int k = 0; k < keep; k++) dim[k + 1] = x->dim[lead + k];
    return hz_can_view(x, keep + 1, dim) && hz_view_reshape(x, keep + 1, dim, view, NULL);
}

static hz_tensor at(const hz_tensor *x, int64_t i) {
    hz_tensor part = hz_tensor_of(NULL, x->dtype, x->rank - 1, x->dim + 1);
    for (int k = 0; k < part.rank; k++) part.stride[k] = x->stride[k + 1];
    part.data = (char *)x->data + i * x->stride[0] * (int64_t)hz_dtype_size(x->dtype);
    return part;
}

/* One batched product where the leading axes of both merge into one, else one for each index of the first axis. */
static bool multiply(const hz_exec *ex, const hz_tensor *a, const hz_tensor *b, const hz_tensor *c,
                     hz_error *err) {
    hz_tensor p, q, r;
    if (merged(a, 2, &p) && merged(b, 2, &q) && merged(c, 2, &r))
        return hz_gemm_batched(ex, 1, &p, &q, 0, &r, err);
    for (int64_t i = 0; i < c->dim[0]; i++) {
        p = at(a, i), q = at(b, i), r = at(c, i);
        if (!multiply(ex, &p, &q, &r, err)) return false;
    }
    return true;
}

static bool matmul_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_tensor *a = hz_in(n, 0), *b = hz_in(n, 1), *c = &n->value;
    if (hz_numel(c) == 0) return true;
    hz_tensor rows, result;
    bool same_leading = a->rank == c->rank && b->rank == 2;
    if (same_leading && merged(a, 1, &rows) && merged(c, 1, &result)) /* (…·m, k)·(k, n) */
        return hz_gemm(ex, 1, &rows, b, 0, &result, err);
    hz_tensor all_a = stretched(a, c), all_b = stretched(b, c);
    return multiply(ex, &all_a, &all_b, c, err);
}

/* ---- gradient ---- */

/* (…, m, k) as (…·m, k). */
static hz_var as_rows(hz_var x) {
    const hz_tensor *v = hz_value(x);
    int64_t rows = 1;
    for (int k = 0; k < v->rank - 1; k++) rows *= v->dim[k];
    return hz_reshape(x, HZ_DIMS(rows, v->dim[v->rank - 1]));
}

/* dA = dC·Bᵀ, dB = Aᵀ·dC, each summed over what was broadcast; a plain matrix B meets all rows of A at once. */
static hz_var matmul_vjp(const hz_node *n, int i, hz_var dc) {
    hz_var a = n->in[0], b = n->in[1];
    if (i == 0) return hz__sum_like(hz_matmul(dc, hz_transpose(b, -1, -2)), a);
    if (hz_value(b)->rank == 2) a = as_rows(a), dc = as_rows(dc);
    return hz__sum_like(hz_matmul(hz_transpose(a, -1, -2), dc), b);
}

/* Rows of C need rows of A, columns of C columns of B. */
static bool matmul_reach(const hz_node *n, int i, const hz_box *out, hz_box *in) {
    const hz_tensor *x = hz_in(n, i), *c = &n->value;
    int skip = c->rank - x->rank, summed = i == 0 ? x->rank - 1 : x->rank - 2;
    for (int k = 0; k < x->rank; k++) {
        bool stretched_axis = k < x->rank - 2 && x->dim[k] != c->dim[k + skip];
        bool all = k == summed || stretched_axis;
        in->lo[k] = all ? 0 : out->lo[k + skip];
        in->hi[k] = all ? x->dim[k] : out->hi[k + skip];
    }
    return true;
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_matmul(x[0], x[1]);
}

static hz_var call_transposed(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_matmul(hz_transpose(x[0], 0, 1), hz_transpose(x[1], 0, 1));
}

static const hz_sample samples[] = {
    {"matrices", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {4, 2}}}, call, false},
    {"transposed views", 2, {{.rank = 2, .dim = {4, 3}}, {.rank = 2, .dim = {2, 4}}}, call_transposed, false},
    {"batch", 2, {{.rank = 3, .dim = {2, 3, 2}}, {.rank = 3, .dim = {2, 2, 4}}}, call, false},
    {"batch and one matrix", 2, {{.rank = 3, .dim = {2, 3, 2}}, {.rank = 2, .dim = {2, 4}}}, call, false},
    {"broadcast batches", 2, {{.rank = 4, .dim = {2, 1, 3, 2}}, {.rank = 3, .dim = {3, 2, 2}}}, call, false},
    {"vectors", 2, {{.rank = 1, .dim = {4}}, {.rank = 1, .dim = {4}}}, call, false},
    {"matrix and vector", 2, {{.rank = 3, .dim = {2, 3, 4}}, {.rank = 1, .dim = {4}}}, call, false},
    {"vector and matrix", 2, {{.rank = 1, .dim = {3}}, {.rank = 2, .dim = {3, 4}}}, call, false},
    {"no rows", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {3, 2}}}, call, false},
    {"nothing to sum", 2, {{.rank = 2, .dim = {2, 0}}, {.rank = 2, .dim = {0, 2}}}, call, false},
};

const hz_op hz_op_matmul = {.name = "matmul",
                            .n_in = 2,
                            .shape = matmul_shape,
                            .forward = matmul_forward,
                            .vjp = matmul_vjp,
                            .reach = matmul_reach,
                            .samples = samples,
                            .n_samples = HZ__COUNT(samples)};

/* Vectors become matrices of one row or one column for the op, and that axis goes away again afterwards. */
hz_var hz_matmul(hz_var a, hz_var b) {
    bool row = hz_ok(a) && hz_value(a)->rank == 1, column = hz_ok(b) && hz_value(b)->rank == 1;
    hz_var c = hz_apply2(&hz_op_matmul, row ? hz_unsqueeze(a, 0) : a, column ? hz_unsqueeze(b, 1) : b, NULL);
    if (row && hz_ok(c)) c = hz_squeeze(c, HZ_AXIS(-1 - !column));
    return column && hz_ok(c) ? hz_squeeze(c, HZ_AXIS(-1)) : c;
}
