/* test_optim.c: optimisers: their formulas over several steps, written out in double; settings of parameters;
 * clipping; state and resumption; averages; memory. PyTorch's word on the formulas is train_oracle.py.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/grad.h"
#include "nn/optim.h"
#include "ops/ops.h"
#include "tensor/random.h"

/* ---- an allocator that counts and fails on demand ---- */

typedef struct counter {
    int calls;   /* of alloc */
    int fail_at; /* number of the first call that fails, from 1; 0: none */
    int live;    /* not given back */
} counter;

static void *count_alloc(void *ctx, size_t size) {
    counter *c = ctx;
    if (++c->calls == c->fail_at) return NULL;
    c->live++;
    return malloc(size);
}

static void count_free(void *ctx, void *p) {
    ((counter *)ctx)->live--;
    free(p);
}

/* ---- two parameters and their gradients ---- */

enum { A = 6, B = 3 };

typedef struct pair {
    double a[A], b[B], da[A], db[B];
    hz_tensor param[2], grad[2];
    hz_pool *pool;
    hz_exec ex;
} pair;

/* Gradients of step t: a pure function of t. */
static void draw_grads(pair *p, int t) {
    for (int i = 0; i < A; i++) p->da[i] = hz_random_normal(5, (uint64_t)t, (uint64_t)i);
    for (int i = 0; i < B; i++) p->db[i] = hz_random_normal(6, (uint64_t)t, (uint64_t)i);
}

static pair *make_pair(void) {
    pair *p = calloc(1, sizeof *p);
    for (int i = 0; i < A; i++) p->a[i] = hz_random_normal(3, 0, (uint64_t)i);
    for (int i = 0; i < B; i++) p->b[i] = hz_random_normal(4, 0, (uint64_t)i);
    p->param[0] = hz_tensor_of(p->a, HZ_F64, HZ_DIMS(2, 3));
    p->param[1] = hz_tensor_of(p->b, HZ_F64, HZ_DIMS(B));
    p->grad[0] = hz_tensor_of(p->da, HZ_F64, HZ_DIMS(2, 3));
    p->grad[1] = hz_tensor_of(p->db, HZ_F64, HZ_DIMS(B));
    p->pool = hz_pool_new(NULL);
    p->ex = (hz_exec){.pool = p->pool, .threads = 1, .isa = hz_isa_resolve(HZ_ISA_AUTO)};
    return p;
}

static void free_pair(pair *p) {
    hz_pool_free(p->pool);
    free(p);
}

static void expect_fine(bool ok, const hz_error *err) {
    cr_assert(ok, "%s", err->text);
}

static void expect_failure(bool ok, const hz_error *err, hz_code code, const char *text) {
    cr_assert_not(ok);
    cr_expect_eq(err->code, code, "code %d: %s", (int)err->code, err->text);
    cr_expect(strstr(err->text, text), "\"%s\" does not say \"%s\"", err->text, text);
}

static void add_both(hz_optimizer *opt, pair *p) {
    hz_error err = {HZ_OK, ""};
    cr_assert(opt);
    expect_fine(hz_optimizer_add(opt, "a", &p->param[0], NULL, &err), &err);
    expect_fine(hz_optimizer_add(opt, "b", &p->param[1], NULL, &err), &err);
}

static void step(hz_optimizer *opt, pair *p, int t) {
    hz_error err = {HZ_OK, ""};
    draw_grads(p, t);
    expect_fine(hz_optimizer_step(opt, &p->ex, p->grad, 2, &err), &err);
}

static double state_at(const hz_optimizer *opt, const char *name, int64_t i) {
    for (int k = 0; k < hz_optimizer_state_count(opt); k++) {
        const char *found;
        hz_tensor tensor;
        hz_optimizer_state(opt, k, &found, &tensor);
        if (strcmp(found, name) == 0) return hz_get_flat(&tensor, i);
    }
    cr_assert_fail("no state \"%s\"", name);
    return NAN;
}

/* ---- formulas: the numbers of ten steps, as the papers have them ---- */

typedef struct scalar_state {
    double m, v, u;
} scalar_state;
typedef double scalar_rule(double p, double d, int t, scalar_state *s);

