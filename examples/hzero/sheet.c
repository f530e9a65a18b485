/* sheet.c: the contact sheet, drawn with Cairo. Start at sheet_write.
 *
 * SPDX-License-Identifier: MIT */
#include "sheet.h"

#include <cairo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN = 16, GAP = 12, LINE = 16, HEADER = 28, FONT = 11, HEADER_FONT = 14, MAX_SIDE = 20000 };

static int caption_height(void) {
    return 2 * LINE + 6;
}

static int header_height(const sheet *s) {
    return s->header ? HEADER : 0;
}

static int tile_x(const sheet *s, int column) {
    return MARGIN + column * (s->tile_size + GAP);
}

static int tile_y(const sheet *s, int row) {
    return MARGIN + header_height(s) + row * (s->tile_size + caption_height() + GAP);
}

/* ---- drawing ---- */

static cairo_surface_t *surface_of(const hz_tensor *picture) {
    int height = (int)picture->dim[0], width = (int)picture->dim[1];
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    unsigned char *pixels = cairo_image_surface_get_data(surface);
    if (!pixels) return surface;
    int pitch = cairo_image_surface_get_stride(surface);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const uint8_t *p =
                (const uint8_t *)picture->data + y * picture->stride[0] + x * picture->stride[1];
            uint32_t rgb =
                (uint32_t)p[0] << 16 | (uint32_t)p[picture->stride[2]] << 8 | p[2 * picture->stride[2]];
            memcpy(pixels + y * pitch + 4 * x, &rgb, 4);
        }
    cairo_surface_mark_dirty(surface);
    return surface;
}

static void draw_picture(cairo_t *cr, const sheet *s, const sheet_tile *tile) {
    double height = (double)tile->picture.dim[0], width = (double)tile->picture.dim[1];
    double scale = s->tile_size / fmax(height, width);
    cairo_surface_t *picture = surface_of(&tile->picture);
    cairo_save(cr);
    cairo_translate(cr, (s->tile_size - scale * width) / 2, (s->tile_size - scale * height) / 2);
    cairo_scale(cr, scale, scale);
    cairo_set_source_surface(cr, picture, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cr), scale >= 1 ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
    cairo_paint(cr);
    if (tile->frame[2] > 0) {
        cairo_rectangle(cr, tile->frame[0], tile->frame[1], tile->frame[2], tile->frame[3]);
        cairo_set_source_rgb(cr, 0, 0, 0);
        cairo_set_line_width(cr, 3 / scale);
        cairo_stroke_preserve(cr);
        cairo_set_source_rgb(cr, 1, 0.85, 0.1);
        cairo_set_line_width(cr, 1.5 / scale);
        cairo_stroke(cr);
    }
    cairo_restore(cr);
    cairo_surface_destroy(picture);
}

/* Text at (x, y), made narrower where it would not fit. */
static void draw_text(cairo_t *cr, double x, double y, double most, const char *text) {
    cairo_text_extents_t extents;
    cairo_text_extents(cr, text, &extents);
    cairo_save(cr);
    cairo_translate(cr, x, y);
    if (extents.x_advance > most) cairo_scale(cr, most / extents.x_advance, 1);
    cairo_move_to(cr, 0, 0);
    cairo_show_text(cr, text);
    cairo_restore(cr);
}

static void set_font(cairo_t *cr, bool bold, double size) {
    cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

static void draw_tile(cairo_t *cr, const sheet *s, int row, int column) {
    const sheet_tile *tile = &s->tile[row * s->columns + column];
    cairo_save(cr);
    cairo_translate(cr, tile_x(s, column), tile_y(s, row));
    if (tile->picture.data) draw_picture(cr, s, tile);
    cairo_set_source_rgb(cr, 0.1, 0.1, 0.1);
    for (int line = 0; line < 2; line++) {
        set_font(cr, line == 0, FONT);
        draw_text(cr, 0, s->tile_size + (line + 1) * LINE - 2, s->tile_size, tile->caption[line]);
    }
    cairo_restore(cr);
}

static void draw_sheet(cairo_t *cr, const sheet *s) {
    cairo_set_source_rgb(cr, 1, 1, 1);
    cairo_paint(cr);
    cairo_set_source_rgb(cr, 0, 0, 0);
    set_font(cr, true, HEADER_FONT);
    for (int c = 0; s->header && c < s->columns; c++)
        draw_text(cr, tile_x(s, c), MARGIN + HEADER_FONT, s->tile_size, s->header[c]);
    for (int r = 0; r < s->rows; r++)
        for (int c = 0; c < s->columns; c++) draw_tile(cr, s, r, c);
}

/* ---- writing ---- */

/* The surface's pixels as a view: Cairo keeps B, G, R, – in this order on little-endian machines, reversed on
 * big-endian ones. */
static hz_tensor pixels_of(cairo_surface_t *surface) {
    static const uint16_t one = 1;
    bool little = *(const uint8_t *)&one == 1;
    int64_t pitch = cairo_image_surface_get_stride(surface);
    return (hz_tensor){
        .data = cairo_image_surface_get_data(surface) + (little ? 2 : 1),
        .dtype = HZ_U8,
        .rank = 3,
        .dim = {cairo_image_surface_get_height(surface), cairo_image_surface_get_width(surface), 3},
        .stride = {pitch, 4, little ? -1 : 1}};
}

bool sheet_write(const sheet *s, const char *path, const hz_text_pair *text, size_t n_text, hz_error *err) {
    int width = tile_x(s, s->columns) - GAP + MARGIN, height = tile_y(s, s->rows) - GAP + MARGIN;
    if (width > MAX_SIDE || height > MAX_SIDE)
        return hz_fail(err, HZ_EINVAL, "%s: %d rows and %d columns need %d×%d pixels, at most %d a side",
                       path, s->rows, s->columns, width, height, MAX_SIDE);
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    cairo_t *cr = cairo_create(surface);
    draw_sheet(cr, s);
    cairo_surface_flush(surface);
    bool ok = cairo_status(cr) == CAIRO_STATUS_SUCCESS;
    if (ok) {
        hz_tensor pixels = pixels_of(surface);
        ok = hz_png_write(path, &pixels, text, n_text, NULL, err);
    } else {
        hz_fail(err, HZ_ENOMEM, "%s: cannot draw: %s", path, cairo_status_to_string(cairo_status(cr)));
    }
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return ok;
}
