/* test_recompute.c: a gradient does not depend, in a single bit, on which parts of the forward pass were kept; the memory
 * it takes does.
 *
 * The programs of the random tests are trees of ops and blocks drawn from a seed. Each is recorded twice, with its blocks
 * as segments that are run again and with everything kept, and what can be asked of both must be answered alike.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "autograd/recompute.h"
#include "ops/ops.h"
#include "tensor/random.h"

/* ---- random programs ---- */

enum { MOST = 32, C = 3, SIZE = 6, WEIGHTS = 4, TENSOR = 2 * C * SIZE * SIZE };

static float pixels[TENSOR], kernels[WEIGHTS][C * C * 3 * 3];

/* What a block sees, by value: it is the context of a segment. */
typedef struct world {
    uint64_t seed, drawn;
    hz_var v[MOST]; /* to choose from, all (2, C, SIZE, SIZE) */
    int n, depth;
    bool blocks; /* as segments, or in place */
} world;

static int64_t below(world *w, int64_t n) {
    return hz_random_below(w->seed, 1, w->drawn++, n);
}

static hz_var any(world *w) {
    return w->v[below(w, w->n)];
}

/* A convolution whose weight is borrowed here: a leaf of its own, on a tensor that others show, too. */
static hz_var convolution(world *w, hz_var x) {
    const int64_t k = below(w, WEIGHTS);
    const hz_tensor kernel = hz_tensor_of(kernels[k], HZ_F32, HZ_DIMS(C, C, 3, 3));
    hz_var leaf = hz_namef(hz_input(x.tape, &kernel), "leaf%016llx-%d",
                           (unsigned long long)hz_random_bits(w->seed, 2, w->drawn), (int)k);
    return hz_conv2d(x, leaf, hz_none(x.tape), &(hz_conv2d_opts){.pad = {1, 1}});
}

static hz_var step(world *w) {
    hz_var x = any(w), none = hz_none(x.tape);
    switch (below(w, 10)) {
    case 0:
        return hz_name(hz_relu(x), "relu");
    case 1:
        return hz_tanh(x);
    case 2:
        return hz_add(x, any(w));
    case 3:
        return hz_mul(x, any(w));
    case 4:
        return hz_dropout(x, 0.4, hz_random_bits(w->seed, 3, w->drawn));
    case 5:
        return hz_max_pool2d(x, &(hz_pool2d_opts){.kernel = {3, 3}, .stride = {1, 1}, .pad = {1, 1}});
    case 6:
        return hz_batch_norm(x, none, none, 0.1);
    case 7:
        return hz_transpose(hz_slice(hz_concat((hz_var[]){x, any(w)}, 2, 1), 1, 1, C, 1), 2, 3);
    default:
        return convolution(w, x);
    }
}

static hz_var grow(world *w, int steps);

static hz_var run_block(hz_tape *t, const hz_var *in, int n, const void *ctx) {
    world w = *(const world *)ctx;
    cr_assert_eq(hz_value(in[0])->rank, 4);
    hz_scope_push(t, "block");
    for (int k = 0; k < n; k++) w.v[k] = in[k];
    hz_var y = grow(&w, 2 + (int)below(&w, 3));
    if (below(&w, 2)) hz_name(y, "");
    hz_scope_pop(t, "block");
    return y;
}

/* Half of what it uses comes as inputs, the rest with the context. */
static hz_var block(world *w) {
    world inner = *w;
    inner.depth++;
    inner.seed = hz_random_bits(w->seed, 4, w->drawn++);
    inner.drawn = 0;
    hz_tape *t = w->v[0].tape;
    const int n = (w->n + 1) / 2;
    hz_var y =
        w->blocks ? hz_recompute(t, run_block, w->v, n, &inner, sizeof inner) : run_block(t, w->v, n, &inner);
    return below(w, 3) ? y : hz_name(y, "named outside");
}

static hz_var grow(world *w, int steps) {
    for (int k = 0; k < steps && w->n < MOST; k++) {
        hz_var y = w->depth < 3 && below(w, 3) == 0 ? block(w) : step(w);
        cr_assert(hz_ok(y));
        w->v[w->n++] = y;
    }
    return w->v[w->n - 1];
}

typedef struct program {
    hz_tape *t;
    hz_var x, last, loss;
} program;

