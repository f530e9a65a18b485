/* session.c: see session.h.
 *
 * SPDX-License-Identifier: MIT */
#include "session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void override_preprocessing(hz_preprocess *p, const options *o) {
    if (o->size) p->size = p->width = p->resize = o->size;
    if (o->range != 0) p->range = o->range;
    if (o->order) p->order = strcmp(o->order, "bgr") ? HZ_RGB : HZ_BGR;
    if (o->has_mean) memcpy(p->mean, o->mean, sizeof p->mean);
    if (o->has_std) memcpy(p->std, o->std, sizeof p->std);
    *p = hz_preprocess_complete(p);
}

bool session_open(session *s, const char *who, const options *o) {
    *s = (session){.who = who};
    if (!hz_model_open(o->model, NULL, &s->model, &s->err)) return false;
    override_preprocessing(&s->model.preprocess, o);
    if (!hz_preprocess_check(&s->model.preprocess, &s->err)) return false;
    s->t = hz_tape_new(&(hz_tape_opts){.threads = (int)o->threads});
    return s->t || hz_fail(&s->err, HZ_ENOMEM, "out of memory");
}

static bool zeros(session *s) {
    const hz_preprocess *p = &s->model.preprocess;
    s->image = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(1, p->channels, p->size, p->width));
    s->image.data = calloc((size_t)hz_numel(&s->image), sizeof(float));
    return s->image.data || hz_fail(&s->err, HZ_ENOMEM, "out of memory");
}

bool session_forward(session *s, const char *path) {
    hz_tape_reset(s->t);
    free(s->image.data);
    s->image.data = NULL;
    if (path ? !hz_preprocess_file(&s->model.preprocess, path, NULL, &s->image, &s->err) : !zeros(s))
        return false;
    s->x = hz_name(hz_input(s->t, &s->image), "pixels");
    if (s->f64) s->x = hz_name(hz_astype(s->x, HZ_F64), "pixels");
    s->logits = hz_model_forward(&s->model, s->x);
    return session_ok(s) && !hz_ok(hz_find_nonfinite(s->t, &s->err));
}

bool session_ok(session *s) {
    return hz_tape_ok(s->t, s->err.code ? NULL : &s->err) && !s->err.code;
}

int session_close(session *s) {
    hz_tape_free(s->t);
    free(s->image.data);
    hz_model_close(&s->model);
    if (!s->err.code) return 0;
    fprintf(stderr, "%s: %s\n", s->who, s->err.text);
    return EXIT_FAILED;
}

/* ---- pixels as the network counts them, and back ---- */

bool session_is_bgr(const session *s) {
    return s->model.preprocess.order == HZ_BGR;
}

int session_colour(const session *s, int64_t c) {
    return (int)(session_is_bgr(s) && s->model.preprocess.channels == 3 ? 2 - c : c);
}

float session_gray(const session *s, int64_t c) {
    const hz_preprocess *p = &s->model.preprocess;
    int colour = session_colour(s, c);
    return (float)((0.5 * p->range - p->mean[colour]) / p->std[colour]);
}

bool session_picture(session *s, hz_tensor *picture) {
    const hz_preprocess *p = &s->model.preprocess;
    int64_t height = s->image.dim[2], width = s->image.dim[3];
    uint8_t *out = malloc((size_t)(height * width * 3));
    if (!out) return hz_fail(&s->err, HZ_ENOMEM, "out of memory");
    *picture = hz_tensor_of(out, HZ_U8, HZ_DIMS(height, width, 3));
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            for (int64_t c = 0; c < 3; c++) {
                const int64_t channel = p->channels == 3 ? c : 0;
                const int colour = session_colour(s, channel);
                double v =
                    hz_get(&s->image, (const int64_t[]){0, channel, y, x}) * p->std[colour] + p->mean[colour];
                v = fmax(0, fmin(255, v * 255 / p->range));
                hz_set(picture, (const int64_t[]){y, x, p->channels == 3 ? colour : c}, (double)lround(v));
            }
    return true;
}

/* ---- JSON ---- */

char *readable(const char *s) {
    bool good = hz_is_utf8(s);
    size_t size = strlen(s) + 1;
    char *copy = malloc(size);
    for (size_t k = 0; copy && k < size; k++) copy[k] = good || (unsigned char)s[k] < 128 ? s[k] : '?';
    return copy;
}

json_t *json_text(const char *s) {
    char *copy = readable(s);
    json_t *text = copy ? json_string(copy) : NULL;
    free(copy);
    return text;
}

void print_json(json_t *value) {
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(value);
}

json_t *json_of_field(const hz_box *f) {
    return json_pack("{s:[I,I], s:[I,I]}", "rows", (json_int_t)f->lo[2], (json_int_t)f->hi[2], "columns",
                     (json_int_t)f->lo[3], (json_int_t)f->hi[3]);
}
