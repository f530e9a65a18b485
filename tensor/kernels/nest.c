/* nest.c: loops over strided operands, see nest.h. Start reading at hz__nest_make.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/kernels/nest.h"

#include <string.h>

static int64_t magnitude(int64_t x) {
    return x < 0 ? -x : x;
}

/* Insert axis `axis` of the operands so that the strides of operand 0 stay in falling order. */
static void insert_axis(hz__nest *nest, const hz_tensor *const *operand, const int64_t *size, int axis) {
    const int64_t lead = magnitude(operand[0]->stride[axis]) * size[0];
    int at = nest->rank++;
    for (; at > 0 && magnitude(nest->stride[0][at - 1]) < lead; at--) {
        nest->dim[at] = nest->dim[at - 1];
        for (int k = 0; k < nest->operands; k++) nest->stride[k][at] = nest->stride[k][at - 1];
    }
    nest->dim[at] = operand[0]->dim[axis];
    for (int k = 0; k < nest->operands; k++) nest->stride[k][at] = operand[k]->stride[axis] * size[k];
}

/* Run through axes backwards where that makes the stride of operand 0 positive. */
static void turn_axes(hz__nest *nest) {
    for (int axis = 0; axis < nest->rank; axis++) {
        if (nest->stride[0][axis] >= 0) continue;
        for (int k = 0; k < nest->operands; k++) {
            nest->data[k] += (nest->dim[axis] - 1) * nest->stride[k][axis];
            nest->stride[k][axis] = -nest->stride[k][axis];
        }
    }
}

static bool mergeable(const hz__nest *nest, int outer, int inner) {
    for (int k = 0; k < nest->operands; k++)
        if (nest->stride[k][outer] != nest->stride[k][inner] * nest->dim[inner]) return false;
    return true;
}

/* Walk over the axes from the outside in; `last` is the axis being built, which takes in the next one or is done. */
static void merge_axes(hz__nest *nest) {
    int last = 0;
    for (int axis = 1; axis < nest->rank; axis++) {
        const bool merge = mergeable(nest, last, axis);
        const int64_t outer = merge ? nest->dim[last] : 1;
        if (!merge) last++;
        nest->dim[last] = outer * nest->dim[axis];
        for (int k = 0; k < nest->operands; k++) nest->stride[k][last] = nest->stride[k][axis];
    }
    nest->rank = last + 1;
}

void hz__nest_make(hz__nest *nest, const hz_tensor *const *operand, int operands) {
    int64_t size[HZ__OPERANDS];
    nest->operands = operands;
    nest->rank = 0;
    nest->numel = hz_numel(operand[0]);
    for (int k = 0; k < operands; k++) {
        size[k] = (int64_t)hz_dtype_size(operand[k]->dtype);
        nest->data[k] = operand[k]->data;
    }
    if (nest->numel == 0) return;
    for (int axis = 0; axis < operand[0]->rank; axis++)
        if (operand[0]->dim[axis] != 1) insert_axis(nest, operand, size, axis);
    if (nest->rank == 0) { /* one element: a row of one, side by side by definition */
        nest->rank = 1;
        nest->dim[0] = 1;
        for (int k = 0; k < operands; k++) nest->stride[k][0] = size[k];
        return;
    }
    turn_axes(nest);
    merge_axes(nest);
}

/* ---- running ---- */

typedef struct walk {
    const hz__nest *nest;
    hz__row_fn *row;
    const void *ctx;
    int64_t pieces_per_row;
} walk;

/* Where row number `row` starts. */
static void seek(const hz__nest *nest, int64_t row, int64_t *index, char **p) {
    memcpy(p, nest->data, (size_t)nest->operands * sizeof *p);
    for (int axis = nest->rank - 2; axis >= 0; axis--) {
        index[axis] = row % nest->dim[axis];
        row /= nest->dim[axis];
        for (int k = 0; k < nest->operands; k++) p[k] += index[axis] * nest->stride[k][axis];
    }
}

