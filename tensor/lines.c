/* lines.c: what runs along the lines of one axis: where the extreme is, and the cumulative sum. See reduce.h.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/kernels/nest.h"
#include "tensor/reduce_parts.h"

enum { BLOCK = 512 }; /* elements gathered at a time */

/* The lines of x along an axis. */
typedef struct lines {
    const hz__reduce *reduce;
    const hz_tensor *x, *y;
    int axis, sign;
    bool exclusive, reverse;
} lines;

/* Offsets in bytes of line i in x and y; y may have extent 1 along the axis. */
static void locate_line(const lines *l, int64_t i, int64_t *x, int64_t *y) {
    hz_tensor outer = *l->x;
    int64_t index[HZ_MAX_RANK] = {0};
    outer.dim[l->axis] = 1;
    hz_unravel(&outer, i, index);
    *x = hz_offset(l->x, index) * (int64_t)hz_dtype_size(l->x->dtype);
    *y = hz_offset(l->y, index) * (int64_t)hz_dtype_size(l->y->dtype);
}

/* Whether a comes before b in the order of arg_extreme: larger (smaller), or NaN against a number. */
static bool beats(double a, double b, int sign) {
    if (b != b) return false;
    return a != a || (sign > 0 ? a > b : a < b);
}

static int64_t arg_extreme_of(const lines *l, const char *x) {
    const int64_t n = l->x->dim[l->axis], size = (int64_t)hz_dtype_size(l->x->dtype);
    const int64_t stride = l->x->stride[l->axis] * size;
    _Alignas(HZ_ALIGN) char buffer[BLOCK * sizeof(double)];
    int64_t best = 0;
    if (stride == size) return l->reduce->arg_extreme(n, x, l->sign);
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        hz__move((size_t)size, count, x + start * stride, stride, buffer, size);
        const int64_t found = start + l->reduce->arg_extreme(count, buffer, l->sign);
        if (beats(hz__get(l->x->dtype, x + found * stride), hz__get(l->x->dtype, x + best * stride), l->sign))
            best = found;
    }
    return best;
}

static void arg_extreme_lines(const void *ctx, int64_t begin, int64_t end) {
    const lines *l = ctx;
    for (int64_t i = begin; i < end; i++) {
        int64_t x, y;
        locate_line(l, i, &x, &y);
        *(int64_t *)(void *)((char *)l->y->data + y) = arg_extreme_of(l, (const char *)l->x->data + x);
    }
}

bool hz_arg_extreme(const hz_exec *ex, int sign, const hz_tensor *x, int axis, const hz_tensor *y,
                    hz_error *err) {
    const lines l = {.reduce = hz__reduce_table(ex, x->dtype), .x = x, .y = y, .axis = axis, .sign = sign};
    (void)err;
    if (hz_numel(x) == 0)
        hz_fill(ex, y, 0);
    else
        hz__parallel_for(ex, hz_numel(x), hz_numel(y), arg_extreme_lines, &l);
    return true;
}

static void cumsum_lines(const void *ctx, int64_t begin, int64_t end) {
    const lines *l = ctx;
    const int64_t n = l->x->dim[l->axis], size = (int64_t)hz_dtype_size(l->x->dtype);
    const int64_t sx = l->x->stride[l->axis] * size, sy = l->y->stride[l->axis] * size;
    for (int64_t i = begin; i < end; i++) {
        int64_t at_x, at_y;
        double total = 0;
        locate_line(l, i, &at_x, &at_y);
        for (int64_t k = 0; k < n; k++) {
            const int64_t at = l->reverse ? n - 1 - k : k;
            const double before = total;
            total += hz__get(l->x->dtype, (const char *)l->x->data + at_x + at * sx);
            hz__put(l->x->dtype, (char *)l->y->data + at_y + at * sy, l->exclusive ? before : total);
        }
    }
}

bool hz_cumsum_map(const hz_exec *ex, const hz_tensor *x, int axis, bool exclusive, bool reverse,
                   const hz_tensor *y, hz_error *err) {
    const lines l = {.x = x, .y = y, .axis = axis, .exclusive = exclusive, .reverse = reverse};
    (void)err;
    if (hz_numel(x) > 0) hz__parallel_for(ex, hz_numel(x), hz_numel(x) / x->dim[axis], cumsum_lines, &l);
    return true;
}
