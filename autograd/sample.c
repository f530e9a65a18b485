/* sample.c: draws the inputs a sample describes: values from a counter-based generator, kept away from kinks or from
 * each other where asked, laid out in memory in one of several ways. Gaps between elements are filled with NaN, so
 * that reading outside the view shows.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include "autograd/gradcheck.h"
#include "tensor/random.h"

enum { STREAM_VALUES = 1, STREAM_ORDER = 2 };

/* ---- values ---- */

static double keep_off_kinks(const hz_sample_input *in, double margin, double v) {
    for (int k = 0; k < in->n_kinks; k++) {
        double d = v - in->kink[k];
        if (fabs(d) < margin) v = in->kink[k] + (d < 0 ? -1 : 1) * (margin + 0.1 * fabs(d));
    }
    return v;
}

/* All values of one input in row-major order, from malloc. */
static double *draw_values(const hz_sample_input *in, uint64_t seed, int64_t n, hz_error *err) {
    double lo = in->lo, hi = in->hi, margin = in->margin > 0 ? in->margin : 0.05;
    if (lo == 0 && hi == 0) lo = -2, hi = 2;
    if (in->distinct && n > 1 && (hi - lo) / (double)n < margin) {
        hz_fail(err, HZ_EINVAL, "%lld distinct values with margin %g do not fit in [%g, %g]", (long long)n,
                margin, lo, hi);
        return NULL;
    }
    double *v = malloc((size_t)(n > 0 ? n : 1) * sizeof *v);
    int64_t *order = in->distinct ? malloc((size_t)(n > 0 ? n : 1) * sizeof *order) : NULL;
    if (!v || (in->distinct && !order)) {
        free(v);
        free(order);
        hz_fail(err, HZ_ENOMEM, "no memory for a sample of %lld values", (long long)n);
        return NULL;
    }
    if (order) hz_random_permutation(seed, STREAM_ORDER, n, order);
    for (int64_t k = 0; k < n; k++) {
        double u = order ? ((double)order[k] + 0.5) / (double)n
                         : hz_random_uniform(seed, STREAM_VALUES, (uint64_t)k);
        v[k] = keep_off_kinks(in, margin, lo + (hi - lo) * u);
    }
    free(order);
    return v;
}

static void draw_integers(const hz_sample_input *in, uint64_t seed, int64_t n, const hz_tensor *out) {
    int64_t lo = (int64_t)in->lo, count = (int64_t)in->hi - lo + 1;
    for (int64_t k = 0; k < n; k++)
        hz_set_flat(out, k, (double)(lo + hz_random_below(seed, STREAM_VALUES, (uint64_t)k, count)));
}

/* ---- layout ---- */

static int64_t extent(int64_t dim) {
    return dim > 0 ? dim : 1;
}

/* Strides for the layout; returns how many elements of memory they span, *first is where element 0 lies. */
static int64_t lay_out(hz_tensor *t, hz_layout layout, int64_t *first) {
    int64_t span = 1;
    bool gaps = layout == HZ_LAYOUT_STRIDED;
    *first = 0;
    for (int j = 0; j < t->rank; j++) {
        int k = layout == HZ_LAYOUT_TRANSPOSED ? j : t->rank - 1 - j;
        t->stride[k] = gaps ? span + 1 : span;
        span = t->stride[k] * extent(t->dim[k]) + (gaps ? 1 : 0);
        if (layout == HZ_LAYOUT_REVERSED) {
            *first += t->stride[k] * (extent(t->dim[k]) - 1);
            t->stride[k] = -t->stride[k];
        }
    }
    return span;
}

static void poison(hz_dtype dtype, void *base, int64_t n) {
    for (int64_t k = 0; k < n; k++) {
        if (dtype == HZ_F32) ((float *)base)[k] = NAN;
        if (dtype == HZ_F64) ((double *)base)[k] = NAN;
    }
}

bool hz_sample_draw(const hz_sample_input *in, hz_dtype dtype, hz_layout layout, uint64_t seed,
                    hz_tensor *out, void **base, hz_error *err) {
    *base = NULL;
    if (in->dtype != HZ_F32) dtype = in->dtype;
    if (!hz_shape_check("sample", dtype, in->rank, in->dim, err)) return false;
    *out = hz_tensor_of(NULL, dtype, in->rank, in->dim);
    int64_t first, n = hz_numel(out), span = lay_out(out, layout, &first);
    double *v = hz_dtype_is_float(dtype) ? draw_values(in, seed, n, err) : NULL;
    if (hz_dtype_is_float(dtype) && !v) return false;
    *base = calloc((size_t)span, hz_dtype_size(dtype));
    if (!*base) {
        free(v);
        return hz_fail(err, HZ_ENOMEM, "no memory for a sample of %lld elements", (long long)span);
    }
    poison(dtype, *base, span);
    out->data = (char *)*base + (size_t)first * hz_dtype_size(dtype);
    if (v)
        for (int64_t k = 0; k < n; k++) hz_set_flat(out, k, v[k]);
    else
        draw_integers(in, seed, n, out);
    free(v);
    return true;
}
