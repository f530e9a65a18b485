/* test_shape.c: reshape, permute, slice, concat, pad, broadcast_to, sum_to and what is made of them.
 *
 * SPDX-License-Identifier: MIT */
#include "varied.h"

static hz_tape *t;

static void open_tape(void) {
    t = hz_tape_new(NULL);
}
static void close_tape(void) {
    hz_tape_free(t);
}

TestSuite(shape, .init = open_tape, .fini = close_tape);

/* 0, 1, 2, … */
static hz_var counted(int rank, const int64_t *dim) {
    hz_var x = hz_full(t, HZ_F64, rank, dim, 0);
    for (int64_t k = 0; k < hz_numel(hz_value(x)); k++) hz_set_flat(hz_value(x), k, (double)k);
    return x;
}

static bool shares_memory(hz_var a, hz_var b) {
    return hz_node_of(a)->block == hz_node_of(b)->block;
}

/* ---- reshape ---- */

Test(shape, reshape_of_contiguous_is_a_view) {
    hz_var x = counted(HZ_DIMS(2, 6)), y = hz_reshape(x, HZ_DIMS(3, -1));
    cr_expect(shares_memory(x, y));
    expect_values(y, HZ_DIMS(3, 4), (double[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 0);
}

Test(shape, reshape_of_a_transpose_copies_in_row_major_order) {
    hz_var x = hz_transpose(counted(HZ_DIMS(2, 3)), 0, 1), y = hz_reshape(x, HZ_DIMS(6));
    cr_expect_not(shares_memory(x, y));
    expect_values(y, HZ_DIMS(6), (double[]){0, 3, 1, 4, 2, 5}, 0);
}

Test(shape, reshape_names_both_counts) {
    hz_scope_push(t, "head");
    hz_reshape(counted(HZ_DIMS(2, 6)), HZ_DIMS(5, 2));
    expect_error(t, HZ_ESHAPE, "reshape \"head\": [2,6] has 12 elements and [5,2] has 10");
    hz_reshape(counted(HZ_DIMS(2, 6)), HZ_DIMS(-1, -1));
    expect_error(t, HZ_ESHAPE, "reshape \"head\": shape [-1,-1] leaves two extents open");
    hz_reshape(counted(HZ_DIMS(2, 6)), 9, (const int64_t[9]){12, 1, 1, 1, 1, 1, 1, 1, 1});
    expect_error(t, HZ_ESHAPE, "rank 9");
    hz_reshape(counted(HZ_DIMS(2, 6)), HZ_DIMS(INT64_MAX, INT64_MAX));
    expect_error(t, HZ_ESHAPE, "too large");
}

static void expect_field(hz_var y, hz_box unit, hz_var x, hz_box want) {
    hz_box field;
    cr_assert(hz_receptive_field(y, &unit, x, &field));
    for (int k = 0; k < hz_value(x)->rank; k++)
        cr_expect(field.lo[k] == want.lo[k] && field.hi[k] == want.hi[k], "axis %d: %d … %d", k,
                  (int)field.lo[k], (int)field.hi[k]);
}

Test(shape, flattened_unit_sees_one_position) {
    hz_var x = counted(HZ_DIMS(1, 3, 4, 5)), y = hz_flatten(x, 1);
    expect_field(y, (hz_box){{0, 33}, {1, 34}}, x, (hz_box){{0, 1, 2, 3}, {1, 2, 3, 4}});
    expect_field(y, (hz_box){{0, 20}, {1, 40}}, x, (hz_box){{0, 1, 0, 0}, {1, 2, 4, 5}});
    expect_field(y, (hz_box){{0, 4}, {1, 6}}, x, (hz_box){{0, 0, 0, 0}, {1, 1, 2, 5}});
}

Test(shape, unit_axes_keep_boxes_that_reach_outside) {
    hz_var x = counted(HZ_DIMS(3, 4)), y = hz_unsqueeze(hz_unsqueeze(x, 0), -1);
    expect_field(y, (hz_box){{0, -1, 2, 0}, {1, 2, 7, 1}}, x, (hz_box){{-1, 2}, {2, 7}});
}

Test(shape, flatten_squeeze_and_unsqueeze_state_their_shapes) {
    hz_var x = counted(HZ_DIMS(2, 1, 3, 1));
    const struct {
        hz_var y;
        const char *shape;
    } cases[] = {
        {hz_flatten(x, 0), "[6]"},
        {hz_flatten(x, 1), "[2,3]"},
        {hz_flatten(x, -1), "[2,1,3,1]"},
        {hz_flatten(x, 4), "[2,1,3,1,1]"},
        {hz_squeeze(x, HZ_ALL_AXES), "[2,3]"},
        {hz_squeeze(x, HZ_AXIS(-1)), "[2,1,3]"},
        {hz_unsqueeze(x, 0), "[1,2,1,3,1]"},
        {hz_unsqueeze(x, -1), "[2,1,3,1,1]"},
    };
    expect_ok(t);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++)
        cr_expect_str_eq(hz_shape_str(hz_value(cases[k].y)).s, cases[k].shape);
}

Test(shape, squeeze_refuses_an_axis_with_elements) {
    hz_squeeze(counted(HZ_DIMS(2, 3)), HZ_AXIS(1));
    expect_error(t, HZ_ESHAPE, "squeeze: axis 1 of [2,3] is not 1");
    hz_squeeze(counted(HZ_DIMS(2, 3)), HZ_AXIS(4));
    expect_error(t, HZ_EINVAL, "squeeze: axis 4 is outside rank 2");
    hz_flatten(counted(HZ_DIMS(2, 3)), 3);
    expect_error(t, HZ_EINVAL, "flatten: axis 3 is outside [2,3]");
    hz_unsqueeze(counted(HZ_DIMS(2, 3)), 4);
    expect_error(t, HZ_EINVAL, "unsqueeze");
}

/* ---- permute ---- */

Test(shape, permute_moves_elements_and_gradients_back) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(2, 3, 4), 1), w = varied(t, HZ_F64, HZ_DIMS(4, 2, 3), 2);
    hz_var y = hz_permute(x, (const int[]){2, 0, 1}), dx;
    cr_expect(shares_memory(x, y));
    hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.dy = &w}, &dx);
    expect_ok(t);
    for (int64_t k = 0; k < 24; k++) {
        int64_t i[3];
        hz_unravel(hz_value(x), k, i);
        const int64_t moved[] = {i[2], i[0], i[1]};
        cr_expect_eq(hz_get(hz_value(y), moved), hz_get(hz_value(x), i));
        cr_expect_eq(hz_get(hz_value(dx), i), hz_get(hz_value(w), moved));
    }
}

