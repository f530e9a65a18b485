/* curve.c: `hzero curve`: the learning curve of a training run, from its log.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "session.h"

/* "runs/lenet.jsonl" is entitled "lenet". In memory from malloc. */
static char *title_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *title = readable(slash ? slash + 1 : path), *dot = title ? strrchr(title, '.') : NULL;
    if (dot && dot > title) *dot = '\0';
    return title;
}

int run_curve(const options *o) {
    hz_error err = {.code = HZ_OK};
    char *title = title_of(o->log);
    if (!title) hz_fail(&err, HZ_ENOMEM, "out of memory");
    bool ok = title && hz_curve_of_log(o->log, o->out, title, &err);
    if (!ok) fprintf(stderr, "hzero curve: %s\n", err.text);
    free(title);
    return ok ? 0 : EXIT_FAILED;
}
