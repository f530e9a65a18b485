/* test_random_graphs.c: random graphs of ops with random shapes. What holds for every op alone must hold for what is
 * made of them: gradients match differences to second order, support boxes change nothing, f32 agrees with f64, and
 * the number of threads does not show in the bits.
 *
 * A graph is a pure function of its number: grow() starts from two pictures and appends ops, each on random earlier
 * results, and closes with a sum over everything left unused. Every op in it is smooth or stays away from its kinks, so
 * that finite differences apply.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "tensor/random.h"
#include "values.h"

enum { INPUTS = 3, MOST = 24, STEPS = 9 };

typedef struct graph {
    uint64_t number, drawn; /* the seed, and how many random numbers were taken */
    hz_tape *t;
    hz_var v[MOST]; /* what there is to choose from, all (N, C, H, W) */
    bool used[MOST];
    int n;
} graph;

static int64_t below(graph *g, int64_t n) {
    return hz_random_below(g->number, 1, g->drawn++, n);
}

static hz_var any(graph *g) {
    int64_t k = below(g, g->n);
    g->used[k] = true;
    return g->v[k];
}

static int64_t extent(hz_var x, int axis) {
    return hz_value(x)->dim[axis];
}

/* Parameters: a tensor of the graph's own making, values in ±0.7. */
static hz_var own(graph *g, int rank, const int64_t *dim) {
    hz_var w = hz_full(g->t, HZ_F64, rank, dim, 0);
    for (int64_t k = 0; hz_ok(w) && k < hz_numel(hz_value(w)); k++)
        hz_set_flat(hz_value(w), k, 1.4 * hz_random_uniform(g->number, 2, g->drawn++) - 0.7);
    return hz_astype(w, hz_value(g->v[0])->dtype);
}

/* x brought to the shape of y: a mean over what has to go, then broadcasting. */
static hz_var like(hz_var x, hz_var y) {
    for (int axis = 0; axis < 4; axis++)
        if (extent(x, axis) != extent(y, axis)) x = hz_mean(x, HZ_AXIS(axis), true);
    return x;
}

/* ---- steps, one kind of op each ---- */

static hz_var smooth(graph *g) {
    static hz_var (*const f[])(hz_var) = {hz_tanh, hz_sigmoid, hz_sin, hz_silu, hz_gelu, hz_erf, hz_square};
    return f[below(g, sizeof f / sizeof f[0])](any(g));
}

static hz_var guarded(graph *g) {
    hz_var positive = hz_add_scalar(hz_square(hz_tanh(any(g))), 0.5);
    static hz_var (*const f[])(hz_var) = {hz_sqrt, hz_log, hz_reciprocal, hz_rsqrt};
    return f[below(g, sizeof f / sizeof f[0])](positive);
}

static hz_var binary(graph *g) {
    hz_var x = any(g), y = like(any(g), x);
    static hz_var (*const f[])(hz_var, hz_var) = {hz_add, hz_sub, hz_mul};
    return f[below(g, sizeof f / sizeof f[0])](x, y);
}

static hz_var convolution(graph *g) {
    hz_var x = any(g);
    int64_t channels = extent(x, 1), groups = channels % 2 == 0 ? 1 + below(g, 2) : 1;
    int64_t out = groups * (1 + below(g, 2)), kernel[] = {1 + below(g, 3), 1 + below(g, 3)};
    hz_conv2d_opts opts = {.groups = groups};
    for (int k = 0; k < 2; k++) {
        opts.stride[k] = extent(x, 2 + k) > 3 ? 1 + below(g, 2) : 1;
        opts.dilation[k] = 1 + below(g, 2);
        opts.pad_before[k] = below(g, 3);
        opts.pad_after[k] = opts.dilation[k] * (kernel[k] - 1); /* never too small */
    }
    hz_var w = own(g, HZ_DIMS(out, channels / groups, kernel[0], kernel[1]));
    return hz_conv2d(x, w, below(g, 2) ? own(g, HZ_DIMS(out)) : hz_none(g->t), &opts);
}

static hz_var pooling(graph *g) {
    hz_pool2d_opts opts = {.kernel = {2, 2}, .stride = {1, 2}, .pad = {1, 1}, .ceil = below(g, 2)};
    return below(g, 2) ? hz_avg_pool2d(any(g), &opts) : hz_adaptive_avg_pool2d(any(g), 2, 3);
}