static double sgd_plain(double p, double d, int t, scalar_state *s) {
    (void)t, (void)s;
    return p - 0.1 * (d + 0.05 * p);
}
static double sgd_momentum(double p, double d, int t, scalar_state *s) {
    s->m = t == 1 ? d : 0.9 * s->m + (1 - 0.2) * d;
    return p - 0.1 * s->m;
}
static double sgd_nesterov(double p, double d, int t, scalar_state *s) {
    (void)t;
    d += 0.05 * p;
    s->m = 0.9 * s->m + d;
    return p - 0.1 * (d + 0.9 * s->m);
}
static double adam_by(double p, double d, int t, scalar_state *s, bool amsgrad) {
    s->m = 0.8 * s->m + 0.2 * d;
    s->v = 0.95 * s->v + 0.05 * d * d;
    s->u = amsgrad ? fmax(s->u, s->v) : s->v;
    return p - 0.01 * (s->m / (1 - pow(0.8, t))) / (sqrt(s->u / (1 - pow(0.95, t))) + 1e-4);
}
static double adam(double p, double d, int t, scalar_state *s) {
    return adam_by(p, d + 0.05 * p, t, s, false);
}
static double amsgrad(double p, double d, int t, scalar_state *s) {
    return adam_by(p, d, t, s, true);
}
static double adamw(double p, double d, int t, scalar_state *s) {
    return adam_by(p * (1 - 0.01 * 0.05), d, t, s, false);
}
static double rmsprop(double p, double d, int t, scalar_state *s) {
    (void)t;
    s->v = 0.9 * s->v + 0.1 * d * d;
    return p - 0.01 * d / (sqrt(s->v) + 1e-8);
}
static double rmsprop_all(double p, double d, int t, scalar_state *s) {
    (void)t;
    d += 0.05 * p;
    s->v = 0.9 * s->v + 0.1 * d * d;
    s->u = 0.9 * s->u + 0.1 * d;
    s->m = 0.7 * s->m + d / (sqrt(s->v - s->u * s->u) + 1e-8);
    return p - 0.01 * s->m;
}
static double adagrad(double p, double d, int t, scalar_state *s) {
    s->v += d * d + (t == 1 ? 0.3 : 0);
    return p - 0.1 / (1 + 0.02 * (t - 1)) * d / (sqrt(s->v) + 1e-10);
}
static double lion(double p, double d, int t, scalar_state *s) {
    (void)t;
    const double to = 0.9 * s->m + 0.1 * d;
    s->m = 0.99 * s->m + 0.01 * d;
    return p * (1 - 0.01 * 0.05) - 0.01 * ((to > 0) - (to < 0));
}

static void expect_rule(hz_optimizer *opt, scalar_rule *rule) {
    pair *p = make_pair();
    scalar_state s[A + B] = {{0, 0, 0}};
    double want[A + B];
    memcpy(want, p->a, sizeof p->a);
    memcpy(want + A, p->b, sizeof p->b);
    add_both(opt, p);
    for (int t = 1; t <= 10; t++) {
        step(opt, p, t);
        for (int i = 0; i < A + B; i++) {
            want[i] = rule(want[i], i < A ? p->da[i] : p->db[i - A], t, &s[i]);
            const double got = i < A ? p->a[i] : p->b[i - A];
            cr_assert(fabs(got - want[i]) < 1e-13, "%s, step %d, element %d: %.17g, expected %.17g",
                      hz_optimizer_name(opt), t, i, got, want[i]);
        }
    }
    cr_expect_eq(state_at(opt, "b.step", 0), 10);
    hz_optimizer_free(opt);
    free_pair(p);
}

Test(sgd, subtracts_the_gradient_and_decay) {
    expect_rule(hz_sgd_new(&(hz_sgd_opts){.lr = 0.1, .weight_decay = 0.05}, NULL), sgd_plain);
}
Test(sgd, momentum_begins_with_the_whole_gradient) {
    expect_rule(hz_sgd_new(&(hz_sgd_opts){.lr = 0.1, .momentum = 0.9, .dampening = 0.2}, NULL), sgd_momentum);
}
Test(sgd, nesterov_looks_ahead) {
    const hz_sgd_opts o = {.lr = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.05};
    expect_rule(hz_sgd_new(&o, NULL), sgd_nesterov);
}

static const hz_adam_opts adam_opts = {
    .lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-4, .weight_decay = 0.05};

