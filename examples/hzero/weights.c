/* weights.c: `hzero weights`: the filters of a convolution as pictures in which gray is zero.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "picture.h"
#include "session.h"
#include "sheet.h"

enum { COLUMNS = 12, MOST_FILTERS = 240, TILE = 72 };

/* The layer's weight: under its own name, or NAME.weight, NAME.kernel. */
static const hz_tensor *find_weight(session *s, const char *layer) {
    static const char *const endings[] = {"", ".weight", ".kernel"};
    const hz_tensor *w = NULL;
    for (int k = 0; !w && k < 3; k++) {
        char name[512];
        snprintf(name, sizeof name, "%s%s", layer, endings[k]);
        w = hz_model_weight(&s->model, name);
    }
    if (!w)
        hz_fail(&s->err, HZ_ENOTFOUND, "the model has no weight named \"%.80s\" or \"%.80s.weight\"", layer,
                layer);
    else if (w->rank != 4 || w->dtype != HZ_F32) {
        hz_fail(&s->err, HZ_ESHAPE, "%.80s is %s %s; only convolutions (K,C,R,S) can be drawn", layer,
                hz_dtype_name(w->dtype), hz_shape_str(w).s);
        return NULL;
    }
    return w;
}

/* Filter k as a map: three channels as colours, any other number as a mosaic of channels with gray seams. */
static bool filter_map(const hz_tensor *w, int64_t k, hz_tensor *map) {
    int64_t channels = w->dim[1], r = w->dim[2], s = w->dim[3];
    int64_t across = (int64_t)ceil(sqrt((double)channels)), down = (channels + across - 1) / across;
    bool colour = channels == 3;
    hz_tensor shape = colour
                          ? hz_tensor_of(NULL, HZ_F32, HZ_DIMS(3, r, s))
                          : hz_tensor_of(NULL, HZ_F32, HZ_DIMS(1, down * (r + 1) - 1, across * (s + 1) - 1));
    shape.data = calloc((size_t)hz_numel(&shape), sizeof(float));
    if (!shape.data) return false;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t y = 0; y < r; y++)
            for (int64_t x = 0; x < s; x++) {
                double v = hz_get(w, (const int64_t[]){k, c, y, x});
                if (colour)
                    hz_set(&shape, (const int64_t[]){c, y, x}, v);
                else
                    hz_set(&shape, (const int64_t[]){0, c / across * (r + 1) + y, c % across * (s + 1) + x},
                           v);
            }
    *map = shape;
    return true;
}

static bool draw_filter(session *s, const hz_tensor *w, int64_t k, sheet_tile *tile) {
    hz_tensor map;
    if (!filter_map(w, k, &map)) return false;
    double most = 0;
    for (int64_t e = 0; e < hz_numel(&map); e++) most = fmax(most, fabs(hz_get_flat(&map, e)));
    bool ok = picture_of_map(&map, most > 0 ? most : 1, session_is_bgr(s), &tile->picture);
    snprintf(tile->caption[0], SHEET_CAPTION, "%lld", (long long)k);
    snprintf(tile->caption[1], SHEET_CAPTION, "±%.2g", most);
    free(map.data);
    return ok;
}

static bool draw_all(session *s, const options *o, const hz_tensor *w) {
    int n = (int)(w->dim[0] < MOST_FILTERS ? w->dim[0] : MOST_FILTERS), columns = n < COLUMNS ? n : COLUMNS;
    int rows = (n + columns - 1) / columns;
    sheet_tile *tile = calloc((size_t)(rows * columns), sizeof *tile);
    bool ok = tile != NULL;
    for (int k = 0; ok && k < n; k++) ok = draw_filter(s, w, k, &tile[k]);
    if (!ok) hz_fail(&s->err, HZ_ENOMEM, "out of memory");
    const hz_text_pair text[] = {
        {"Software", "hzero " HZERO_VERSION}, {"Layer", o->layer}, {"Zero", "gray 128"}};
    ok = ok && sheet_write(&(sheet){rows, columns, TILE, tile, NULL}, o->out, text, 3, &s->err);
    for (int k = 0; tile && k < n; k++) free(tile[k].picture.data);
    free(tile);
    return ok;
}

static void report(const options *o, const hz_tensor *w) {
    long long drawn = w->dim[0] < MOST_FILTERS ? w->dim[0] : MOST_FILTERS;
    if (o->json)
        print_json(json_pack("{s:o, s:o, s:[I,I,I,I], s:I, s:o}", "model", json_text(o->model), "layer",
                             json_text(o->layer), "shape", (json_int_t)w->dim[0], (json_int_t)w->dim[1],
                             (json_int_t)w->dim[2], (json_int_t)w->dim[3], "drawn", (json_int_t)drawn,
                             "picture", json_text(o->out)));
    else
        printf("%s %s: %lld filters drawn\n", o->layer, hz_shape_str(w).s, drawn);
}

int run_weights(const options *o) {
    session s;
    const hz_tensor *w = session_open(&s, "hzero weights", o) ? find_weight(&s, o->layer) : NULL;
    if (w && w->dim[0] < 1) hz_fail(&s.err, HZ_ESHAPE, "%s has no filters", o->layer);
    if (w && !s.err.code && draw_all(&s, o, w)) report(o, w);
    return session_close(&s);
}