static void next_row(const hz__nest *nest, int64_t *index, char **p) {
    for (int axis = nest->rank - 2; axis >= 0; axis--) {
        for (int k = 0; k < nest->operands; k++) p[k] += nest->stride[k][axis];
        if (++index[axis] < nest->dim[axis]) return;
        index[axis] = 0;
        for (int k = 0; k < nest->operands; k++) p[k] -= nest->dim[axis] * nest->stride[k][axis];
    }
}

static void walk_rows(const walk *w, int64_t begin, int64_t end, const int64_t *stride) {
    const int64_t n = w->nest->dim[w->nest->rank - 1];
    int64_t index[HZ_MAX_RANK];
    char *p[HZ__OPERANDS] = {0};
    seek(w->nest, begin, index, p);
    for (int64_t row = begin; row < end; row++) {
        w->row(w->ctx, n, p, stride);
        next_row(w->nest, index, p);
    }
}

static void walk_piece(const walk *w, int64_t piece, const int64_t *stride) {
    const int64_t n = w->nest->dim[w->nest->rank - 1];
    const int64_t start = piece % w->pieces_per_row * HZ__PIECE;
    int64_t index[HZ_MAX_RANK];
    char *p[HZ__OPERANDS] = {0};
    seek(w->nest, piece / w->pieces_per_row, index, p);
    for (int k = 0; k < w->nest->operands; k++) p[k] += start * stride[k];
    w->row(w->ctx, n - start < HZ__PIECE ? n - start : HZ__PIECE, p, stride);
}

/* Pieces are whole rows, or parts of one if rows are long. */
static void walk_range(const void *ctx, int64_t begin, int64_t end) {
    const walk *w = ctx;
    int64_t stride[HZ__OPERANDS] = {0};
    for (int k = 0; k < w->nest->operands; k++) stride[k] = w->nest->stride[k][w->nest->rank - 1];
    if (w->pieces_per_row == 1) {
        walk_rows(w, begin, end, stride);
        return;
    }
    for (int64_t piece = begin; piece < end; piece++) walk_piece(w, piece, stride);
}

void hz__nest_run(const hz_exec *ex, const hz__nest *nest, hz__row_fn *row, const void *ctx) {
    const int64_t n = nest->dim[nest->rank - 1];
    const walk w = {nest, row, ctx, (n + HZ__PIECE - 1) / HZ__PIECE};
    hz__parallel_for(ex, nest->numel, nest->numel / n * w.pieces_per_row, walk_range, &w);
}

void hz__parallel_for(const hz_exec *ex, int64_t work, int64_t count, hz__range_fn *fn, const void *ctx) {
    if (work < HZ__PARALLEL || ex->threads <= 1 || count <= 1) {
        fn(ctx, 0, count);
        return;
    }
    const int64_t threads = count < ex->threads ? count : ex->threads;
    const int64_t share = count / threads, rest = count % threads;
#pragma omp parallel for num_threads((int)threads) schedule(static)
    for (int64_t t = 0; t < threads; t++) {
        const int64_t begin = t * share + (t < rest ? t : rest);
        fn(ctx, begin, begin + share + (t < rest ? 1 : 0));
    }
}

/* ---- moving elements; memcpy of a constant size is a load and a store, whatever the type ---- */

static void move1(int64_t n, const char *from, int64_t from_stride, char *to, int64_t to_stride) {
    for (int64_t i = 0; i < n; i++) to[i * to_stride] = from[i * from_stride];
}
static void move4(int64_t n, const char *from, int64_t from_stride, char *to, int64_t to_stride) {
    for (int64_t i = 0; i < n; i++) memcpy(to + i * to_stride, from + i * from_stride, 4);
}
static void move8(int64_t n, const char *from, int64_t from_stride, char *to, int64_t to_stride) {
    for (int64_t i = 0; i < n; i++) memcpy(to + i * to_stride, from + i * from_stride, 8);
}

void hz__move(size_t size, int64_t n, const char *from, int64_t from_stride, char *to, int64_t to_stride) {
    if (from_stride == (int64_t)size && to_stride == (int64_t)size)
        memcpy(to, from, (size_t)n * size);
    else if (size == 1)
        move1(n, from, from_stride, to, to_stride);
    else if (size == 4)
        move4(n, from, from_stride, to, to_stride);
    else
        move8(n, from, from_stride, to, to_stride);
}
