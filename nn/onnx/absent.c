/* absent.c: onnx.h in a build without libprotobuf-c or onnx.proto: no model opens, and the error says why.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/onnx/onnx.h"

static bool refuse(const char *path, hz_error *err) {
    return hz_fail(err, HZ_EINVAL,
                   "%s: this build knows no ONNX: it was made without libprotobuf-c or onnx.proto", path);
}

bool hz_onnx_available(void) {
    return false;
}

bool hz_onnx_open(const char *path, const hz_allocator *alloc, hz_onnx **out, hz_error *err) {
    (void)alloc;
    *out = NULL;
    return refuse(path, err);
}

bool hz_onnx_open_memory(const void *data, size_t size, const hz_allocator *alloc, hz_onnx **out,
                         hz_error *err) {
    (void)data, (void)size;
    return hz_onnx_open("memory", alloc, out, err);
}

bool hz_onnx_read_tensor(const char *path, const hz_allocator *alloc, hz_tensor *out, hz_error *err) {
    (void)alloc, (void)out;
    return refuse(path, err);
}

void hz_onnx_close(hz_onnx *m) {
    (void)m;
}

bool hz_onnx_fold_batch_norm(hz_onnx *m, hz_error *err) {
    (void)m;
    return refuse("fold", err);
}

bool hz_onnx_is_unsupported(const hz_error *err, const char **what) {
    (void)err, (void)what;
    return false;
}

bool hz_onnx_save(const char *path, const hz_var *out, int n_out, const hz_var *in, int n_in,
                  const hz_onnx_save_opts *opts, hz_error *err) {
    (void)out, (void)n_out, (void)in, (void)n_in, (void)opts;
    return refuse(path, err);
}

/* No model ever exists to ask these of. */

int hz_onnx_n_inputs(const hz_onnx *m) {
    (void)m;
    return 0;
}

int hz_onnx_n_outputs(const hz_onnx *m) {
    (void)m;
    return 0;
}

const char *hz_onnx_input_name(const hz_onnx *m, int k) {
    (void)m, (void)k;
    return "";
}

const char *hz_onnx_output_name(const hz_onnx *m, int k) {
    (void)m, (void)k;
    return "";
}

const char *hz_onnx_input_type(const hz_onnx *m, int k) {
    (void)m, (void)k;
    return "";
}

const char *hz_onnx_output_type(const hz_onnx *m, int k) {
    (void)m, (void)k;
    return "";
}

bool hz_onnx_input_shape(const hz_onnx *m, int k, int *rank, int64_t dim[HZ_MAX_RANK]) {
    (void)m, (void)k, (void)rank, (void)dim;
    return false;
}

const hz_tensor *hz_onnx_parameter(const hz_onnx *m, const char *name) {
    (void)m, (void)name;
    return NULL;
}

bool hz_onnx_run(const hz_onnx *m, hz_tape *t, const hz_var *in, hz_var *out) {
    (void)m, (void)in, (void)out;
    hz_tape_fail(t, HZ_EINVAL, "this build cannot run ONNX");
    return false;
}

bool hz_onnx_run_f64(const hz_onnx *m, hz_tape *t, const hz_var *in, hz_var *out) {
    return hz_onnx_run(m, t, in, out);
}