Test(adam, corrects_both_moments) {
    expect_rule(hz_adam_new(&adam_opts, NULL), adam);
}
Test(adam, by_default_steps_a_thousandth_at_first) {
    pair *p = make_pair();
    hz_optimizer *opt = hz_adam_new(NULL, NULL);
    const double b = p->b[0];
    add_both(opt, p);
    step(opt, p, 1);
    cr_expect(fabs(p->b[0] - (b - 1e-3 * p->db[0] / (fabs(p->db[0]) + 1e-8))) < 1e-15);
    cr_expect(fabs(state_at(opt, "b.exp_avg", 0) - 0.1 * p->db[0]) < 1e-15);
    cr_expect(fabs(state_at(opt, "b.exp_avg_sq", 0) - 0.001 * p->db[0] * p->db[0]) < 1e-15);
    hz_optimizer_free(opt);
    free_pair(p);
}
Test(adam, amsgrad_never_forgets_the_largest_square) {
    hz_adam_opts o = adam_opts;
    o.weight_decay = 0;
    o.amsgrad = true;
    expect_rule(hz_adam_new(&o, NULL), amsgrad);
}
Test(adamw, decays_weights_and_not_gradients) {
    expect_rule(hz_adamw_new(&adam_opts, NULL), adamw);
}
Test(rmsprop, divides_by_the_root_of_the_mean_square) {
    expect_rule(hz_rmsprop_new(&(hz_rmsprop_opts){.alpha = 0.9}, NULL), rmsprop);
}
Test(rmsprop, centred_with_momentum_and_decay) {
    const hz_rmsprop_opts o = {.alpha = 0.9, .momentum = 0.7, .weight_decay = 0.05, .centered = true};
    expect_rule(hz_rmsprop_new(&o, NULL), rmsprop_all);
}
Test(adagrad, sums_squares_and_decays_its_rate) {
    expect_rule(hz_adagrad_new(&(hz_adagrad_opts){.lr = 0.1, .lr_decay = 0.02, .initial = 0.3}, NULL),
                adagrad);
}
Test(lion, takes_the_sign_of_its_momentum) {
    expect_rule(hz_lion_new(&(hz_lion_opts){.lr = 0.01, .weight_decay = 0.05}, NULL), lion);
}

/* ---- parameters and their settings ---- */

Test(optimizer, a_group_scales_the_rate_spares_decay_and_freezes) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    double a[A], b[B];
    memcpy(a, p->a, sizeof a);
    memcpy(b, p->b, sizeof b);
    hz_optimizer *opt = hz_sgd_new(&(hz_sgd_opts){.lr = 0.1, .weight_decay = 0.5}, &err);
    add_both(opt, p);
    expect_fine(hz_optimizer_set_group(opt, "a", &(hz_param_group){.lr_scale = 3, .no_decay = true}, &err),
                &err);
    expect_fine(hz_optimizer_set_group(opt, "b", &(hz_param_group){.frozen = true}, &err), &err);
    step(opt, p, 1);
    for (int i = 0; i < A; i++) cr_expect(fabs(p->a[i] - (a[i] - 0.3 * p->da[i])) < 1e-15);
    cr_expect_eq(memcmp(b, p->b, sizeof b), 0);
    cr_expect_eq(state_at(opt, "b.step", 0), 0);
    expect_fine(hz_optimizer_set_group(opt, NULL, NULL, &err), &err);
    memcpy(a, p->a, sizeof a);
    step(opt, p, 2);
    for (int i = 0; i < A; i++) cr_expect(fabs(p->a[i] - (a[i] - 0.1 * (p->da[i] + 0.5 * a[i]))) < 1e-15);
    for (int i = 0; i < B; i++) cr_expect(fabs(p->b[i] - (b[i] - 0.1 * (p->db[i] + 0.5 * b[i]))) < 1e-15);
    expect_failure(hz_optimizer_set_group(opt, "c", NULL, &err), &err, HZ_ENOTFOUND,
                   "no parameter is named \"c\"");
    hz_optimizer_free(opt);
    free_pair(p);
}

Test(optimizer, passes_over_a_parameter_without_a_gradient) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    double b[B];
    memcpy(b, p->b, sizeof b);
    hz_optimizer *opt = hz_adam_new(NULL, &err);
    add_both(opt, p);
    draw_grads(p, 1);
    p->grad[1].data = NULL;
    expect_fine(hz_optimizer_step(opt, &p->ex, p->grad, 2, &err), &err);
    cr_expect_eq(state_at(opt, "a.step", 0), 1);
    cr_expect_eq(state_at(opt, "b.step", 0), 0);
    cr_expect_eq(memcmp(b, p->b, sizeof b), 0);
    hz_optimizer_free(opt);
    free_pair(p);
}

