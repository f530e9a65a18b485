/* geometry.c: see geometry.h.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/geometry.h"

#include <inttypes.h>

/* ---- extents ---- */

hz_attr_dims hz__dims_of(int rank, const int64_t *dim) {
    hz_attr_dims dims = {.rank = rank};
    for (int k = 0; k < rank && k < HZ_MAX_RANK; k++) dims.dim[k] = dim[k];
    return dims;
}

void hz__dims_crop(hz_attr_dims *dims, const hz_box *box) {
    for (int k = 0; k < dims->rank; k++) dims->dim[k] = box->hi[k] - box->lo[k];
}

/* ---- division ---- */

int64_t hz__floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

int64_t hz__ceil_div(int64_t a, int64_t b) {
    return a / b + (a % b > 0);
}

/* ---- windows ---- */

/* Far beyond any use, and small enough that positions do not overflow. */
static bool in_range(int64_t value, int64_t least) {
    return value >= least && value <= INT32_MAX;
}

bool hz__window_check(const hz__axis_window *w, const char *axis, hz_error *err) {
    const struct {
        const char *what;
        int64_t value, least;
    } number[] = {
        {"kernel", w->kernel, 1},
        {"stride", w->stride, 1},
        {"dilation", w->dilation, 1},
        {"padding before", w->pad_before, -INT32_MAX},
        {"padding after", w->pad_after, -INT32_MAX},
    };
    for (int k = 0; k < HZ__COUNT(number); k++)
        if (!in_range(number[k].value, number[k].least))
            return hz_fail(err, HZ_EINVAL, "%s of the %s is %" PRId64 ", not %" PRId64 " … %d",
                           number[k].what, axis, number[k].value, number[k].least, INT32_MAX);
    return true;
}

int64_t hz__window_pad(int64_t both, int64_t one) {
    bool sane = in_range(both, -INT32_MAX) && in_range(one, -INT32_MAX);
    return sane ? both + one : INT64_MAX;
}

static int64_t span(const hz__axis_window *w) {
    return w->dilation * (w->kernel - 1) + 1;
}

void hz__window_reach(const hz__axis_window *w, int k, const hz_box *out, hz_box *in) {
    in->lo[k] = out->lo[k] * w->stride - w->pad_before;
    in->hi[k] = (out->hi[k] - 1) * w->stride - w->pad_before + span(w);
}

void hz__window_crop(hz__axis_window *w, int k, const hz_box *out, const hz_box *in) {
    hz_box whole;
    hz__window_reach(w, k, out, &whole);
    w->pad_before = in->lo[k] - whole.lo[k];
    w->pad_after = whole.hi[k] - in->hi[k];
}

void hz__window_touching(const hz__axis_window *w, int k, const hz_box *covered, hz_box *positions) {
    positions->lo[k] = hz__ceil_div(covered->lo[k] + w->pad_before - span(w) + 1, w->stride);
    positions->hi[k] = hz__floor_div(covered->hi[k] - 1 + w->pad_before, w->stride) + 1;
}

void hz__window_crop_touching(hz__axis_window *w, int k, const hz_box *covered, const hz_box *positions) {
    int64_t extent = covered->hi[k] - covered->lo[k], count = positions->hi[k] - positions->lo[k];
    w->pad_before += covered->lo[k] - positions->lo[k] * w->stride;
    w->pad_after = (count - 1) * w->stride + span(w) - extent - w->pad_before;
}
