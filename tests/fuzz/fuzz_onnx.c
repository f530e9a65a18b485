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
