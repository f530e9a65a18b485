/* options.c: reading the command line by a table.
 *
 * SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ops/ops.h"

typedef enum kind { TEXT, WORDS, COUNT, REAL, TRIPLE, FLAG } kind;

typedef struct spec {
    const char *name;  /* "--image" */
    const char *value; /* "FILE", as help shows it */
    const char *help;
    kind kind;
    unsigned bit;   /* 0: every command takes it */
    size_t offset;  /* of the value in options */
    size_t present; /* of the bool that says a TRIPLE was given */
} spec;

#define AT(field) offsetof(options, field)

static const spec specs[] = {
    {"--model", "SPEC",
     "ARCH:WEIGHTS (see hzero --help), such as squeezenet1_0:file.safetensors; default: allconv, built in",
     TEXT, OPT_MODEL, AT(model), 0},
    {"--image", "FILE", "PNG or JPEG; or .npy, float32 (C,H,W): the network's input itself", TEXT, OPT_IMAGE,
     AT(image), 0},
    {"--images", "DIR", "a folder of PNG and JPEG files", TEXT, OPT_IMAGES, AT(images), 0},
    {"--data", "FILE", "CIFAR-10 binary records, IDX images (labels beside them), or a folder of classes",
     TEXT, OPT_DATA, AT(data), 0},
    {"--labels", "FILE", "names of the classes: a line each, or a JSON list or object", TEXT, OPT_LABELS,
     AT(labels), 0},
    {"--unit", "U", "layer[c,y,x], layer[k], layer[c,argmax] or layer[argmax]; influence takes several",
     WORDS, OPT_UNIT, AT(unit), 0},
    {"--rule", "R", "gradient, deconvnet, guided; may be repeated; default: all three", WORDS, OPT_RULE,
     AT(rule), 0},
    {"--layer", "L", "name of a layer, or of a weight", TEXT, OPT_LAYER, AT(layer), 0},
    {"--log", "FILE", "the log of a training run: JSON, one object a line", TEXT, OPT_LOG, AT(log), 0},
    {"--out", "FILE", "the picture to write, PNG (curve: SVG; export: the ONNX file)", TEXT, OPT_OUT, AT(out),
     0},
    {"--save", "DIR", "write each map as DIR/UNIT.RULE.npy, float32 C×H×W", TEXT, OPT_SAVE, AT(save), 0},
    {"--top", "N", "how many; default: 5 classes, 9 patches", COUNT, OPT_TOP, AT(top), 0},
    {"--window", "W", "side of the gray window, in pixels", COUNT, OPT_WINDOW, AT(window), 0},
    {"--stride", "S", "step of the window, in pixels", COUNT, OPT_STRIDE, AT(stride), 0},
    {"--steps", "N", "how many steps", COUNT, OPT_STEPS, AT(steps), 0},
    {"--size", "N", "side of the network's input, in pixels", COUNT, OPT_PREPROCESSING, AT(size), 0},
    {"--mean", "R,G,B", "subtracted from the pixels", TRIPLE, OPT_PREPROCESSING, AT(mean), AT(has_mean)},
    {"--std", "R,G,B", "then divided by", TRIPLE, OPT_PREPROCESSING, AT(std), AT(has_std)},
    {"--order", "rgb|bgr", "order of the channels", TEXT, OPT_PREPROCESSING, AT(order), 0},
    {"--range", "1|255", "what a white pixel is before the mean is subtracted", REAL, OPT_PREPROCESSING,
     AT(range), 0},
    {"--threads", "N", "threads; default: OMP_NUM_THREADS or all cores", COUNT, OPT_THREADS, AT(threads), 0},
    {"--json", NULL, "print JSON", FLAG, OPT_JSON, AT(json), 0},
    {"--help", NULL, "this text", FLAG, 0, AT(help), 0},
};
enum { SPECS = sizeof specs / sizeof specs[0], USAGE_WIDTH = 100, USAGE_INDENT = 6 };

/* ---- values ---- */

