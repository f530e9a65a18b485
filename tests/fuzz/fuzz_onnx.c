/* fuzz_onnx.c: a libFuzzer target: bytes as an ONNX model that is opened, recorded on small inputs and differentiated. Whatever
 * they are, this ends soon, within the memory of the tape's allocator, and without a crash.
 *
 *   meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false       with CC=clang
 *   build-fuzz/tests/fuzz/fuzz_onnx CORPUS
 *
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>

#include "autograd/grad.h"
#include "nn/onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FEW = 8, MOST_ELEMENTS = 1 << 12, MOST_BYTES = 1 << 24 };

/* An allocator that gives so much at most, over all. */
typedef struct purse {
    size_t left;
} purse;

static void *spend(void *ctx, size_t size) {
    purse *p = ctx;
    if (size > p->left) return NULL;
    p->left -= size;
    return malloc(size);
}

static void give_back(void *ctx, void *p) {
    (void)ctx;
    free(p);
}

static hz_dtype dtype_of(const char *type) {
    return type[0] == 'd'                     ? HZ_F64
           : type[0] == 'f' || type[0] == 'b' ? HZ_F32
           : type[0] == 'i' && type[3] == '6' ? HZ_I64
           : type[0] == 'i'                   ? HZ_I32
                                              : HZ_U8;
}

/* Zeros and ones of the shape declared, open extents as 2; the inert variable if that is too much. */
static hz_var make_input(const hz_onnx *m, hz_tape *t, int k) {
    int64_t dim[HZ_MAX_RANK], count = 1;
    int rank = 0;
    if (!hz_onnx_input_shape(m, k, &rank, dim)) rank = 0;
    for (int a = 0; a < rank; a++) {
        if (dim[a] < 0) dim[a] = 2;
        if (dim[a] > MOST_ELEMENTS || (count *= dim[a]) > MOST_ELEMENTS) return hz_none(t);
    }
    return hz_full(t, dtype_of(hz_onnx_input_type(m, k)), rank, dim, 1);
}

static void record(const hz_onnx *m, hz_tape *t) {
    hz_var in[FEW], out[FEW], dx[FEW], dy;
    int n = hz_onnx_n_inputs(m), n_float = 0;
    for (int k = 0; k < n; k++) {
        in[k] = make_input(m, t, k);
        if (!hz_ok(in[k])) return;
    }
    if (!hz_onnx_run(m, t, in, out) || hz_onnx_n_outputs(m) < 1) return;
    const hz_tensor *y = hz_value(out[0]);
    if (!hz_dtype_is_float(y->dtype)) return;
    dy = hz_full(t, y->dtype, y->rank, y->dim, 1);
    for (int k = 0; k < n; k++)
        if (hz_dtype_is_float(hz_value(in[k])->dtype)) in[n_float++] = in[k];
    if (n_float)
        hz_grad(out, 1, in, n_float, &(hz_grad_opts){.dy = &dy, .unreachable = HZ_UNREACHABLE_NONE}, dx);
    for (uint32_t k = 0; hz_tape_name(t, k, &dy); k++) continue; /* what folding has spared is made now */
}

static void try_model(const hz_onnx *m) {
    purse p = {MOST_BYTES};
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.threads = 1, .alloc = &(hz_allocator){spend, give_back, &p}});
    if (t && hz_onnx_n_inputs(m) <= FEW && hz_onnx_n_outputs(m) <= FEW) record(m, t);
    hz_tape_free(t);
}

/* Files of an odd size are folded. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hz_onnx *m;
    hz_error err = {.code = HZ_OK};
    if (!hz_onnx_open_memory(data, size, NULL, &m, &err)) return 0;
    if (size % 2 == 0 || hz_onnx_fold_batch_norm(m, &err)) try_model(m);
    hz_onnx_close(m);
    return 0;
}
