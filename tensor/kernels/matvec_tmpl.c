/* matvec_tmpl.c: the inner loops of products of a matrix and a vector. The matrix is read once, so memory sets the pace;
 * several rows are read side by side because it answers several streams sooner than one.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/kernels/matvec.h"
#include "tensor/kernels/vector.h"

/* ---- sums along the rows ---- */

HZ_INLINE real sum_of(vec v) {
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) v[l] += v[l + half];
    return v[0];
}

HZ_INLINE void some_dots(const int rows, int64_t n, const real *a, int64_t rs, const real *x, real *y) {
    vec even[HZ__MATVEC_ROWS] = {{0}}, odd[HZ__MATVEC_ROWS] = {{0}};
    int64_t j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES) {
        const vec x0 = load(x + j), x1 = load(x + j + LANES);
        for (int i = 0; i < rows; i++) {
            even[i] += load(a + i * rs + j) * x0;
            odd[i] += load(a + i * rs + j + LANES) * x1;
        }
    }
    for (int i = 0; i < rows; i++) {
        y[i] = sum_of(even[i] + odd[i]);
        for (int64_t k = j; k < n; k++) y[i] += a[i * rs + k] * x[k];
    }
}

/* By fours, whose sums the registers hold, and one by one. */
static void dots(int64_t rows, int64_t n, const void *pa, int64_t rs, const void *x, void *py) {
    const real *a = pa;
    real *y = py;
    for (; rows >= 4; rows -= 4, a += 4 * rs, y += 4) some_dots(4, n, a, rs, x, y);
    for (; rows > 0; rows--, a += rs, y++) some_dots(1, n, a, rs, x, y);
}

/* ---- sums of rows: first of some, then of those, which rounds less than one after another ---- */

HZ_INLINE void add_some_rows(const int rows, int64_t n, const real *a, int64_t rs, const real *factor,
                             real *y) {
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vec sum = load(a + j) * factor[0];
        for (int i = 1; i < rows; i++) sum += load(a + i * rs + j) * factor[i];
        store(y + j, load(y + j) + sum);
    }
    for (; j < n; j++) {
        real sum = a[j] * factor[0];
        for (int i = 1; i < rows; i++) sum += a[i * rs + j] * factor[i];
        y[j] += sum;
    }
}

static void add_rows(int64_t rows, int64_t n, const void *a, int64_t rs, const void *px, int64_t xs,
                     void *y) {
    const real *x = px;
    real factor[HZ__MATVEC_ROWS];
    for (int64_t i = 0; i < rows; i++) factor[i] = x[i * xs];
    if (rows == HZ__MATVEC_ROWS) {
        add_some_rows(HZ__MATVEC_ROWS, n, a, rs, factor, y);
        return;
    }
    for (int64_t i = 0; i < rows; i++) add_some_rows(1, n, (const real *)a + i * rs, 0, factor + i, y);
}

const hz__matvec_kernels HZ_KERNEL(matvec) = {.dots = dots, .add_rows = add_rows};
