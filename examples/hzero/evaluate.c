/* evaluate.c: `hzero evaluate`: top-1 accuracy on a labelled file.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "commands.h"
#include "session.h"

static void report(const options *o, hz_accuracy a) {
    double percent = a.of ? 100.0 * (double)a.right / (double)a.of : 0;
    if (o->json)
        print_json(json_pack("{s:o, s:o, s:I, s:I, s:f}", "model", json_text(o->model), "data",
                             json_text(o->data), "right", (json_int_t)a.right, "of", (json_int_t)a.of,
                             "top1_percent", percent));
    else
        printf("top-1 %.1f %% of %lld\n", percent, (long long)a.of);
}

int run_evaluate(const options *o) {
    session s;
    hz_data data = {.memory = {NULL}};
    hz_accuracy accuracy;
    hz_tape_opts opts = {.threads = (int)o->threads};
    if (session_open(&s, "evaluate", o) && hz_data_open(o->data, NULL, &data, &s.err) &&
        hz_evaluate(&s.model, &data, 0, &opts, &accuracy, &s.err))
        report(o, accuracy);
    hz_data_close(&data);
    return session_close(&s);
}
