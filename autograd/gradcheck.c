/* gradcheck.c: central differences in f64 against the reverse sweep; see gradcheck.h for what is checked.
 *
 * Start at check_function, which checks first order of any function. Second order is the same check applied to the
 * function (x, v) ↦ gradients of f at x with cotangents v (gradients_of). A sample or an op is a function, too.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/gradcheck.h"
#include "tensor/random.h"

enum { MAX_INPUTS = HZ_SAMPLE_INPUTS + HZ_GRADCHECK_OUTPUTS + 2, MAX_OUTPUTS = MAX_INPUTS };

typedef struct check {
    hz_gradcheck_fn f;
    void *ctx;
    hz_tape *t;
    hz_gradcheck_opts opts;
    hz_gradcheck_report *report;
    int n_x, n_y;
    hz_tensor x[MAX_INPUTS];  /* private copies, perturbed in place */
    void *x_base[MAX_INPUTS]; /* what to free */
    hz_tensor v[MAX_OUTPUTS]; /* random cotangents */
    void *v_base[MAX_OUTPUTS];
    hz_tensor g[MAX_INPUTS]; /* analytic gradients; data NULL for inputs that carry none */
    void *g_base[MAX_INPUTS];
    double s0;    /* s at x */
    bool empty;   /* nothing to differentiate: it only has to run */
    double worst; /* largest violation so far, in units of the tolerance */
} check;

static bool fail(check *c, const char *text) {
    c->report->ok = false;
    snprintf(c->report->text, sizeof c->report->text, "%s", text);
    return false;
}

static bool fail_with_tape(check *c) {
    hz_error err = {.code = HZ_OK};
    hz_tape_ok(c->t, &err);
    return fail(c, err.text);
}

/* ---- private copies ---- */

static bool has_repeats(const hz_tensor *x) {
    for (int k = 0; k < x->rank; k++)
        if (x->dim[k] > 1 && x->stride[k] == 0) return true;
    return false;
}

/* A copy with the same strides, unless elements share memory: then contiguous, since each is perturbed alone. */
static bool copy_like(const hz_tensor *x, hz_tensor *copy, void **base) {
    int64_t lowest = 0, span = 1;
    *copy = *x;
    if (has_repeats(x)) hz_tensor_set_contiguous(copy);
    for (int k = 0; k < x->rank; k++) {
        int64_t reach = copy->stride[k] * (x->dim[k] > 0 ? x->dim[k] - 1 : 0);
        span += reach < 0 ? -reach : reach;
        lowest += reach < 0 ? reach : 0;
    }
    size_t size = hz_dtype_size(x->dtype);
    *base = calloc((size_t)span, size);
    if (!*base) return false;
    copy->data = (char *)*base + (size_t)(-lowest) * size;
    for (int64_t k = 0, n = hz_numel(x); k < n; k++) hz_set_flat(copy, k, hz_get_flat(x, k));
    return true;
}

static bool new_tensor(const hz_tensor *like, hz_tensor *out, void **base) {
    *out = *like;
    hz_tensor_set_contiguous(out);
    *base = calloc(1, hz_nbytes(out) + 1);
    out->data = *base;
    return *base != NULL;
}

static void free_all(check *c) {
    for (int k = 0; k < MAX_INPUTS; k++) free(c->x_base[k]), free(c->g_base[k]);
    for (int k = 0; k < MAX_OUTPUTS; k++) free(c->v_base[k]);
    hz_tape_free(c->t);
}

/* ---- evaluating s(x) = Σ ⟨v, f(x)⟩ ---- */

/* Run f on a fresh tape; outputs that carry no gradient are left out. Returns how many are left, −1 on failure. */
static int run(check *c, hz_var *x, hz_var *y) {
    hz_tape_reset(c->t);
    for (int k = 0; k < c->n_x; k++) x[k] = hz_input(c->t, &c->x[k]);
    hz_var all[MAX_OUTPUTS];
    int n = c->f(c->t, x, c->n_x, all, c->ctx), kept = 0;
    if (!hz_tape_ok(c->t, NULL)) return -1;
    for (int k = 0; k < n; k++)
        if (hz_ok(all[k]) && hz_dtype_is_float(hz_value(all[k])->dtype)) y[kept++] = all[k];
    return kept;
}