Test(optimizer, takes_gradients_of_any_strides) {
    pair *p = make_pair(), *q = make_pair();
    hz_error err = {HZ_OK, ""};
    hz_optimizer *one = hz_adam_new(NULL, &err), *two = hz_adam_new(NULL, &err);
    double turned[A], same = 0.25;
    add_both(one, p), add_both(two, q);
    draw_grads(p, 1);
    for (int i = 0; i < A; i++) turned[i % 3 * 2 + i / 3] = p->da[i];
    for (int i = 0; i < B; i++) p->db[i] = same;
    hz_tensor t = hz_tensor_of(turned, HZ_F64, HZ_DIMS(3, 2)), s = hz_tensor_of(&same, HZ_F64, HZ_DIMS(1));
    cr_assert(hz_view_transpose(&t, 0, 1, &q->grad[0], NULL));
    cr_assert(hz_view_broadcast(&s, 1, (int64_t[]){B}, &q->grad[1], NULL));
    expect_fine(hz_optimizer_step(one, &p->ex, p->grad, 2, &err), &err);
    expect_fine(hz_optimizer_step(two, &q->ex, q->grad, 2, &err), &err);
    cr_expect_eq(memcmp(p->a, q->a, sizeof p->a), 0);
    cr_expect_eq(memcmp(p->b, q->b, sizeof p->b), 0);
    cr_expect_eq(hz_pool_get_stats(q->pool).used, 0);
    hz_block *mine[2] = {hz_pool_get(q->pool, sizeof q->a), hz_pool_get(q->pool, sizeof q->b)};
    expect_fine(hz_optimizer_step(two, &q->ex, p->grad, 2, &err), &err);
    cr_expect(mine[0]->refs == 1 && mine[1]->refs == 1); /* memory that now is somebody else's */
    hz_block_unref(mine[0]), hz_block_unref(mine[1]);
    hz_optimizer_free(one), hz_optimizer_free(two);
    free_pair(p), free_pair(q);
}

Test(optimizer, steps_along_what_hz_grad_returns) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    hz_tape *t = hz_tape_new(NULL);
    hz_optimizer *opt = hz_sgd_new(&(hz_sgd_opts){.lr = 0.25}, &err);
    double a[A], b[B];
    memcpy(a, p->a, sizeof a);
    memcpy(b, p->b, sizeof b);
    add_both(opt, p);
    hz_var x[2] = {hz_input(t, &p->param[0]), hz_input(t, &p->param[1])}, dx[2];
    hz_var loss = hz_sum(hz_square(x[0]), HZ_ALL_AXES, false);
    hz_grad(&loss, 1, x, 2, &(hz_grad_opts){.unreachable = HZ_UNREACHABLE_NONE}, dx);
    expect_fine(hz_optimizer_step_vars(opt, dx, 2, &err), &err);
    for (int i = 0; i < A; i++) cr_expect(fabs(p->a[i] - a[i] / 2) < 1e-15);
    cr_expect_eq(memcmp(b, p->b, sizeof b), 0);
    hz_tape_fail(t, HZ_EINVAL, "broken");
    expect_failure(hz_optimizer_step_vars(opt, dx, 2, &err), &err, HZ_EINVAL, "broken");
    for (int i = 0; i < A; i++) cr_expect(fabs(p->a[i] - a[i] / 2) < 1e-15);
    hz_optimizer_free(opt);
    hz_tape_free(t);
    free_pair(p);
}

Test(optimizer, trains_f32_and_f64_side_by_side) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    float w[2] = {1, 2}, dw[2] = {3, -1};
    hz_optimizer *opt = hz_sgd_new(&(hz_sgd_opts){.lr = 0.5}, &err);
    const hz_tensor narrow = hz_tensor_of(w, HZ_F32, HZ_DIMS(2));
    const double a = p->a[5];
    expect_fine(hz_optimizer_add(opt, "w", &narrow, NULL, &err), &err);
    expect_fine(hz_optimizer_add(opt, "a", &p->param[0], NULL, &err), &err);
    draw_grads(p, 1);
    const hz_tensor grad[2] = {hz_tensor_of(dw, HZ_F32, HZ_DIMS(2)), p->grad[0]};
    expect_fine(hz_optimizer_step(opt, &p->ex, grad, 2, &err), &err);
    cr_expect(w[0] == -0.5F && w[1] == 2.5F);
    cr_expect(fabs(p->a[5] - (a - 0.5 * p->da[5])) < 1e-15);
    hz_optimizer_free(opt);
    free_pair(p);
}

/* ---- clipping ---- */

