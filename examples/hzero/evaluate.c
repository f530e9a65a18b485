/* evaluate.c: `hzero evaluate`: top-1 accuracy on a labelled file or folder.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <sys/stat.h>

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

/* Pictures in a folder are resized and cropped as those of the other commands are. */
static bool open_data(const char *path, const hz_preprocess *p, hz_data *data, hz_error *err) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return hz_data_open_folder(path, p, NULL, data, err);
    return hz_data_open(path, NULL, data, err);
}

int run_evaluate(const options *o) {
    session s;
    hz_data data = {.memory = {NULL}};
    hz_accuracy accuracy;
    hz_tape_opts opts = {.threads = (int)o->threads};
    if (session_open(&s, "hzero evaluate", o) && open_data(o->data, &s.model.preprocess, &data, &s.err) &&
        hz_evaluate(&s.model, &data, 0, &opts, &accuracy, &s.err))
        report(o, accuracy);
    hz_data_close(&data);
    return session_close(&s);
}