static double dot(const hz_tensor *a, const hz_tensor *b) {
    double sum = 0;
    for (int64_t k = 0, n = hz_numel(a); k < n; k++) sum += hz_get_flat(a, k) * hz_get_flat(b, k);
    return sum;
}

static bool evaluate(check *c, double *s) {
    hz_var x[MAX_INPUTS], y[MAX_OUTPUTS];
    int n = run(c, x, y);
    if (n < 0) return fail_with_tape(c);
    if (n != c->n_y) return fail(c, "the function does not return the same number of outputs each time");
    *s = 0;
    for (int k = 0; k < n; k++) *s += dot(&c->v[k], hz_value(y[k]));
    return true;
}

/* ---- the analytic side ---- */

static bool draw_cotangents(check *c, const hz_var *y, int n) {
    c->n_y = n;
    c->empty = true;
    for (int k = 0; k < n; k++) {
        if (!new_tensor(hz_value(y[k]), &c->v[k], &c->v_base[k])) return fail(c, "out of memory");
        int64_t numel = hz_numel(&c->v[k]);
        if (numel > 0) c->empty = false;
        for (int64_t e = 0; e < numel; e++) {
            double u = hz_random_uniform(c->opts.seed, 100 + (uint64_t)k, (uint64_t)e);
            hz_set_flat(&c->v[k], e, u < 0.5 ? u - 1.25 : u + 0.25); /* ±[0.75, 1.25]: never near zero */
        }
    }
    for (int k = 0; k < c->n_x; k++)
        if (hz_dtype_is_float(c->x[k].dtype) && hz_numel(&c->x[k]) == 0) c->empty = true;
    return true;
}

/* The float inputs: what is differentiated. */
static int float_inputs(const check *c, const hz_var *x, hz_var *of, int *index) {
    int n = 0;
    for (int k = 0; k < c->n_x; k++)
        if (hz_dtype_is_float(c->x[k].dtype)) of[n] = x[k], index[n++] = k;
    return n;
}

static bool analytic(check *c) {
    hz_var x[MAX_INPUTS], y[MAX_OUTPUTS], dy[MAX_OUTPUTS], of[MAX_INPUTS], dx[MAX_INPUTS];
    int index[MAX_INPUTS], n_y = run(c, x, y), n_of = float_inputs(c, x, of, index);
    if (n_y < 0) return fail_with_tape(c);
    if (n_y == 0 || n_of == 0) return fail(c, "nothing compared: no float output or no float input");
    if (!draw_cotangents(c, y, n_y)) return false;
    for (int k = 0; k < n_y; k++) dy[k] = hz_input(c->t, &c->v[k]);
    hz_grad_opts opts = {.dy = dy, .rules = c->opts.rules, .unreachable = HZ_UNREACHABLE_ZERO};
    if (!hz_grad(y, n_y, of, n_of, &opts, dx)) return fail_with_tape(c);
    for (int k = 0; k < n_of; k++)
        if (!copy_like(hz_value(dx[k]), &c->g[index[k]], &c->g_base[index[k]]))
            return fail(c, "out of memory");
    return true;
}

/* ---- the numeric side, one direction at a time ---- */

/* A direction is one element (of input, element) or, with element −1, random along all. */
typedef struct direction {
    int input;
    int64_t element;
    uint64_t stream;
} direction;

static double along(const direction *d, int input, int64_t e) {
    return 2 * hz_random_uniform(d->stream, 200 + (uint64_t)input, (uint64_t)e) - 1;
}

static double moved(check *c, const direction *d, double step, bool *ok) {
    double s = 0;
    if (d->element >= 0) {
        double x = hz_get_flat(&c->x[d->input], d->element);
        hz_set_flat(&c->x[d->input], d->element, x + step);
        *ok = evaluate(c, &s) && *ok;
        hz_set_flat(&c->x[d->input], d->element, x);
        return s;
    }
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int k = 0; k < c->n_x; k++) {
            if (!hz_dtype_is_float(c->x[k].dtype)) continue;
            for (int64_t e = 0, n = hz_numel(&c->x[k]); e < n; e++)
                hz_set_flat(&c->x[k], e, hz_get_flat(&c->x[k], e) + sign * step * along(d, k, e));
        }
        if (sign == 1) *ok = evaluate(c, &s) && *ok;
    }
    return s;
}

