/* normalize_grad.c: the adjoint of normalize, for x̂ = (x − mean(x))·r, r = 1/√(var(x) + eps):
 *
 *   G(u) = r·(u − mean(u) − x̂·mean(u·x̂))
 *
 * It is symmetric in u. In x, with v the cotangent of G(u):
 *
 *   dx = −r·(mean(u·x̂)·G(v) + mean(v·x̂)·G(u) + x̂·mean(v·G(u)))
 *
 * the first two terms from the x̂ in G, whose derivative along v is G(v) and along u is G(u), the last from r, for
 * which ∂r/∂x = −r²·x̂/count.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/normalization.h"

/* n->in: x, u */

static bool normalize_grad_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    const hz_attr_normalization *a = n->attr;
    return hz_normalize_grad_map(ex, hz_in(n, 0), NULL, hz_in(n, 1), hz__along_mask(n), a->eps, &n->value,
                                 err);
}

/* mean(p·q), broadcasting against x */
static hz_var mean_of_product(hz_var p, hz_var q, hz_axes axes) {
    return hz_mean(hz_mul(p, q), axes, true);
}

hz_var hz__normalize_grad_in_x(hz_var x, hz_var u, hz_var gu, hz_var v, const hz_attr_normalization *a) {
    hz_var gv = hz_normalize_grad(x, v, a->axes, a->eps);
    hz_var unit = hz_normalize(x, a->axes, a->eps);
    hz_var r = hz_rsqrt(hz_add_scalar(hz_var_of(x, a->axes, true), a->eps));
    const hz_var term[] = {hz_mul(gv, mean_of_product(u, unit, a->axes)),
                           hz_mul(gu, mean_of_product(v, unit, a->axes)),
                           hz_mul(unit, mean_of_product(v, gu, a->axes))};
    return hz_neg(hz_mul(r, hz_add_n(term, HZ__COUNT(term))));
}

static hz_var normalize_grad_vjp(const hz_node *n, int i, hz_var v) {
    const hz_attr_normalization *a = n->attr;
    hz_var x = n->in[0], u = n->in[1];
    return i == 0 ? hz__normalize_grad_in_x(x, u, n->out, v, a) : hz_normalize_grad(x, v, a->axes, a->eps);
}

static hz_var call(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_grad(x[0], x[1], HZ_AXIS(-1), 1e-2);
}

static hz_var call_outer(hz_tape *t, const hz_var *x) {
    (void)t;
    return hz_normalize_grad(x[0], x[1], HZ_AXIS(0) | HZ_AXIS(2), 1e-2);
}

static const hz_sample samples[] = {
    {"rows of a matrix", 2, {{.rank = 2, .dim = {3, 4}}, {.rank = 2, .dim = {3, 4}}}, call, false},
    {"outer axes", 2, {{.rank = 3, .dim = {2, 2, 3}}, {.rank = 3, .dim = {2, 2, 3}}}, call_outer, false},
    {"no rows", 2, {{.rank = 2, .dim = {0, 3}}, {.rank = 2, .dim = {0, 3}}}, call, false},
};

const hz_op hz_op_normalize_grad = {.name = "normalize_grad",
                                    .n_in = 2,
                                    .attr_size = sizeof(hz_attr_normalization),
                                    .shape = hz__normalization_shape,
                                    .forward = normalize_grad_forward,
                                    .vjp = normalize_grad_vjp,
                                    .reach = hz__along_reach,
                                    .crop = hz__along_crop,
                                    .samples = samples,
                                    .n_samples = HZ__COUNT(samples)};

hz_var hz_normalize_grad(hz_var x, hz_var dy, hz_axes axes, double eps) {
    return hz_apply2(&hz_op_normalize_grad, x, dy, &(hz_attr_normalization){.axes = axes, .eps = eps});
}
