/* box.c: arithmetic on half-open boxes of element positions.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/box.h"

static int64_t min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

hz_box hz_box_full(const hz_tensor *t) {
    hz_box box = {{0}, {0}};
    for (int k = 0; k < t->rank; k++) box.hi[k] = t->dim[k];
    return box;
}

bool hz_box_is_full(const hz_box *box, const hz_tensor *t) {
    for (int k = 0; k < t->rank; k++)
        if (box->lo[k] > 0 || box->hi[k] < t->dim[k]) return false;
    return true;
}

bool hz_box_is_empty(const hz_box *box, int rank) {
    for (int k = 0; k < rank; k++)
        if (box->hi[k] <= box->lo[k]) return true;
    return false;
}

bool hz_box_equal(const hz_box *a, const hz_box *b, int rank) {
    for (int k = 0; k < rank; k++)
        if (a->lo[k] != b->lo[k] || a->hi[k] != b->hi[k]) return false;
    return true;
}

hz_box hz_box_clip(const hz_box *box, const hz_tensor *t) {
    hz_box clipped = {{0}, {0}};
    for (int k = 0; k < t->rank; k++) {
        clipped.lo[k] = min(max(box->lo[k], 0), t->dim[k]);
        clipped.hi[k] = min(max(box->hi[k], clipped.lo[k]), t->dim[k]);
    }
    return clipped;
}

hz_box hz_box_union(const hz_box *a, const hz_box *b, int rank) {
    if (hz_box_is_empty(a, rank)) return *b;
    if (hz_box_is_empty(b, rank)) return *a;
    hz_box both = {{0}, {0}};
    for (int k = 0; k < rank; k++) {
        both.lo[k] = min(a->lo[k], b->lo[k]);
        both.hi[k] = max(a->hi[k], b->hi[k]);
    }
    return both;
}

int64_t hz_box_numel(const hz_box *box, int rank) {
    if (hz_box_is_empty(box, rank)) return 0;
    int64_t n = 1;
    for (int k = 0; k < rank; k++) {
        const uint64_t extent = (uint64_t)box->hi[k] - (uint64_t)box->lo[k];
        if (extent > (uint64_t)(INT64_MAX / n)) return INT64_MAX; /* a box far beyond its tensor */
        n *= (int64_t)extent;
    }
    return n;
}

hz_tensor hz_view_box(const hz_tensor *t, const hz_box *box) {
    hz_tensor view = *t;
    for (int k = 0; k < t->rank; k++) view.dim[k] = max(box->hi[k] - box->lo[k], 0);
    if (hz_numel(&view) > 0)
        view.data = (char *)t->data + hz_offset(t, box->lo) * (int64_t)hz_dtype_size(t->dtype);
    return view;
}
