/* test_all_boxes.c: the sweep on support boxes against the sweep on whole tensors, for every op: single units and
 * random boxes of every sample's output.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "all_ops.h"
#include "tensor/random.h"

/* y restricted to a random box, by slices. */
static hz_var random_part(hz_var y, uint64_t seed, bool one_unit) {
    int rank = hz_value(y)->rank;
    for (int a = 0; a < rank; a++) {
        int64_t dim = hz_value(y)->dim[a];
        int64_t start = hz_random_below(seed, 1, (uint64_t)a, dim);
        int64_t count = one_unit ? 1 : 1 + hz_random_below(seed, 2, (uint64_t)a, dim - start);
        y = hz_slice(y, a, start, count, 1);
    }
    return y;
}

static void check_outside_is_zero(const hz_op *op, const hz_sample *sample, const hz_tensor *dx,
                                  const hz_box *box) {
    for (int64_t e = 0; e < hz_numel(dx); e++) {
        int64_t idx[HZ_MAX_RANK];
        hz_unravel(dx, e, idx);
        bool inside = true;
        for (int a = 0; a < dx->rank; a++) inside &= box->lo[a] <= idx[a] && idx[a] < box->hi[a];
        if (!inside)
            cr_expect_eq(hz_get_flat(dx, e), 0.0, "%s, \"%s\": not zero outside", op->name, sample->label);
    }
}

static void compare_sweeps(const hz_op *op, sample_run *r, uint64_t seed, bool one_unit) {
    hz_mark mark = hz_tape_mark(r->t);
    hz_var part = random_part(r->y, seed, one_unit), of[HZ_SAMPLE_INPUTS], boxed[HZ_SAMPLE_INPUTS],
           whole[HZ_SAMPLE_INPUTS];
    hz_box support[HZ_SAMPLE_INPUTS];
    int n = 0;
    for (int k = 0; k < r->sample->n_in; k++)
        if (hz_dtype_is_float(r->data[k].dtype)) of[n++] = r->x[k];
    const hz_tensor *v = hz_value(part);
    hz_var dy = hz_full(r->t, v->dtype, v->rank, v->dim, 0.0);
    for (int64_t e = 0; e < hz_numel(v); e++) hz_set_flat(hz_value(dy), e, sin(2.0 + 5.1 * (double)e) + 1.25);
    hz_grad_opts opts = {.dy = &dy, .unreachable = HZ_UNREACHABLE_ZERO, .support = support};
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_grad(&part, 1, of, n, &opts, boxed), "%s: %d", op->name, hz_tape_ok(r->t, &err));
    opts.whole = true;
    opts.support = NULL;
    cr_assert(hz_grad(&part, 1, of, n, &opts, whole));
    for (int k = 0; k < n; k++) {
        const hz_tensor *a = hz_value(boxed[k]), *b = hz_value(whole[k]);
        double scale = 1e-3;
        for (int64_t e = 0; e < hz_numel(b); e++) scale = fmax(scale, fabs(hz_get_flat(b, e)));
        for (int64_t e = 0; e < hz_numel(b); e++)
            cr_expect(fabs(hz_get_flat(a, e) - hz_get_flat(b, e)) <= 1e-13 * scale,
                      "%s, \"%s\", input %d, element %lld: boxed %.17g, whole %.17g", op->name,
                      r->sample->label, k, (long long)e, hz_get_flat(a, e), hz_get_flat(b, e));
        check_outside_is_zero(op, r->sample, a, &support[k]);
    }
    hz_tape_rewind(r->t, mark);
}

ParameterizedTestParameters(all_boxes, boxed_and_whole_sweeps_agree) {
    return every_op();
}
ParameterizedTest(int *k, all_boxes, boxed_and_whole_sweeps_agree) {
    const hz_op *op = hz_ops[*k];
    if (!op->vjp) return;
    for (int s = 0; s < op->n_samples; s++) {
        sample_run r;
        run_sample(&r, &op->samples[s], HZ_F64, HZ_LAYOUT_CONTIGUOUS, NULL);
        for (uint64_t seed = 0; seed < 24 && hz_numel(hz_value(r.y)) > 0; seed++)
            compare_sweeps(op, &r, seed, seed % 2 == 0);
        free_run(&r);
    }
}

/* The receptive field by geometry must hold every input that the gradient, at any values, can reach. */
ParameterizedTestParameters(all_boxes, receptive_fields_hold_the_support) {
    return every_op();
}
ParameterizedTest(int *k, all_boxes, receptive_fields_hold_the_support) {
    const hz_op *op = hz_ops[*k];
    if (!op->vjp) return;
    for (int s = 0; s < op->n_samples; s++) {
        sample_run r;
        run_sample(&r, &op->samples[s], HZ_F64, HZ_LAYOUT_CONTIGUOUS, NULL);
        const hz_tensor *y = hz_value(r.y);
        for (int64_t e = 0; e < hz_numel(y); e++) {
            hz_box unit, field;
            hz_unravel(y, e, unit.lo);
            for (int a = 0; a < y->rank; a++) unit.hi[a] = unit.lo[a] + 1;
            hz_mark mark = hz_tape_mark(r.t);
            hz_var one = hz_pick(r.y, unit.lo), dx;
            hz_grad_opts opts = {.unreachable = HZ_UNREACHABLE_NONE, .whole = true};
            if (!hz_dtype_is_float(r.data[0].dtype)) break;
            cr_assert(hz_grad(&one, 1, &r.x[0], 1, &opts, &dx));
            if (hz_ok(dx) && !hz_receptive_field(r.y, &unit, r.x[0], &field)) field = (hz_box){{0}, {0}};
            if (hz_ok(dx)) check_outside_is_zero(op, r.sample, hz_value(dx), &field);
            hz_tape_rewind(r.t, mark);
        }
        free_run(&r);
    }
}
