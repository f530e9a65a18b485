/* options.h: what an oracle asks of its C program, a name and numbers: "conv2d out=6 kernel=3,2".
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_OPTIONS_H
#define HZ_TESTS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What follows " key=", or NULL. */
static inline const char *option_text(const char *options, const char *key) {
    const size_t n = strlen(key);
    for (const char *at = strchr(options, ' '); at; at = strchr(at + 1, ' '))
        if (strncmp(at + 1, key, n) == 0 && at[n + 1] == '=') return at + n + 2;
    return NULL;
}

/* The number there, or 0. */
static inline double option(const char *options, const char *key) {
    const char *text = option_text(options, key);
    return text ? strtod(text, NULL) : 0;
}

static inline int64_t option_int(const char *options, const char *key) {
    return (int64_t)option(options, key);
}

/* Is that the name? */
static inline bool is(const char *options, const char *name) {
    const size_t n = strlen(name);
    return strncmp(options, name, n) == 0 && (options[n] == ' ' || !options[n]);
}

#endif
