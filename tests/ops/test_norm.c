/* test_norm.c: batch, layer, group, instance and local response normalisation against loops.
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

TestSuite(norm, .init = open_tape, .fini = close_tape);

enum { N = 2, C = 4, H = 3, W = 2, NUMEL = N * C * H * W };
static const int64_t shape[] = {N, C, H, W};
static const double eps = 1e-3;

/* (x − mean)/√(var + eps) of element e among the elements of its set: set[k] says which set element k is in. */
static double normalized(const hz_tensor *x, const int *set, int e) {
    double sum = 0, squares = 0, count = 0;
    for (int k = 0; k < NUMEL; k++)
        if (set[k] == set[e]) sum += hz_get_flat(x, k), count++;
    for (int k = 0; k < NUMEL; k++)
        if (set[k] == set[e]) squares += pow(hz_get_flat(x, k) - sum / count, 2);
    return (hz_get_flat(x, e) - sum / count) / sqrt(squares / count + eps);
}

static int channel(int e) {
    return e / (H * W) % C;
}

static void expect_normalized(hz_var y, hz_var x, const int *set, const int *parameter, hz_var gamma,
                              hz_var beta) {
    double want[NUMEL];
    for (int e = 0; e < NUMEL; e++)
        want[e] = normalized(hz_value(x), set, e) * hz_get_flat(hz_value(gamma), parameter[e]) +
                  hz_get_flat(hz_value(beta), parameter[e]);
    expect_values(y, 4, shape, want, 1e-12);
}

Test(norm, each_norm_has_its_own_sets) {
    hz_var x = varied(t, HZ_F64, 4, shape, 1), gamma = varied(t, HZ_F64, HZ_DIMS(C), 2),
           beta = varied(t, HZ_F64, HZ_DIMS(C), 3);
    hz_var g2 = varied(t, HZ_F64, HZ_DIMS(H, W), 4), b2 = varied(t, HZ_F64, HZ_DIMS(H, W), 5);
    int batch[NUMEL], layer[NUMEL], group[NUMEL], instance[NUMEL], by_channel[NUMEL], by_place[NUMEL];
    for (int e = 0; e < NUMEL; e++) {
        by_channel[e] = batch[e] = channel(e);
        by_place[e] = e % (H * W);
        layer[e] = instance[e] = e / (H * W);
        group[e] = e / (2 * H * W);
    }
    expect_normalized(hz_batch_norm(x, gamma, beta, eps), x, batch, by_channel, gamma, beta);
    expect_normalized(hz_layer_norm(x, g2, b2, 2, eps), x, layer, by_place, g2, b2);
    expect_normalized(hz_group_norm(x, gamma, beta, 2, eps), x, group, by_channel, gamma, beta);
    expect_normalized(hz_instance_norm(x, gamma, beta, eps), x, instance, by_channel, gamma, beta);
}

Test(norm, parameters_may_be_left_out) {
    hz_var x = varied(t, HZ_F64, 4, shape, 1), none = hz_none(t), ones = hz_full(t, HZ_F64, HZ_DIMS(C), 1);
    hz_var plain = hz_batch_norm(x, none, none, eps);
    expect_same(plain, hz_normalize(x, HZ_AXIS(0) | HZ_AXIS(2) | HZ_AXIS(3), eps), 0);
    expect_same(hz_batch_norm(x, ones, none, eps), plain, 1e-15);
    expect_same(hz_batch_norm(x, none, ones, eps), hz_add_scalar(plain, 1), 1e-15);
    expect_same(hz_layer_norm(x, none, none, 4, eps), hz_normalize(x, HZ_ALL_AXES, eps), 0);
}

Test(norm, given_statistics_are_an_affine_map) {
    for (int dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
        hz_dtype d = (hz_dtype)dtype;
        hz_var x = varied(t, d, 4, shape, 1), gamma = varied(t, d, HZ_DIMS(C), 2),
               beta = varied(t, d, HZ_DIMS(C), 3);
        hz_var mean = varied(t, d, HZ_DIMS(C), 4), var = hz_square(varied(t, d, HZ_DIMS(C), 5));
        double full[NUMEL], bare[NUMEL];
        for (int e = 0; e < NUMEL; e++) {
            int c = channel(e);
            bare[e] = (hz_get_flat(hz_value(x), e) - hz_get_flat(hz_value(mean), c)) /
                      sqrt(hz_get_flat(hz_value(var), c) + eps);
            full[e] = bare[e] * hz_get_flat(hz_value(gamma), c) + hz_get_flat(hz_value(beta), c);
        }
        double tol = d == HZ_F32 ? 2e-6 : 1e-14;
        expect_values(hz_batch_norm_infer(x, gamma, beta, mean, var, eps), 4, shape, full, tol);
        expect_values(hz_batch_norm_infer(x, hz_none(t), hz_none(t), mean, var, eps), 4, shape, bare, tol);
    }
}

Test(norm, own_statistics_given_are_batch_norm) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(5, 3), 1), mean = hz_mean(x, HZ_AXIS(0), false);
    hz_var var = hz_var_of(x, HZ_AXIS(0), false), none = hz_none(t);
    hz_var given_ones = hz_batch_norm_infer(x, none, none, mean, var, eps),
           own = hz_batch_norm(x, none, none, eps);
    expect_same(given_ones, own, 1e-13);
    hz_var weights = varied(t, HZ_F64, HZ_DIMS(5, 3), 2);
    expect_same(gradient(hz_mul(given_ones, weights), x), gradient(hz_mul(own, weights), x), 1e-12);
}

