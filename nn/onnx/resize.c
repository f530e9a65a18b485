/* resize.c: Resize and Upsample. Each axis is a linear map of its own: output position o reads from around
 *
 *   p = (o + ½)/scale − ½      (half_pixel; other modes below)
 *
 * with weights that depend on o alone: a gather for the nearest element, a product with a small matrix for linear and
 * cubic interpolation (Keys 1981).
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "nn/onnx/internal.h"

typedef enum position_mode {
    HALF_PIXEL,
    ASYMMETRIC,
    ALIGN_CORNERS,
    PYTORCH_HALF_PIXEL,
    TF_CROP,
    TF_HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    POSITION_MODES
} position_mode;

static const char *const position_names[POSITION_MODES] = {
    [HALF_PIXEL] = "half_pixel",
    [ASYMMETRIC] = "asymmetric",
    [ALIGN_CORNERS] = "align_corners",
    [PYTORCH_HALF_PIXEL] = "pytorch_half_pixel",
    [TF_CROP] = "tf_crop_and_resize",
    [TF_HALF_PIXEL] = "tf_half_pixel_for_nn",
    [HALF_PIXEL_SYMMETRIC] = "half_pixel_symmetric",
};

typedef enum nearest_mode { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL, NEAREST_MODES } nearest_mode;

static const char *const nearest_names[NEAREST_MODES] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                                         "ceil"};

typedef enum filter { NEAREST, LINEAR, CUBIC, FILTERS } filter;

static const char *const filter_names[FILTERS] = {"nearest", "linear", "cubic"};

typedef struct resizing {
    position_mode position;
    nearest_mode nearest;
    filter filter;
    bool exclude_outside, antialias;
    double cubic_a, extrapolation;
} resizing;

/* One axis. */
typedef struct axis_map {
    int64_t in, out;
    double scale;
    double from, to; /* the region of interest, as parts of the axis */
} axis_map;

/* ---- positions ---- */

static double position(const resizing *r, const axis_map *a, int64_t o) {
    double x = (double)o, in = (double)a->in, out = a->scale * in; /* out: not rounded */
    switch (r->position) {
    case ASYMMETRIC:
        return x / a->scale;
    case ALIGN_CORNERS:
        return a->out > 1 ? x * (in - 1) / (out - 1) : 0;
    case PYTORCH_HALF_PIXEL:
        return a->out > 1 ? (x + 0.5) / a->scale - 0.5 : 0;
    case TF_CROP:
        return a->out > 1 ? a->from * (in - 1) + x * (a->to - a->from) * (in - 1) / (out - 1)
                          : 0.5 * (a->from + a->to) * (in - 1);
    case TF_HALF_PIXEL:
        return (x + 0.5) / a->scale;
    case HALF_PIXEL_SYMMETRIC: {
        double offset = in / 2 * (1 - (double)a->out / out);
        return offset + (x + 0.5) / a->scale - 0.5;
    }
    default:
        return (x + 0.5) / a->scale - 0.5;
    }
}

static int64_t nearest(const resizing *r, const axis_map *a, double p) {
    double whole = r->nearest == FLOOR          ? floor(p)
                   : r->nearest == CEIL         ? ceil(p)
                   : r->nearest == PREFER_FLOOR ? ceil(p - 0.5)
                                                : floor(p + 0.5);
    return whole < 0 ? 0 : whole > (double)(a->in - 1) ? a->in - 1 : (int64_t)whole;
}

/* ---- weights ---- */