/* (s(+h) − 2 s(0) + s(−h))/h: shrinks with h where f is smooth, stays or jumps where it has a kink. */
static double bend(check *c, const direction *d, double h, bool *ok) {
    return (moved(c, d, h, ok) - 2 * c->s0 + moved(c, d, -h, ok)) / h;
}

static bool is_kink(check *c, const direction *d, double h, double first, double scale, bool *ok) {
    if (!(fabs(first) > 1e-4 * scale)) return false;
    double second = bend(c, d, h / 2, ok), third = bend(c, d, h / 4, ok);
    double slack = 0.1 * fabs(first) + 1e-6 * scale;
    return fabs(second - first / 2) > slack || fabs(third - first / 4) > slack;
}

static void judge(check *c, const direction *d, double a, double n) {
    hz_gradcheck_report *r = c->report;
    double size = fmax(fabs(a), fabs(n)), tolerance = c->opts.atol + c->opts.rtol * size;
    double violation = fabs(a - n) / tolerance;
    r->compared++;
    if (!(size <= c->opts.atol)) r->nonzero++; /* less is rounding, and proves nothing */
    if (violation <= 1) return;
    r->mismatched++;
    if (violation <= c->worst) return;
    c->worst = isnan(violation) ? INFINITY : violation;
    r->order = c->opts.order;
    r->input = d->input;
    r->element = d->element;
    r->analytic = a;
    r->numeric = n;
}

static bool note_kink(check *c, const direction *d) {
    if (c->report->kinks++ == 0) {
        c->report->order = c->opts.order;
        c->report->input = d->input;
        c->report->element = d->element;
    }
    return true;
}

static bool compare(check *c, const direction *d, double x, double a) {
    bool ok = true;
    double h = c->opts.eps * fmax(1, fabs(x));
    double plus = moved(c, d, h, &ok), minus = moved(c, d, -h, &ok), n = (plus - minus) / (2 * h);
    if (!ok) return false;
    double scale = fabs(a) + fabs(n) + 1e-3, first = (plus - 2 * c->s0 + minus) / h;
    if (is_kink(c, d, h, first, scale, &ok)) return ok && note_kink(c, d);
    judge(c, d, a, n);
    return ok;
}

static bool compare_elements(check *c) {
    for (int k = 0; k < c->n_x; k++) {
        if (!hz_dtype_is_float(c->x[k].dtype)) continue;
        for (int64_t e = 0, n = hz_numel(&c->x[k]); e < n; e++) {
            direction d = {.input = k, .element = e};
            if (!compare(c, &d, hz_get_flat(&c->x[k], e), hz_get_flat(&c->g[k], e))) return false;
        }
    }
    return true;
}

static bool compare_directions(check *c) {
    for (int j = 0; j < c->opts.directions; j++) {
        direction d = {.element = -1, .stream = c->opts.seed * 1000003u + (uint64_t)j};
        double a = 0;
        for (int k = 0; k < c->n_x; k++) {
            if (!hz_dtype_is_float(c->x[k].dtype)) continue;
            for (int64_t e = 0, n = hz_numel(&c->x[k]); e < n; e++)
                a += hz_get_flat(&c->g[k], e) * along(&d, k, e);
        }
        if (!compare(c, &d, 1, a)) return false;
    }
    return true;
}

/* ---- one function, first order ---- */