static hz_var joining(graph *g) {
    hz_var x = any(g), y = any(g);
    for (int axis = 2; axis < 4; axis++) {
        int64_t n = extent(x, axis) < extent(y, axis) ? extent(x, axis) : extent(y, axis);
        x = hz_slice(x, axis, extent(x, axis) - n, n, 1);
        y = hz_slice(y, axis, n - 1, n, -1);
    }
    return hz_concat((const hz_var[]){x, y, x}, 2 + (int)below(g, 2), 1);
}

static hz_var shaping(graph *g) {
    hz_var x = any(g);
    int64_t n = extent(x, 0), c = extent(x, 1), h = extent(x, 2), w = extent(x, 3);
    switch (below(g, 4)) {
    case 0:
        return hz_transpose(x, 2, 3);
    case 1:
        return hz_reshape(hz_permute(x, (const int[]){0, 2, 3, 1}), HZ_DIMS(n, c, w, h));
    case 2:
        return hz_slice(x, 3, w - 1, (w + 1) / 2, -2);
    default:
        return hz_pad(x, (const int64_t[]){0, 0, 1, -(w > 1)}, (const int64_t[]){0, 1, 0, 1}, HZ_PAD_CONSTANT,
                      0.3);
    }
}

static hz_var normalizing(graph *g) {
    hz_var x = any(g);
    switch (below(g, 3)) {
    case 0:
        return hz_softmax(x, HZ_AXIS(1) | HZ_AXIS(3));
    case 1:
        return hz_layer_norm(x, hz_none(g->t), hz_none(g->t), 2, 0.1);
    default:
        return hz_local_response_norm(x, 3, 0.5, 0.75, 1);
    }
}

static hz_var multiplying(graph *g) {
    hz_var x = any(g);
    return below(g, 2) ? hz_matmul(x, own(g, HZ_DIMS(extent(x, 3), 2)))
                       : hz_linear(x, own(g, HZ_DIMS(3, extent(x, 3))), hz_none(g->t));
}

static hz_var kinked(graph *g) {
    hz_var positive = hz_add_scalar(hz_square(any(g)), 0.2); /* where ReLU is smooth, and its mask is used */
    return hz_relu(below(g, 2) ? positive : hz_sub(positive, hz_scale(positive, 2)));
}

static hz_var (*const steps[])(graph *) = {smooth,  guarded,     binary,      convolution, pooling, joining,
                                           shaping, normalizing, multiplying, convolution, binary,  kinked};

/* ---- a graph ---- */

static void append(graph *g, hz_var y) {
    if (hz_ok(y) && hz_numel(hz_value(y)) <= 400) g->v[g->n++] = y;
}

/* The sum of everything unused, each tamed and reduced to (N, 1, 1, 1) first: one number per picture. */
static hz_var grow(hz_tape *t, uint64_t number, const hz_var *x) {
    graph g = {.number = number, .t = t};
    for (int k = 0; k < INPUTS; k++) g.v[g.n++] = x[k];
    for (int k = 0; k < STEPS; k++) append(&g, steps[below(&g, sizeof steps / sizeof steps[0])](&g));
    hz_var sum = hz_none(t);
    for (int k = 0; k < g.n; k++) {
        if (g.used[k]) continue;
        hz_var part = hz_mean(hz_tanh(g.v[k]), HZ_AXIS(1) | HZ_AXIS(2) | HZ_AXIS(3), true);
        sum = hz_ok(sum) ? hz_add(sum, part) : part;
    }
    return sum;
}

static void draw_inputs(uint64_t number, hz_dtype dtype, hz_tensor *x, void **base) {
    for (int k = 0; k < INPUTS; k++) {
        hz_sample_input in = {
            .rank = 4, .dim = {2, 1 + hz_random_below(number, 3, (uint64_t)k, 3)}, .lo = -1, .hi = 1};
        for (int axis = 2; axis < 4; axis++)
            in.dim[axis] = 1 + hz_random_below(number, 4, (uint64_t)(2 * k + axis), 5);
        hz_layout layout = (hz_layout)hz_random_below(number, 5, (uint64_t)k, HZ_LAYOUTS);
        cr_assert(hz_sample_draw(&in, dtype, layout, number + (uint64_t)k, &x[k], &base[k], NULL));
    }
}

