/* grid.c: AffineGrid and GridSample, the two halves of a spatial transformer (Jaderberg et al. 2015): positions, and an image
 * read there,
 *
 *   y[n, c, o] = Σ over taps  w(position[n, o] − tap) · x[n, c, tap]
 *
 * over one to three spatial axes. Which elements are read is worked out here, in plain numbers; the weights are ops of the
 * positions, so that both x and the positions have a gradient.
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>

#include "nn/onnx/internal.h"

enum { MOST_AXES = 3, MOST_TAPS = 4 };

typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

typedef struct sampling {
    int axes, taps, first; /* taps of an axis: floor(position) + first + 0 … taps−1 */
    padding padding;
    bool align; /* −1 and 1 are the middles of the outer elements, not their outer edges */
    int64_t points;
} sampling;

/* One axis of x at all points. */
typedef struct axis {
    int64_t extent;
    double lo, hi;            /* where the image ends */
    hz_var base;              /* i64 (points): floor(position) */
    hz_var weight[MOST_TAPS]; /* (points, 1); not for the nearest element */
} axis;

/* ---- beyond the ends ---- */

/* v thrown back at both ends; *slope becomes the derivative. */
static double reflect(double v, const axis *a, double *slope) {
    double range = a->hi - a->lo, past = range > 0 ? fmod(fabs(v - a->lo), 2 * range) : 0;
    *slope = (v < a->lo ? -1 : 1) * (past > range ? -1 : 1) * (range > 0);
    return past > range ? a->hi - (past - range) : a->lo + past;
}

/* Where position v really reads, a position that floor and 64 bits can bear. */
static double moved(const sampling *s, const axis *a, double v, double *slope) {
    double end = (double)a->extent - 1;
    *slope = 1;
    if (v >= a->lo && v <= a->hi) return v;
    if (s->padding == REFLECTION && isfinite(v)) return reflect(v, a, slope);
    if (s->padding == ZEROS && v > -2 && v < end + 2) return v;
    *slope = 0;
    if (s->padding == ZEROS || isnan(v)) return isnan(v) ? 0 : -MOST_TAPS; /* nothing is read */
    return v < 0 ? 0 : end;
}

/* The element that tap i reads; −1 for none. */
static int64_t element(const sampling *s, const axis *a, int64_t i) {
    double slope;
    if (i >= 0 && i < a->extent) return i;
    if (s->padding == ZEROS) return -1;
    if (s->padding == REFLECTION) i = (int64_t)reflect((double)i, a, &slope);
    return i < 0 ? 0 : i >= a->extent ? a->extent - 1 : i;
}

/* ---- weights ---- */

/* Keys' kernel with a = −3/4 at distance u and at distance 1 + u, 0 ≤ u ≤ 1. */
static hz_var near_weight(hz_var u) {
    return hz_add_scalar(hz_mul(hz_affine(u, 1.25, -2.25), hz_square(u)), 1);
}

static hz_var far_weight(hz_var u) {
    hz_var d = hz_add_scalar(u, 1);
    hz_var inner = hz_add_scalar(hz_mul(hz_affine(d, -0.75, 3.75), d), -6);
    return hz_add_scalar(hz_mul(inner, d), 3);
}

/* t: the position behind the first of the two neighbours. */
static void weigh(const sampling *s, hz_var t, hz_var *weight) {
    hz_var rest = hz_affine(t, -1, 1);
    if (s->taps == 2) {
        weight[0] = rest, weight[1] = t;
        return;
    }
    weight[0] = far_weight(t), weight[1] = near_weight(t);
    weight[2] = near_weight(rest), weight[3] = far_weight(rest);
}

/* position (points, 1), in elements of the axis. */
static void place(hz__call *c, const sampling *s, hz_var position, axis *a) {
    if (!hz_ok(position)) return;
    const hz_tensor *v = hz_value(position);
    hz_var slope = hz_full(c->t, v->dtype, v->rank, v->dim, 0),
           offset = hz_full(c->t, v->dtype, v->rank, v->dim, 0);
    a->base = hz__new_i64(c, HZ_DIMS(s->points));
    if (!hz_ok(slope) || !hz_ok(offset) || !hz_ok(a->base)) return;
    for (int64_t k = 0; k < s->points; k++) {
        double at = hz_get_flat(v, k), steep, to = moved(s, a, s->taps == 1 ? rint(at) : at, &steep);
        double whole = floor(to);
        hz__i64(a->base)[k] = (int64_t)whole;
        hz_set_flat(hz_value(slope), k, steep);
        hz_set_flat(hz_value(offset), k,
                    steep != 0  ? (steep < 0 ? to + at : to - at) - whole
                    : isnan(at) ? at
                                : to - whole);
    }
    if (s->taps > 1) weigh(s, hz_add(hz_mul(position, slope), offset), a->weight);
}

