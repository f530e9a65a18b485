/* dream.c: the mirror image of influence: pixels that make a hidden unit fire (Erhan et al. 2009; Simonyan et al. 2014).
 *
 *   dream --unit U [--model SPEC] [--image FILE] [--steps N] [--out FILE]
 *
 * The pixels are a parameter like any other: Adam climbs ∂unit/∂pixels. A small price on differences between neighbours
 * (total variation) keeps noise down, and colours stay within what a picture can have. While the unit is silent, a rule for
 * this one purpose lets the gradient through ReLUs that are off. It starts from the image, or from noise. The picture shows five stages on the way, with the unit's value at each.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hzero/options.h"
#include "hzero/session.h"
#include "hzero/sheet.h"

enum { STAGES = 5, TILE = 256, STEPS = 200, PRICE = 20 };

typedef struct dream {
    session s;
    const options *o;
    hz_optimizer *opt;
    hz_unit_info unit;       /* where argmax pointed at the start is where it stays */
    sheet_tile tile[STAGES]; /* their pictures are from malloc */
} dream;

static void record(dream *d) {
    hz_tape_reset(d->s.t);
    d->s.x = hz_name(hz_input(d->s.t, &d->s.image), "pixels");
    hz_model_forward(&d->s.model, d->s.x);
}

/* The unit, a number, for the pixels as they are now. */
static hz_var look(dream *d) {
    record(d);
    return hz_unit(d->s.t, d->unit.text);
}

/* What a pixel counts from black to white, in the network's units. */
static double span(const dream *d) {
    return d->s.model.preprocess.range / d->s.model.preprocess.std[0];
}

/* The mean square of the differences between neighbours along an axis, black to white being 1. */
static hz_var roughness(const dream *d, int axis) {
    hz_var x = hz_scale(d->s.x, 1 / span(d));
    const int64_t n = d->s.image.dim[axis];
    hz_var step = hz_sub(hz_slice(x, axis, 1, n - 1, 1), hz_slice(x, axis, 0, n - 1, 1));
    return hz_mean(hz_mul(step, step), HZ_ALL_AXES, false);
}

/* Bring every pixel back between black and white. */
static void keep_colours(dream *d) {
    const hz_preprocess *p = &d->s.model.preprocess;
    const int64_t plane = d->s.image.dim[2] * d->s.image.dim[3];
    for (int64_t c = 0; c < d->s.image.dim[1]; c++) {
        const int colour = session_colour(&d->s, c);
        const double lo = -p->mean[colour] / p->std[colour],
                     hi = (p->range - p->mean[colour]) / p->std[colour];
        float *x = (float *)d->s.image.data + c * plane;
        for (int64_t k = 0; k < plane; k++) x[k] = (float)fmax(lo, fmin(hi, (double)x[k]));
    }
}

/* Through a ReLU that is off no gradient comes, and a silent unit would stay silent: let all of it through. */
static hz_var pass(const hz_node *n, int i, hz_var dy) {
    (void)n, (void)i;
    return dy;
}

static bool has_relu(hz_tape *t) {
    bool found = false;
    for (uint32_t id = 1; id < hz_tape_size(t); id++)
        found = found || hz_is_relu(hz_node_of(hz_at(t, id)), NULL);
    return found;
}

/* One step uphill. */
static bool climb(dream *d) {
    hz_var unit = look(d), rough = hz_add(roughness(d, 2), roughness(d, 3));
    hz_var loss = hz_sub(hz_scale(rough, PRICE * fmax(1, fabs(hz_item(unit)))), unit);
    const bool silent = hz_item(unit) <= 0 && has_relu(d->s.t);
    hz_var dx = hz_grad1(loss, d->s.x, silent ? HZ_RULES({.match = hz_is_relu, .vjp = pass}) : NULL);
    if (!session_ok(&d->s) || !hz_optimizer_step_vars(d->opt, &dx, 1, &d->s.err)) return false;
    keep_colours(d);
    return true;
}

/* What the pixels are after so many steps, as a tile. */
static bool keep_stage(dream *d, int stage, long steps) {
    const double value = hz_item(look(d));
    sheet_tile *tile = &d->tile[stage];
    snprintf(tile->caption[0], SHEET_CAPTION, "after %ld steps", steps);
    snprintf(tile->caption[1], SHEET_CAPTION, "%.60s = %.4g", d->unit.text, value);
    printf("after %4ld steps: %s = %.6g\n", steps, d->unit.text, value);
    return session_ok(&d->s) && session_picture(&d->s, &tile->picture);
}

/* Without an image the start is the mean colour with a little noise, which tells channels apart. */
static void add_noise(dream *d) {
    float *x = d->s.image.data;
    for (int64_t k = 0; k < hz_numel(&d->s.image); k++)
        x[k] += (float)(0.02 * span(d) * hz_random_normal(1, 0, (uint64_t)k));
}

static bool start(dream *d) {
    if (d->o->unit.n != 1) return hz_fail(&d->s.err, HZ_EINVAL, "give one unit, not %d", d->o->unit.n);
    if (!session_forward(&d->s, d->o->image)) return false;
    if (!d->o->image) add_noise(d);
    keep_colours(d);
    record(d);
    if (!hz_unit_parse(d->s.t, d->o->unit.word[0], &d->unit)) return session_ok(&d->s);
    /* A step moves a pixel by about a hundredth of the way from black to white. */
    d->opt = hz_adam_new(&(hz_adam_opts){.lr = 0.01 * span(d)}, &d->s.err);
    return d->opt && hz_optimizer_add(d->opt, "pixels", &d->s.image, NULL, &d->s.err);
}

static bool dream_on(dream *d) {
    const long steps = d->o->steps ? d->o->steps : STEPS;
    long done = 0;
    for (int stage = 0; stage < STAGES; stage++) {
        for (const long until = stage * steps / (STAGES - 1); done < until; done++)
            if (!climb(d)) return false;
        if (!keep_stage(d, stage, done)) return false;
    }
    return true;
}

static bool draw(dream *d) {
    const hz_text_pair text[] = {{"Software", "hzero"}, {"Unit", d->unit.text}};
    const sheet s = {.rows = 1, .columns = STAGES, .tile_size = TILE, .tile = d->tile};
    return !d->o->out || sheet_write(&s, d->o->out, text, 2, &d->s.err);
}

static const command dream_command = {
    .name = "dream",
    .title = "dream",
    .summary = "pixels that make a hidden unit fire",
    .details =
        "Changes pixels, from an image or from noise, until a hidden unit fires, and draws five stages.",
    .takes = OPT_MODEL | OPT_PREPROCESSING | OPT_THREADS | OPT_IMAGE | OPT_UNIT | OPT_STEPS | OPT_OUT,
    .needs = OPT_UNIT,
};

int main(int argc, char **argv) {
    options o;
    dream d = {.o = &o};
    if (!options_parse(&dream_command, argc, argv, 1, &o)) return EXIT_USAGE;
    if (o.help) return options_help(&dream_command), 0;
    if (session_open(&d.s, "dream", &o) && start(&d) && dream_on(&d)) draw(&d);
    for (int k = 0; k < STAGES; k++) free(d.tile[k].picture.data);
    const int status = session_close(&d.s);
    hz_optimizer_free(d.opt);
    return status;
}
