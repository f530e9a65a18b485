/* conv.c: Conv and ConvTranspose over one to three spatial axes. Over three, both are sums over the taps of the first
 * axis of what they are over the other two.
 *
 *   y[:, :, d] = Σ_r conv2d(x[:, :, d·stride + r·dilation], w[:, :, r])
 *
 * SPDX-License-Identifier: MIT */
#include "nn/onnx/window.h"

static hz_conv2d_opts opts_of(const hz__window *w, int from, int64_t groups) {
    hz_conv2d_opts o = {.groups = groups};
    for (int k = 0; k < 2; k++) {
        o.stride[k] = w->stride[from + k];
        o.dilation[k] = w->dilation[from + k];
        o.pad_before[k] = w->before[from + k];
        o.pad_after[k] = w->after[from + k];
    }
    return o;
}

/* Ranks that agree, and a number of groups. */
static bool check(hz__call *c, int64_t *groups) {
    const hz_tensor *x = hz__arg_value(c, 0), *w = hz__arg_value(c, 1);
    *groups = hz__attr_int(c, "group", 1);
    if (x->rank == w->rank && x->rank > 2 && *groups >= 1 && *groups <= INT32_MAX) return true;
    hz__bad(c, "input %s and weight %s", hz_shape_str(x).s, hz_shape_str(w).s);
    return false;
}

/* ---- depth: images (N, C, D, H, W) as N·D images and back ---- */

static hz_var swap_depth(hz_var x) {
    return hz_permute(x, (const int[]){0, 2, 1, 3, 4});
}

static hz_var to_images(hz_var x) {
    const hz_tensor *v = hz_value(x);
    if (!hz_ok(x)) return x;
    return hz_reshape(swap_depth(x), HZ_DIMS(v->dim[0] * v->dim[2], v->dim[1], v->dim[3], v->dim[4]));
}

static hz_var from_images(hz_var y, int64_t depth) {
    if (!hz_ok(y)) return y;
    const hz_tensor *v = hz_value(y);
    int64_t n = depth ? v->dim[0] / depth : 0;
    return swap_depth(hz_reshape(y, HZ_DIMS(n, depth, v->dim[1], v->dim[2], v->dim[3])));
}

/* Tap r of the first axis of the kernel: (K, C, R, S, T) → (K, C, S, T). */
static hz_var tap(hz_var w, int64_t r) {
    hz_var slice = hz_slice(w, 2, r, 1, 1);
    return hz_ok(slice) ? hz_squeeze(slice, HZ_AXIS(2)) : slice;
}

/* ---- Conv ---- */

static hz_var conv3d(hz__call *c, hz_var x, hz_var w, hz_var b, const hz__window *win, int64_t groups) {
    const hz_conv2d_opts opts = opts_of(win, 1, groups);
    const int64_t before[] = {0, 0, win->before[0], 0, 0}, after[] = {0, 0, win->after[0], 0, 0};
    x = hz_pad(x, before, after, HZ_PAD_CONSTANT, 0);
    int64_t room = hz_ok(x) ? hz_value(x)->dim[2] - hz__window_span(win, 0) : 0;
    if (room < 0) return hz__bad(c, "kernel %s does not fit", hz_shape_str(hz_value(w)).s);
    int64_t depth = room / win->stride[0] + 1;
    hz_var y = hz_none(c->t);
    for (int64_t r = 0; r < win->kernel[0] && hz_tape_ok(c->t, NULL); r++) {
        hz_var part = hz_slice(x, 2, r * win->dilation[0], depth, win->stride[0]);
        hz_var term = hz_conv2d(to_images(part), tap(w, r), r ? hz_none(c->t) : b, &opts);
        y = r ? hz_add(y, term) : term;
    }
    return from_images(y, depth);
}

static void conv(hz__call *c) {
    hz_var x = hz__arg(c, 0), w = hz__arg(c, 1), b = hz__arg(c, 2);
    hz__window win;
    int64_t groups;
    if (!check(c, &groups) || !hz__window_of(c, hz_value(w)->dim + 2, &win)) return;
    if (win.n == 3) {
        hz__give(c, 0, conv3d(c, x, w, b, &win, groups));
        return;
    }
    int n = win.n;
    x = hz__lift(x, &win);
    const hz_conv2d_opts opts = opts_of(&win, 0, groups);
    hz__give(c, 0, hz__lower(hz_conv2d(x, n == 1 ? hz_unsqueeze(w, 2) : w, b, &opts), n));
}

/* ---- ConvTranspose ---- */

/* Padding from a wanted output: an odd element goes to the beginning, but to the end under SAME_UPPER; what is missing,
 * negative padding, all to the end. */