static program record(uint64_t seed, bool blocks) {
    program p = {.t = hz_tape_new(NULL)};
    world w = {.seed = seed, .blocks = blocks, .n = 1};
    const hz_tensor v = hz_tensor_of(pixels, HZ_F32, HZ_DIMS(2, C, SIZE, SIZE));
    hz_random_fill_normal(hz_tape_exec(p.t), 7, seed, 0, 1, &v);
    for (int k = 0; k < WEIGHTS; k++) {
        const hz_tensor kernel = hz_tensor_of(kernels[k], HZ_F32, HZ_DIMS(C, C, 3, 3));
        hz_random_fill_normal(hz_tape_exec(p.t), 8, seed + (uint64_t)k, 0, 0.3, &kernel);
    }
    w.v[0] = p.x = hz_name(hz_input(p.t, &v), "x");
    p.last = grow(&w, 7);
    p.loss = hz_sum(hz_mul(p.last, p.x), HZ_ALL_AXES, false);
    return p;
}

static int order(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* x and every borrowed weight, in the order of their names, which are the same in both recordings. */
static int targets(program *p, hz_var *x) {
    const char *name[MOST * MOST], *text;
    int n = 0;
    for (uint32_t k = 0; (text = hz_tape_name(p->t, k, NULL)); k++)
        if (strncmp(text, "x", 2) == 0 || strstr(text, "leaf")) name[n++] = text;
    qsort(name, (size_t)n, sizeof *name, order);
    for (int k = 0; k < n; k++) x[k] = hz_lookup(p->t, name[k]);
    return n;
}

/* within: relative to the largest element; 0: the same bits */
static void expect_close(hz_var a, hz_var b, double within, const char *what, uint64_t seed) {
    const hz_tensor *u = hz_value(a), *v = hz_value(b);
    double largest = 0;
    cr_assert(hz_ok(a) == hz_ok(b) && hz_same_shape(u, v), "%s, seed %d", what, (int)seed);
    for (int64_t k = 0; k < hz_numel(u); k++) largest = fmax(largest, fabs(hz_get_flat(u, k)));
    for (int64_t k = 0; k < hz_numel(u); k++) {
        const double p = hz_get_flat(u, k), q = hz_get_flat(v, k);
        cr_assert(fabs(p - q) <= within * largest, "%s, seed %d, element %d: %.9g, %.9g", what, (int)seed,
                  (int)k, p, q);
    }
}

/* The same gradients of both recordings under the same options. */
static void compare(program *a, program *b, bool unit, const hz_grad_opts *opts, const char *what,
                    uint64_t seed) {
    static hz_var x[2][MOST * MOST], dx[2][MOST * MOST];
    program *p[2] = {a, b};
    int n[2];
    hz_grad_report report[2];
    hz_box support[2][MOST * MOST];
    for (int k = 0; k < 2; k++) {
        n[k] = targets(p[k], x[k]);
        hz_grad_opts o = *opts;
        o.unreachable = HZ_UNREACHABLE_ZERO;
        o.report = &report[k];
        o.support = support[k];
        hz_var y = unit ? hz_pick(p[k]->last, (const int64_t[]){1, 2, 3, 1}) : p[k]->loss;
        hz_error err = {HZ_OK, ""};
        cr_assert(hz_grad(&y, 1, x[k], n[k], &o, dx[k]), "%s, seed %d: %s", what, (int)seed,
                  (hz_tape_ok(p[k]->t, &err), err.text));
    }
    cr_assert_eq(n[0], n[1], "%s, seed %d: %d targets, %d", what, (int)seed, n[0], n[1]);
    if (!unit) /* what no cotangent reaches is not opened, and not counted */
        cr_expect_str_eq(report[0].text, report[1].text, "%s, seed %d", what, (int)seed);
    for (int k = 0; k < n[0]; k++) {
        expect_close(dx[0][k], dx[1][k], 0, what, seed);
        cr_expect(hz_box_equal(&support[0][k], &support[1][k], 4) || !unit, "%s, seed %d, target %d", what,
                  (int)seed, k);
    }
}

enum { PROGRAMS = 60 };

Test(recompute, random_programs_have_the_same_gradients_bit_for_bit) {
    int segments = 0;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        program a = record(seed, false), b = record(seed, true);
        for (uint32_t id = 1; id < hz_tape_size(b.t); id++)
            segments += hz_node_of(hz_at(b.t, id))->op == &hz_op_recompute;
        expect_close(a.loss, b.loss, 0, "loss", seed);
        const uint32_t size = hz_tape_size(b.t);
        compare(&a, &b, false, &(hz_grad_opts){.dy = NULL}, "gradients", seed);
        compare(&a, &b, false, &(hz_grad_opts){.dy = NULL}, "the same again", seed);
        compare(&a, &b, true, &(hz_grad_opts){.dy = NULL}, "of one unit, in boxes", seed);
        compare(&a, &b, true, &(hz_grad_opts){.whole = true}, "of one unit, whole", seed);
        cr_expect(hz_tape_size(b.t) > size, "the results are there");
        hz_tape_free(a.t);
        hz_tape_free(b.t);
    }
    cr_assert_gt(segments, 2 * PROGRAMS);
}