Test(clip, by_norm_scales_all_gradients_together_and_leaves_them_alone) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    double a[A], da[A], norm, sum = 0;
    memcpy(a, p->a, sizeof a);
    hz_optimizer *opt = hz_sgd_new(&(hz_sgd_opts){.lr = 1}, &err);
    add_both(opt, p);
    expect_fine(hz_optimizer_set_clip(opt, 0.5, 0, &err), &err);
    step(opt, p, 1);
    memcpy(da, p->da, sizeof da);
    for (int i = 0; i < A; i++) sum += da[i] * da[i];
    for (int i = 0; i < B; i++) sum += p->db[i] * p->db[i];
    expect_fine(hz_grad_norm(&p->ex, p->grad, 2, &norm, &err), &err);
    cr_expect(fabs(norm - sqrt(sum)) < 1e-14);
    cr_assert_gt(norm, 0.5);
    for (int i = 0; i < A; i++) cr_expect(fabs(p->a[i] - (a[i] - da[i] * 0.5 / (norm + 1e-6))) < 1e-14);
    draw_grads(p, 1);
    cr_expect_eq(memcmp(da, p->da, sizeof da), 0);
    hz_optimizer_free(opt);
    free_pair(p);
}

Test(clip, leaves_small_norms_as_they_are) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    const double a = p->a[0];
    hz_optimizer *opt = hz_sgd_new(&(hz_sgd_opts){.lr = 1}, &err);
    add_both(opt, p);
    expect_fine(hz_optimizer_set_clip(opt, 1000, 0, &err), &err);
    step(opt, p, 1);
    cr_expect_eq(p->a[0], a - p->da[0]);
    hz_optimizer_free(opt);
    free_pair(p);
}

Test(clip, by_value_bounds_every_element) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    double a[A];
    int cut = 0;
    memcpy(a, p->a, sizeof a);
    hz_optimizer *opt = hz_sgd_new(&(hz_sgd_opts){.lr = 1}, &err);
    add_both(opt, p);
    expect_fine(hz_optimizer_set_clip(opt, 0, 0.7, &err), &err);
    step(opt, p, 1);
    for (int i = 0; i < A; i++) {
        cut += fabs(p->da[i]) > 0.7;
        cr_expect(fabs(p->a[i] - (a[i] - fmin(fmax(p->da[i], -0.7), 0.7))) < 1e-15);
    }
    cr_assert(cut > 0 && cut < A);
    hz_optimizer_free(opt);
    free_pair(p);
}

Test(clip, refuses_a_norm_that_is_not_finite_and_changes_nothing) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    double a[A];
    memcpy(a, p->a, sizeof a);
    hz_optimizer *opt = hz_adam_new(NULL, &err);
    add_both(opt, p);
    expect_fine(hz_optimizer_set_clip(opt, 1, 0, &err), &err);
    draw_grads(p, 1);
    p->db[1] = INFINITY;
    expect_failure(hz_optimizer_step(opt, &p->ex, p->grad, 2, &err), &err, HZ_ENUMERIC,
                   "norm of the gradients is inf");
    cr_expect_eq(memcmp(a, p->a, sizeof a), 0);
    cr_expect_eq(state_at(opt, "a.step", 0), 0);
    cr_expect_eq(state_at(opt, "a.exp_avg", 0), 0);
    expect_fine(hz_optimizer_set_group(opt, "b", &(hz_param_group){.frozen = true}, &err), &err);
    err = (hz_error){HZ_OK, ""};
    expect_fine(hz_optimizer_step(opt, &p->ex, p->grad, 2, &err), &err); /* what is frozen does not count */
    hz_optimizer_free(opt);
    free_pair(p);
}

/* ---- state ---- */

Test(state, is_named_as_in_pytorch) {
    static const char *const want[] = {"a.step", "a.exp_avg", "a.exp_avg_sq", "a.max_exp_avg_sq",
                                       "b.step", "b.exp_avg", "b.exp_avg_sq", "b.max_exp_avg_sq"};
    pair *p = make_pair();
    hz_optimizer *opt = hz_adam_new(&(hz_adam_opts){.amsgrad = true}, NULL);
    add_both(opt, p);
    cr_assert_eq(hz_optimizer_state_count(opt), 8);
    for (int k = 0; k < 8; k++) {
        const char *name;
        hz_tensor tensor;
        hz_optimizer_state(opt, k, &name, &tensor);
        cr_expect_str_eq(name, want[k]);
        cr_expect(k % 4 == 0 ? tensor.rank == 0 && tensor.dtype == HZ_I64
                             : hz_same_shape(&tensor, &p->param[k / 4]) && tensor.dtype == HZ_F64);
    }
    hz_optimizer_free(opt);
    free_pair(p);
}

