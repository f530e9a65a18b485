/* options.h: the command line of hzero: one table of options, one of commands (main.c), no globals.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZERO_OPTIONS_H
#define HZERO_OPTIONS_H

#include <stdbool.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, MOST_VALUES = 64 };

/* A list of arguments, borrowed from argv. */
typedef struct words {
    const char *word[MOST_VALUES];
    int n;
} words;

/* What was given; NULL, 0 and false for what was not. */
typedef struct options {
    const char *model, *image, *images, *labels, *data, *out, *save, *layer, *order, *log;
    words unit, rule;
    long top, window, stride, threads, size, steps;
    double mean[3], std[3], range;
    bool has_mean, has_std, json, help;
} options;

/* One bit an option: which options a command knows and which it cannot do without. */
typedef enum option_bit {
    OPT_MODEL = 1 << 0,
    OPT_IMAGE = 1 << 1,
    OPT_IMAGES = 1 << 2,
    OPT_LABELS = 1 << 3,
    OPT_DATA = 1 << 4,
    OPT_OUT = 1 << 5,
    OPT_SAVE = 1 << 6,
    OPT_LAYER = 1 << 7,
    OPT_UNIT = 1 << 8,
    OPT_RULE = 1 << 9,
    OPT_TOP = 1 << 10,
    OPT_WINDOW = 1 << 11,
    OPT_STRIDE = 1 << 12,
    OPT_THREADS = 1 << 13,
    OPT_PREPROCESSING = 1 << 14, /* --size --mean --std --order --range */
    OPT_JSON = 1 << 15,
    OPT_LOG = 1 << 16,
    OPT_STEPS = 1 << 17,
    OPT_UNITS = 1 << 18 /* more than one --unit */
} option_bit;

typedef struct command {
    const char *name;
    const char *title;            /* as messages have it, "hzero predict" */
    const char *summary;          /* one line, for the list of commands */
    const char *details;          /* for --help of the command */
    unsigned takes, needs;        /* option bits */
    int (*run)(const options *o); /* returns the exit status; messages go to stderr */
} command;

/* Fill *o from argv[first …]. False, with a message on stderr, if an option is unknown, not one of the command's, has
 * no or a bad value, or one that is needed is missing. --help stops reading. */
bool options_parse(const command *c, int argc, char **argv, int first, options *o);

/* The command's usage, on stdout. */
void options_help(const command *c);

#endif
