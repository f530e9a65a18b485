/* test_all_gradients.c: every op's vjp against finite differences, to second order, on inputs of every layout; and
 * the checker against every op's vjp broken in six ways.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "all_ops.h"

Test(all_ops, the_table_is_the_whole_library) {
    cr_assert_gt(hz_ops_count, 80);
    for (int k = 0; k < hz_ops_count; k++)
        for (int j = 0; j < k; j++) cr_assert_str_neq(hz_ops[k]->name, hz_ops[j]->name);
}

ParameterizedTestParameters(all_ops, brings_samples_with_labels) {
    return every_op();
}
ParameterizedTest(int *k, all_ops, brings_samples_with_labels) {
    const hz_op *op = hz_ops[*k];
    cr_assert_gt(op->n_samples, 0, "%s brings no samples", op->name);
    for (int s = 0; s < op->n_samples; s++) {
        cr_assert(op->samples[s].label && op->samples[s].call, "%s: sample %d", op->name, s);
        sample_run r;
        run_sample(&r, &op->samples[s], HZ_F64, HZ_LAYOUT_CONTIGUOUS, NULL);
        bool found = false;
        for (uint32_t id = 1; id < hz_tape_size(r.t); id++) found |= hz_node_of(hz_at(r.t, id))->op == op;
        cr_assert(found, "%s: sample \"%s\" does not run the op", op->name, op->samples[s].label);
        free_run(&r);
    }
}

ParameterizedTestParameters(all_ops, gradients_match_differences_to_second_order) {
    return every_op();
}
ParameterizedTest(int *k, all_ops, gradients_match_differences_to_second_order) {
    const hz_op *op = hz_ops[*k];
    if (!op->vjp) return;
    for (int layout = 0; layout < HZ_LAYOUTS; layout++) {
        hz_gradcheck_report report;
        hz_gradcheck_opts opts = {.order = 2, .layout = (hz_layout)layout, .seed = SAMPLE_SEED};
        cr_expect(hz_gradcheck(op, &opts, &report), "%s, layout %d: %s", op->name, layout, report.text);
        cr_expect_gt(report.compared, 0);
    }
}

/* ---- inputs that repeat one element (stride 0) ---- */

typedef struct repeated {
    const hz_sample *sample;
    int input, axis;
} repeated;

/* The sample with one axis of one input stretched from a single slice. */
static int call_repeated(hz_tape *t, const hz_var *x, int n_x, hz_var *y, void *ctx) {
    const repeated *r = ctx;
    hz_var in[HZ_SAMPLE_INPUTS];
    (void)n_x;
    for (int k = 0; k < r->sample->n_in; k++) in[k] = x[k];
    const hz_sample_input *to = &r->sample->in[r->input];
    in[r->input] = hz_broadcast_to(x[r->input], to->rank, to->dim);
    y[0] = r->sample->call(t, in);
    return 1;
}

static void check_repeated(const hz_op *op, const hz_sample *sample, int input, int axis) {
    repeated r = {sample, input, axis};
    hz_tensor x[HZ_SAMPLE_INPUTS];
    void *base[HZ_SAMPLE_INPUTS] = {NULL};
    for (int k = 0; k < sample->n_in; k++) {
        hz_sample_input in = sample->in[k];
        if (k == input) in.dim[axis] = 1;
        cr_assert(hz_sample_draw(&in, HZ_F64, HZ_LAYOUT_CONTIGUOUS, 9 + (uint64_t)k, &x[k], &base[k], NULL));
    }
    hz_gradcheck_report report;
    bool ok =
        hz_gradcheck_function(call_repeated, &r, x, sample->n_in, &(hz_gradcheck_opts){.order = 1}, &report);
    /* Repeating may make every gradient zero, as that of softmax along its axis: then zeros were found on both sides. */
    bool zeros = report.compared > 0 && report.nonzero == 0 && report.kinks == 0;
    cr_expect(ok || zeros, "%s, \"%s\", input %d repeated along axis %d: %s", op->name, sample->label, input,
              axis, report.text);
    for (int k = 0; k < sample->n_in; k++) free(base[k]);
}