static hz_optimizer *make_kind(int kind) {
    switch (kind) {
    case 0:
        return hz_sgd_new(&(hz_sgd_opts){.lr = 0.1, .momentum = 0.9, .dampening = 0.5}, NULL);
    case 1:
        return hz_adam_new(&(hz_adam_opts){.amsgrad = true}, NULL);
    case 2:
        return hz_adamw_new(NULL, NULL);
    case 3:
        return hz_rmsprop_new(&(hz_rmsprop_opts){.momentum = 0.9, .centered = true}, NULL);
    case 4:
        return hz_adagrad_new(&(hz_adagrad_opts){.lr_decay = 0.1}, NULL);
    default:
        return hz_lion_new(NULL, NULL);
    }
}

static void copy_state(const hz_optimizer *from, const hz_optimizer *to) {
    cr_assert_eq(hz_optimizer_state_count(from), hz_optimizer_state_count(to));
    for (int k = 0; k < hz_optimizer_state_count(from); k++) {
        const char *name;
        hz_tensor saved, t;
        hz_optimizer_state(from, k, &name, &saved);
        hz_optimizer_state(to, k, &name, &t);
        memcpy(t.data, saved.data, hz_nbytes(&t));
    }
}

Test(state, is_all_that_resuming_needs_bit_for_bit) {
    for (int kind = 0; kind < 6; kind++) {
        pair *p = make_pair(), *q = make_pair();
        hz_optimizer *whole = make_kind(kind), *resumed = make_kind(kind);
        add_both(whole, p), add_both(resumed, q);
        for (int t = 1; t <= 4; t++) step(whole, p, t);
        memcpy(q->a, p->a, sizeof p->a);
        memcpy(q->b, p->b, sizeof p->b);
        copy_state(whole, resumed);
        for (int t = 5; t <= 8; t++) step(whole, p, t), step(resumed, q, t);
        cr_expect_eq(memcmp(p->a, q->a, sizeof p->a), 0, "%s", hz_optimizer_name(whole));
        cr_expect_eq(memcmp(p->b, q->b, sizeof p->b), 0, "%s", hz_optimizer_name(whole));
        hz_optimizer_free(whole), hz_optimizer_free(resumed);
        free_pair(p), free_pair(q);
    }
}

Test(optimizer, follows_the_rate_and_momentum_that_schedules_set) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    hz_optimizer *opt = hz_sgd_new(&(hz_sgd_opts){.lr = 0.1, .momentum = 0.9}, &err);
    add_both(opt, p);
    step(opt, p, 1);
    const double a = p->a[0], m = p->da[0];
    expect_fine(hz_optimizer_set_lr(opt, 0.03, &err) && hz_optimizer_set_momentum(opt, 0.5, &err), &err);
    cr_expect_eq(hz_optimizer_lr(opt), 0.03);
    step(opt, p, 2);
    cr_expect(fabs(p->a[0] - (a - 0.03 * (0.5 * m + p->da[0]))) < 1e-15);
    hz_optimizer_free(opt);
    free_pair(p);
}

/* ---- averages ---- */

Test(ema, follows_the_parameters_and_changes_places_with_them) {
    for (int warm_up = 0; warm_up < 2; warm_up++) {
        pair *p = make_pair();
        hz_error err = {HZ_OK, ""};
        hz_optimizer *ema = hz_ema_new(&(hz_ema_opts){.decay = 0.9, .warm_up = warm_up}, &err);
        double average = 0;
        add_both(ema, p);
        expect_failure(hz_ema_swap(ema, &err), &err, HZ_EINVAL, "\"a\" has no average yet");
        for (int t = 1; t <= 5; t++) {
            const double decay = warm_up ? fmin(0.9, t / (9.0 + t)) : 0.9;
            p->b[2] = t * t;
            average = t == 1 ? p->b[2] : decay * average + (1 - decay) * p->b[2];
            expect_fine(hz_ema_update(ema, &p->ex, &err), &err);
            cr_expect_eq(p->b[2], t * t);
            cr_expect(fabs(state_at(ema, "b.average", 2) - average) < 1e-13);
        }
        expect_fine(hz_ema_swap(ema, &err), &err);
        cr_expect(fabs(p->b[2] - average) < 1e-13);
        cr_expect_eq(state_at(ema, "b.average", 2), 25);
        expect_fine(hz_ema_swap(ema, &err), &err);
        cr_expect_eq(p->b[2], 25);
        hz_optimizer_free(ema);
        free_pair(p);
    }
}

