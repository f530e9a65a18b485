/* options.c: see options.h.
 *
 * SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/file.h"

void options_print(const option *options, int n) {
    for (int k = 0; k < n; k++)
        printf("  %-13s %-5s %s\n", options[k].name, options[k].value ? options[k].value : "",
               options[k].help);
}

static bool read_value(const option *o, const char *text, void *settings) {
    char *at = (char *)settings + o->offset, *end;
    errno = 0;
    if (o->kind == OPTION_TEXT) {
        memcpy(at, &text, sizeof text);
        return *text;
    }
    const double value = o->kind == OPTION_REAL ? strtod(text, &end) : (double)strtol(text, &end, 10);
    if (errno || end == text || *end || !(value <= 1e9) ||
        !(o->kind == OPTION_NUMBER ? value >= 0 : value > 0))
        return false;
    if (o->kind == OPTION_REAL)
        *(double *)at = value;
    else
        *(long *)at = (long)value;
    return true;
}

bool options_read(const char *program, const option *options, int n, int argc, char **argv, void *settings) {
    for (int k = 1; k < argc; k++) {
        int i = 0;
        while (i < n && strcmp(argv[k], options[i].name) != 0) i++;
        if (i == n)
            return fprintf(stderr, "%s: unknown option \"%s\"; see --help\n", program, argv[k]), false;
        if (options[i].kind == OPTION_FLAG)
            *(bool *)((char *)settings + options[i].offset) = true;
        else if (++k == argc || !read_value(&options[i], argv[k], settings))
            return fprintf(stderr, "%s: %s wants %s, not \"%s\"\n", program, options[i].name,
                           options[i].value, k < argc ? argv[k] : ""),
                   false;
    }
    return true;
}

const char *options_path(const char *folder, const char *set, const char *name, char *path, size_t room) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (folder)
        snprintf(path, room, "%s/%s", folder, name);
    else if (cache && *cache) /* set to nothing it counts as not set, as in examples/fetch.sh */
        snprintf(path, room, "%s/hzero/%s/%s", cache, set, name);
    else
        snprintf(path, room, "%s/.cache/hzero/%s/%s", home ? home : "", set, name);
    return path;
}

bool options_can_write(const char *const *path, int n, hz_error *err) {
    for (int k = 0; k < n; k++) {
        hz_file_out *out = path[k] ? hz_file_create(path[k], NULL, err) : NULL;
        if (path[k] && !out) return false;
        hz_file_discard(out);
    }
    return true;
}