Test(shape, permute_refuses_what_is_no_permutation) {
    hz_permute(counted(HZ_DIMS(2, 3)), (const int[]){0, 0});
    expect_error(t, HZ_EINVAL, "permute: axis 0 is named twice");
    hz_permute(counted(HZ_DIMS(2, 3)), (const int[]){0, 2});
    expect_error(t, HZ_EINVAL, "permute: axis 2 lies outside");
    hz_transpose(counted(HZ_DIMS(2, 3)), 0, 2);
    expect_error(t, HZ_EINVAL, "transpose: axis 2 is outside [2,3]");
}

/* ---- slice ---- */

Test(shape, slice_steps_both_ways) {
    hz_var x = counted(HZ_DIMS(2, 6));
    expect_values(hz_slice(x, 1, 1, 2, 3), HZ_DIMS(2, 2), (double[]){1, 4, 7, 10}, 0);
    expect_values(hz_slice(x, -1, 5, 3, -2), HZ_DIMS(2, 3), (double[]){5, 3, 1, 11, 9, 7}, 0);
    expect_values(hz_flip(x, 0), HZ_DIMS(2, 6), (double[]){6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5}, 0);
    expect_values(hz_slice(x, 0, 1, 1, INT64_MIN), HZ_DIMS(1, 6), (double[]){6, 7, 8, 9, 10, 11}, 0);
    cr_expect(shares_memory(x, hz_slice(x, 1, 1, 2, 3)));
}