ParameterizedTestParameters(all_ops, gradients_match_on_inputs_with_stride_zero) {
    return every_op();
}
ParameterizedTest(int *k, all_ops, gradients_match_on_inputs_with_stride_zero) {
    const hz_op *op = hz_ops[*k];
    for (int s = 0; op->vjp && s < op->n_samples; s++) {
        const hz_sample *sample = &op->samples[s];
        for (int i = 0; i < sample->n_in; i++) {
            const hz_sample_input *in = &sample->in[i];
            bool empty = false;
            for (int a = 0; a < in->rank; a++) empty |= in->dim[a] == 0;
            /* Equal elements are ties, and ties are kinks, for the ops that ask for distinct ones. */
            if (in->dtype != HZ_F32 || in->distinct || empty) continue;
            for (int a = 0; a < in->rank; a++)
                if (in->dim[a] > 1) check_repeated(op, sample, i, a);
        }
    }
}

/* ---- broken vjps must be caught ---- */

static hz_var own(const hz_node *n, int i, hz_var dy) {
    return n->op->vjp(n, i, dy);
}

static hz_var flipped(const hz_node *n, int i, hz_var dy) {
    hz_var dx = own(n, i, dy);
    return hz_ok(dx) ? hz_neg(dx) : dx;
}

static hz_var doubled(const hz_node *n, int i, hz_var dy) {
    hz_var dx = own(n, i, dy);
    return hz_ok(dx) ? hz_scale(dx, 2) : dx;
}

static hz_var halved(const hz_node *n, int i, hz_var dy) {
    hz_var dx = own(n, i, dy);
    return hz_ok(dx) ? hz_scale(dx, 0.5) : dx;
}

/* The elements in another order, found by a permutation of the flattened tensor. */
static hz_var reordered(hz_var dx, bool transpose) {
    if (!hz_ok(dx)) return dx;
    const hz_tensor v = *hz_value(dx);
    if (transpose && v.rank >= 2) {
        hz_var flipped_axes = hz_transpose(dx, 0, v.rank - 1);
        if (hz_numel(&v) != v.dim[0] && hz_numel(&v) != v.dim[v.rank - 1])
            return hz_reshape(flipped_axes, v.rank, v.dim);
    }
    hz_var flat = hz_reshape(dx, 1, (const int64_t[]){hz_numel(&v)});
    if (hz_numel(&v) < 2) return dx;
    if (transpose) return hz_reshape(hz_flip(flat, 0), v.rank, v.dim);
    hz_var parts[2] = {hz_slice(flat, 0, 1, hz_numel(&v) - 1, 1), hz_slice(flat, 0, 0, 1, 1)};
    return hz_reshape(hz_concat(parts, 2, 0), v.rank, v.dim);
}

static hz_var transposed(const hz_node *n, int i, hz_var dy) {
    return reordered(own(n, i, dy), true);
}

static hz_var shifted(const hz_node *n, int i, hz_var dy) {
    return reordered(own(n, i, dy), false);
}

/* Terms of the sum over outputs are lost: those of every second element of dy. */
static hz_var dropped(const hz_node *n, int i, hz_var dy) {
    const hz_tensor *v = hz_value(dy);
    hz_var mask = hz_full(dy.tape, v->dtype, v->rank, v->dim, 1.0);
    for (int64_t e = 0; e < hz_numel(v); e += 2) hz_set_flat(hz_value(mask), e, 0.0);
    return own(n, i, hz_mul(dy, mask));
}

static const struct breakage {
    const char *name;
    hz_vjp_fn vjp;
} breakages[] = {
    {"flipped sign", flipped},  {"doubled", doubled},      {"halved", halved},
    {"transposed", transposed}, {"dropped term", dropped}, {"shifted by one", shifted},
};
enum { BREAKAGES = sizeof breakages / sizeof breakages[0] };

