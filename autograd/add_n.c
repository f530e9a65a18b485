/* add_n.c: the sum over paths, y = x_0 + x_1 + … in one pass. The one computing op that autograd owns: where
 * several paths leave a node, their cotangents meet here.
 *
 * SPDX-License-Identifier: MIT */
#include "autograd/internal.h"
#include "tensor/elementwise.h"

static bool add_n_shape(const hz_node *n, hz_tensor *out, hz_error *err) {
    if (!hz_shape_float(n, out, err)) return false;
    for (int i = 1; i < n->n_in; i++) {
        const hz_tensor *x = hz_in(n, i);
        if (x->dtype != out->dtype || !hz_same_shape(x, out))
            return hz_fail(err, HZ_ESHAPE, "input 0 %s %s and input %d %s %s must be alike",
                           hz_dtype_name(out->dtype), hz_shape_str(out).s, i, hz_dtype_name(x->dtype),
                           hz_shape_str(x).s);
    }
    return true;
}

static bool add_n_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_tensor *few[8] = {NULL}, **x = few;
    if (n->n_in > 8 && !(x = hz_alloc(&n->tape->alloc, (size_t)n->n_in * sizeof *x)))
        return hz_fail(err, HZ_ENOMEM, "no memory for a list of %d inputs", n->n_in);
    for (int i = 0; i < n->n_in; i++) x[i] = hz_in(n, i);
    hz_sum_n(ex, x, n->n_in, &n->value);
    if (x != few) hz_free(&n->tape->alloc, x);
    return true;
}

static hz_var add_n_vjp(const hz_node *n, int i, hz_var dy) {
    (void)n, (void)i;
    return dy;
}

const hz_op hz_op_add_n = {.name = "add_n",
                           .n_in = HZ_VARIADIC,
                           .flags = HZ_OP_POINTWISE,
                           .shape = add_n_shape,
                           .forward = add_n_forward,
                           .vjp = add_n_vjp};

hz_var hz_add_n(const hz_var *x, int n) {
    return n == 1 ? x[0] : hz_apply(&hz_op_add_n, x, n, NULL);
}
