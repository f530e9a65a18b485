/* resample.c: bicubic resizing of 8-bit pictures, equal pixel for pixel to Pillow's, on which the published figures of
 * most networks rest. Start with hz__resample.
 *
 * Output pixel o of an axis lies at c = (o + 1/2)·in/out on the input and is the weighted mean of the pixels p around it:
 *   weight(p) ∝ k((p + 1/2 − c)/s),  s = max(in/out, 1),
 *   k(x) = 3/2·|x|³ − 5/2·|x|² + 1            for |x| < 1
 *        = −1/2·|x|³ + 5/2·|x|² − 4·|x| + 2   for |x| < 2    (Keys 1981, a = −1/2)
 * Shrinking widens the kernel by s, so nothing aliases. Columns come first, then rows; either result is rounded to 8 bits.
 * Weights are fixed-point numbers of 22 bits, so the outcome is the same on every machine.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/resample.h"

#include <math.h>

enum { FRACTION_BITS = 22 };
static const double support = 2; /* the kernel is zero from here on */

/* The weights of one axis: output first + k is Σ_j weight[k·width + j] · input[start[k] + j], j < n[k]. */
typedef struct {
    int64_t width;
    int64_t *start, *n;
    int32_t *weight;
} taps;

static double keys(double x) {
    x = fabs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
}

static int64_t clamp(double x, int64_t most) {
    int64_t k = (int64_t)x;
    return k < 0 ? 0 : k > most ? most : k;
}

static void weigh(const hz__resample_axis *axis, taps *t, int64_t k, double *scratch) {
    double scale = (double)axis->in / (double)axis->out, widen = scale > 1 ? scale : 1, sum = 0;
    double center = ((double)(axis->first + k) + 0.5) * scale;
    int64_t start = clamp(center - support * widen + 0.5, axis->in);
    int64_t n = clamp(center + support * widen + 0.5, axis->in) - start;
    for (int64_t j = 0; j < n; j++)
        sum += scratch[j] = keys(((double)(start + j) - center + 0.5) * (1 / widen));
    for (int64_t j = 0; j < n; j++)
        t->weight[k * t->width + j] = (int32_t)lround(scratch[j] / sum * (1 << FRACTION_BITS));
    t->start[k] = start;
    t->n[k] = n;
}

static void free_taps(const hz_allocator *alloc, taps *t) {
    hz_free(alloc, t->start);
    hz_free(alloc, t->n);
    hz_free(alloc, t->weight);
}

/* The caller calls free_taps in any case. */
static bool make_taps(const hz__resample_axis *axis, const hz_allocator *alloc, taps *t) {
    double scale = (double)axis->in / (double)axis->out;
    size_t count = (size_t)axis->count;
    t->width = 2 * (int64_t)ceil(support * (scale > 1 ? scale : 1)) + 1;
    t->start = hz_alloc(alloc, count * sizeof *t->start);
    t->n = hz_alloc(alloc, count * sizeof *t->n);
    t->weight = hz_alloc(alloc, count * (size_t)t->width * sizeof *t->weight);
    double *scratch = hz_alloc(alloc, (size_t)t->width * sizeof *scratch);
    bool ok = t->start && t->n && t->weight && scratch;
    for (int64_t k = 0; ok && k < axis->count; k++) weigh(axis, t, k, scratch);
    hz_free(alloc, scratch);
    return ok;
}

static uint8_t round_to_byte(int64_t sum) {
    int64_t v = (sum + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* y[k·to] = the taps of output k over x[·from], for every k. */
static void resample_line(const taps *t, int64_t count, const uint8_t *x, int64_t from, uint8_t *y,
                          int64_t to) {
    for (int64_t k = 0; k < count; k++) {
        const int32_t *w = t->weight + k * t->width;
        const uint8_t *at = x + t->start[k] * from;
        int64_t sum = 0;
        for (int64_t j = 0; j < t->n[k]; j++) sum += (int64_t)w[j] * at[j * from];
        y[k * to] = round_to_byte(sum);
    }
}

/* Columns of src rows top … top + height − 1 into middle, then rows of middle into dst. */
static void resample_both(const hz_tensor *src, int64_t top, int64_t height, const taps *rows,
                          const taps *columns, uint8_t *middle, const hz_tensor *dst) {
    int64_t h = dst->dim[0], w = dst->dim[1], c = dst->dim[2];
    for (int64_t y = 0; y < height; y++)
        for (int64_t k = 0; k < c; k++)
            resample_line(columns, w,
                          (const uint8_t *)src->data + (top + y) * src->stride[0] + k * src->stride[2],
                          src->stride[1], middle + y * w * c + k, c);
    for (int64_t k = 0; k < w * c; k++)
        resample_line(rows, h, middle + k, w * c, (uint8_t *)dst->data + k, w * c);
}

bool hz__resample(const hz_tensor *src, hz__resample_axis rows, hz__resample_axis columns,
                  const hz_allocator *alloc, const hz_tensor *dst, hz_error *err) {
    taps down = {0, NULL, NULL, NULL}, across = down;
    uint8_t *middle = NULL;
    if (make_taps(&rows, alloc, &down) && make_taps(&columns, alloc, &across)) {
        int64_t top = down.start[0], last = rows.count - 1, height = down.start[last] + down.n[last] - top;
        for (int64_t k = 0; k < rows.count; k++) down.start[k] -= top;
        middle = hz_alloc(alloc, (size_t)(height * columns.count * dst->dim[2]));
        if (middle) resample_both(src, top, height, &down, &across, middle, dst);
    }
    free_taps(alloc, &down);
    free_taps(alloc, &across);
    hz_free(alloc, middle);
    return middle || hz_fail(err, HZ_ENOMEM, "no memory to resize a picture");
}