/* By op, and by the name of what is inside, or of a segment. */
Test(recompute, rules_meet_what_is_inside) {
    int met = 0;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        program a = record(seed, false), b = record(seed, true);
        const hz_rules *rules =
            HZ_RULES({.label = "by name", .op = &hz_op_relu, .name = "block.*relu", .vjp = hz_relu_guided},
                     {.label = "by op", .op = &hz_op_relu, .vjp = hz_relu_guided},
                     {.label = "outside", .op = &hz_op_mul, .name = "named outside", .vjp = hz_op_mul.vjp});
        for (int n = 1; n <= rules->n; n++) {
            const hz_rules one = {&rules->rule[n - 1], 1};
            const hz_var y = a.loss;
            hz_var dx;
            if (!hz_grad(&y, 1, &a.x, 1, &(hz_grad_opts){.rules = &one}, &dx)) {
                hz_error wanted, got;
                hz_tape_ok(a.t, &wanted);
                hz_tape_clear_error(a.t);
                cr_expect_not(hz_grad(&b.loss, 1, &b.x, 1, &(hz_grad_opts){.rules = &one}, &dx));
                cr_assert_not(hz_tape_ok(b.t, &got));
                cr_expect_str_eq(got.text, wanted.text);
                hz_tape_clear_error(b.t);
                continue;
            }
            met++;
            compare(&a, &b, false, &(hz_grad_opts){.rules = &one}, "under a rule", seed);
            compare(&a, &b, true, &(hz_grad_opts){.rules = &one}, "of a unit under a rule", seed);
        }
        hz_tape_free(a.t);
        hz_tape_free(b.t);
    }
    cr_assert_gt(met, PROGRAMS / 2);
}

Test(recompute, gradients_can_be_differentiated_again) {
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        program p[2] = {record(seed, false), record(seed, true)};
        hz_var first[2], second[2];
        for (int k = 0; k < 2; k++) {
            cr_assert(hz_grad(&p[k].loss, 1, &p[k].x, 1, &(hz_grad_opts){.differentiable = true}, &first[k]));
            hz_var y = hz_sum(hz_square(first[k]), HZ_ALL_AXES, false);
            cr_assert(hz_grad(&y, 1, &p[k].x, 1, NULL, &second[k]));
        }
        expect_close(first[0], first[1], 0, "first", seed);
        expect_close(second[0], second[1], 1e-5, "second", seed); /* sums over paths in another order */
        hz_tape_free(p[0].t);
        hz_tape_free(p[1].t);
    }
}

Test(recompute, receptive_fields_reach_through) {
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        program a = record(seed, false), b = record(seed, true);
        const hz_box unit = {{1, 1, 2, 3}, {2, 2, 3, 4}};
        hz_box u, v;
        const bool in_a = hz_receptive_field(a.last, &unit, a.x, &u);
        cr_assert_eq(in_a, hz_receptive_field(b.last, &unit, b.x, &v));
        for (int k = 0; in_a && k < 4; k++)
            cr_expect(u.lo[k] == v.lo[k] && u.hi[k] == v.hi[k], "seed %d, axis %d: [%d, %d), [%d, %d)",
                      (int)seed, k, (int)u.lo[k], (int)u.hi[k], (int)v.lo[k], (int)v.hi[k]);
        hz_tape_free(a.t);
        hz_tape_free(b.t);
    }
}

/* ---- memory ---- */

enum { DEPTH = 64, ROWS = 64, WIDTH = 64, BYTES = ROWS * WIDTH * 4 };

static float weight[DEPTH][WIDTH * WIDTH], batch[ROWS * WIDTH];

typedef struct layers {
    int from, to, most; /* layers from … to − 1; segments of more than `most` are halved; 0: no segments */
} layers;

