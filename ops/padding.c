/* padding.c: see padding.h.
 *
 * SPDX-License-Identifier: MIT */
#include "ops/padding.h"

#include <inttypes.h>

hz_attr_padding hz__padding_of(int rank, const int64_t *before, const int64_t *after, hz_pad_mode mode,
                               double value) {
    hz_attr_padding p = {.mode = mode, .value = value};
    for (int k = 0; k < rank; k++) p.before[k] = before[k], p.after[k] = after[k];
    return p;
}

static bool check_axis(const hz_attr_padding *p, const hz_tensor *inner, int k, hz_error *err) {
    const int64_t limit = INT64_MAX / 4, before = p->before[k], after = p->after[k];
    if (before < -limit || before > limit || after < -limit || after > limit || inner->dim[k] > limit)
        return hz_fail(err, HZ_EINVAL, "padding %" PRId64 " and %" PRId64 " of axis %d is out of range",
                       before, after, k);
    if (inner->dim[k] + (before < 0 ? before : 0) + (after < 0 ? after : 0) < 0)
        return hz_fail(err, HZ_ESHAPE, "padding %" PRId64 " and %" PRId64 " cuts more than axis %d of %s has",
                       before, after, k, hz_shape_str(inner).s);
    if (p->mode == HZ_PAD_CONSTANT) return true;
    if (before < 0 || after < 0)
        return hz_fail(err, HZ_EINVAL,
                       "negative padding (%" PRId64 ", %" PRId64 ") of axis %d needs the constant mode",
                       before, after, k);
    if (inner->dim[k] == 0 && (before > 0 || after > 0))
        return hz_fail(err, HZ_ESHAPE, "axis %d of %s has nothing to fill its border with", k,
                       hz_shape_str(inner).s);
    return true;
}

bool hz__padding_grow(const hz_attr_padding *p, const hz_tensor *inner, hz_tensor *outer, hz_error *err) {
    if ((unsigned)p->mode > HZ_PAD_WRAP)
        return hz_fail(err, HZ_EINVAL, "%d is no padding mode", (int)p->mode);
    hz_tensor grown = *inner;
    grown.data = NULL;
    for (int k = 0; k < inner->rank; k++) {
        if (!check_axis(p, inner, k, err)) return false;
        grown.dim[k] += p->before[k] + p->after[k];
    }
    if (!hz_shape_check(NULL, grown.dtype, grown.rank, grown.dim, err)) return false;
    *outer = grown;
    return true;
}

hz_tensor hz__padding_centre(const hz_attr_padding *p, const hz_tensor *outer, const int64_t *dim) {
    hz_box box;
    for (int k = 0; k < outer->rank; k++) box.lo[k] = p->before[k], box.hi[k] = p->before[k] + dim[k];
    return hz_view_box(outer, &box);
}

/* k modulo n, not negative. */
static int64_t modulo(int64_t k, int64_t n) {
    return k - hz__floor_div(k, n) * n;
}

int64_t hz__padding_source(hz_pad_mode mode, int64_t k, int64_t n) {
    if (k >= 0 && k < n) return k;
    if (mode == HZ_PAD_WRAP) return modulo(k, n);
    if (mode == HZ_PAD_EDGE || n == 1) return k < 0 ? 0 : n - 1;
    int64_t there = modulo(k, 2 * (n - 1)); /* reflect: to the last and back again, edges not repeated */
    return there < n ? there : 2 * (n - 1) - there;
}

bool hz__padding_layer(const hz_attr_padding *p, const hz_tensor *grown, int axis, int64_t j,
                       hz_tensor *layer, hz_tensor *source, hz_error *err) {
    int64_t before = p->before[axis], extent = grown->dim[axis] - before - p->after[axis];
    int64_t at = j < before ? j : j + extent;
    int64_t from = before + hz__padding_source(p->mode, at - before, extent);
    return hz_view_slice(grown, axis, at, 1, 1, layer, err) &&
           hz_view_slice(grown, axis, from, 1, 1, source, err);
}
