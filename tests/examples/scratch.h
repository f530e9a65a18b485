/* scratch.h: a folder of the test's own. Criterion runs the tests of a program side by side: no two may write one file.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_EXAMPLES_SCRATCH_H
#define HZ_TESTS_EXAMPLES_SCRATCH_H

#include <stdio.h>
#include <stdlib.h>

#include <criterion/criterion.h>

static char folder[32];

/* For a suite's .init and .fini: make the folder, take it away with all in it. */
static inline void make_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/hz-XXXXXX");
    cr_assert(mkdtemp(folder));
}

static inline void remove_folder(void) {
    char line[64];
    snprintf(line, sizeof line, "rm -rf '%s'", folder);
    cr_expect_eq(system(line), 0);
}

/* A test that is skipped never comes to .fini. */
static inline void skip(const char *why) {
    remove_folder();
    cr_skip_test("%s", why);
}

/* The path of a file in the folder, valid until the next call. */
static inline const char *in_folder(const char *name) {
    static char path[320];
    cr_assert((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) < sizeof path, "%s", name);
    return path;
}

#endif