static hz_var chain(hz_tape *t, const hz_var *in, int n, const void *ctx) {
    const layers *l = ctx;
    hz_var x = in[0];
    cr_assert_eq(n, 1);
    if (l->to - l->from > l->most && l->most > 0) {
        const int middle = (l->from + l->to) / 2;
        const layers half[2] = {{l->from, middle, l->most}, {middle, l->to, l->most}};
        for (int k = 0; k < 2; k++) x = hz_recompute(t, chain, &x, 1, &half[k], sizeof half[k]);
        return x;
    }
    for (int k = l->from; k < l->to; k++) {
        const hz_tensor w = hz_tensor_of(weight[k], HZ_F32, HZ_DIMS(WIDTH, WIDTH));
        x = hz_tanh(hz_matmul(x, hz_namef(hz_input(t, &w), "w%d", k)));
    }
    return x;
}

/* Pooled bytes at the most, in tensors of the chain's size; *dx gets the gradient of x. */
static int64_t peak_of(int segment, bool nested, float *dx) {
    hz_tape *t = hz_tape_new(NULL);
    for (int k = 0; k < DEPTH; k++) {
        const hz_tensor w = hz_tensor_of(weight[k], HZ_F32, HZ_DIMS(WIDTH, WIDTH));
        hz_random_fill_normal(hz_tape_exec(t), 1, (uint64_t)k, 0, 0.15, &w);
    }
    const hz_tensor v = hz_tensor_of(batch, HZ_F32, HZ_DIMS(ROWS, WIDTH));
    hz_random_fill_normal(hz_tape_exec(t), 2, 0, 0, 1, &v);
    hz_var x = hz_input(t, &v), y = x, d;
    if (nested || segment == 0) {
        y = chain(t, &x, 1, &(layers){0, DEPTH, segment});
    } else {
        for (int k = 0; k < DEPTH; k += segment)
            y = hz_recompute(t, chain, &y, 1, &(layers){k, k + segment, 0}, sizeof(layers));
    }
    y = hz_sum(y, HZ_ALL_AXES, false);
    cr_assert(hz_grad(&y, 1, &x, 1, NULL, &d));
    memcpy(dx, hz_value(d)->data, BYTES);
    const size_t peak = hz_pool_get_stats(hz_tape_pool(t)).peak;
    hz_tape_free(t);
    return (int64_t)((peak + BYTES - 1) / BYTES);
}

Test(recompute, memory_falls_to_the_square_root_of_the_depth) {
    static float kept[ROWS * WIDTH], dropped[ROWS * WIDTH], halved[ROWS * WIDTH];
    const int64_t all = peak_of(0, false, kept);
    const int64_t some = peak_of(8, false, dropped);
    const int64_t few = peak_of(1, true, halved);
    cr_assert_arr_eq(kept, dropped, BYTES);
    cr_assert_arr_eq(kept, halved, BYTES);
    cr_expect_geq(all, 2 * DEPTH); /* a product and its tanh for every layer */
    cr_expect_leq(some, DEPTH / 8 + 2 * 8 + 5, "%d of %d", (int)some, (int)all);
    cr_expect_leq(few, 3 * 6 + 5, "%d of %d", (int)few,
                  (int)all); /* log₂ DEPTH levels: two halves, a cotangent */
}

Test(recompute, a_step_takes_no_more_memory_the_second_time) {
    hz_tape *t = hz_tape_new(NULL);
    const hz_tensor v = hz_tensor_of(batch, HZ_F32, HZ_DIMS(ROWS, WIDTH));
    uint64_t allocated = 0;
    for (int step_number = 0; step_number < 4; step_number++) {
        hz_tape_reset(t);
        hz_var x = hz_input(t, &v), y = chain(t, &x, 1, &(layers){0, DEPTH, 4}), d;
        y = hz_sum(y, HZ_ALL_AXES, false);
        cr_assert(hz_grad(&y, 1, &x, 1, NULL, &d));
        const uint64_t now = hz_pool_get_stats(hz_tape_pool(t)).allocated;
        cr_expect(step_number == 0 || now == allocated);
        allocated = now;
    }
    hz_tape_free(t);
}

/* ---- names ---- */

static hz_tape *t;
static float numbers[4] = {-1, 0.5f, 1, 2}, factors[4] = {1, 2, 3, 4};
static hz_var x;

