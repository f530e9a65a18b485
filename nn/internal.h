/* internal.h: what the files of nn/ share and nobody else sees.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_INTERNAL_H
#define HZ_NN_INTERNAL_H

#include <stdbool.h>
#include <string.h>

static inline bool hz__ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

#endif