Test(shape, slice_gradient_is_zero_elsewhere) {
    hz_var x = counted(HZ_DIMS(2, 5));
    expect_values(gradient(hz_slice(x, 1, 4, 2, -3), x), HZ_DIMS(2, 5),
                  (double[]){0, 1, 0, 0, 1, 0, 1, 0, 0, 1}, 0);
    hz_var one = hz_pick(x, (const int64_t[]){1, 3});
    cr_expect_eq(hz_value(one)->rank, 0);
    cr_expect_eq(hz_item(one), 8);
    expect_values(gradient(one, x), HZ_DIMS(2, 5), (double[]){0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 0);
}

Test(shape, slice_stays_inside) {
    hz_var x = counted(HZ_DIMS(2, 5));
    hz_slice(x, 1, 3, 3, 1);
    expect_error(t, HZ_EINVAL, "slice: 3 elements from 3 in steps of 1 leave axis 1 of [2,5]");
    hz_slice(x, 1, 0, 2, 0);
    expect_error(t, HZ_EINVAL, "slice: 2 elements in steps of 0");
    hz_slice(x, 1, 0, 3, INT64_MAX);
    expect_error(t, HZ_EINVAL, "slice");
    hz_slice(x, 2, 0, 1, 1);
    expect_error(t, HZ_EINVAL, "slice: axis 2");
    hz_flip(x, 2);
    expect_error(t, HZ_EINVAL, "flip: axis 2 is outside [2,5]");
    hz_slice_grad(x, 1, 0, 2, 8);
    expect_error(t, HZ_EINVAL, "slice_grad: 5 elements from 0 in steps of 2 leave axis 1 of [2,8]");
    hz_slice_grad(x, 1, 0, 1, -1);
    expect_error(t, HZ_ESHAPE, "slice_grad: shape [2,-1]");
    hz_slice_grad(x, 3, 0, 1, 9);
    expect_error(t, HZ_EINVAL, "slice_grad: axis 3 is outside the cotangent [2,5]");
}

/* ---- concat ---- */

Test(shape, concat_puts_one_after_the_other) {
    hz_var a = counted(HZ_DIMS(2, 1)), b = counted(HZ_DIMS(2, 2)), none = counted(HZ_DIMS(2, 0));
    hz_var y = hz_concat((const hz_var[]){a, none, b, a}, 4, -1);
    expect_values(y, HZ_DIMS(2, 4), (double[]){0, 0, 1, 0, 1, 2, 3, 1}, 0);
    expect_values(gradient(hz_mul(y, y), a), HZ_DIMS(2, 1), (double[]){0, 4}, 0);
}

Test(shape, stack_makes_a_new_axis) {
    hz_var a = counted(HZ_DIMS(3)), b = hz_neg(a);
    expect_values(hz_stack((const hz_var[]){a, b}, 2, 0), HZ_DIMS(2, 3), (double[]){0, 1, 2, 0, -1, -2}, 0);
    expect_values(hz_stack((const hz_var[]){a, b}, 2, -1), HZ_DIMS(3, 2), (double[]){0, 0, 1, -1, 2, -2}, 0);
}

Test(shape, concat_names_the_axis_that_disagrees) {
    const hz_var x[] = {counted(HZ_DIMS(1, 64, 55, 55)), counted(HZ_DIMS(1, 64, 54, 55))};
    hz_scope_push(t, "fire2");
    hz_concat(x, 2, 1);
    expect_error(
        t, HZ_ESHAPE,
        "concat \"fire2\": along axis 1, input 0 [1,64,55,55] and input 1 [1,64,54,55] disagree on axis 2 "
        "(55 vs 54)");
    hz_concat((const hz_var[]){x[0], counted(HZ_DIMS(2))}, 2, 1);
    expect_error(t, HZ_ESHAPE, "disagree on the rank (4 vs 1)");
    hz_concat(x, 1, 4);
    expect_error(t, HZ_EINVAL, "axis 4 is outside");
    hz_concat((const hz_var[]){x[0], hz_astype(x[0], HZ_F32)}, 2, 1);
    expect_error(t, HZ_ESHAPE, "input 0 is f64 and input 1 is f32");
}

/* ---- pad ---- */

/* numpy.pad, one position at a time */
static int64_t source_of(hz_pad_mode mode, int64_t k, int64_t n) {
    while (k < 0 || k >= n) {
        if (mode == HZ_PAD_CONSTANT) return -1;
        if (mode == HZ_PAD_EDGE) k = k < 0 ? 0 : n - 1;
        if (mode == HZ_PAD_WRAP) k = k < 0 ? k + n : k - n;
        if (mode == HZ_PAD_REFLECT) k = n == 1 ? 0 : k < 0 ? -k : 2 * (n - 1) - k;
    }
    return k;
}

Test(shape, pad_fills_the_border_as_each_mode_says) {
    for (int mode = HZ_PAD_CONSTANT; mode <= HZ_PAD_WRAP; mode++) {
        for (int64_t rows = 1; rows <= 3; rows++) {
            const int64_t before[] = {4, 1}, after[] = {3, 5};
            hz_var x = varied(t, HZ_F64, HZ_DIMS(rows, 2), 3);
            hz_var y = hz_pad(x, before, after, (hz_pad_mode)mode, 7), dy, dx;
            expect_ok(t);
            dy = varied(t, HZ_F64, 2, hz_value(y)->dim, 4);
            hz_grad(&y, 1, &x, 1, &(hz_grad_opts){.dy = &dy}, &dx);
            double sum[6] = {0};
            for (int64_t i = 0; i < rows + 7; i++)
                for (int64_t j = 0; j < 8; j++) {
                    int64_t from[] = {source_of((hz_pad_mode)mode, i - 4, rows),
                                      source_of((hz_pad_mode)mode, j - 1, 2)};
                    bool border = from[0] < 0 || from[1] < 0;
                    const int64_t at[] = {i, j};
                    cr_expect_eq(hz_get(hz_value(y), at), border ? 7 : hz_get(hz_value(x), from),
                                 "mode %d, %d rows, [%d,%d]", mode, (int)rows, (int)i, (int)j);
                    if (!border) sum[from[0] * 2 + from[1]] += hz_get(hz_value(dy), at);
                }
            expect_values(dx, HZ_DIMS(rows, 2), sum, 1e-14);
        }
    }
}

Test(shape, negative_padding_cuts) {
    hz_var x = counted(HZ_DIMS(3, 3));
    const int64_t before[] = {-1, 1}, after[] = {0, -2}, cut[] = {-1, 0};
    hz_var y = hz_pad(x, before, after, HZ_PAD_CONSTANT, 9);
    expect_values(y, HZ_DIMS(2, 2), (double[]){9, 3, 9, 6}, 0);
    expect_values(gradient(y, x), HZ_DIMS(3, 3), (double[]){0, 0, 0, 1, 0, 0, 1, 0, 0}, 0);
    cr_expect(shares_memory(hz_pad(x, cut, cut, HZ_PAD_CONSTANT, 0), x));
}

Test(shape, pad_says_what_it_cannot_do) {
    hz_var x = counted(HZ_DIMS(2, 3)), empty = counted(HZ_DIMS(0, 3));
    hz_pad(x, (const int64_t[]){-1, 0}, (const int64_t[]){-2, 0}, HZ_PAD_CONSTANT, 0);
    expect_error(t, HZ_ESHAPE, "pad: padding -1 and -2 cuts more than axis 0 of [2,3] has");
    hz_pad(x, (const int64_t[]){-1, 0}, (const int64_t[]){0, 0}, HZ_PAD_EDGE, 0);
    expect_error(t, HZ_EINVAL, "pad: negative padding (-1, 0) of axis 0 needs the constant mode");
    hz_pad(empty, (const int64_t[]){1, 0}, (const int64_t[]){0, 0}, HZ_PAD_WRAP, 0);
    expect_error(t, HZ_ESHAPE, "pad: axis 0 of [0,3] has nothing to fill its border with");
    hz_pad(x, (const int64_t[]){INT64_MAX, 0}, (const int64_t[]){INT64_MAX, 0}, HZ_PAD_CONSTANT, 0);
    expect_error(t, HZ_EINVAL, "out of range");
    hz_pad(x, (const int64_t[]){1, 0}, (const int64_t[]){0, 0}, (hz_pad_mode)4, 0);
    expect_error(t, HZ_EINVAL, "4 is no padding mode");
    hz_pad_grad(x, (const int64_t[]){2, 0}, (const int64_t[]){1, 0}, HZ_PAD_EDGE);
    expect_error(t, HZ_ESHAPE, "pad_grad: cotangent [2,3] cannot have a border of 2 and 1 along axis 0");
}

Test(shape, a_long_border_of_nothing_costs_nothing, .timeout = 20) {
    hz_var x = counted(HZ_DIMS(1, 0));
    const int64_t before[] = {(int64_t)1 << 40, 0}, after[] = {0, 0};
    hz_var y = hz_pad(x, before, after, HZ_PAD_EDGE, 0);
    expect_values(y, HZ_DIMS(((int64_t)1 << 40) + 1, 0), NULL, 0);
    expect_values(hz_pad_grad(y, before, after, HZ_PAD_EDGE), HZ_DIMS(1, 0), NULL, 0);
}

/* ---- broadcasting ---- */

Test(shape, broadcast_to_repeats_and_sum_to_adds_up) {
    hz_var x = counted(HZ_DIMS(2, 1)), y = hz_broadcast_to(x, HZ_DIMS(2, 2, 3));
    cr_expect(shares_memory(x, y));
    expect_values(y, HZ_DIMS(2, 2, 3), (double[]){0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}, 0);
    expect_values(hz_sum_to(y, HZ_DIMS(2, 1)), HZ_DIMS(2, 1), (double[]){0, 6}, 0);
    expect_values(hz_sum_to(y, HZ_DIMS(3)), HZ_DIMS(3), (double[]){2, 2, 2}, 0);
    expect_values(hz_sum_to(y, 0, NULL), 0, NULL, (double[]){6}, 0);
    expect_values(gradient(y, x), HZ_DIMS(2, 1), (double[]){6, 6}, 0);
}

Test(shape, broadcast_to_and_sum_to_name_the_axis) {
    hz_broadcast_to(counted(HZ_DIMS(2, 3)), HZ_DIMS(2, 4));
    expect_error(t, HZ_ESHAPE, "broadcast_to: [2,3] does not broadcast to [2,4]: axis 1 is 3, not 1 or 4");
    hz_broadcast_to(counted(HZ_DIMS(2, 3)), HZ_DIMS(3));
    expect_error(t, HZ_ESHAPE, "broadcast_to: [2,3] has more axes than [3]");
    hz_sum_to(counted(HZ_DIMS(2, 3)), HZ_DIMS(2, 2));
    expect_error(t, HZ_ESHAPE, "sum_to: [2,2] does not broadcast to [2,3]: axis 1 is 2, not 1 or 3");
    hz_sum_to(hz_full(t, HZ_I32, HZ_DIMS(2), 1), 0, NULL);
    expect_error(t, HZ_ESHAPE, "i32");
}

Test(shape, tile_repeats_whole_tensors) {
    hz_var x = counted(HZ_DIMS(2, 2)), y = hz_tile(x, (const int64_t[]){2, 3});
    double want[24];
    for (int k = 0; k < 24; k++) want[k] = k / 6 % 2 * 2 + k % 6 % 2;
    expect_values(y, HZ_DIMS(4, 6), want, 0);
    expect_values(gradient(y, x), HZ_DIMS(2, 2), (double[]){6, 6, 6, 6}, 0);
    expect_values(hz_tile(x, (const int64_t[]){0, 1}), HZ_DIMS(0, 2), NULL, 0);
    hz_tile(x, (const int64_t[]){1, -1});
    expect_error(t, HZ_EINVAL, "tile: a negative count at axis 1");
    hz_tile(x, (const int64_t[]){INT64_MAX, 1});
    expect_error(t, HZ_ESHAPE, "tile: axis 0 of [2,2] is too long");
}
