/* sequence.c: convolution and pooling of sequences (N, C, L), as of pictures of one row.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/common.h"

/* ---- a row and back ---- */

static hz_var to_row(const char *op, hz_var x) {
    if (hz_ok(x) && hz_value(x)->rank != 3)
        return hz_tape_fail(x.tape, HZ_ESHAPE, "%s: input %s must be (N, C, L)", op,
                            hz_shape_str(hz_value(x)).s);
    return hz_unsqueeze(x, 2);
}

static hz_var from_row(hz_var y) {
    return hz_ok(y) ? hz_squeeze(y, HZ_AXIS(2)) : y;
}

/* ---- convolution ---- */

static hz_conv2d_opts conv_of_row(const hz_conv2d_opts *opts) {
    if (!opts) return (hz_conv2d_opts){.groups = 0};
    return (hz_conv2d_opts){.stride = {0, opts->stride[0]},
                            .pad = {0, opts->pad[0]},
                            .pad_before = {0, opts->pad_before[0]},
                            .pad_after = {0, opts->pad_after[0]},
                            .dilation = {0, opts->dilation[0]},
                            .groups = opts->groups};
}

static bool are_sequences(const char *op, hz_var x, hz_var w) {
    if (!hz_ok(x) || !hz_ok(w)) return false;
    if (hz_value(x)->rank == 3 && hz_value(w)->rank == 3) return true;
    hz_tape_fail(x.tape, HZ_ESHAPE, "%s: input %s must be (N, C, L) and weight %s of rank 3, too", op,
                 hz_shape_str(hz_value(x)).s, hz_shape_str(hz_value(w)).s);
    return false;
}

hz_var hz_conv1d(hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *opts) {
    const hz_conv2d_opts row = conv_of_row(opts);
    if (!are_sequences("conv1d", x, w)) return hz_none(x.tape);
    return from_row(hz_conv2d(hz_unsqueeze(x, 2), hz_unsqueeze(w, 2), b, &row));
}

hz_var hz_conv_transpose1d(hz_var x, hz_var w, hz_var b, const hz_conv2d_opts *opts, int64_t output_pad) {
    const hz_conv2d_opts row = conv_of_row(opts);
    const int64_t more[] = {0, output_pad};
    if (!are_sequences("conv_transpose1d", x, w)) return hz_none(x.tape);
    return from_row(hz_conv_transpose2d(hz_unsqueeze(x, 2), hz_unsqueeze(w, 2), b, &row, more));
}

/* ---- pooling ---- */

static hz_pool2d_opts pool_of_row(const hz_pool2d_opts *opts) {
    if (!opts) return (hz_pool2d_opts){.ceil = false};
    return (hz_pool2d_opts){.kernel = {1, opts->kernel[0]},
                            .stride = {1, opts->stride[0]},
                            .pad = {0, opts->pad[0]},
                            .pad_before = {0, opts->pad_before[0]},
                            .pad_after = {0, opts->pad_after[0]},
                            .dilation = {1, opts->dilation[0]},
                            .ceil = opts->ceil,
                            .count_padding = opts->count_padding};
}

hz_var hz_max_pool1d(hz_var x, const hz_pool2d_opts *opts) {
    const hz_pool2d_opts row = pool_of_row(opts);
    return from_row(hz_max_pool2d(to_row("max_pool1d", x), &row));
}

hz_var hz_avg_pool1d(hz_var x, const hz_pool2d_opts *opts) {
    const hz_pool2d_opts row = pool_of_row(opts);
    return from_row(hz_avg_pool2d(to_row("avg_pool1d", x), &row));
}

hz_var hz_adaptive_avg_pool1d(hz_var x, int64_t ol) {
    return from_row(hz_adaptive_avg_pool2d(to_row("adaptive_avg_pool1d", x), 1, ol));
}

hz_var hz_adaptive_max_pool1d(hz_var x, int64_t ol) {
    return from_row(hz_adaptive_max_pool2d(to_row("adaptive_max_pool1d", x), 1, ol));
}
