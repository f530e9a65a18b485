/* internal.h: what the files of nn/ share and nobody else sees.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_INTERNAL_H
#define HZ_NN_INTERNAL_H

#include <stdbool.h>
#include <string.h>

#include "nn/preprocess.h"

/* table[pixel] = (pixel · range/255 − mean) / std of that color. */
void hz__pixel_table(const hz_preprocess *p, int color, float table[256]);

/* Which color channel c of so many is: c itself, unless they are blue, green and red. */
int hz__channel_color(const hz_preprocess *p, int64_t channels, int c);

static inline bool hz__ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Alphabetical order of names; '.' and '/' are the same. */
static inline int hz__compare_names(const char *a, const char *b) {
    for (;; a++, b++) {
        const int x = *a == '/' ? '.' : (unsigned char)*a, y = *b == '/' ? '.' : (unsigned char)*b;
        if (x != y || !x) return x - y;
    }
}

#endif