static bool conclude(check *c, int64_t compared_before, int64_t nonzero_before) {
    hz_gradcheck_report *r = c->report;
    char *text = r->text;
    size_t size = sizeof r->text;
    r->ok = false;
    if (r->mismatched)
        snprintf(text, size,
                 "order %d, input %d, element %lld: analytic %.10g, numeric %.10g (%lld of %lld disagree)",
                 r->order, r->input, (long long)r->element, r->analytic, r->numeric, (long long)r->mismatched,
                 (long long)r->compared);
    else if (r->kinks)
        snprintf(text, size,
                 "order %d: a kink within the step at input %d, element %lld (%lld in all): choose inputs "
                 "away from it",
                 r->order, r->input, (long long)r->element, (long long)r->kinks);
    else if (!c->empty && r->compared == compared_before)
        snprintf(text, size, "nothing compared");
    else if (!c->empty && r->nonzero == nonzero_before)
        snprintf(text, size, "order %d: every gradient is zero, which proves nothing", c->opts.order);
    else
        r->ok = true;
    return r->ok;
}

static bool copy_inputs(check *c, const hz_tensor *x, int n_x) {
    if (n_x > MAX_INPUTS) return fail(c, "too many inputs");
    c->n_x = n_x;
    for (int k = 0; k < n_x; k++) {
        if (x[k].dtype == HZ_F32) return fail(c, "inputs must be f64: f32 is too coarse for differences");
        if (!copy_like(&x[k], &c->x[k], &c->x_base[k])) return fail(c, "out of memory");
    }
    return true;
}

static bool check_function(hz_gradcheck_fn f, void *ctx, const hz_tensor *x, int n_x,
                           const hz_gradcheck_opts *opts, hz_gradcheck_report *report) {
    check c = {.f = f, .ctx = ctx, .opts = *opts, .report = report};
    int64_t compared = report->compared, nonzero = report->nonzero;
    c.t = hz_tape_new(&(hz_tape_opts){.threads = 1});
    bool ok = c.t ? copy_inputs(&c, x, n_x) : fail(&c, "out of memory");
    ok = ok && analytic(&c) && evaluate(&c, &c.s0) &&
         (opts->directions > 0 ? compare_directions(&c) : compare_elements(&c)) &&
         conclude(&c, compared, nonzero);
    free_all(&c);
    return ok;
}

/* ---- second order ---- */

typedef struct second {
    hz_gradcheck_fn f;
    void *ctx;
    const hz_rules *rules;
    int n_x; /* the first inputs are x, the others the cotangents v */
} second;

/* (x, v) ↦ gradients of f at x with cotangents v */
static int gradients_of(hz_tape *t, const hz_var *x, int n, hz_var *dx, void *ctx) {
    const second *s = ctx;
    hz_var all[MAX_OUTPUTS], y[MAX_OUTPUTS], of[MAX_INPUTS];
    int n_all = s->f(t, x, s->n_x, all, s->ctx), n_y = 0, n_of = 0;
    for (int k = 0; k < n_all; k++)
        if (hz_ok(all[k]) && hz_dtype_is_float(hz_value(all[k])->dtype)) y[n_y++] = all[k];
    for (int k = 0; k < s->n_x; k++)
        if (hz_dtype_is_float(hz_value(x[k])->dtype)) of[n_of++] = x[k];
    if (!hz_tape_ok(t, NULL) || n_y != n - s->n_x) return 0;
    hz_grad_opts opts = {
        .dy = x + s->n_x, .rules = s->rules, .differentiable = true, .unreachable = HZ_UNREACHABLE_NONE};
    return hz_grad(y, n_y, of, n_of, &opts, dx) ? n_of : 0;
}

/* Random cotangents for every float output of f at x. Returns how many, −1 on failure. */
static int second_inputs(const second *s, const hz_tensor *x, uint64_t seed, hz_tensor *v, void **base) {
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.threads = 1});
    if (!t) return -1;
    hz_var in[MAX_INPUTS], all[MAX_OUTPUTS];
    for (int k = 0; k < s->n_x; k++) in[k] = hz_input(t, &x[k]);
    int n_all = s->f(t, in, s->n_x, all, s->ctx), n = 0;
    for (int k = 0; k < n_all && n >= 0; k++) {
        const hz_tensor *y = hz_value(all[k]);
        if (!hz_ok(all[k]) || !hz_dtype_is_float(y->dtype)) continue;
        hz_sample_input in_v = {.rank = y->rank, .lo = 0.5, .hi = 1.5};
        memcpy(in_v.dim, y->dim, sizeof in_v.dim);
        n = hz_sample_draw(&in_v, HZ_F64, HZ_LAYOUT_CONTIGUOUS, seed + 77 + (uint64_t)k, &v[n], &base[n],
                           NULL)
                ? n + 1
                : -1;
    }
    hz_tape_free(t);
    return n;
}

