/* augment.c: one picture on its way into a batch. Start with hz__pose_apply.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/data/augment.h"

#include <string.h>

#include "nn/data/internal.h"
#include "tensor/random.h"

/* ---- drawing ---- */

hz__pose hz__pose_draw(const hz_augment *a, uint64_t seed, uint64_t stream, uint64_t k, int64_t h,
                       int64_t w) {
    enum {
        DY,
        DX,
        FLIP,
        ROW,
        COLUMN,
        NUMBERS = 8
    }; /* which numbers of the picture's own NUMBERS are which */
    hz__pose p = {0};
    k *= NUMBERS;
    if (a->crop > 0) {
        p.dy = hz_random_below(seed, stream, k + DY, 2 * a->crop + 1) - a->crop;
        p.dx = hz_random_below(seed, stream, k + DX, 2 * a->crop + 1) - a->crop;
    }
    p.flip = a->flip > 0 && hz_random_uniform(seed, stream, k + FLIP) < a->flip;
    if (a->cutout > 0) {
        int64_t top = hz_random_below(seed, stream, k + ROW, h) - a->cutout / 2;
        int64_t left = hz_random_below(seed, stream, k + COLUMN, w) - a->cutout / 2;
        p.top = top > 0 ? top : 0, p.bottom = top + a->cutout < h ? top + a->cutout : h;
        p.left = left > 0 ? left : 0, p.right = left + a->cutout < w ? left + a->cutout : w;
    }
    return p;
}

/* ---- rows ---- */

/* out[i] = element first + i of a row, normalised. */
static void read_row(const hz_tensor *plane, const char *row, int64_t first, int64_t n, const hz__scale *s,
                     float *out) {
    int64_t step = plane->stride[1];
    if (plane->dtype == HZ_U8) {
        const uint8_t *p = (const uint8_t *)row + first * step;
        for (int64_t i = 0; i < n; i++) out[i] = s->table[p[i * step]];
    } else if (plane->dtype == HZ_F32) {
        const float *p = (const float *)(const void *)row + first * step;
        for (int64_t i = 0; i < n; i++) out[i] = s->a * p[i * step] + s->b;
    } else {
        const double *p = (const double *)(const void *)row + first * step;
        for (int64_t i = 0; i < n; i++) out[i] = s->a * (float)p[i * step] + s->b;
    }
}

/* The number of a row or column that may lie outside 0 … n − 1, by less than n: −1, or its mirror image. */
static int64_t find(int64_t k, int64_t n, bool reflect) {
    if (k >= 0 && k < n) return k;
    return !reflect ? -1 : k < 0 ? -k : 2 * (n - 1) - k;
}

static float black(const hz_tensor *plane, const hz__scale *s) {
    return plane->dtype == HZ_U8 ? s->table[0] : s->b;
}

/* Columns begin … end − 1 of a moved row, which come from outside it. */
static void pad_row(const hz_tensor *plane, const char *row, int64_t dx, bool reflect, const hz__scale *s,
                    int64_t begin, int64_t end, float *out) {
    for (int64_t x = begin; x < end; x++) {
        int64_t from = find(x + dx, plane->dim[1], reflect);
        if (from < 0)
            out[x] = black(plane, s);
        else
            read_row(plane, row, from, 1, s, out + x);
    }
}

/* One row moved by dx. */
static void move_row(const hz_tensor *plane, const char *row, int64_t dx, bool reflect, const hz__scale *s,
                     float *out) {
    int64_t w = plane->dim[1], begin = dx < 0 ? -dx : 0, end = dx > 0 ? w - dx : w;
    pad_row(plane, row, dx, reflect, s, 0, begin, out);
    read_row(plane, row, begin + dx, end - begin, s, out + begin);
    pad_row(plane, row, dx, reflect, s, end, w, out);
}

static void reverse(float *row, int64_t n) {
    for (int64_t i = 0, j = n - 1; i < j; i++, j--) {
        float t = row[i];
        row[i] = row[j];
        row[j] = t;
    }
}

/* ---- planes ---- */

static void apply_to_plane(const hz__pose *p, bool reflect, const hz_tensor *plane, const hz__scale *s,
                           float *out) {
    int64_t h = plane->dim[0], w = plane->dim[1],
            pitch = plane->stride[0] * (int64_t)hz_dtype_size(plane->dtype);
    for (int64_t y = 0; y < h; y++, out += w) {
        int64_t from = find(y + p->dy, h, reflect);
        if (from < 0)
            for (int64_t x = 0; x < w; x++) out[x] = black(plane, s);
        else
            move_row(plane, (const char *)plane->data + from * pitch, p->dx, reflect, s, out);
        if (p->flip) reverse(out, w);
        if (y >= p->top && y < p->bottom)
            memset(out + p->left, 0, (size_t)(p->right - p->left) * sizeof *out);
    }
}

void hz__pose_apply(const hz__pose *pose, bool reflect, const hz_tensor *picture, const hz__scale *scale,
                    float *out) {
    for (int64_t c = 0; c < picture->dim[0]; c++) {
        hz_tensor plane = hz__data_row(picture, c);
        apply_to_plane(pose, reflect, &plane, &scale[c], out + c * plane.dim[0] * plane.dim[1]);
    }
}
