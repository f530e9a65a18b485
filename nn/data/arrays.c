/* arrays.c: examples and labels as arrays in .npy or safetensors files.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "nn/data/internal.h"
#include "tensor/npy.h"
#include "tensor/safetensors.h"

/* Whether one of n numbers, side by side, is NaN or infinite. */
static bool has_odd(const hz_tensor *t, int64_t n) {
    const float *f = t->data;
    const double *d = t->data;
    for (int64_t k = 0; k < n; k++)
        if (!isfinite(t->dtype == HZ_F32 ? (double)f[k] : d[k])) return true;
    return false;
}

/* Every float is finite. The elements lie side by side, in C or Fortran order. */
static bool check_finite(const char *name, const hz_tensor *t, hz_error *err) {
    int64_t idx[HZ_MAX_RANK], n = hz_numel(t);
    if (!hz_dtype_is_float(t->dtype) || !has_odd(t, n)) return true;
    for (int64_t k = 0; k < n; k++) {
        double value = hz_get_flat(t, k);
        if (isfinite(value)) continue;
        hz_unravel(t, k, idx);
        return hz_fail(err, HZ_EFORMAT, "%s: element %s is %g", hz_label(name).s, hz_dims_str(t->rank, idx).s,
                       value);
    }
    return true;
}

/* The class of every example is an integer ≥ 0; the largest of them tells how many there are. */
static bool count_classes(const char *name, hz_data *data, hz_error *err) {
    double most = -1;
    if (data->y.rank < 1 || hz_dtype_is_float(data->y.dtype)) return true;
    for (int64_t k = 0; k < hz_numel(&data->y); k++) {
        double label = hz_get_flat(&data->y, k);
        if (label < 0) return hz_fail(err, HZ_EFORMAT, "%s: label %.0f is negative", hz_label(name).s, label);
        if (label > most) most = label;
    }
    data->classes = most < 0x1p53 ? (int64_t)most + 1 : 0;
    return true;
}

static bool check_arrays(const char *x, const char *y, hz_data *data, hz_error *err) {
    if (data->x.rank < 1 || hz_numel(&data->x) == 0)
        return hz_fail(err, HZ_EFORMAT, "%s: an array %s holds no examples", hz_label(x).s,
                       hz_shape_str(&data->x).s);
    if (!y) return check_finite(x, &data->x, err);
    if (data->y.rank < 1 || data->y.dim[0] != data->x.dim[0])
        return hz_fail(err, HZ_EFORMAT, "%s: an array %s is no y for %s, %s", hz_label(y).s,
                       hz_shape_str(&data->y).s, hz_label(x).s, hz_shape_str(&data->x).s);
    return check_finite(x, &data->x, err) && check_finite(y, &data->y, err) && count_classes(y, data, err);
}

static bool load(const char *path, int slot, hz_data *data, hz_tensor *t, hz_error *err) {
    bool ok = hz_npy_load(path, &data->alloc, t, err);
    data->memory[slot] = ok ? t->data : NULL;
    return ok;
}

bool hz_data_open_npy(const char *x, const char *y, const hz_allocator *alloc, hz_data *data, hz_error *err) {
    hz__data_begin(data, alloc);
    return hz__data_end(data, load(x, 0, data, &data->x, err) && (!y || load(y, 1, data, &data->y, err)) &&
                                  check_arrays(x, y, data, err));
}

bool hz_data_open_safetensors(const char *path, const char *x, const char *y, const hz_allocator *alloc,
                              hz_data *data, hz_error *err) {
    hz_safetensors *st;
    hz_data view = {0};
    hz__data_begin(data, alloc);
    if (!hz_safetensors_open(path, alloc, &st, err)) return false;
    bool ok = hz_safetensors_get(st, x, &view.x, err) && (!y || hz_safetensors_get(st, y, &view.y, err)) &&
              (check_arrays(x, y, &view, err) || hz_fail_in(err, "%s", hz_label(path).s)) &&
              hz_data_join(&view, 1, alloc, data, err);
    hz_safetensors_close(st);
    return ok;
}