static void pad_to(hz__call *c, const hz_tensor *x, const int64_t *shape, const int64_t *output_pad,
                   hz__window *w) {
    bool upper = hz__attr_is(c, "auto_pad", "SAME_UPPER", false);
    for (int k = 0; k < w->n; k++) {
        int64_t total = (x->dim[2 + k] - 1) * w->stride[k] + output_pad[k] + hz__window_span(w, k) - shape[k];
        w->before[k] = total < 0 ? 0 : upper ? total / 2 : total - total / 2;
        w->after[k] = total - w->before[k];
    }
}

static bool transposed_window(hz__call *c, const int64_t *kernel, hz__window *w, int64_t *output_pad) {
    const hz_tensor *x = hz__arg_value(c, 0);
    int64_t shape[HZ_MAX_RANK];
    int n_pad, n_shape;
    bool same =
        hz__attr_is(c, "auto_pad", "SAME_UPPER", false) || hz__attr_is(c, "auto_pad", "SAME_LOWER", false);
    if (!hz__window_of(c, kernel, w) || !hz__attr_ints(c, "output_padding", output_pad, HZ__SPACE, &n_pad) ||
        !hz__attr_ints(c, "output_shape", shape, HZ_MAX_RANK, &n_shape))
        return false;
    for (int k = n_pad < 0 ? 0 : n_pad; k < HZ__SPACE; k++) output_pad[k] = 0;
    for (int k = 0; same && n_shape < 0 && k < w->n; k++) shape[k] = x->dim[2 + k] * w->stride[k];
    if (n_shape > w->n)
        for (int k = 0; k < w->n; k++) shape[k] = shape[n_shape - w->n + k];
    for (int k = 0; k < w->n; k++)
        if (output_pad[k] < 0 || output_pad[k] > INT32_MAX ||
            (n_shape > k && (shape[k] < 0 || shape[k] > INT32_MAX))) {
            hz__bad(c, "output padding or shape out of range");
            return false;
        }
    if (same || n_shape >= w->n) pad_to(c, x, shape, output_pad, w);
    return true;
}

static hz_var add_bias(hz_var y, hz_var b) {
    return b.id ? hz_add(y, hz_reshape(b, HZ_DIMS(1, -1, 1, 1, 1))) : y;
}

/* Image d lands at depths d·stride + r·dilation. */
static hz_var conv_transpose3d(hz__call *c, hz_var x, hz_var w, const hz__window *win,
                               const int64_t *output_pad, int64_t groups) {
    const hz_conv2d_opts opts = opts_of(win, 1, groups);
    int64_t depth = hz_value(x)->dim[2], extent = (depth - 1) * win->stride[0] + hz__window_span(win, 0);
    hz_var y = hz_none(c->t), images = to_images(x);
    for (int64_t r = 0; r < win->kernel[0] && hz_tape_ok(c->t, NULL); r++) {
        hz_var term = hz_conv_transpose2d(images, tap(w, r), hz_none(c->t), &opts, output_pad + 1);
        term = hz_slice_grad(from_images(term, depth), 2, r * win->dilation[0], win->stride[0], extent);
        y = r ? hz_add(y, term) : term;
    }
    const int64_t before[] = {0, 0, -win->before[0], 0, 0},
                  after[] = {0, 0, output_pad[0] - win->after[0], 0, 0};
    return hz_pad(y, before, after, HZ_PAD_CONSTANT, 0);
}

static void conv_transpose(hz__call *c) {
    hz_var x = hz__arg(c, 0), w = hz__arg(c, 1), b = hz__arg(c, 2);
    hz__window win;
    int64_t groups, output_pad[HZ__SPACE];
    if (!check(c, &groups) || !transposed_window(c, hz_value(w)->dim + 2, &win, output_pad)) return;
    if (win.n == 3) {
        hz__give(c, 0, add_bias(conv_transpose3d(c, x, w, &win, output_pad, groups), b));
        return;
    }
    int n = win.n;
    if (n == 1) output_pad[1] = output_pad[0], output_pad[0] = 0;
    x = hz__lift(x, &win);
    const hz_conv2d_opts opts = opts_of(&win, 0, groups);
    hz_var y = hz_conv_transpose2d(x, n == 1 ? hz_unsqueeze(w, 2) : w, b, &opts, output_pad);
    hz__give(c, 0, hz__lower(y, n));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"Conv", .since = 1, .need = 2, .run = conv},
    {"ConvTranspose", .since = 1, .need = 2, .run = conv_transpose},
};

const hz__family hz__onnx_conv = {mappings, HZ__COUNT(mappings)};
