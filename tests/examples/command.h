/* command.h: run a program of examples/ as a shell would, in a folder of the test's own, and look at what it says.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_EXAMPLES_COMMAND_H
#define HZ_TESTS_EXAMPLES_COMMAND_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "scratch.h"

typedef struct outcome {
    int status;                  /* exit status; −1 if a signal ended it */
    char out[65536], err[65536]; /* stdout and stderr, cut off at the end of the buffer */
} outcome;

static inline void read_whole(const char *path, char *text, size_t size) {
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, size - 1, f) : 0;
    text[n] = '\0';
    if (f) fclose(f);
    unlink(path);
}

/* Run what a shell reads, in the folder. The result is valid until the next call. */
static inline const outcome *run_line(const char *command) {
    static outcome o;
    char line[8192], out[64], err[64];
    snprintf(out, sizeof out, "/tmp/hz-out-%ld", (long)getpid());
    snprintf(err, sizeof err, "/tmp/hz-err-%ld", (long)getpid());
    cr_assert((size_t)snprintf(line, sizeof line, "cd '%s' && %s >%s 2>%s </dev/null", folder, command, out,
                               err) < sizeof line);
    int status = system(line);
    o.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_whole(out, o.out, sizeof o.out);
    read_whole(err, o.err, sizeof o.err);
    return &o;
}

/* The same for PROGRAM ARGUMENTS. */
static inline const outcome *run(const char *program, const char *arguments) {
    char line[8192];
    cr_assert((size_t)snprintf(line, sizeof line, "'%s/%s' %s", HZ_PROGRAMS, program, arguments) <
              sizeof line);
    return run_line(line);
}

#endif