static bool check_second(hz_gradcheck_fn f, void *ctx, const hz_tensor *x, int n_x,
                         const hz_gradcheck_opts *opts, hz_gradcheck_report *report) {
    second s = {.f = f, .ctx = ctx, .rules = opts->rules, .n_x = n_x};
    hz_tensor all[MAX_INPUTS + MAX_OUTPUTS];
    void *base[MAX_OUTPUTS] = {NULL};
    for (int k = 0; k < n_x; k++) all[k] = x[k];
    int n_v = second_inputs(&s, x, opts->seed, all + n_x, base);
    hz_gradcheck_opts first = *opts;
    first.rules = NULL; /* the rules belong to the inner gradient: it is that which is checked */
    bool ok = n_v >= 0 && check_function(gradients_of, &s, all, n_x + n_v, &first, report);
    if (n_v < 0) snprintf(report->text, sizeof report->text, "out of memory");
    for (int k = 0; k < MAX_OUTPUTS; k++) free(base[k]);
    return ok;
}

/* ---- public entries ---- */

static hz_gradcheck_opts with_defaults(const hz_gradcheck_opts *opts) {
    hz_gradcheck_opts o = opts ? *opts : (hz_gradcheck_opts){.order = 1};
    if (o.order == 0) o.order = 1;
    if (o.eps == 0) o.eps = 1e-5;
    if (o.rtol == 0) o.rtol = 1e-5;
    if (o.atol == 0) o.atol = 1e-7;
    return o;
}

static bool rules_are_true(const hz_rules *rules, hz_gradcheck_report *report) {
    for (int k = 0; rules && k < rules->n; k++) {
        if (rules->rule[k].true_gradient) continue;
        snprintf(report->text, sizeof report->text, "rule %d (%s) does not claim to be a true gradient", k,
                 rules->rule[k].label ? rules->rule[k].label : "rule");
        return false;
    }
    return true;
}

static bool order_is_known(const hz_gradcheck_opts *o, hz_gradcheck_report *report) {
    if (o->order == 1 || o->order == 2) return true;
    snprintf(report->text, sizeof report->text, "order %d cannot be checked, only 1 and 2", o->order);
    return false;
}

static bool check_orders(hz_gradcheck_fn f, void *ctx, const hz_tensor *x, int n_x,
                         const hz_gradcheck_opts *opts, hz_gradcheck_report *report) {
    hz_gradcheck_opts first = *opts;
    first.order = 1;
    return check_function(f, ctx, x, n_x, &first, report) &&
           (opts->order < 2 || check_second(f, ctx, x, n_x, opts, report));
}

static bool say_ok(hz_gradcheck_report *r) {
    snprintf(r->text, sizeof r->text, "ok: %lld compared, %lld non-zero", (long long)r->compared,
             (long long)r->nonzero);
    return r->ok = true;
}

bool hz_gradcheck_function(hz_gradcheck_fn f, void *ctx, const hz_tensor *x, int n_x,
                           const hz_gradcheck_opts *opts, hz_gradcheck_report *report) {
    *report = (hz_gradcheck_report){.ok = false};
    hz_gradcheck_opts o = with_defaults(opts);
    if (n_x < 1 || n_x > HZ_SAMPLE_INPUTS + HZ_GRADCHECK_OUTPUTS) {
        snprintf(report->text, sizeof report->text, "%d inputs, not 1 to %d", n_x,
                 HZ_SAMPLE_INPUTS + HZ_GRADCHECK_OUTPUTS);
        return false;
    }
    if (!order_is_known(&o, report) || !rules_are_true(o.rules, report)) return false;
    if (!check_orders(f, ctx, x, n_x, &o, report)) return false;
    if (report->nonzero > 0) return say_ok(report);
    snprintf(report->text, sizeof report->text,
             "nothing compared but zeros: an input or the output is empty");
    return report->ok = false;
}