static void set_up(void) {
    t = hz_tape_new(NULL);
    const hz_tensor v = hz_tensor_of(numbers, HZ_F32, HZ_DIMS(4));
    x = hz_name(hz_input(t, &v), "x");
}
static void tear_down(void) {
    hz_tape_free(t);
}
TestSuite(recompute_one, .init = set_up, .fini = tear_down);

static hz_error error_of(void) {
    hz_error err = {HZ_OK, ""};
    cr_assert_not(hz_tape_ok(t, &err));
    return err;
}

/* relu(x)·w, named "hidden", "w" and "product"; calls the input "renamed" */
static hz_var product(hz_tape *tape, const hz_var *in, int n, const void *ctx) {
    const hz_tensor w = hz_tensor_of(factors, HZ_F32, HZ_DIMS(4));
    (void)n, (void)ctx;
    hz_name(in[0], "renamed");
    hz_var hidden = hz_name(hz_relu(in[0]), "hidden");
    return hz_name(hz_mul(hidden, hz_name(hz_input(tape, &w), "w")), "product");
}

Test(recompute_one, names_of_what_stays_are_found) {
    hz_scope_push(t, "part");
    hz_var y = hz_recompute(t, product, &x, 1, NULL, 0);
    hz_scope_pop(t, "part");
    cr_assert(hz_ok(y));
    cr_expect_eq(hz_find(t, "part.product").id, y.id);
    cr_expect_eq(hz_find(t, "part.renamed").id, x.id);
    hz_var w = hz_find(t, "part.w"), dw;
    y = hz_sum(y, HZ_ALL_AXES, false);
    cr_assert(hz_grad(&y, 1, &w, 1, NULL, &dw));
    for (int64_t k = 0; k < 4; k++) cr_expect_eq(hz_get_flat(hz_value(dw), k), k > 0 ? numbers[k] : 0);
    cr_expect_str_eq(hz_node_of(x)->name, "part.renamed");
    cr_expect_str_eq(hz_node_of(w)->name, "part.w");
}

Test(recompute_one, a_unit_that_was_not_kept_is_said_to_be_inside) {
    hz_var y = hz_recompute(t, product, &x, 1, NULL, 0);
    const uint32_t size = hz_tape_size(t);
    cr_expect_not(hz_ok(hz_find(t, "hidden")));
    cr_expect_eq(error_of().code, HZ_ENOTFOUND);
    cr_expect_str_eq(error_of().text,
                     "\"hidden\" is inside recompute \"product\", which keeps nothing but its result");
    cr_expect_eq(hz_tape_size(t), size);
    cr_expect(hz_ok(y));
}

Test(recompute_one, searches_find_what_was_recorded_first) {
    hz_var y = hz_recompute(t, product, &x, 1, NULL, 0), s = hz_sum(y, HZ_ALL_AXES, false), dx;
    cr_assert(hz_grad(&s, 1, &x, 1, &(hz_grad_opts){.differentiable = true}, &dx));
    cr_expect_eq(hz_find(t, "product").id, y.id);
    cr_expect_not(hz_ok(hz_lookup(t, "hidden")));
}

Test(recompute_one, a_zero_gradient_is_explained) {
    hz_var y = hz_pick(hz_recompute(t, product, &x, 1, NULL, 0), (const int64_t[]){0});
    hz_zero_report report;
    cr_assert(hz_explain_zero(y, x, NULL, &report));
    cr_expect_eq(report.reason, HZ_BLOCKED);
    cr_expect(strstr(report.text, "product"), "%s", report.text);
}

/* ---- what may go wrong ---- */

static hz_var disagreeing(hz_tape *tape, const hz_var *in, int n, const void *ctx) {
    (void)n, (void)ctx;
    hz_scope_push(tape, "inside");
    return hz_add(in[0], hz_full(tape, HZ_F32, HZ_DIMS(3), 1));
}

Test(recompute_one, an_error_inside_is_kept_and_leaves_nothing_else) {
    const uint32_t size = hz_tape_size(t);
    hz_scope_push(t, "part");
    cr_expect_not(hz_ok(hz_recompute(t, disagreeing, &x, 1, NULL, 0)));
    cr_expect_eq(error_of().code, HZ_ESHAPE);
    cr_expect(strstr(error_of().text, "part.inside"), "%s", error_of().text);
    cr_expect_eq(hz_tape_size(t), size);
    hz_tape_clear_error(t);
    hz_scope_pop(t, "part");
    cr_expect(hz_tape_ok(t, NULL), "the scope is that of before");
    hz_tape_fail(t, HZ_EINVAL, "earlier");
    cr_expect_not(hz_ok(hz_recompute(t, product, &x, 1, NULL, 0)));
    cr_expect_str_eq(error_of().text, "earlier");
}