/* Keys' kernel at distance d. */
static double cubic(double d, double a) {
    d = fabs(d);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* The weights of position p over the elements of the axis, into row[0 … in). Those beyond an end go to the end. An axis
 * that shrinks without aliasing has its filter widened by as much. */
static void weigh(const resizing *r, const axis_map *a, double p, double *row) {
    bool cubics = r->filter == CUBIC;
    double narrow = r->antialias && a->scale < 1 ? a->scale : 1, sum = 0;
    int64_t reach = (int64_t)floor(-(cubics ? 2 : 1) / narrow) + 1, middle = (int64_t)floor(p);
    for (int64_t k = middle + reach; k <= middle + 1 - reach; k++) {
        double d = (p - (double)k) * narrow, w = cubics ? cubic(d, r->cubic_a) : fmax(0, 1 - fabs(d));
        int64_t at = k < 0 ? 0 : k >= a->in ? a->in - 1 : k;
        if (r->exclude_outside && at != k) continue;
        row[at] += w;
        sum += w;
    }
    bool normalize = r->exclude_outside || r->antialias;
    for (int64_t k = 0; normalize && sum != 0 && k < a->in; k++) row[k] /= sum;
}

/* ---- one axis ---- */

static hz_var gather_axis(hz__call *c, hz_var x, int axis, const resizing *r, const axis_map *a) {
    hz_var index = hz__new_i64(c, HZ_DIMS(a->out));
    for (int64_t o = 0; hz_ok(index) && o < a->out; o++) hz__i64(index)[o] = nearest(r, a, position(r, a, o));
    return hz_gather(x, axis, index);
}

static hz_var weigh_axis(hz__call *c, hz_var x, int axis, const resizing *r, const axis_map *a) {
    hz_var weights = hz_full(c->t, HZ_F64, HZ_DIMS(a->out, a->in), 0);
    if (!hz_ok(weights)) return weights;
    for (int64_t o = 0; o < a->out; o++)
        weigh(r, a, position(r, a, o), (double *)hz_value(weights)->data + o * a->in);
    hz_var w = hz_detach(hz_astype(weights, hz_value(x)->dtype));
    return hz_transpose(hz_linear(hz_transpose(x, axis, -1), w, hz_none(c->t)), axis, -1);
}

/* What lies outside the image takes a fixed value (only crops reach there). */
static hz_var extrapolate(hz__call *c, hz_var y, int axis, const resizing *r, const axis_map *a) {
    int64_t dim[HZ_MAX_RANK];
    if (!hz_ok(y)) return y;
    int rank = hz_value(y)->rank;
    for (int k = 0; k < rank; k++) dim[k] = k == axis ? a->out : 1;
    hz_var outside = hz_full(c->t, HZ_U8, rank, dim, 0);
    for (int64_t o = 0; hz_ok(outside) && o < a->out; o++) {
        double p = position(r, a, o);
        ((uint8_t *)hz_value(outside)->data)[o] = p < 0 || p > (double)(a->in - 1);
    }
    return hz_where(outside, hz__number(y, r->extrapolation), y);
}

static bool changes(const resizing *r, const axis_map *a) {
    return a->in != a->out || r->position == TF_CROP || a->scale != 1;
}

static hz_var resize_axis(hz__call *c, hz_var x, int axis, const resizing *r, const axis_map *a) {
    if (!hz_ok(x) || !changes(r, a)) return x;
    hz_var y = r->filter == NEAREST ? gather_axis(c, x, axis, r, a) : weigh_axis(c, x, axis, r, a);
    return r->position == TF_CROP ? extrapolate(c, y, axis, r, a) : y;
}

/* ---- reading the node ---- */

static int choose(hz__call *c, const char *attribute, const char *const *names, int n, int otherwise) {
    if (!hz__attr(c, attribute)) return otherwise;
    for (int k = 0; k < n; k++)
        if (hz__attr_is(c, attribute, names[k], false)) return k;
    return -1;
}

static bool read_options(hz__call *c, bool old, resizing *r) {
    int position = choose(c, "coordinate_transformation_mode", position_names, POSITION_MODES,
                          old ? ASYMMETRIC : HALF_PIXEL);
    int nearest = choose(c, "nearest_mode", nearest_names, NEAREST_MODES, old ? FLOOR : PREFER_FLOOR);
    int kind = choose(c, "mode", filter_names, FILTERS, NEAREST);
    if (kind < 0 && hz__attr_is(c, "mode", "bilinear", false)) kind = LINEAR;
    *r = (resizing){.position = (position_mode)position,
                    .nearest = (nearest_mode)nearest,
                    .filter = (filter)kind,
                    .exclude_outside = hz__attr_int(c, "exclude_outside", 0) != 0,
                    .antialias = hz__attr_int(c, "antialias", 0) != 0,
                    .cubic_a = hz__attr_float(c, "cubic_coeff_a", -0.75),
                    .extrapolation = hz__attr_float(c, "extrapolation_value", 0)};
    if (position >= 0 && nearest >= 0 && kind >= 0) return true;
    hz__refuse(c, "in this mode");
    return false;
}

/* Which axis each given number is for. */
static bool read_axes(hz__call *c, int rank, int *axis, int *n) {
    int64_t given[HZ_MAX_RANK];
    if (!hz__attr_ints(c, "axes", given, HZ_MAX_RANK, n)) return false;
    if (*n < 0) {
        *n = rank;
        for (int k = 0; k < rank; k++) axis[k] = k;
        return true;
    }
    for (int k = 0; k < *n; k++)
        if (!hz__axis(c, given[k], rank, &axis[k])) return false;
    return true;
}

/* scale of input `at` (or attribute "scales"), for n axes; false without an error if there is none. */
static bool read_scales(hz__call *c, int at, int n, double *scale) {
    const Onnx__AttributeProto *a = at < 0 ? hz__attr(c, "scales") : NULL;
    const hz_tensor *v = at >= 0 ? hz__arg_value(c, at) : NULL;
    int64_t count = a ? (int64_t)a->n_floats : v && hz__has(c, at) ? hz_numel(v) : 0;
    if (count != n) return false;
    for (int k = 0; k < n; k++) scale[k] = a ? (double)a->floats[k] : hz_get_flat(v, k);
    return true;
}

/* One scale for all axes, so that the image is within (not_larger) or covers (not_smaller) the sizes asked for. */
static bool keep_ratio(hz__call *c, const int *axis, int n, axis_map *map) {
    bool larger = hz__attr_is(c, "keep_aspect_ratio_policy", "not_smaller", false);
    if (!larger && !hz__attr_is(c, "keep_aspect_ratio_policy", "not_larger", false)) return false;
    double scale = map[axis[0]].scale;
    for (int k = 1; k < n; k++)
        scale = larger ? fmax(scale, map[axis[k]].scale) : fmin(scale, map[axis[k]].scale);
    for (int k = 0; k < n; k++) {
        map[axis[k]].scale = scale;
        map[axis[k]].out = (int64_t)floor(scale * (double)map[axis[k]].in + 0.5);
    }
    return true;
}

static bool read_sizes(hz__call *c, int at, const int *axis, int n, axis_map *map) {
    int64_t size[HZ_MAX_RANK];
    int count;
    if (at < 0 || !hz__has(c, at) || !hz__ints(c, at, NULL, size, HZ_MAX_RANK, &count) || count != n ||
        n == 0)
        return false;
    for (int k = 0; k < n; k++) {
        map[axis[k]].out = size[k];
        map[axis[k]].scale = (double)size[k] / (double)map[axis[k]].in;
    }
    keep_ratio(c, axis, n, map);
    return true;
}

static bool check_maps(hz__call *c, const axis_map *map, int rank) {
    for (int k = 0; k < rank; k++)
        if (!(map[k].scale > 0) || map[k].out < 1 || map[k].out > INT32_MAX || map[k].in < 1) {
            hz__bad(c, "axis %d from %" PRId64 " to %" PRId64, k, map[k].in, map[k].out);
            return false;
        }
    return true;
}

/* scales_at, sizes_at, roi_at: inputs, −1: there is none such. */
static void resize_by(hz__call *c, bool old, int roi_at, int scales_at, int sizes_at) {
    hz_var x = hz__arg_float(c, 0);
    const hz_tensor *v = hz_value(x);
    axis_map map[HZ_MAX_RANK];
    double scale[HZ_MAX_RANK];
    int axis[HZ_MAX_RANK], n;
    resizing r;
    if (!read_options(c, old, &r) || !read_axes(c, v->rank, axis, &n)) return;
    for (int k = 0; k < v->rank; k++) map[k] = (axis_map){v->dim[k], v->dim[k], 1, 0, 1};
    if (read_scales(c, scales_at, n, scale)) {
        for (int k = 0; k < n; k++) {
            double out = floor((double)map[axis[k]].in * scale[k]);
            map[axis[k]].scale = scale[k];
            map[axis[k]].out = out >= 0 && out < 1e9 ? (int64_t)out : -1;
        }
    } else if (!read_sizes(c, sizes_at, axis, n, map)) {
        hz__bad(c, "neither scales nor sizes for %d axes", n);
        return;
    }
    const hz_tensor *roi = roi_at >= 0 ? hz__arg_value(c, roi_at) : NULL;
    for (int k = 0; roi && r.position == TF_CROP && hz_numel(roi) == 2 * n && k < n; k++) {
        map[axis[k]].from = hz_get_flat(roi, k);
        map[axis[k]].to = hz_get_flat(roi, n + k);
    }
    if (!check_maps(c, map, v->rank)) return;
    for (int k = 0, rank = v->rank; k < rank; k++) x = resize_axis(c, x, k, &r, &map[k]);
    hz__give_like_arg(c, 0, x);
}

static void resize(hz__call *c) {
    resize_by(c, false, 1, 2, 3);
}

/* Upsample, and Resize of opset 10: asymmetric positions, rounded down. */
static void upsample(hz__call *c) {
    resize_by(c, true, -1, hz__has(c, 1) ? 1 : -1, -1);
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"Upsample", .since = 7, .run = upsample},
    {"Resize", .since = 10, .until = 10, .need = 2, .run = upsample},
    {"Resize", .since = 11, .run = resize},
};

const hz__family hz__onnx_resize = {mappings, HZ__COUNT(mappings)};