static int call_sample(hz_tape *t, const hz_var *x, int n_x, hz_var *y, void *ctx) {
    (void)n_x;
    y[0] = ((const hz_sample *)ctx)->call(t, x);
    return 1;
}

/* Adds to the counts of *report. */
static bool check_sample(const hz_sample *sample, const hz_gradcheck_opts *opts,
                         hz_gradcheck_report *report) {
    hz_tensor x[HZ_SAMPLE_INPUTS];
    void *base[HZ_SAMPLE_INPUTS] = {NULL};
    hz_error err = {.code = HZ_OK};
    bool ok = true;
    for (int k = 0; k < sample->n_in && ok; k++)
        ok = hz_sample_draw(&sample->in[k], HZ_F64, opts->layout, opts->seed * 31 + (uint64_t)k, &x[k],
                            &base[k], &err);
    if (!ok) snprintf(report->text, sizeof report->text, "%.400s", err.text);
    hz_gradcheck_opts o = *opts;
    if (sample->first_order_only) o.order = 1;
    ok = ok && check_orders(call_sample, (void *)sample, x, sample->n_in, &o, report);
    for (int k = 0; k < HZ_SAMPLE_INPUTS; k++) free(base[k]);
    if (ok) return true;
    char text[sizeof report->text];
    snprintf(text, sizeof text, "\"%.80s\": %.400s", sample->label ? sample->label : "sample", report->text);
    memcpy(report->text, text, sizeof text);
    return report->ok = false;
}

/* A sample that never runs the op says nothing about it. */
static bool runs_op(const hz_sample *sample, const hz_op *op, hz_gradcheck_report *report) {
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.threads = 1});
    hz_tensor x[HZ_SAMPLE_INPUTS];
    void *base[HZ_SAMPLE_INPUTS] = {NULL};
    hz_var in[HZ_SAMPLE_INPUTS];
    bool ok = t != NULL, found = false;
    for (int k = 0; k < sample->n_in && ok; k++) {
        ok = hz_sample_draw(&sample->in[k], HZ_F64, HZ_LAYOUT_CONTIGUOUS, (uint64_t)k, &x[k], &base[k], NULL);
        if (ok) in[k] = hz_input(t, &x[k]);
    }
    if (ok) sample->call(t, in);
    for (uint32_t id = 1; ok && id < hz_tape_size(t); id++) found |= hz_node_of(hz_at(t, id))->op == op;
    for (int k = 0; k < HZ_SAMPLE_INPUTS; k++) free(base[k]);
    hz_tape_free(t);
    if (found) return true;
    snprintf(report->text, sizeof report->text, "%.80s: sample \"%.80s\" does not run the op", op->name,
             sample->label ? sample->label : "sample");
    return report->ok = false;
}

bool hz_gradcheck_sample(const hz_sample *sample, const hz_gradcheck_opts *opts,
                         hz_gradcheck_report *report) {
    *report = (hz_gradcheck_report){.ok = false};
    hz_gradcheck_opts o = with_defaults(opts);
    return order_is_known(&o, report) && rules_are_true(o.rules, report) &&
           check_sample(sample, &o, report) && say_ok(report);
}

bool hz_gradcheck(const hz_op *op, const hz_gradcheck_opts *opts, hz_gradcheck_report *report) {
    *report = (hz_gradcheck_report){.ok = false};
    hz_gradcheck_opts o = with_defaults(opts);
    if (!order_is_known(&o, report) || !rules_are_true(o.rules, report)) return false;
    for (int k = 0; k < op->n_samples; k++)
        if (!check_sample(&op->samples[k], &o, report) || !runs_op(&op->samples[k], op, report)) return false;
    if (report->compared > 0 && report->nonzero > 0) return say_ok(report);
    snprintf(report->text, sizeof report->text, "%.80s: nothing compared: it brings %d samples", op->name,
             op->n_samples);
    return report->ok = false;
}
