/* test_optim.c: update rules against their formulas written out in double, over dtypes, instruction sets, lengths and
 * threads.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/optim.h"
#include "tensor/random.h"

enum { MOST = 5000, ARRAYS = 2 + HZ_UPDATE_STATES };

/* Numbers that are all different, so that none can stand in for another. */
static const hz_update_args all_different = {
    .scale = 0.9,
    .limit = 1.5,
    .l2 = 0.03,
    .shrink = 0.98,
    .rate = 0.1,
    .beta1 = 0.8,
    .gain1 = 0.25,
    .beta2 = 0.7,
    .gain2 = 0.35,
    .now = 0.6,
    .past = 0.55,
    .correction = 1.7,
    .eps = 0.01,
};

/* Array 0 is the parameter, 1 the gradient, the others are states. */
typedef struct arrays {
    hz_dtype dtype;
    int64_t n;
    void *data[ARRAYS];
} arrays;

static arrays make(hz_dtype dtype, int64_t n) {
    arrays a = {dtype, n, {NULL}};
    for (int k = 0; k < ARRAYS; k++) a.data[k] = calloc(MOST + 1, sizeof(double));
    return a;
}

static void discard(arrays *a) {
    for (int k = 0; k < ARRAYS; k++) free(a->data[k]);
}

static double value(const arrays *a, int k, int64_t i) {
    return a->dtype == HZ_F32 ? (double)((const float *)a->data[k])[i] : ((const double *)a->data[k])[i];
}

/* Parameters and gradients of either sign, states that can be squares: those of RMSprop exceed the squared means. */
static void draw(arrays *a) {
    for (int k = 0; k < ARRAYS; k++) {
        hz_tensor t = hz_tensor_of(a->data[k], a->dtype, HZ_DIMS(a->n));
        for (int64_t i = 0; i < a->n; i++) {
            const double u = hz_random_uniform(1, (uint64_t)k, (uint64_t)i);
            hz_set(&t, &i, k < 2 ? 4 * u - 2 : k == 2 ? 2 + u : 0.1 + u);
        }
    }
}

static void update(const arrays *a, hz_update rule, hz_isa isa, int threads, const hz_update_args *args) {
    const hz_exec ex = {.pool = NULL, .threads = threads, .isa = isa};
    hz_update_item item = {
        .dtype = a->dtype, .n = a->n, .param = a->data[0], .grad = a->data[1], .args = *args};
    for (int k = 0; k < HZ_UPDATE_STATES; k++) item.state[k] = a->data[2 + k];
    hz_update_run(&ex, rule, &item, 1);
}

/* ---- the formulas ---- */

/* x = {p, g, s0, s1, s2} of one element */
static void formula(hz_update rule, const hz_update_args *a, double *x) {
    double *p = x, *s = x + 2;
    const double d = fmin(fmax(a->scale * x[1], -a->limit), a->limit) + a->l2 * *p, start = a->shrink * *p;
    switch (rule) {
    case HZ_UPDATE_SGD:
        *p = start - a->rate * d;
        break;
    case HZ_UPDATE_MOMENTUM:
        s[0] = a->beta1 * s[0] + a->gain1 * d;
        *p = start - a->rate * (a->now * d + a->past * s[0]);
        break;
    case HZ_UPDATE_ADAM:
    case HZ_UPDATE_AMSGRAD:
        s[0] = a->beta1 * s[0] + a->gain1 * d;
        s[1] = a->beta2 * s[1] + a->gain2 * d * d;
        if (rule == HZ_UPDATE_AMSGRAD) s[2] = fmax(s[2], s[1]);
        *p = start - a->rate * s[0] / (a->correction * sqrt(rule == HZ_UPDATE_ADAM ? s[1] : s[2]) + a->eps);
        break;
    case HZ_UPDATE_RMSPROP:
        s[0] = a->beta2 * s[0] + a->gain2 * d * d;
        *p = start - a->rate * d / (sqrt(s[0]) + a->eps);
        break;
    case HZ_UPDATE_RMSPROP_MOMENTUM:
        s[0] = a->beta2 * s[0] + a->gain2 * d * d;
        s[1] = a->beta1 * s[1] + d / (sqrt(s[0]) + a->eps);
        *p = start - a->rate * s[1];
        break;
    case HZ_UPDATE_RMSPROP_CENTERED:
    case HZ_UPDATE_RMSPROP_CENTERED_MOMENTUM:
        s[0] = a->beta2 * s[0] + a->gain2 * d * d;
        s[1] = a->beta2 * s[1] + a->gain2 * d;
        const double u = d / (sqrt(fmax(s[0] - s[1] * s[1], 0)) + a->eps);
        if (rule == HZ_UPDATE_RMSPROP_CENTERED_MOMENTUM) s[2] = a->beta1 * s[2] + u;
        *p = start - a->rate * (rule == HZ_UPDATE_RMSPROP_CENTERED ? u : s[2]);
        break;
    case HZ_UPDATE_ADAGRAD:
        s[0] += d * d;
        *p = start - a->rate * d / (sqrt(s[0]) + a->eps);
        break;
    case HZ_UPDATE_LION: {
        const double to = a->now * d + a->past * s[0];
        *p = start - a->rate * ((to > 0) - (to < 0));
        s[0] = a->beta2 * s[0] + a->gain2 * d;
        break;
    }
    case HZ_UPDATE_AVERAGE:
        s[0] += a->gain1 * (*p - s[0]);
        break;
    case HZ_UPDATES:
        break;
    }
}

