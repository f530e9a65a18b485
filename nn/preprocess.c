/* preprocess.c: from a picture to a network's input. Start with hz_preprocess_file.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/preprocess.h"

#include <inttypes.h>
#include <math.h>

#include "nn/internal.h"
#include "nn/resample.h"
#include "tensor/file.h"
#include "tensor/image.h"
#include "tensor/npy.h"

enum { COLORS = 3, MAX_SIZE = 16384 };

hz_preprocess hz_preprocess_complete(const hz_preprocess *p) {
    hz_preprocess full = *p;
    if (full.resize == 0) full.resize = full.size;
    if (full.width == 0) full.width = full.size;
    if (full.range == 0) full.range = 255;
    if (full.channels == 0) full.channels = COLORS;
    for (int c = 0; c < COLORS; c++)
        if (full.std[c] == 0) full.std[c] = 1;
    return full;
}

bool hz_preprocess_check(const hz_preprocess *p, hz_error *err) {
    int64_t resize = hz_preprocess_complete(p).resize;
    if (p->size < 1 || p->size > MAX_SIZE)
        return hz_fail(err, HZ_EINVAL, "input size %" PRId64 " is not between 1 and %d", p->size, MAX_SIZE);
    if (p->width < 0 || p->width > MAX_SIZE)
        return hz_fail(err, HZ_EINVAL, "input width %" PRId64 " is not between 1 and %d", p->width, MAX_SIZE);
    if (resize < p->size || resize > MAX_SIZE)
        return hz_fail(err, HZ_EINVAL, "resize %" PRId64 " is not between the input size %" PRId64 " and %d",
                       resize, p->size, MAX_SIZE);
    if (p->channels != 0 && p->channels != 1 && p->channels != COLORS)
        return hz_fail(err, HZ_EINVAL, "%" PRId64 " channels are neither 1, gray, nor 3 colors", p->channels);
    if (!(p->range >= 0 && isfinite(p->range)))
        return hz_fail(err, HZ_EINVAL, "range %g is not positive", p->range);
    for (int c = 0; c < COLORS; c++)
        if (!isfinite(p->mean[c]) || !(p->std[c] >= 0 && isfinite(p->std[c])))
            return hz_fail(err, HZ_EINVAL, "mean %g or std %g is not finite, or std is negative", p->mean[c],
                           p->std[c]);
    return true;
}

/* ---- resize and crop ---- */

/* An axis of a picture, and what the network wants of it. */
typedef struct side {
    int64_t in, wanted;
} side;

/* The axis becomes resize/size·short.wanted/short.in times as long; the middle of it is wanted. */
static hz__resample_axis fit_axis(const hz_preprocess *p, side axis, side shorter) {
    const int64_t over = shorter.wanted * p->resize, under = shorter.in * p->size;
    const int64_t out = (2 * axis.in * over + under) / (2 * under);
    return (hz__resample_axis){
        .in = axis.in, .out = out, .first = (out - axis.wanted) / 2, .count = axis.wanted};
}

static bool is_picture(const hz_tensor *t) {
    return t->dtype == HZ_U8 && t->rank == 3 && t->dim[2] == COLORS && t->dim[0] >= 1 && t->dim[1] >= 1 &&
           t->dim[0] <= INT32_MAX && t->dim[1] <= INT32_MAX;
}

static void copy_pixels(const hz_tensor *from, const hz_tensor *to) {
    uint8_t *y = to->data;
    for (int64_t i = 0; i < to->dim[0]; i++)
        for (int64_t j = 0; j < to->dim[1]; j++)
            for (int64_t c = 0; c < COLORS; c++)
                *y++ = ((const uint8_t *)from->data)[hz_offset(from, (const int64_t[]){i, j, c})];
}

static bool no_memory(const hz_preprocess *full, const char *what, hz_error *err) {
    return hz_fail(err, HZ_ENOMEM, "no memory for %s of %" PRId64 " × %" PRId64 " pixels", what, full->size,
                   full->width);
}

bool hz_preprocess_fit(const hz_preprocess *p, const hz_tensor *picture, const hz_allocator *alloc,
                       hz_tensor *fitted, hz_error *err) {
    if (!hz_preprocess_check(p, err)) return false;
    if (!is_picture(picture))
        return hz_fail(err, HZ_ESHAPE, "a picture is u8 (H, W, 3), not %s %s", hz_dtype_name(picture->dtype),
                       hz_shape_str(picture).s);
    const hz_preprocess full = hz_preprocess_complete(p);
    const side h = {picture->dim[0], full.size}, w = {picture->dim[1], full.width};
    const side shorter = h.in * w.wanted <= w.in * h.wanted ? h : w; /* has less to spare */
    void *data = hz_alloc(alloc, (size_t)(full.size * full.width * COLORS));
    if (!data) return no_memory(&full, "a picture", err);
    *fitted = hz_tensor_of(data, HZ_U8, HZ_DIMS(full.size, full.width, COLORS));
    if (h.in == h.wanted && w.in == w.wanted) {
        copy_pixels(picture, fitted);
        return true;
    }
    if (hz__resample(picture, fit_axis(&full, h, shorter), fit_axis(&full, w, shorter), alloc, fitted, err))
        return true;
    hz_free(alloc, data);
    return false;
}

/* ---- numbers ---- */

int hz__channel_color(const hz_preprocess *p, int64_t channels, int c) {
    return p->order == HZ_BGR && channels == COLORS ? COLORS - 1 - c : c;
}