/* The gradients of Σ v·y, v as varied as it gets, under rules; appended to *g. */
static size_t gradients(const hz_sample *sample, const hz_rules *rules, double *g, size_t most) {
    sample_run r;
    run_sample(&r, sample, HZ_F64, HZ_LAYOUT_CONTIGUOUS, NULL);
    hz_var of[HZ_SAMPLE_INPUTS], dx[HZ_SAMPLE_INPUTS];
    int n = 0;
    for (int k = 0; k < sample->n_in; k++)
        if (hz_dtype_is_float(r.data[k].dtype)) of[n++] = r.x[k];
    const hz_tensor *y = hz_value(r.y);
    hz_var dy = hz_full(r.t, y->dtype, y->rank, y->dim, 0.0);
    for (int64_t e = 0; e < hz_numel(y); e++) hz_set_flat(hz_value(dy), e, sin(1 + 3.7 * (double)e) + 1.5);
    hz_grad_opts opts = {.dy = &dy, .rules = rules, .unreachable = HZ_UNREACHABLE_ZERO};
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_grad(&r.y, 1, of, n, &opts, dx) && hz_tape_ok(r.t, &err), "%s: %s", sample->label, err.text);
    size_t count = 0;
    for (int k = 0; k < n; k++)
        for (int64_t e = 0; e < hz_numel(hz_value(dx[k])) && count < most; e++)
            g[count++] = hz_get_flat(hz_value(dx[k]), e);
    free_run(&r);
    return count;
}

/* Whether the breakage makes a difference that a check can be expected to see. */
static bool changes_something(const hz_sample *sample, const hz_rules *rules) {
    enum { MOST = 4096 };
    static double intact[MOST], broken[MOST];
    size_t n = gradients(sample, NULL, intact, MOST);
    cr_assert_eq(gradients(sample, rules, broken, MOST), n);
    for (size_t k = 0; k < n; k++)
        if (fabs(intact[k] - broken[k]) > 1e-3 * fmax(1e-3, fabs(intact[k]))) return true;
    return false;
}

/* For an op whose derivative is zero wherever it exists, whose vjp therefore returns nothing: something it returns. */
static hz_var passed_on(const hz_node *n, int i, hz_var dy) {
    (void)n, (void)i;
    return dy;
}

static const struct breakage flat_breakage = {"non-zero", passed_on};

static bool returned_something;

static hz_var watched(const hz_node *n, int i, hz_var dy) {
    hz_var dx = own(n, i, dy);
    returned_something |= hz_ok(dx);
    return dx;
}

static bool is_flat(const hz_op *op) {
    static double g[4096];
    returned_something = false;
    for (int s = 0; s < op->n_samples; s++)
        gradients(&op->samples[s], HZ_RULES({.op = op, .vjp = watched, .true_gradient = true}), g, 4096);
    return !returned_something;
}

static void expect_caught(const hz_op *op, const struct breakage *b) {
    const hz_rules *rules = HZ_RULES({.op = op, .vjp = b->vjp, .true_gradient = true});
    int visible = 0;
    for (int s = 0; s < op->n_samples; s++) {
        if (!changes_something(&op->samples[s], rules)) continue;
        visible++;
        hz_gradcheck_report report;
        hz_gradcheck_opts opts = {.rules = rules, .seed = SAMPLE_SEED};
        bool passed = hz_gradcheck_sample(&op->samples[s], &opts, &report);
        cr_expect_not(passed, "%s, \"%s\": %s vjp not caught: %s", op->name, op->samples[s].label, b->name,
                      report.text);
    }
    cr_expect_gt(visible, 0, "%s: no sample can show a %s vjp", op->name, b->name);
}

ParameterizedTestParameters(all_ops, every_broken_vjp_is_caught) {
    return every_op();
}
ParameterizedTest(int *k, all_ops, every_broken_vjp_is_caught) {
    const hz_op *op = hz_ops[*k];
    if (!op->vjp) return;
    if (is_flat(op))
        expect_caught(op, &flat_breakage);
    else
        for (int b = 0; b < BREAKAGES; b++) expect_caught(op, &breakages[b]);
}
