/* test_support.c: receptive fields and support boxes of a small convolutional network, against brute force.
 * That boxed and whole sweeps agree for every op is tested in tests/ops/test_all_boxes.c.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "ops/ops.h"
#include "tensor/random.h"

static hz_tape *t;
static hz_var x, pooled, top;
static float image[3 * 20 * 22], w1[4 * 3 * 3 * 3], w2[5 * 4 * 3 * 3];

static hz_var draw(float *data, uint64_t stream, int rank, const int64_t *dim) {
    hz_tensor v = hz_tensor_of(data, HZ_F32, rank, dim);
    hz_random_fill_uniform(hz_tape_exec(t), 1, stream, 0.1, 1,
                           &v); /* positive: no ReLU is off, nothing cancels */
    return hz_input(t, &v);
}

/* conv 3×3 stride 2 pad 1, relu, max pool 3/2, conv 3×3 dilated by 2 */
static void set_up(void) {
    t = hz_tape_new(NULL);
    x = draw(image, 1, HZ_DIMS(1, 3, 20, 22));
    hz_var a = hz_relu(hz_conv2d(x, draw(w1, 2, HZ_DIMS(4, 3, 3, 3)), hz_none(t),
                                 &(hz_conv2d_opts){.stride = {2, 2}, .pad = {1, 1}}));
    pooled = hz_max_pool2d(a, &(hz_pool2d_opts){.kernel = {3, 3}, .stride = {2, 2}});
    top = hz_conv2d(pooled, draw(w2, 3, HZ_DIMS(5, 4, 3, 3)), hz_none(t),
                    &(hz_conv2d_opts){.pad = {2, 2}, .dilation = {2, 2}});
}
static void tear_down(void) {
    hz_tape_free(t);
}
TestSuite(support, .init = set_up, .fini = tear_down);

Test(support, receptive_field_along_an_axis) {
    hz_field f;
    cr_assert(hz_receptive_field_axis(pooled, 2, x, 2, &f));
    cr_expect_eq(f.size, 7); /* 3 + (3−1)·2 */
    cr_expect_eq(f.stride, 4);
    cr_expect_eq(f.offset, -1);
    cr_assert(hz_receptive_field_axis(top, 3, x, 3, &f));
    cr_expect_eq(f.size, 23); /* 7 + 2·2·4 */
    cr_expect_eq(f.stride, 4);
    cr_expect_eq(f.offset, -1 - 2 * 4);
}

Test(support, channels_see_all_channels) {
    hz_field f;
    cr_assert(hz_receptive_field_axis(top, 1, x, 1, &f));
    cr_expect_eq(f.size, 3);
    cr_expect_eq(f.stride, 0);
}

Test(support, no_path_no_field) {
    hz_field f;
    cr_assert_not(hz_receptive_field_axis(x, 2, top, 2, &f));
}

Test(support, the_gradient_of_a_unit_stays_inside_its_field) {
    const hz_tensor *y = hz_value(top);
    for (int64_t e = 0; e < hz_numel(y); e += 7) {
        hz_box unit, field;
        hz_unravel(y, e, unit.lo);
        for (int k = 0; k < 4; k++) unit.hi[k] = unit.lo[k] + 1;
        cr_assert(hz_receptive_field(top, &unit, x, &field));
        hz_box clipped = hz_box_clip(&field, hz_value(x));
        hz_mark mark = hz_tape_mark(t);
        hz_var one = hz_pick(top, unit.lo), boxed, whole;
        cr_assert(hz_grad(&one, 1, &x, 1, NULL, &boxed));
        cr_assert(hz_grad(&one, 1, &x, 1, &(hz_grad_opts){.whole = true}, &whole));
        for (int64_t p = 0; p < hz_numel(hz_value(x)); p++) {
            int64_t idx[HZ_MAX_RANK];
            hz_unravel(hz_value(x), p, idx);
            double a = hz_get_flat(hz_value(boxed), p), b = hz_get_flat(hz_value(whole), p);
            cr_expect_float_eq(a, b, 1e-5 * (b > 1 ? b : 1));
            bool inside = true;
            for (int k = 0; k < 4; k++) inside &= clipped.lo[k] <= idx[k] && idx[k] < clipped.hi[k];
            if (!inside) cr_expect(a == 0 && b == 0);
        }
        hz_tape_rewind(t, mark);
    }
}

Test(support, away_from_the_border_the_box_is_the_field) {
    hz_box unit = {{0, 2, 2, 2}, {1, 3, 3, 3}}, field, support;
    hz_var one = hz_pick(pooled, unit.lo), dx;
    cr_assert(hz_receptive_field(pooled, &unit, x, &field));
    cr_assert(hz_grad(&one, 1, &x, 1, &(hz_grad_opts){.support = &support}, &dx));
    cr_expect(hz_box_equal(&support, &field, 4));
}

Test(support, results_may_cover_the_support_alone) {
    hz_var one = hz_pick(pooled, (const int64_t[]){0, 2, 2, 2}), part, whole;
    hz_box box;
    cr_assert(hz_grad(&one, 1, &x, 1, &(hz_grad_opts){.support = &box, .support_only = true}, &part));
    cr_assert(hz_grad(&one, 1, &x, 1, NULL, &whole));
    hz_tensor inside = hz_view_box(hz_value(whole), &box);
    cr_assert(hz_same_shape(hz_value(part), &inside));
    cr_assert_lt(hz_numel(&inside), hz_numel(hz_value(whole)) / 4);
    for (int64_t e = 0; e < hz_numel(&inside); e++)
        cr_expect_eq(hz_get_flat(hz_value(part), e), hz_get_flat(&inside, e));
    cr_expect_not(hz_grad(&one, 1, &x, 1, &(hz_grad_opts){.support_only = true}, &part),
                  "support is missing");
}

Test(support, a_differentiable_sweep_gives_the_same) {
    hz_var one = hz_pick(top, (const int64_t[]){0, 2, 1, 1}), lean, recorded;
    cr_assert(hz_grad(&one, 1, &x, 1, NULL, &lean));
    cr_assert(hz_grad(&one, 1, &x, 1, &(hz_grad_opts){.differentiable = true}, &recorded));
    for (int64_t p = 0; p < hz_numel(hz_value(x)); p++)
        cr_expect_float_eq(hz_get_flat(hz_value(lean), p), hz_get_flat(hz_value(recorded), p), 1e-5);
}

/* Two units far apart, summed: the box is the union, and both fields are filled. */
Test(support, paths_on_different_boxes_add_up) {
    hz_var a = hz_pick(pooled, (const int64_t[]){0, 0, 0, 0}),
           b = hz_pick(pooled, (const int64_t[]){0, 1, 3, 4});
    hz_var both = hz_add(a, b), dx, da = hz_grad1(a, x, NULL), db = hz_grad1(b, x, NULL);
    cr_assert(hz_grad(&both, 1, &x, 1, NULL, &dx));
    for (int64_t p = 0; p < hz_numel(hz_value(x)); p++)
        cr_expect_float_eq(hz_get_flat(hz_value(dx), p),
                           hz_get_flat(hz_value(da), p) + hz_get_flat(hz_value(db), p), 1e-6);
}