void hz__pixel_table(const hz_preprocess *p, int color, float table[256]) {
    hz_preprocess full = hz_preprocess_complete(p);
    double std = full.std[color], a = full.range / 255 / std, b = -full.mean[color] / std;
    for (int v = 0; v < 256; v++) table[v] = (float)(a * v + b);
}

static void normalize_plane(const hz_tensor *pixels, int64_t n, int64_t color, const float table[256],
                            float *y) {
    const uint8_t *x = (const uint8_t *)pixels->data + n * pixels->stride[0] + color * pixels->stride[1];
    for (int64_t i = 0; i < pixels->dim[2]; i++)
        for (int64_t j = 0; j < pixels->dim[3]; j++)
            *y++ = table[x[i * pixels->stride[2] + j * pixels->stride[3]]];
}

bool hz_preprocess_normalize(const hz_preprocess *p, const hz_tensor *pixels, const hz_tensor *input,
                             hz_error *err) {
    const int channels = (int)hz_preprocess_complete(p).channels;
    hz_tensor rgb;
    if (!hz_preprocess_check(p, err)) return false;
    if (pixels->dtype != HZ_U8 || input->dtype != HZ_F32 || !hz_is_contiguous(input) || input->rank != 4 ||
        input->dim[1] != channels || pixels->rank != 4 ||
        !hz_view_broadcast(pixels, 4, input->dim, &rgb, NULL))
        return hz_fail(err, HZ_ESHAPE, "pixels %s %s do not fill an input %s %s",
                       hz_dtype_name(pixels->dtype), hz_shape_str(pixels).s, hz_dtype_name(input->dtype),
                       hz_shape_str(input).s);
    int64_t plane = rgb.dim[2] * rgb.dim[3];
    for (int c = 0; c < channels; c++) {
        int color = hz__channel_color(p, channels, c);
        float table[256];
        hz__pixel_table(p, color, table);
        for (int64_t n = 0; n < rgb.dim[0]; n++)
            normalize_plane(&rgb, n, color, table, (float *)input->data + (n * channels + c) * plane);
    }
    return true;
}

/* ---- files ---- */

/* (H, W, 3) seen as (1, 3, H, W). */
static hz_tensor as_batch(const hz_tensor *picture) {
    hz_tensor t = *picture;
    t.rank = 4;
    t.dim[0] = t.stride[0] = 1;
    t.dim[1] = picture->dim[2], t.stride[1] = picture->stride[2];
    t.dim[2] = picture->dim[0], t.stride[2] = picture->stride[0];
    t.dim[3] = picture->dim[1], t.stride[3] = picture->stride[1];
    return t;
}

/* Replace red by the brightness, as Pillow rounds it. */
static void make_gray(const hz_tensor *picture) {
    uint8_t *pixel = picture->data;
    for (int64_t k = 0; k < picture->dim[0] * picture->dim[1]; k++, pixel += COLORS)
        pixel[0] = (uint8_t)((19595 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2] + 32768) >> 16);
}

static bool fit_picture(const hz_preprocess *p, const hz_tensor *picture, const hz_allocator *alloc,
                        hz_tensor *input, hz_error *err) {
    const hz_preprocess full = hz_preprocess_complete(p);
    hz_tensor fitted;
    if (!hz_preprocess_fit(p, picture, alloc, &fitted, err)) return false;
    hz_tensor batch = as_batch(&fitted);
    batch.dim[1] = full.channels;
    if (batch.dim[1] == 1) make_gray(&fitted);
    void *data = hz_alloc(alloc, hz_nbytes(&batch) * sizeof(float));
    *input = hz_tensor_of(data, HZ_F32, 4, batch.dim);
    bool ok = data ? hz_preprocess_normalize(p, &batch, input, err) : no_memory(&full, "an input", err);
    if (!ok) hz_free(alloc, data);
    hz_free(alloc, fitted.data);
    return ok;
}

/* The array of a .npy file, if it is an input, with its batch axis. */
static bool load_input(const hz_preprocess *p, const char *path, const hz_allocator *alloc, hz_tensor *input,
                       hz_error *err) {
    const hz_preprocess full = hz_preprocess_complete(p);
    const int64_t dim[] = {1, full.channels, full.size, full.width};
    hz_tensor array, batch;
    if (!hz_npy_load(path, alloc, &array, err)) return false;
    bool fits = array.dtype == HZ_F32 && (array.rank == 4 || array.rank == 3) &&
                hz_view_broadcast(&array, 4, dim, &batch, NULL) && hz_numel(&array) == hz_numel(&batch);
    if (!fits)
        hz_fail(err, HZ_ESHAPE, "%s: an array %s %s is no input f32 %s or %s", hz_label(path).s,
                hz_dtype_name(array.dtype), hz_shape_str(&array).s, hz_dims_str(3, dim + 1).s,
                hz_dims_str(4, dim).s);
    if (fits)
        *input = batch;
    else
        hz_free(alloc, array.data);
    return fits;
}

bool hz_preprocess_file(const hz_preprocess *p, const char *path, const hz_allocator *alloc, hz_tensor *input,
                        hz_error *err) {
    hz_tensor picture;
    if (!hz_preprocess_check(p, err)) return false;
    if (hz__ends_with(path, ".npy")) return load_input(p, path, alloc, input, err);
    if (!hz_image_load(path, COLORS, alloc, &picture, err)) return false;
    bool ok = fit_picture(p, &picture, alloc, input, err) || hz_fail_in(err, "%s", hz_label(path).s);
    hz_free(alloc, picture.data);
    return ok;
}
