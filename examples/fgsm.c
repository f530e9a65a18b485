/* fgsm.c: the smallest step along the sign of the gradient at the pixels that changes a classifier's mind (Goodfellow et al.
 * 2015, "Explaining and harnessing adversarial examples", section 4).
 *
 *   fgsm --image FILE [--model SPEC] [--labels FILE] [--out FILE]
 *
 *   x' = x + ε·sign(∂loss/∂x),  loss = cross-entropy of the class the network sees in x
 *
 * One gradient; then ε grows by a sixteenth of a gray level at a time, colours staying within what a picture can have, until
 * another class wins. The picture shows the image, the step, and the image that fools.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hzero/labels.h"
#include "hzero/options.h"
#include "hzero/picture.h"
#include "hzero/session.h"
#include "hzero/sheet.h"

enum { TILE = 320, PER_LEVEL = 16, MOST_LEVELS = 64 };

typedef struct attack {
    session s;
    const options *o;
    labels names;
    float *original, *sign; /* pixels, and −1, 0 or 1 for each */
    int64_t before, after;  /* classes */
    double p_before, p_after, levels;
} attack;

static const char *name_of(const attack *a, int64_t c) {
    const char *const *known = a->s.model.arch->labels, *name = labels_get(&a->names, c);
    return name ? name : !a->names.n && known ? known[c] : "";
}

/* The class the network sees and its probability, for the pixels as they are now. */
static bool classify(attack *a, int64_t *best, double *p) {
    hz_tape_reset(a->s.t);
    a->s.x = hz_name(hz_input(a->s.t, &a->s.image), "pixels");
    a->s.logits = hz_reshape(hz_model_forward(&a->s.model, a->s.x), HZ_DIMS(1, -1));
    hz_var first = hz_argmax(a->s.logits, 1, false), probability = hz_softmax(a->s.logits, HZ_AXIS(1));
    if (!session_ok(&a->s)) return false;
    *best = (int64_t)hz_get_flat(hz_value(first), 0);
    *p = hz_get_flat(hz_value(probability), *best);
    return true;
}

/* The sign of the gradient of the loss, which is that of class `before`, at every pixel. */
static bool take_sign(attack *a) {
    const int64_t n = hz_numel(&a->s.image);
    hz_var label = hz_full(a->s.t, HZ_I64, HZ_DIMS(1), (double)a->before);
    hz_var dx = hz_grad1(hz_cross_entropy(a->s.logits, label, HZ_LOSS_MEAN), a->s.x, NULL);
    if (!session_ok(&a->s)) return false;
    a->original = malloc(hz_nbytes(&a->s.image));
    a->sign = malloc(hz_nbytes(&a->s.image));
    if (!a->original || !a->sign) return hz_fail(&a->s.err, HZ_ENOMEM, "out of memory");
    memcpy(a->original, a->s.image.data, hz_nbytes(&a->s.image));
    for (int64_t k = 0; k < n; k++) {
        const double g = hz_get_flat(hz_value(dx), k);
        a->sign[k] = (float)((g > 0) - (g < 0));
    }
    return true;
}

/* The pixels so many gray levels of 255 along the sign, between black and white. */
static void move(attack *a, double levels) {
    const hz_preprocess *p = &a->s.model.preprocess;
    const int64_t plane = a->s.image.dim[2] * a->s.image.dim[3];
    float *x = a->s.image.data;
    for (int64_t k = 0; k < hz_numel(&a->s.image); k++) {
        const int colour = session_colour(&a->s, k / plane);
        const double lo = -p->mean[colour] / p->std[colour], hi = lo + p->range / p->std[colour];
        const double step = levels * p->range / 255 / p->std[colour];
        x[k] = (float)fmax(lo, fmin(hi, (double)a->original[k] + step * (double)a->sign[k]));
    }
}

/* Leaves the image at the first step where another class wins. */
static bool search(attack *a) {
    for (int k = 1; k <= MOST_LEVELS * PER_LEVEL; k++) {
        a->levels = (double)k / PER_LEVEL;
        move(a, a->levels);
        if (!classify(a, &a->after, &a->p_after)) return false;
        if (a->after != a->before) return true;
    }
    return hz_fail(&a->s.err, HZ_ENOTFOUND, "no step of up to %d gray levels changes the class, %lld %s",
                   MOST_LEVELS, (long long)a->before, name_of(a, a->before));
}

static void caption(const attack *a, sheet_tile *tile, const char *what, int64_t c, double p) {
    snprintf(tile->caption[0], SHEET_CAPTION, "%.90s", what);
    snprintf(tile->caption[1], SHEET_CAPTION, "%lld %.60s, %.1f %%", (long long)c, name_of(a, c), 100 * p);
}

static bool draw(attack *a, sheet_tile *tile) {
    const hz_text_pair text[] = {{"Software", "hzero"}, {"Method", "fast gradient sign"}};
    const hz_tensor sign = hz_tensor_of(a->sign, HZ_F32, 3, a->s.image.dim + 1);
    const sheet s = {.rows = 1, .columns = 3, .tile_size = TILE, .tile = tile};
    char step[SHEET_CAPTION];
    snprintf(step, sizeof step, "plus %.4g gray levels along the sign", a->levels);
    if (!session_picture(&a->s, &tile[2].picture)) return false;
    memcpy(a->s.image.data, a->original, hz_nbytes(&a->s.image));
    if (!session_picture(&a->s, &tile[0].picture) ||
        !picture_of_map(&sign, 1, session_is_bgr(&a->s), &tile[1].picture))
        return hz_fail(&a->s.err, HZ_ENOMEM, "out of memory");
    caption(a, &tile[0], "the image", a->before, a->p_before);
    snprintf(tile[1].caption[0], SHEET_CAPTION, "the sign of the gradient of the loss");
    caption(a, &tile[2], step, a->after, a->p_after);
    return sheet_write(&s, a->o->out, text, 2, &a->s.err);
}

static void run(attack *a) {
    sheet_tile tile[3] = {{.picture = {.data = NULL}}};
    const options *o = a->o;
    if ((o->labels && !labels_load(&a->names, o->labels, &a->s.err)) || !session_forward(&a->s, o->image) ||
        !classify(a, &a->before, &a->p_before) || !take_sign(a) || !search(a))
        return;
    printf("%lld %s, %.2f %%\n", (long long)a->before, name_of(a, a->before), 100 * a->p_before);
    printf("%lld %s, %.2f %%, after %g of 255 gray levels along the sign\n", (long long)a->after,
           name_of(a, a->after), 100 * a->p_after, a->levels);
    if (o->out) draw(a, tile);
    for (int k = 0; k < 3; k++) free(tile[k].picture.data);
}

static const command fgsm_command = {
    .name = "fgsm",
    .title = "fgsm",
    .summary = "the smallest sign step at the pixels that fools a classifier",
    .details =
        "Looks for the smallest step along the sign of the gradient at the pixels that changes the class.",
    .takes = OPT_MODEL | OPT_PREPROCESSING | OPT_THREADS | OPT_IMAGE | OPT_LABELS | OPT_OUT,
    .needs = OPT_IMAGE,
};

int main(int argc, char **argv) {
    options o;
    attack a = {.o = &o};
    if (!options_parse(&fgsm_command, argc, argv, 1, &o)) return EXIT_USAGE;
    if (o.help) return options_help(&fgsm_command), 0;
    if (session_open(&a.s, "fgsm", &o)) run(&a);
    free(a.original);
    free(a.sign);
    labels_free(&a.names);
    return session_close(&a.s);
}
