/* data.h: where tests find real data, which is never part of the source tree.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_DATA_H
#define HZ_TESTS_DATA_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The path of a data file, valid until the next call: in the directory HZ_DATA names, else in shared/data
 * beside the source tree. NULL if it is not there:
 *     if (!hz_test_data("chelsea.png")) cr_skip("no chelsea.png: set HZ_DATA"); */
static inline const char *hz_test_data(const char *name) {
    static char path[4096];
    const char *directory = getenv("HZ_DATA");
    if (directory)
        snprintf(path, sizeof path, "%s/%s", directory, name);
    else
        snprintf(path, sizeof path, "%s/../shared/data/%s", HZ_SOURCE_ROOT, name);
    return access(path, R_OK) == 0 ? path : NULL;
}

#endif