/* ---- reading ---- */

/* x (rows, C) at one tap of each axis, times its weight. tap: which. */
static hz_var read_tap(hz__call *c, const sampling *s, const axis *axes, hz_var rows, const int *tap) {
    hz_var index = hz__new_i64(c, HZ_DIMS(s->points));
    hz_var weight = hz_full(c->t, hz_value(rows)->dtype, HZ_DIMS(s->points, 1), 1);
    if (!hz_ok(index) || !hz_ok(weight)) return hz_none(c->t);
    const int64_t images = hz__arg_value(c, 0)->dim[0], each = images ? s->points / images : 0;
    for (int64_t k = 0; k < s->points; k++) {
        int64_t row = k / each;
        for (int a = 0; a < s->axes; a++) {
            int64_t i = element(s, &axes[a], hz__i64(axes[a].base)[k] + s->first + tap[a]);
            if (i < 0) hz_set_flat(hz_value(weight), k, 0);
            row = row * axes[a].extent + (i < 0 ? 0 : i);
        }
        hz__i64(index)[k] = row;
    }
    for (int a = 0; a < s->axes && s->taps > 1; a++) weight = hz_mul(weight, axes[a].weight[tap[a]]);
    return hz_mul(hz_gather(rows, 0, index), weight);
}

/* Over all combinations of taps. */
static hz_var read_all(hz__call *c, const sampling *s, const axis *axes, hz_var rows) {
    int tap[MOST_AXES], combinations = 1;
    for (int a = 0; a < s->axes; a++) combinations *= s->taps;
    hz_var y = hz_none(c->t);
    for (int k = 0; k < combinations && hz_tape_ok(c->t, NULL); k++) {
        for (int a = 0, rest = k; a < s->axes; a++, rest /= s->taps) tap[a] = rest % s->taps;
        hz_var term = read_tap(c, s, axes, rows, tap);
        y = k ? hz_add(y, term) : term;
    }
    return y;
}

/* ---- GridSample ---- */

static bool read_modes(hz__call *c, sampling *s) {
    static const struct {
        const char *name;
        int taps, first;
    } modes[] = {
        {"linear", 2, 0}, {"bilinear", 2, 0}, {"nearest", 1, 0}, {"cubic", 4, -1}, {"bicubic", 4, -1}};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    int mode = 0, pad = 0;
    while (mode < HZ__COUNT(modes) && !hz__attr_is(c, "mode", modes[mode].name, mode == 0)) mode++;
    while (pad < HZ__COUNT(paddings) && !hz__attr_is(c, "padding_mode", paddings[pad], pad == 0)) pad++;
    if (mode == HZ__COUNT(modes) || pad == HZ__COUNT(paddings)) {
        hz__refuse(c, "in this mode");
        return false;
    }
    s->taps = modes[mode].taps, s->first = modes[mode].first;
    s->padding = (padding)pad;
    s->align = hz__attr_int(c, "align_corners", 0) != 0;
    return true;
}

static bool check_grid(hz__call *c, sampling *s) {
    const hz_tensor *x = hz__arg_value(c, 0), *grid = hz__arg_value(c, 1);
    s->axes = x->rank - 2;
    bool fits = s->axes >= 1 && s->axes <= MOST_AXES && grid->rank == x->rank && grid->dim[0] == x->dim[0] &&
                grid->dim[grid->rank - 1] == s->axes && hz_dtype_is_float(grid->dtype) && hz__is_float(c, 0);
    if (!fits || (hz_numel(x) == 0 && hz_numel(grid) > 0)) {
        hz__bad(c, "grid %s for %s", hz_shape_str(grid).s, hz_shape_str(x).s);
        return false;
    }
    s->points = hz_numel(grid) / s->axes;
    return true;
}

/* Channels to the end, or from the end behind the first axis. */
static hz_var move_channels(hz_var x, bool to_end) {
    int rank = hz_value(x)->rank, perm[HZ_MAX_RANK] = {0};
    for (int k = 1; k < rank; k++)
        perm[k] = to_end ? (k + 1 < rank ? k + 1 : 1) : (k == 1 ? rank - 1 : k - 1);
    return hz_permute(x, perm);
}