static hz_var nothing(hz_tape *tape, const hz_var *in, int n, const void *ctx) {
    (void)in, (void)n, (void)ctx;
    return hz_none(tape);
}

static hz_var of_another(hz_tape *tape, const hz_var *in, int n, const void *ctx) {
    (void)tape, (void)in, (void)n;
    return *(const hz_var *)ctx;
}

Test(recompute_one, wrong_arguments_are_told) {
    hz_tape *other = hz_tape_new(NULL);
    const hz_var far = hz_scalar(other, HZ_F32, 1), none = hz_none(t);
    static const char *const text[] = {"hz_recompute: no segment, or 1 inputs",
                                       "hz_recompute: input 0 is on another tape",
                                       "hz_recompute: input 0 is the inert variable or no longer on the tape",
                                       "hz_recompute: the segment returned the inert variable",
                                       "hz_recompute: the segment returned a variable of another tape"};
    for (int k = 0; k < 5; k++) {
        const hz_var in = k == 1 ? far : k == 2 ? none : x;
        hz_segment_fn segment = k == 0 ? NULL : k == 4 ? of_another : nothing;
        cr_expect_not(hz_ok(hz_recompute(t, segment, &in, 1, &far, sizeof far)));
        cr_expect_eq(error_of().code, HZ_EINVAL);
        cr_expect_str_eq(error_of().text, text[k]);
        hz_tape_clear_error(t);
    }
    hz_tape_free(other);
}

/* x times a number that counts how often it was asked */
static hz_var restless(hz_tape *tape, const hz_var *in, int n, const void *ctx) {
    int *count = *(int *const *)ctx;
    (void)tape, (void)n;
    return hz_scale(in[0], ++*count);
}

Test(recompute_one, a_segment_that_does_something_else_the_second_time_is_told) {
    int count = 0, *at = &count;
    hz_var y = hz_sum(hz_name(hz_recompute(t, restless, &x, 1, &at, sizeof at), "restless"), HZ_ALL_AXES,
                      false),
           dx;
    cr_expect_not(hz_grad(&y, 1, &x, 1, NULL, &dx));
    cr_expect_eq(error_of().code, HZ_EINVAL);
    cr_expect(strstr(error_of().text,
                     "recompute \"restless\", run again: the segment gave f32 [4] the first time, now "
                     "f32 [4] with other values"),
              "%s", error_of().text);
    cr_expect_eq(count, 2);
}

static hz_var identity(hz_tape *tape, const hz_var *in, int n, const void *ctx) {
    (void)tape, (void)n, (void)ctx;
    return in[0];
}

static hz_var only_a_leaf(hz_tape *tape, const hz_var *in, int n, const void *ctx) {
    const hz_tensor w = hz_tensor_of(factors, HZ_F32, HZ_DIMS(4));
    (void)in, (void)n, (void)ctx;
    return hz_name(hz_input(tape, &w), "leaf");
}

Test(recompute_one, segments_that_compute_nothing_leave_no_node) {
    cr_expect_eq(hz_recompute(t, identity, &x, 1, NULL, 0).id, x.id);
    hz_var leaf = hz_recompute(t, only_a_leaf, &x, 1, NULL, 0);
    cr_expect_eq(hz_node_of(leaf)->op, &hz_op_leaf);
    cr_expect_eq(hz_find(t, "leaf").id, leaf.id);
}

static hz_var tells_whether_again(hz_tape *tape, const hz_var *in, int n, const void *ctx) {
    int *seen = *(int *const *)ctx;
    (void)n;
    seen[hz_recomputing(tape)]++;
    return hz_square(in[0]);
}

Test(recompute_one, a_segment_can_tell_that_it_is_run_again) {
    int seen[2] = {0}, *at = seen;
    hz_var y = hz_sum(hz_recompute(t, tells_whether_again, &x, 1, &at, sizeof at), HZ_ALL_AXES, false), dx;
    for (int k = 0; k < 3; k++) cr_assert(hz_grad(&y, 1, &x, 1, NULL, &dx));
    cr_expect_eq(seen[0], 1);
    cr_expect_eq(seen[1], 3);
    cr_expect_not(hz_recomputing(t));
}