Test(norm, given_statistics_pass_boxes) {
    hz_var x = varied(t, HZ_F64, 4, shape, 1), p[4];
    for (uint64_t k = 0; k < 4; k++) p[k] = hz_exp(varied(t, HZ_F64, HZ_DIMS(C), 2 + k));
    hz_var y = hz_batch_norm_infer(x, p[0], p[1], p[2], p[3], eps);
    expect_boxes_agree(y, (const int64_t[]){1, 2, 0, 1}, (const hz_var[]){x, p[0], p[1], p[2], p[3]}, 5);
}

/* ---- local response ---- */

static void expect_response_norm(int rank, const int64_t *dim, int64_t size) {
    const double alpha = 0.7, beta = 0.75, k = 1.5;
    hz_var x = varied(t, HZ_F64, rank, dim, 1), y = hz_local_response_norm(x, size, alpha, beta, k);
    expect_ok(t);
    const hz_tensor *v = hz_value(x);
    for (int64_t e = 0; e < hz_numel(v); e++) {
        int64_t at[HZ_MAX_RANK];
        hz_unravel(v, e, at);
        int64_t c = at[1];
        double own = hz_get(v, at), sum = 0;
        for (at[1] = c - (size - 1) / 2; at[1] <= c + size / 2; at[1]++)
            if (at[1] >= 0 && at[1] < dim[1]) sum += hz_get(v, at) * hz_get(v, at);
        cr_expect(alike(hz_get_flat(hz_value(y), e), own / pow(k + alpha / (double)size * sum, beta), 1e-13),
                  "rank %d, size %d, element %d", rank, (int)size, (int)e);
    }
}

Test(norm, local_response_divides_by_neighbouring_channels) {
    for (int64_t size = 1; size <= 6; size++) {
        expect_response_norm(HZ_DIMS(2, 5), size);
        expect_response_norm(HZ_DIMS(2, 5, 3), size);
        expect_response_norm(HZ_DIMS(2, 5, 3, 2), size);
        expect_response_norm(HZ_DIMS(1, 5, 2, 1, 3), size);
    }
}

Test(norm, local_response_gradient_stays_at_its_position) {
    hz_var x = varied(t, HZ_F64, HZ_DIMS(1, 6, 4, 4), 1), y = hz_local_response_norm(x, 3, 1, 0.75, 1), dx;
    const int64_t unit[] = {0, 3, 1, 2};
    expect_boxes_agree(y, unit, &x, 1);
    hz_var one = hz_pick(y, unit);
    hz_box support, want = {{0, 2, 1, 2}, {1, 5, 2, 3}};
    cr_assert(hz_grad(&one, 1, &x, 1, &(hz_grad_opts){.support = &support}, &dx));
    cr_expect(hz_box_equal(&support, &want, 4));
}

/* ---- errors ---- */

Test(norm, says_what_is_wrong) {
    hz_var x = hz_full(t, HZ_F32, 4, shape, 1), five = hz_full(t, HZ_F32, HZ_DIMS(5), 1),
           four = hz_full(t, HZ_F32, HZ_DIMS(4), 1), none = hz_none(t);
    hz_batch_norm(x, five, none, eps);
    expect_error(t, HZ_ESHAPE,
                 "batch_norm: gamma [5] does not have one number for each channel of input [2,4,3,2]");
    hz_group_norm(x, none, five, 2, eps);
    expect_error(t, HZ_ESHAPE, "group_norm: beta [5]");
    hz_group_norm(x, none, none, 3, eps);
    expect_error(t, HZ_ESHAPE, "group_norm: input [2,4,3,2] is not (N, C, …) with C a multiple of 3 groups");
    hz_batch_norm(five, none, none, eps);
    expect_error(t, HZ_ESHAPE, "batch_norm: input [5]");
    hz_instance_norm(five, none, none, eps);
    expect_error(t, HZ_ESHAPE, "instance_norm: input [5]");
    hz_layer_norm(x, five, none, 1, eps);
    expect_error(t, HZ_ESHAPE, "layer_norm: gamma [5] is not [2], the last 1 axes of input [2,4,3,2]");
    hz_layer_norm(x, none, none, 5, eps);
    expect_error(t, HZ_EINVAL, "layer_norm: input [2,4,3,2] has 1 to 4 axes to normalise over, not 5");
    hz_batch_norm_infer(x, none, none, four, five, eps);
    expect_error(t, HZ_ESHAPE,
                 "batch_norm_infer: variance f32 [5] does not have one number for each channel of input f32");
    hz_batch_norm_infer(x, none, five, four, four, eps);
    expect_error(t, HZ_ESHAPE, "batch_norm_infer: beta f32 [5]");
    hz_batch_norm_infer(x, none, none, four, four, -1);
    expect_error(t, HZ_EINVAL, "eps must be a number ≥ 0, not -1");
    hz_normalize(x, HZ_AXIS(4), eps);
    expect_error(t, HZ_EINVAL, "normalize: axis 4 is outside rank 4");
    hz_normalize(x, HZ_AXIS(1), NAN);
    expect_error(t, HZ_EINVAL, "eps must be a number");
    hz_local_response_norm(x, 0, 1, 1, 1);
    expect_error(t, HZ_EINVAL,
                 "local_response_norm: input [2,4,3,2] must be (N, C, …) and size 0 at least 1");
}
