/* picture.c: see picture.h.
 *
 * SPDX-License-Identifier: MIT */
#include "picture.h"

#include <math.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double picture_scale(const hz_tensor *g) {
    int64_t n = hz_numel(g), count = 0;
    double *size = malloc((size_t)(n > 0 ? n : 1) * sizeof *size);
    if (!size) return NAN;
    for (int64_t k = 0; k < n; k++) {
        double v = fabs(hz_get_flat(g, k));
        if (v > 0 && isfinite(v)) size[count++] = v;
    }
    qsort(size, (size_t)count, sizeof *size, by_size);
    double scale = count ? size[(int64_t)(0.995 * (double)(count - 1))] : 1;
    free(size);
    return scale;
}

/* Gray, 128, is zero and nothing else: whatever is not zero is at least one step away from it. */
static uint8_t level(double v, double scale) {
    long step = lround(127 * fmax(-1, fmin(1, v / scale)));
    if (step == 0) step = (v > 0) - (v < 0);
    return (uint8_t)(128 + step);
}

bool picture_of_map(const hz_tensor *g, double scale, bool bgr, hz_tensor *out) {
    int64_t channels = g->dim[0], height = g->dim[1], width = g->dim[2];
    uint8_t *p = malloc((size_t)(height * width * 3 + 1));
    if (!p) return false;
    *out = hz_tensor_of(p, HZ_U8, HZ_DIMS(height, width, 3));
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            double v[3] = {0, 0, 0};
            for (int64_t c = 0; c < channels; c++)
                v[channels == 3 ? c : 0] += hz_get(g, (const int64_t[]){c, y, x});
            for (int k = 0; k < 3; k++) *p++ = level(v[channels != 3 ? 0 : bgr ? 2 - k : k], scale);
        }
    return true;
}
