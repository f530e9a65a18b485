/* window.c: see window.h.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/onnx/window.h"

#include <inttypes.h>

int64_t hz__window_span(const hz__window *w, int k) {
    return w->dilation[k] * (w->kernel[k] - 1) + 1;
}

/* n integers of attribute `name`, each in lo … 2^31 − 1; fill for those that are not given. */
static bool read(hz__call *c, const char *name, int n, int64_t lo, int64_t otherwise, int64_t *out) {
    int64_t given[2 * HZ__SPACE];
    int count;
    if (!hz__attr_ints(c, name, given, 2 * HZ__SPACE, &count)) return false;
    if (count > 0 && count != n) {
        hz__bad(c, "%d %s instead of %d", count, name, n);
        return false;
    }
    for (int k = 0; k < n; k++) {
        out[k] = count > 0 ? given[k] : otherwise;
        if (out[k] >= lo && out[k] <= INT32_MAX) continue;
        hz__bad(c, "%s of %" PRId64, name, out[k]);
        return false;
    }
    return true;
}

/* TensorFlow's SAME: as many windows as strides fit; an odd pixel of padding goes to the end, or the beginning. */
static void pad_same(const hz_tensor *x, hz__window *w, bool lower) {
    for (int k = 0; k < w->n; k++) {
        int64_t in = x->dim[2 + k], out = in / w->stride[k] + (in % w->stride[k] != 0);
        int64_t total = out > 0 ? (out - 1) * w->stride[k] + hz__window_span(w, k) - in : 0;
        if (total < 0) total = 0;
        w->before[k] = lower ? total - total / 2 : total / 2;
        w->after[k] = total - w->before[k];
    }
}

static bool read_pads(hz__call *c, const hz_tensor *x, hz__window *w) {
    int64_t pads[2 * HZ__SPACE];
    bool lower = hz__attr_is(c, "auto_pad", "SAME_LOWER", false);
    if (!read(c, "pads", 2 * w->n, -(int64_t)INT32_MAX, 0, pads)) return false;
    if (hz__attr_is(c, "auto_pad", "VALID", false)) return true;
    if (lower || hz__attr_is(c, "auto_pad", "SAME_UPPER", false)) {
        pad_same(x, w, lower);
        return true;
    }
    for (int k = 0; k < w->n; k++) w->before[k] = pads[k], w->after[k] = pads[w->n + k];
    return true;
}

bool hz__window_of(hz__call *c, const int64_t *kernel, hz__window *w) {
    const hz_tensor *x = hz__arg_value(c, 0);
    *w = (hz__window){.n = x->rank - 2, .ceil = hz__attr_int(c, "ceil_mode", 0) != 0};
    if (w->n < 1 || w->n > HZ__SPACE) {
        hz__refuse(c, "over %d spatial axes, of input %s", w->n, hz_shape_str(x).s);
        return false;
    }
    if (!kernel && !read(c, "kernel_shape", w->n, 1, 0, w->kernel)) return false;
    for (int k = 0; kernel && k < w->n; k++) w->kernel[k] = kernel[k];
    if (!read(c, "strides", w->n, 1, 1, w->stride) || !read(c, "dilations", w->n, 1, 1, w->dilation))
        return false;
    return read_pads(c, x, w);
}

/* ---- one dimension as two ---- */

static void shift(int64_t *entry, int64_t first) {
    entry[1] = entry[0];
    entry[0] = first;
}

hz_var hz__lift(hz_var x, hz__window *w) {
    if (w->n != 1) return x;
    w->n = 2;
    shift(w->kernel, 1), shift(w->stride, 1), shift(w->dilation, 1);
    shift(w->before, 0), shift(w->after, 0);
    return hz_unsqueeze(x, 2);
}

hz_var hz__lower(hz_var y, int n) {
    return n == 1 && hz_ok(y) ? hz_squeeze(y, HZ_AXIS(2)) : y;
}
