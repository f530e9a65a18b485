/* own_op.c: an op of one's own, gradient-checked to second order in one call.
 *
 *   swish(x) = x·σ(x)
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "hzero.h"

static double swish(double x, double a, double b) {
    (void)a, (void)b;
    return x / (1 + exp(-x));
}

static bool forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)err;
    hz_map_scalar(ex, swish, hz_in(n, 0), 0, 0, &n->value);
    return true;
}

/* dx = dy · (σ + y·(1 − σ)), written in ops: so it can be differentiated again. */
static hz_var vjp(const hz_node *n, int i, hz_var dy) {
    hz_var s = hz_sigmoid(n->in[i]);
    return hz_mul(dy, hz_add(s, hz_mul(n->out, hz_affine(s, -1, 1))));
}

static const hz_op op_swish = {
    .name = "swish", .n_in = 1, .shape = hz_shape_float, .forward = forward, .vjp = vjp};

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_apply1(&op_swish, x[0], NULL);
}

int main(void) {
    hz_sample sample = {.n_in = 1, .in = {{.rank = 2, .dim = {3, 4}}}, .call = call};
    hz_gradcheck_report report;
    hz_gradcheck_sample(&sample, &(hz_gradcheck_opts){.order = 2}, &report);
    printf("swish: %s\n", report.text);
    return report.ok ? 0 : 1;
}
