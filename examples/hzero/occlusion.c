/* occlusion.c: `hzero occlusion`: how far a unit falls when a gray window covers a part of the picture (Zeiler & Fergus
 * 2014, section 4.2). The measured counterpart of the gradient.
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

enum { TILE = 320 };

typedef struct occlusion {
    session s;
    const options *o;
    hz_unit_info unit;
    double value; /* of the unit with nothing covered */
    int64_t rows, columns;
    float *original; /* the uncovered input */
    float *drop;     /* rows × columns: value minus value with the window there */
} occlusion;

/* Positions of the window along an axis; the last one may hang over the edge, but covers something. */
static int64_t positions(int64_t extent, long window, long stride) {
    if (extent <= window) return 1;
    return 1 + (stride > window ? extent - 1 : extent - window + stride - 1) / stride;
}

static void cover(occlusion *c, int64_t top, int64_t left) {
    hz_tensor *x = &c->s.image;
    memcpy(x->data, c->original, hz_nbytes(x));
    for (int64_t ch = 0; ch < x->dim[1]; ch++)
        for (int64_t y = top; y < top + c->o->window && y < x->dim[2]; y++)
            for (int64_t xx = left; xx < left + c->o->window && xx < x->dim[3]; xx++)
                hz_set(x, (const int64_t[]){0, ch, y, xx}, session_gray(&c->s, ch));
}

/* The unit's value on the input as it is now. */
static bool measure(occlusion *c, double *value) {
    hz_tape_reset(c->s.t);
    hz_model_forward(&c->s.model, hz_name(hz_input(c->s.t, &c->s.image), "pixels"));
    hz_unit_info unit;
    if (!hz_unit_parse(c->s.t, c->unit.text, &unit)) return session_ok(&c->s);
    *value = hz_get(hz_value(unit.layer), unit.index);
    return isfinite(*value) || hz_fail(&c->s.err, HZ_ENUMERIC, "%s is %g with a part of the picture covered",
                                       c->unit.text, *value);
}

static bool slide(occlusion *c) {
    const hz_tensor *x = &c->s.image;
    c->rows = positions(x->dim[2], c->o->window, c->o->stride);
    c->columns = positions(x->dim[3], c->o->window, c->o->stride);
    c->original = malloc(hz_nbytes(x));
    c->drop = calloc((size_t)(c->rows * c->columns), sizeof *c->drop);
    if (!c->original || !c->drop) return hz_fail(&c->s.err, HZ_ENOMEM, "out of memory");
    memcpy(c->original, x->data, hz_nbytes(x));
    for (int64_t k = 0; k < c->rows * c->columns; k++) {
        double covered = 0;
        cover(c, k / c->columns * c->o->stride, k % c->columns * c->o->stride);
        if (!measure(c, &covered)) return false;
        c->drop[k] = (float)(c->value - covered);
    }
    memcpy(x->data, c->original, hz_nbytes(x));
    return true;
}

static bool start(occlusion *c) {
    if (!hz_unit_parse(c->s.t, c->o->unit.word[0], &c->unit)) return session_ok(&c->s);
    c->value = hz_get(hz_value(c->unit.layer), c->unit.index);
    return true;
}

static double largest_drop(const occlusion *c) {
    double most = 0;
    for (int64_t k = 0; k < c->rows * c->columns; k++) most = fmax(most, fabs((double)c->drop[k]));
    return most;
}

static bool draw(occlusion *c) {
    sheet_tile tile[2];
    memset(tile, 0, sizeof tile);
    hz_tensor photo = {.data = NULL}, map = {.data = NULL};
    hz_tensor drop = hz_tensor_of(c->drop, HZ_F32, HZ_DIMS(1, c->rows, c->columns));
    double scale = largest_drop(c) > 0 ? largest_drop(c) : 1;
    bool ok = session_picture(&c->s, &photo) &&
              (picture_of_map(&drop, scale, false, &map) || hz_fail(&c->s.err, HZ_ENOMEM, "out of memory"));
    if (ok) {
        tile[0].picture = photo;
        tile[1].picture = map;
        tile[0].frame[2] = tile[0].frame[3] = (double)c->o->window;
        snprintf(tile[0].caption[0], SHEET_CAPTION, "%.80s = %.4g", c->unit.text, c->value);
        snprintf(tile[0].caption[1], SHEET_CAPTION, "window %ld, stride %ld", c->o->window, c->o->stride);
        snprintf(tile[1].caption[0], SHEET_CAPTION, "drop of %.80s", c->unit.text);
        snprintf(tile[1].caption[1], SHEET_CAPTION, "bright: the unit falls; scale ±%.3g", scale);
        const hz_text_pair text[] = {{"Software", "hzero " HZERO_VERSION}, {"Unit", c->unit.text}};
        ok = sheet_write(&(sheet){1, 2, TILE, tile, NULL}, c->o->out, text, 2, &c->s.err);
    }
    free(photo.data);
    free(map.data);
    return ok;
}

static void report(const occlusion *c) {
    int64_t best = 0;
    for (int64_t k = 0; k < c->rows * c->columns; k++) best = c->drop[k] > c->drop[best] ? k : best;
    int64_t top = best / c->columns * c->o->stride, left = best % c->columns * c->o->stride;
    if (!c->o->json) {
        printf("%s = %.9g; falls most, by %.6g, with the window at row %lld, column %lld\n", c->unit.text,
               c->value, (double)c->drop[best], (long long)top, (long long)left);
        return;
    }
    json_t *map = json_array();
    for (int64_t y = 0; y < c->rows; y++) {
        json_t *row = json_array();
        for (int64_t x = 0; x < c->columns; x++)
            json_array_append_new(row, json_real((double)c->drop[y * c->columns + x]));
        json_array_append_new(map, row);
    }
    print_json(json_pack("{s:o, s:s, s:f, s:i, s:i, s:o, s:o}", "model", json_text(c->o->model), "unit",
                         c->unit.text, "value", c->value, "window", (int)c->o->window, "stride",
                         (int)c->o->stride, "drop", map, "picture", json_text(c->o->out)));
}

int run_occlusion(const options *o) {
    occlusion c = {.o = o};
    if (session_open(&c.s, "hzero occlusion", o) && session_forward(&c.s, o->image) && start(&c) &&
        slide(&c) && draw(&c))
        report(&c);
    free(c.original);
    free(c.drop);
    return session_close(&c.s);
}
