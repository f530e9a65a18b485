/* export.c: `hzero export`: the network as an ONNX file, which other runtimes load.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "session.h"

enum { EXAMPLES = 2 /* of a batch that shows what follows its size */ };

/* Record the network on a batch of black pictures: only shapes matter. */
static bool record(session *s) {
    const hz_preprocess *p = &s->model.preprocess;
    s->image = hz_tensor_of(NULL, HZ_F32, HZ_DIMS(EXAMPLES, p->channels, p->size, p->width));
    s->image.data = calloc((size_t)hz_numel(&s->image), sizeof(float));
    if (!s->image.data) return hz_fail(&s->err, HZ_ENOMEM, "out of memory");
    s->x = hz_name(hz_input(s->t, &s->image), "pixels");
    s->logits = hz_model_forward(&s->model, s->x);
    return session_ok(s);
}

static void describe(char text[160], const hz_preprocess *p) {
    if (p->channels == 1) {
        snprintf(text, 160, "gray, 0 … %g, minus %g, divided by %g", p->range, p->mean[0], p->std[0]);
        return;
    }
    snprintf(text, 160, "%s, 0 … %g, minus (%g, %g, %g), divided by (%g, %g, %g)",
             p->order == HZ_BGR ? "BGR" : "RGB", p->range, p->mean[0], p->mean[1], p->mean[2], p->std[0],
             p->std[1], p->std[2]);
}

int run_export(const options *o) {
    session s;
    if (session_open(&s, "hzero export", o) && record(&s)) {
        char pixels[160];
        const hz_text_pair metadata[] = {{"pixels", pixels}};
        describe(pixels, &s.model.preprocess);
        const hz_onnx_save_opts opts = {.dynamic_batch = true, .metadata = metadata, .n_metadata = 1};
        if (hz_onnx_save(o->out, &s.logits, 1, &s.x, 1, &opts, &s.err))
            printf("%s: pixels (N, %lld, %lld, %lld), %s\n", o->out, (long long)s.image.dim[1],
                   (long long)s.image.dim[2], (long long)s.image.dim[3], pixels);
    }
    return session_close(&s);
}
