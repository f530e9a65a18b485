/* sheet.h: a contact sheet: a grid of pictures with captions, written as one PNG.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZERO_SHEET_H
#define HZERO_SHEET_H

#include "tensor/box.h"
#include "tensor/png.h"

enum { SHEET_CAPTION = 96 };

typedef struct sheet_tile {
    hz_tensor picture;              /* u8, H×W×3, any strides; data NULL: an empty place */
    char caption[2][SHEET_CAPTION]; /* two lines below the picture, UTF-8; "" leaves the line empty */
    double frame[4];                /* a rectangle to outline: x, y, width, height in pixels; width 0: none */
} sheet_tile;

typedef struct sheet {
    int rows, columns;
    int tile_size;          /* longer side of a picture on the sheet, in pixels; enlarged without smoothing */
    const sheet_tile *tile; /* rows × columns, row by row */
    const char *const *header; /* a heading per column, or NULL */
} sheet;

/* Draw the sheet and write it to path with text chunks; nothing is left behind on failure. */
bool sheet_write(const sheet *s, const char *path, const hz_text_pair *text, size_t n_text, hz_error *err);

#endif