static bool bad_value(const command *c, const spec *s, const char *text) {
    const char *wanted = s->kind == COUNT    ? "a whole number from 1 to 1000000"
                         : s->kind == TRIPLE ? "three numbers, R,G,B"
                                             : s->value;
    fprintf(stderr, "%s: %s wants %s, not \"%s\"\n", c->title, s->name, wanted, text);
    return false;
}

static bool read_count(const char *text, long *value) {
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    return !errno && end != text && !*end && *value >= 1 && *value <= 1000000;
}

static bool read_real(const char *text, double *value, char **end) {
    *value = strtod(text, end);
    return *end != text && isfinite(*value);
}

static bool read_triple(const char *text, double value[3]) {
    char *end;
    for (int k = 0; k < 3; k++, text = end + 1)
        if (!read_real(text, &value[k], &end) || *end != (k < 2 ? ',' : '\0')) return false;
    return true;
}

static bool read_value(const command *c, const spec *s, const char *text, options *o) {
    void *at = (char *)o + s->offset;
    char *end;
    switch (s->kind) {
    case TEXT:
        *(const char **)at = text;
        return *text || bad_value(c, s, text);
    case COUNT:
        return read_count(text, at) || bad_value(c, s, text);
    case REAL:
        return (read_real(text, at, &end) && !*end && *(double *)at > 0) || bad_value(c, s, text);
    case TRIPLE:
        *(bool *)((char *)o + s->present) = true;
        return read_triple(text, at) || bad_value(c, s, text);
    case WORDS: {
        words *list = at;
        if (list->n == MOST_VALUES) {
            fprintf(stderr, "%s: more than %d values of %s\n", c->title, MOST_VALUES, s->name);
            return false;
        }
        list->word[list->n++] = text;
        return true;
    }
    case FLAG:
        break;
    }
    return false;
}

/* ---- reading ---- */

/* The option that word begins with; *value is what stands behind its '=', or NULL. */
static const spec *find(const command *c, const char *word, const char **value) {
    size_t length = strcspn(word, "=");
    *value = word[length] ? word + length + 1 : NULL;
    if (!strcmp(word, "-h")) word = "--help", length = strlen(word);
    for (int k = 0; k < SPECS; k++)
        if (strlen(specs[k].name) == length && !strncmp(specs[k].name, word, length)) {
            if (!specs[k].bit || (c->takes & specs[k].bit)) return &specs[k];
            fprintf(stderr, "%s: has no option %s; see %s --help\n", c->title, specs[k].name, c->title);
            return NULL;
        }
    fprintf(stderr, "%s: unknown %s \"%s\"; see %s --help\n", c->title,
            word[0] == '-' ? "option" : "argument", word, c->title);
    return NULL;
}

static bool complain(const command *c, const char *option, const char *wanted, const char *text) {
    fprintf(stderr, "%s: %s wants %s, not \"%s\"\n", c->title, option, wanted, text);
    return false;
}

static bool check_rules(const command *c, const words *rule) {
    char known[128] = "";
    for (int r = 0; hz_rule_names[r]; r++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", r ? " or " : "",
                 hz_rule_names[r]);
    for (int k = 0; k < rule->n; k++)
        if (!hz_rules_named(rule->word[k])) return complain(c, "--rule", known, rule->word[k]);
    return true;
}

/* What the kind of an option alone does not say. */
static bool check_values(const command *c, const options *o) {
    char text[32];
    snprintf(text, sizeof text, "%g", o->range);
    if (o->order && strcmp(o->order, "rgb") && strcmp(o->order, "bgr"))
        return complain(c, "--order", "rgb or bgr", o->order);
    if (o->range != 0 && o->range != 1 && o->range != 255) return complain(c, "--range", "1 or 255", text);
    for (int k = 0; o->has_std && k < 3; k++) {
        snprintf(text, sizeof text, "%g", o->std[k]);
        if (!(o->std[k] > 0)) return complain(c, "--std", "three positive numbers", text);
    }
    if (o->unit.n > 1 && !(c->takes & OPT_UNITS)) return complain(c, "--unit", "one unit", o->unit.word[1]);
    return check_rules(c, &o->rule);
}