static void free_inputs(void **base) {
    for (int k = 0; k < INPUTS; k++) free(base[k]);
}

static int run_graph(hz_tape *t, const hz_var *x, int n, hz_var *y, void *ctx) {
    (void)n;
    y[0] = grow(t, *(const uint64_t *)ctx, x);
    return 1;
}

static void check_gradients(uint64_t number, int order, int directions) {
    hz_tensor x[INPUTS];
    void *base[INPUTS];
    hz_gradcheck_report report;
    hz_gradcheck_opts opts = {.order = order, .directions = directions, .seed = number, .rtol = 1e-4};
    draw_inputs(number, HZ_F64, x, base);
    cr_expect(hz_gradcheck_function(run_graph, &number, x, INPUTS, &opts, &report), "graph %d: %s",
              (int)number, report.text);
    free_inputs(base);
}

Test(random_graphs, gradients_match_differences_in_every_element) {
    for (uint64_t number = 1; number <= 60; number++) check_gradients(number, 1, 0);
}

Test(random_graphs, second_order_matches_along_random_directions) {
    for (uint64_t number = 101; number <= 180; number++) check_gradients(number, 2, 4);
}

/* ---- one graph, run in two ways ---- */

typedef struct outcome {
    hz_tape *t;
    hz_tensor x[INPUTS];
    void *base[INPUTS];
    hz_var dx[INPUTS];
} outcome;

/* The gradient of one element of the graph's last result (or, first, of its closing sum) at every input. */
static void differentiate(outcome *o, uint64_t number, hz_dtype dtype, int threads, bool whole) {
    *o = (outcome){.t = hz_tape_new(&(hz_tape_opts){.threads = threads})};
    hz_var x[INPUTS];
    draw_inputs(number, dtype, o->x, o->base);
    for (int k = 0; k < INPUTS; k++) x[k] = hz_input(o->t, &o->x[k]);
    hz_var y = hz_pick(grow(o->t, number, x), (const int64_t[]){1, 0, 0, 0});
    const hz_grad_opts opts = {.whole = whole, .unreachable = HZ_UNREACHABLE_ZERO};
    hz_grad(&y, 1, x, INPUTS, &opts, o->dx);
    expect_ok(o->t);
}

static void finish(outcome *o) {
    hz_tape_free(o->t);
    free_inputs(o->base);
}

/* Largest difference of two outcomes' gradients. */
static double apart(const outcome *a, const outcome *b) {
    double most = 0;
    for (int k = 0; k < INPUTS; k++) {
        const hz_tensor *p = hz_value(a->dx[k]), *q = hz_value(b->dx[k]);
        cr_assert(hz_same_shape(p, q));
        for (int64_t e = 0; e < hz_numel(p); e++) {
            double d = fabs(hz_get_flat(p, e) - hz_get_flat(q, e));
            most = d <= most ? most : d; /* a NaN stays */
        }
    }
    return most;
}

static bool is_zero(const outcome *o) {
    double sum = 0;
    for (int k = 0; k < INPUTS; k++)
        for (int64_t e = 0; e < hz_numel(hz_value(o->dx[k])); e++)
            sum += fabs(hz_get_flat(hz_value(o->dx[k]), e));
    return sum == 0;
}

static void compare(hz_dtype dtype, int threads, bool whole, double tolerance) {
    int telling = 0;
    for (uint64_t number = 201; number <= 320; number++) {
        outcome reference, other;
        differentiate(&reference, number, HZ_F64, 1, true);
        differentiate(&other, number, dtype, threads, whole);
        cr_expect_leq(apart(&reference, &other), tolerance, "graph %d", (int)number);
        telling += !is_zero(&reference);
        finish(&reference);
        finish(&other);
    }
    cr_expect_geq(telling, 110);
}

Test(random_graphs, boxed_and_whole_sweeps_agree) {
    compare(HZ_F64, 1, false, 1e-12);
}

Test(random_graphs, f32_agrees_with_f64) {
    compare(HZ_F32, 1, true, 1e-3);
}

Test(random_graphs, two_threads_give_the_bits_of_one) {
    compare(HZ_F64, 2, true, 0);
}