Test(update, follows_its_formula_in_every_element) {
    static const int64_t lengths[] = {1, 7, 16, 33, 1027};
    for (int rule = 0; rule < HZ_UPDATES; rule++)
        for (int c = 0; c < 10; c++) {
            arrays a = make((hz_dtype)(c % 2), lengths[c / 2]),
                   before = make((hz_dtype)(c % 2), lengths[c / 2]);
            draw(&a), draw(&before);
            update(&a, (hz_update)rule, HZ_ISA_C, 1, &all_different);
            for (int64_t i = 0; i < a.n; i++) {
                double want[ARRAYS];
                for (int k = 0; k < ARRAYS; k++) want[k] = value(&before, k, i);
                formula((hz_update)rule, &all_different, want);
                for (int k = 0; k < ARRAYS; k++)
                    cr_assert(fabs(value(&a, k, i) - want[k]) <= (a.dtype == HZ_F64 ? 1e-14 : 2e-6),
                              "rule %d, array %d, element %d of %d: %.17g, expected %.17g", rule, k, (int)i,
                              (int)a.n, value(&a, k, i), want[k]);
            }
            cr_expect_eq(value(&a, 0, a.n), 0); /* nothing behind the end */
            discard(&a), discard(&before);
        }
}

Test(update, has_the_same_bits_on_every_instruction_set_and_thread_count) {
    const hz_isa best = hz_isa_resolve(HZ_ISA_AUTO);
    for (int rule = 0; rule < HZ_UPDATES; rule++)
        for (int dtype = 0; dtype < 2; dtype++)
            for (int isa = HZ_ISA_C; isa <= (int)best; isa++) {
                arrays a = make((hz_dtype)dtype, MOST - 3), b = make((hz_dtype)dtype, MOST - 3);
                draw(&a), draw(&b);
                update(&a, (hz_update)rule, HZ_ISA_C, 1, &all_different);
                update(&b, (hz_update)rule, (hz_isa)isa, 1, &all_different);
                for (int k = 0; k < ARRAYS; k++)
                    cr_expect_eq(memcmp(a.data[k], b.data[k], MOST * sizeof(double)), 0,
                                 "rule %d, array %d, %s", rule, k, hz_isa_name((hz_isa)isa));
                discard(&a), discard(&b);
            }
}

/* Items whose borders fall everywhere in the shares of threads. */
Test(update, divides_many_items_as_it_does_one) {
    enum { N = 200000 };
    static const int64_t sizes[] = {1, 0, 1023, 1025, 70000, 5, 60001, 2048, 64873, 1024};
    float *p[3], *g = malloc(N * sizeof *g);
    hz_tensor grad = hz_tensor_of(g, HZ_F32, HZ_DIMS(N));
    hz_random_fill_normal(&(hz_exec){.threads = 1, .isa = HZ_ISA_C}, 1, 1, 0, 1, &grad);
    for (int run = 0; run < 3; run++) {
        hz_update_item item[10];
        int64_t at = 0;
        int items = run == 0 ? 1 : 10;
        p[run] = calloc(N, sizeof **p);
        for (int k = 0; k < items; k++) {
            const int64_t n = run == 0 ? N : sizes[k];
            item[k] = (hz_update_item){.dtype = HZ_F32,
                                       .n = n,
                                       .param = p[run] + at,
                                       .grad = g + at,
                                       .args = {.scale = 1, .limit = INFINITY, .shrink = 1, .rate = 0.5}};
            at += n;
        }
        cr_assert_eq(at, N);
        hz_update_run(&(hz_exec){.threads = run == 2 ? 3 : 1, .isa = hz_isa_resolve(HZ_ISA_AUTO)},
                      HZ_UPDATE_SGD, item, items);
    }
    cr_expect_eq(p[0][N - 1], -0.5F * g[N - 1]);
    cr_expect_eq(memcmp(p[0], p[1], N * sizeof **p), 0);
    cr_expect_eq(memcmp(p[0], p[2], N * sizeof **p), 0);
    for (int run = 0; run < 3; run++) free(p[run]);
    free(g);
}

Test(update, lets_a_nan_through) {
    for (int rule = 0; rule < HZ_UPDATE_AVERAGE; rule++) {
        arrays a = make(HZ_F32, 40);
        draw(&a);
        ((float *)a.data[1])[17] = NAN;
        update(&a, (hz_update)rule, hz_isa_resolve(HZ_ISA_AUTO), 1, &all_different);
        for (int64_t i = 0; i < a.n; i++)
            cr_expect_eq(isnan(value(&a, 0, i)), i == 17, "rule %d, element %d", rule, (int)i);
        discard(&a);
    }
}
