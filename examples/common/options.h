/* options.h: a command line as a table of options.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_EXAMPLES_OPTIONS_H
#define HZ_EXAMPLES_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/error.h"

typedef enum option_kind {
    OPTION_TEXT,   /* const char *, not empty */
    OPTION_COUNT,  /* long, from 1 */
    OPTION_NUMBER, /* long, from 0 */
    OPTION_REAL,   /* double, above 0 */
    OPTION_FLAG    /* bool, takes no value */
} option_kind;

typedef struct option {
    const char *name, *value, *help; /* "--batch", "N", "pictures in a step" */
    option_kind kind;
    size_t offset; /* of its member in the program's settings */
} option;

/* A line for each of n options. */
void options_print(const option *options, int n);

/* Put what argv holds into *settings. False if it cannot be read; then that is said on stderr. */
bool options_read(const char *program, const option *options, int n, int argc, char **argv, void *settings);

/* FOLDER/name in `room` bytes of path; folder NULL: that of `set` in the cache (examples/fetch.sh). Returns path. */
const char *options_path(const char *folder, const char *set, const char *name, char *path, size_t room);

/* Whether a file can be made at each of n paths (NULL: none is wanted): better known before a long run than after it. */
bool options_can_write(const char *const *path, int n, hz_error *err);

#endif