Test(ema, leaves_what_is_frozen_where_it_is) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    const double b = p->b[0];
    hz_optimizer *ema = hz_ema_new(NULL, &err);
    add_both(ema, p);
    expect_fine(hz_optimizer_set_group(ema, "b", &(hz_param_group){.frozen = true}, &err), &err);
    expect_fine(hz_ema_update(ema, &p->ex, &err) && hz_ema_swap(ema, &err), &err);
    cr_expect_eq(p->b[0], b);
    hz_optimizer_free(ema);
    free_pair(p);
}

Test(ema, and_optimisers_are_not_taken_for_each_other) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    hz_optimizer *ema = hz_ema_new(NULL, &err), *sgd = hz_sgd_new(NULL, &err);
    add_both(ema, p);
    expect_failure(hz_optimizer_step(ema, &p->ex, p->grad, 2, &err), &err, HZ_EINVAL, "takes no gradients");
    expect_failure(hz_ema_update(sgd, &p->ex, &err), &err, HZ_EINVAL, "sgd: it is no moving average");
    expect_failure(hz_ema_swap(sgd, &err), &err, HZ_EINVAL, "sgd: it is no moving average");
    hz_optimizer_free(ema), hz_optimizer_free(sgd);
    free_pair(p);
}

/* ---- memory ---- */

Test(optimizer, allocates_nothing_once_it_runs) {
    counter c = {0, 0, 0};
    const hz_allocator alloc = {count_alloc, count_free, &c};
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    hz_pool_free(p->pool);
    p->ex.pool = p->pool = hz_pool_new(&alloc);
    hz_optimizer *opt = hz_adam_new(&(hz_adam_opts){.alloc = &alloc}, &err);
    hz_optimizer *ema = hz_ema_new(&(hz_ema_opts){.alloc = &alloc}, &err);
    add_both(opt, p), add_both(ema, p);
    expect_fine(hz_optimizer_set_clip(opt, 1, 1, &err), &err);
    cr_assert(hz_view_slice(&p->grad[1], 0, B - 1, B, -1, &p->grad[1], &err)); /* one that must be copied */
    step(opt, p, 1);
    const int calls = c.calls;
    for (int t = 2; t < 20; t++) {
        step(opt, p, t);
        expect_fine(hz_ema_update(ema, &p->ex, &err), &err);
    }
    cr_expect_eq(c.calls, calls);
    hz_optimizer_free(opt), hz_optimizer_free(ema);
    free_pair(p);
    cr_expect_eq(c.live, 0);
}

/* An optimiser with 20 parameters, so that its lists grow. */
static bool build(const hz_allocator *alloc, double *data, hz_error *err) {
    hz_optimizer *opt = hz_adam_new(&(hz_adam_opts){.alloc = alloc}, err);
    bool ok = opt;
    for (int k = 0; ok && k < 20; k++) {
        char name[8] = {'p', (char)('a' + k), '\0'};
        const hz_tensor t = hz_tensor_of(data + k, HZ_F64, HZ_DIMS(1));
        ok = hz_optimizer_add(opt, name, &t, NULL, err);
        cr_expect_eq(hz_optimizer_count(opt), k + ok);
    }
    hz_optimizer_free(opt);
    return ok;
}

/* A failure may be made up for by the pool, which then asks for less. */
Test(optimizer, survives_every_failing_allocation) {
    double data[20] = {0};
    int fail_at = 0, refused = 0;
    counter c;
    do {
        c = (counter){0, ++fail_at, 0};
        hz_error err = {HZ_OK, ""};
        const bool built = build(&(hz_allocator){count_alloc, count_free, &c}, data, &err);
        refused += !built;
        cr_expect(built || err.code == HZ_ENOMEM, "allocation %d: %s", fail_at, err.text);
        cr_expect_eq(c.live, 0, "allocation %d: %d left", fail_at, c.live);
    } while (c.calls >= fail_at);
    cr_expect_gt(refused, 6, "%d", refused); /* at least the optimiser, its pool, an arena, two lists twice */
}

/* ---- errors ---- */

