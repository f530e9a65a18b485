/* predict.c: `hzero predict`: the most probable classes of a picture.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "labels.h"
#include "session.h"

/* Index of the k-th largest score, k = 0 …; taken[] marks the ones before. Of equal ones the first. */
static int64_t next_best(const hz_tensor *scores, bool *taken) {
    int64_t best = -1;
    for (int64_t c = 0; c < hz_numel(scores); c++)
        if (!taken[c] && (best < 0 || hz_get_flat(scores, c) > hz_get_flat(scores, best))) best = c;
    taken[best] = true;
    return best;
}

/* From the file of labels or, without one, as the architecture has it; NULL if nothing is known. */
static const char *name_of(const session *s, const labels *names, int64_t c) {
    const char *name = labels_get(names, c);
    const char *const *known = s->model.arch->labels;
    return !names->n && known ? known[c] : name;
}

static void print_class(const char *name, int64_t c, double p, double score) {
    printf("%5lld  %.4f  %10.4f  %s\n", (long long)c, p, score, name ? name : "");
}

static json_t *json_of_class(const char *name, int64_t c, double p, double score) {
    json_t *j = json_pack("{s:I, s:f, s:f}", "class", (json_int_t)c, "probability", p, "score", score);
    if (name) json_object_set_new(j, "label", json_text(name));
    return j;
}

static bool print_top(session *s, const options *o, const labels *names) {
    hz_var p = hz_softmax(s->logits, HZ_ALL_AXES);
    const hz_tensor *scores = hz_value(s->logits);
    int64_t n = hz_numel(scores), top = o->top ? o->top : 5;
    if (names->n > (size_t)n)
        return hz_fail(&s->err, HZ_EINVAL, "%s: has %zu labels, the model %lld classes", o->labels, names->n,
                       (long long)n);
    bool *taken = calloc((size_t)n + 1, sizeof *taken);
    json_t *list = o->json ? json_array() : NULL;
    if (!session_ok(s) || !taken) {
        json_decref(list);
        free(taken);
        return hz_fail(s->err.code ? NULL : &s->err, HZ_ENOMEM, "out of memory");
    }
    for (int64_t k = 0; k < top && k < n; k++) {
        int64_t c = next_best(scores, taken);
        double probability = hz_get_flat(hz_value(p), c), score = hz_get_flat(scores, c);
        const char *name = name_of(s, names, c);
        if (list)
            json_array_append_new(list, json_of_class(name, c, probability, score));
        else
            print_class(name, c, probability, score);
    }
    if (list)
        print_json(json_pack("{s:o, s:o, s:o}", "model", json_text(o->model), "image", json_text(o->image),
                             "top", list));
    free(taken);
    return true;
}

int run_predict(const options *o) {
    session s;
    labels names = {.n = 0};
    if (session_open(&s, "hzero predict", o) && (!o->labels || labels_load(&names, o->labels, &s.err)) &&
        session_forward(&s, o->image))
        print_top(&s, o, &names);
    labels_free(&names);
    return session_close(&s);
}