static void grid_sample(hz__call *c) {
    sampling s = {.axes = 0};
    axis axes[MOST_AXES];
    const hz_tensor *x = hz__arg_value(c, 0);
    if (!check_grid(c, &s) || !read_modes(c, &s)) return;
    hz_var grid = hz_reshape(hz_astype(hz__arg(c, 1), x->dtype), HZ_DIMS(s.points, s.axes));
    for (int a = 0; a < s.axes; a++) { /* the grid counts the axes from the last one */
        double extent = (double)x->dim[2 + a];
        axes[a] = (axis){
            .extent = x->dim[2 + a], .lo = s.align ? 0 : -0.5, .hi = s.align ? extent - 1 : extent - 0.5};
        hz_var column = hz_slice(grid, 1, s.axes - 1 - a, 1, 1);
        place(c, &s, hz_affine(column, (s.align ? extent - 1 : extent) / 2, (extent - 1) / 2), &axes[a]);
    }
    hz_var rows = hz_reshape(move_channels(hz__arg(c, 0), true),
                             HZ_DIMS(hz_numel(x) / (x->dim[1] ? x->dim[1] : 1), x->dim[1]));
    if (!hz_tape_ok(c->t, NULL)) return;
    hz_tensor shape =
        *hz__arg_value(c, 1); /* (N, out …, axes), its last extent becomes that of the channels */
    shape.dim[shape.rank - 1] = x->dim[1];
    hz_var y = hz_reshape(read_all(c, &s, axes, rows), shape.rank, shape.dim);
    if (hz_ok(y)) hz__give_as(c, 0, move_channels(y, false), hz__arg_type(c, 0));
}

/* ---- AffineGrid ---- */

/* The middle of element k of n, from −1 to 1. */
static double middle(int64_t k, int64_t n, bool align) {
    if (align) return n > 1 ? 2 * (double)k / (double)(n - 1) - 1 : -1;
    return (2 * (double)k + 1) / (double)n - 1;
}

/* (points, axes + 1): x, y, …, 1 of every point. */
static hz_var homogeneous(hz__call *c, const int64_t *extent, int axes, int64_t points) {
    bool align = hz__attr_int(c, "align_corners", 0) != 0;
    hz_var grid = hz_full(c->t, hz__arg_value(c, 0)->dtype, HZ_DIMS(points, axes + 1), 1);
    for (int64_t k = 0; hz_ok(grid) && k < points; k++)
        for (int64_t a = axes - 1, rest = k; a >= 0; rest /= extent[a--])
            hz_set_flat(hz_value(grid), k * (axes + 1) + axes - 1 - a,
                        middle(rest % extent[a], extent[a], align));
    return grid;
}

/* theta (N, axes, axes + 1) times every point → (N, extents …, axes) */
static void affine_grid(hz__call *c) {
    const hz_tensor *theta = hz__arg_value(c, 0);
    int64_t size[HZ_MAX_RANK], points = 1;
    int n;
    hz_error why = {.code = HZ_OK};
    if (!hz__ints(c, 1, NULL, size, 5, &n)) return;
    int axes = n - 2;
    if (axes < 2 || theta->rank != 3 || theta->dim[1] != axes || theta->dim[2] != axes + 1 ||
        theta->dim[0] != size[0] || !hz_shape_check("size", HZ_F64, axes, size + 2, &why)) {
        hz__bad(c, "theta %s for a grid of size %s", hz_shape_str(theta).s, hz_dims_str(n, size).s);
        return;
    }
    for (int a = 0; a < axes; a++) points *= size[2 + a];
    hz_var base = homogeneous(c, size + 2, axes, points);
    hz_var y = hz_matmul(base, hz_transpose(hz__arg(c, 0), 1, 2)); /* (N, points, axes) */
    for (int a = 0; a < axes; a++) size[1 + a] = size[2 + a];
    size[1 + axes] = axes;
    hz__give(c, 0, hz_reshape(y, axes + 2, size));
}

/* ---- the table ---- */

static const hz__mapping mappings[] = {
    {"AffineGrid", .since = 20, .need = 2, .run = affine_grid},
    {"GridSample", .since = 16, .need = 2, .run = grid_sample},
};

const hz__family hz__onnx_grid = {mappings, HZ__COUNT(mappings)};