/* The N-th allocation fails, for every N: an error, never a crash; under a sanitizer, no leak either. */
typedef struct rationed {
    int64_t left;
} rationed;

static void *ration(void *ctx, size_t size) {
    rationed *r = ctx;
    return r->left-- > 0 ? malloc(size) : NULL;
}

static void give_back(void *ctx, void *p) {
    (void)ctx;
    free(p);
}

Test(recompute, runs_out_of_memory_with_a_word) {
    int64_t failures = 0;
    for (int64_t n = 0;; n++) {
        rationed r = {n};
        const hz_allocator alloc = {ration, give_back, &r};
        hz_tape *tape = hz_tape_new(&(hz_tape_opts){.alloc = &alloc, .threads = 1});
        if (!tape) continue;
        const hz_tensor v = hz_tensor_of(batch, HZ_F32, HZ_DIMS(ROWS, WIDTH));
        hz_var in = hz_input(tape, &v), y = chain(tape, &in, 1, &(layers){0, 8, 2}), d;
        y = hz_sum(y, HZ_ALL_AXES, false);
        const bool ok = hz_ok(y) && hz_grad(&y, 1, &in, 1, NULL, &d);
        hz_error err = {HZ_OK, ""};
        cr_expect_eq(hz_tape_ok(tape, &err), ok);
        cr_expect(ok || err.code == HZ_ENOMEM, "%s", err.text);
        hz_tape_free(tape);
        if (ok) break;
        failures++;
    }
    cr_assert_gt(failures, 5);
}

/* ---- an op of one's own that stands for others ---- */

static hz_var expand_softsign(const hz_node *n) { /* x/(1 + |x|) */
    return hz_div(n->in[0], hz_add_scalar(hz_abs(n->in[0]), 1));
}

static bool softsign_forward(const hz_node *n, const hz_exec *ex, hz_error *err) {
    (void)ex, (void)err;
    for (int64_t k = 0; k < hz_numel(&n->value); k++) {
        const double v = hz_get_flat(hz_in(n, 0), k);
        hz_set_flat(&n->value, k, v / (1 + (v < 0 ? -v : v)));
    }
    return true;
}

static hz_var call_softsign(hz_tape *tape, const hz_var *in);
static const hz_sample softsign_samples[] = {
    {"some", 1, {{2, {3, 4}, .kink = {0}, .n_kinks = 1}}, call_softsign, false}};
static const hz_op softsign = {.name = "softsign",
                               .n_in = 1,
                               .shape = hz_shape_float,
                               .forward = softsign_forward,
                               .expand = expand_softsign,
                               .samples = softsign_samples,
                               .n_samples = 1};
static hz_var call_softsign(hz_tape *tape, const hz_var *in) {
    (void)tape;
    return hz_apply1(&softsign, in[0], NULL);
}

Test(expand, an_op_may_say_what_it_stands_for_in_place_of_a_vjp) {
    hz_gradcheck_report report;
    cr_expect(hz_gradcheck(&softsign, &(hz_gradcheck_opts){.order = 2}, &report), "%s", report.text);
    cr_expect_gt(report.nonzero, 0);
}

static hz_var expand_itself(const hz_node *n) {
    return hz_apply(n->op, n->in, n->n_in, NULL);
}
static hz_var expand_to_nothing(const hz_node *n) {
    return hz_none(n->tape);
}
static hz_var expand_to_less(const hz_node *n) {
    return hz_sum(n->in[0], HZ_ALL_AXES, false);
}

Test(recompute_one, expansions_that_cannot_be_are_told) {
    static hz_var (*const expand[])(const hz_node *) = {expand_itself, expand_to_nothing, expand_to_less};
    static const char *const text[] = {"without end", "expands to nothing",
                                       "which is f32 [4], expands to f32 []"};
    for (int k = 0; k < 3; k++) {
        hz_op op = softsign;
        op.expand = expand[k];
        hz_var y = hz_sum(hz_apply1(&op, x, NULL), HZ_ALL_AXES, false), dx;
        cr_assert(hz_ok(y));
        cr_expect_not(hz_grad(&y, 1, &x, 1, NULL, &dx));
        cr_expect(strstr(error_of().text, text[k]), "%s", error_of().text);
        hz_tape_clear_error(t);
    }
}