Test(optimizer, refuses_options_that_make_no_sense) {
    hz_error err = {HZ_OK, ""};
    expect_failure(hz_sgd_new(&(hz_sgd_opts){.lr = -1}, &err), &err, HZ_EINVAL,
                   "sgd: lr is -1, not a number");
    expect_failure(hz_sgd_new(&(hz_sgd_opts){.lr = NAN}, &err), &err, HZ_EINVAL, "sgd: lr is");
    expect_failure(hz_sgd_new(&(hz_sgd_opts){.momentum = 1}, &err), &err, HZ_EINVAL,
                   "sgd: momentum is 1, outside [0, 1)");
    expect_failure(hz_sgd_new(&(hz_sgd_opts){.nesterov = true}, &err), &err, HZ_EINVAL, "nesterov needs");
    expect_failure(hz_sgd_new(&(hz_sgd_opts){.weight_decay = -1}, &err), &err, HZ_EINVAL, "weight_decay");
    expect_failure(hz_adam_new(&(hz_adam_opts){.beta2 = 1}, &err), &err, HZ_EINVAL, "adam: beta2 is 1");
    expect_failure(hz_adamw_new(&(hz_adam_opts){.eps = -1}, &err), &err, HZ_EINVAL, "adamw: eps is -1");
    expect_failure(hz_rmsprop_new(&(hz_rmsprop_opts){.alpha = 2}, &err), &err, HZ_EINVAL, "rmsprop: alpha");
    expect_failure(hz_adagrad_new(&(hz_adagrad_opts){.lr_decay = -2}, &err), &err, HZ_EINVAL, "lr_decay");
    expect_failure(hz_lion_new(&(hz_lion_opts){.beta2 = -1}, &err), &err, HZ_EINVAL, "lion: beta2");
    expect_failure(hz_ema_new(&(hz_ema_opts){.decay = 1}, &err), &err, HZ_EINVAL, "ema: decay is 1");
    hz_optimizer *opt = hz_sgd_new(NULL, &err);
    expect_failure(hz_optimizer_set_lr(opt, INFINITY, &err), &err, HZ_EINVAL, "lr is inf");
    expect_failure(hz_optimizer_set_momentum(opt, 0.5, &err), &err, HZ_EINVAL, "made without momentum");
    expect_failure(hz_optimizer_set_clip(opt, -1, 0, &err), &err, HZ_EINVAL, "norm to clip to is -1");
    expect_failure(hz_optimizer_set_clip(opt, 0, NAN, &err), &err, HZ_EINVAL, "value to clip to");
    hz_optimizer_free(opt);
    hz_optimizer_free(NULL);
}

Test(optimizer, refuses_parameters_and_gradients_that_do_not_fit) {
    pair *p = make_pair();
    hz_error err = {HZ_OK, ""};
    int64_t whole[2] = {1, 2};
    hz_optimizer *opt = hz_sgd_new(NULL, &err);
    add_both(opt, p);
    const hz_tensor integers = hz_tensor_of(whole, HZ_I64, HZ_DIMS(2));
    hz_tensor view;
    cr_assert(hz_view_transpose(&p->param[0], 0, 1, &view, &err));
    expect_failure(hz_optimizer_add(opt, "c", &integers, NULL, &err), &err, HZ_ESHAPE,
                   "\"c\", i64 [2], is not a");
    expect_failure(hz_optimizer_add(opt, "c", &view, NULL, &err), &err, HZ_ESHAPE, "not a contiguous tensor");
    expect_failure(hz_optimizer_add(opt, "a", &p->grad[0], NULL, &err), &err, HZ_EINVAL, "\"a\" already");
    expect_failure(hz_optimizer_add(opt, "c", &p->param[1], NULL, &err), &err, HZ_EINVAL,
                   "\"b\" and \"c\" share their memory");
    expect_failure(hz_optimizer_add(opt, "c", &p->grad[0], &(hz_param_group){.lr_scale = -1}, &err), &err,
                   HZ_EINVAL, "lr_scale is -1");
    expect_failure(hz_optimizer_step(opt, &p->ex, p->grad, 1, &err), &err, HZ_EINVAL,
                   "1 gradients for 2 parameters");
    p->grad[1].dim[0] = 2;
    expect_failure(hz_optimizer_step(opt, &p->ex, p->grad, 2, &err), &err, HZ_ESHAPE,
                   "parameter \"b\" is f64 [3], its gradient f64 [2]");
    cr_expect_eq(state_at(opt, "a.step", 0), 0);
    cr_expect_eq(hz_optimizer_count(opt), 2);
    hz_optimizer_free(opt);
    free_pair(p);
}
