/* onnx_written.c: write the graph of every op's samples as ONNX, for onnx_written.py to have others check and run.
 *
 *   onnx_written DIR        DIR/OP-SAMPLE.onnx, its inputs DIR/OP-SAMPLE.in0.npy …, its outputs .out0.npy …
 *
 * Both dtypes; with the gradients in the inputs, where there are some, as further outputs.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "nn/onnx/onnx.h"
#include "sample_graph.h"
#include "tensor/npy.h"

enum { PATH = 4096 };

static bool save_tensor(const char *base, const char *what, int k, hz_var x, hz_error *err) {
    char path[PATH];
    snprintf(path, sizeof path, "%s.%s%d.npy", base, what, k);
    return hz_npy_save(path, hz_value(x), NULL, err);
}

static bool save(const char *base, const sample_graph *g, hz_error *err) {
    char path[PATH];
    snprintf(path, sizeof path, "%s.onnx", base);
    if (!hz_onnx_save(path, g->out, g->n_out, g->in, g->n_in, NULL, err)) return false;
    for (int k = 0; k < g->n_in; k++)
        if (!save_tensor(base, "in", k, g->in[k], err)) return false;
    for (int k = 0; k < g->n_out; k++)
        if (!save_tensor(base, "out", k, g->out[k], err)) return false;
    return true;
}

static bool write_sample(const char *folder, const hz_op *op, int s, hz_dtype dtype, hz_error *err) {
    char base[PATH - 64];
    sample_graph g;
    snprintf(base, sizeof base, "%s/%s-%d-%s", folder, op->name, s, hz_dtype_name(dtype));
    bool ok = sample_graph_record(&g, &op->samples[s], dtype, err) && save(base, &g, err);
    sample_graph_free(&g);
    return ok;
}

int main(int argc, char **argv) {
    int written = 0, refused = 0;
    if (argc != 2) return 2;
    for (int k = 0; k < hz_ops_count; k++) {
        for (int s = 0; s < hz_ops[k]->n_samples; s++) {
            for (hz_dtype dtype = HZ_F32; dtype <= HZ_F64; dtype++) {
                hz_error err = {HZ_OK, ""};
                const bool ok = write_sample(argv[1], hz_ops[k], s, dtype, &err);
                if (!ok) fprintf(stderr, "%s: %s\n", hz_ops[k]->name, err.text);
                *(ok ? &written : &refused) += 1;
            }
        }
    }
    printf("%d graphs written, %d refused\n", written, refused);
    return 0;
}