static bool is_same_file(const char *a, const char *b) {
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Nothing that is read is written over. Of a model ARCH:WEIGHTS it is the weights that are read. */
static bool check_out(const command *c, const options *o) {
    for (int k = 0; o->out && k < SPECS; k++) {
        if (specs[k].kind != TEXT || specs[k].bit == OPT_OUT) continue;
        const char *path = *(const char *const *)((const char *)o + specs[k].offset);
        const char *weights = path ? strchr(path, ':') : NULL;
        if ((path && is_same_file(o->out, path)) || (weights && is_same_file(o->out, weights + 1)))
            return complain(c, "--out", "a file that is not read", o->out);
    }
    return true;
}

static bool check_needed(const command *c, unsigned given) {
    for (int k = 0; k < SPECS; k++)
        if (specs[k].bit & c->needs & ~given) {
            fprintf(stderr, "%s: needs %s %s (%s)\n", c->title, specs[k].name, specs[k].value, specs[k].help);
            return false;
        }
    return true;
}

/* A list takes all the words up to the next option: --unit A B is --unit A --unit B. */
static bool read_list(const command *c, const spec *s, int argc, char **argv, int *k, options *o) {
    while (*k + 1 < argc && argv[*k + 1][0] != '-')
        if (!read_value(c, s, argv[++*k], o)) return false;
    return true;
}

static bool set_flag(const command *c, const spec *s, const char *value, options *o) {
    *(bool *)((char *)o + s->offset) = true;
    if (value) fprintf(stderr, "%s: %s takes no value, not \"%s\" either\n", c->title, s->name, value);
    return !value;
}

/* The values of option s: value, or without one the words behind argv[*k], over which *k steps. */
static bool read_values(const command *c, const spec *s, const char *value, int argc, char **argv, int *k,
                        options *o) {
    if (value) return read_value(c, s, value, o);
    if (*k + 1 == argc) {
        fprintf(stderr, "%s: %s wants %s, and nothing follows\n", c->title, s->name, s->value);
        return false;
    }
    if (!read_value(c, s, argv[++*k], o)) return false;
    return s->kind != WORDS || read_list(c, s, argc, argv, k, o);
}

bool options_parse(const command *c, int argc, char **argv, int first, options *o) {
    unsigned given = 0;
    *o = (options){.model = NULL};
    for (int k = first; k < argc; k++) {
        const char *value;
        const spec *s = find(c, argv[k], &value);
        if (!s) return false;
        given |= s->bit;
        if (s->kind == FLAG ? !set_flag(c, s, value, o) : !read_values(c, s, value, argc, argv, &k, o))
            return false;
        if (o->help) return true;
    }
    return check_needed(c, given) && check_values(c, o) && check_out(c, o);
}

/* " [--top N]", or without brackets what is needed, on a line of its own where the last one is full. */
static void print_usage_of(const command *c, const spec *s, int *column) {
    char word[64];
    const bool needed = s->bit & c->needs;
    const int n = snprintf(word, sizeof word, needed ? " %s%s%s" : " [%s%s%s]", s->name, s->value ? " " : "",
                           s->value ? s->value : "");
    if (*column + n > USAGE_WIDTH) *column = printf("\n%*s", USAGE_INDENT, "") - 1;
    printf("%s", word);
    *column += n;
}

void options_help(const command *c) {
    int column = printf("usage: %s", c->title);
    for (int k = 0; k < SPECS; k++)
        if (specs[k].bit & c->takes) print_usage_of(c, &specs[k], &column);
    printf("\n\n%s\n\n", c->details);
    for (int k = 0; k < SPECS; k++)
        if (!specs[k].bit || (specs[k].bit & c->takes))
            printf("  %-9s %-8s %s\n", specs[k].name, specs[k].value ? specs[k].value : "", specs[k].help);
}
