/* exec.h: how kernels are to run. Every function that computes takes a `const hz_exec *`; there is no global
 * state. A tape makes one from its options and passes it to the ops it runs.
 *
 * The result of a computation does not depend on `threads`: work is cut into pieces whose borders do not depend
 * on the number of threads, and no sum is split between them in another order. It may depend on `isa` in the
 * last bits.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_EXEC_H
#define HZ_TENSOR_EXEC_H

#include "tensor/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Instruction set of the kernels; each level includes the ones before it. */
typedef enum hz_isa {
    HZ_ISA_AUTO = 0, /* the best this machine has */
    HZ_ISA_C,        /* plain C: the reference, on any CPU */
    HZ_ISA_AVX2,     /* AVX2 and FMA */
    HZ_ISA_AVX512    /* AVX-512 F, BW, DQ, VL */
} hz_isa;

typedef struct hz_exec {
    hz_pool *pool; /* scratch memory; never NULL when a kernel runs */
    int threads;   /* threads a kernel may use, ≥ 1 */
    hz_isa isa;    /* resolved: never HZ_ISA_AUTO when a kernel runs */
    bool winograd; /* forward convolutions by Winograd's algorithm, too; see hz_tape_opts */
} hz_exec;

/* The best level this machine and this build have, at most `wanted` (HZ_ISA_AUTO: no limit). */
hz_isa hz_isa_resolve(hz_isa wanted);
const char *hz_isa_name(hz_isa isa); /* "c", "avx2", "avx512", "auto" */

/* wanted > 0: that many, capped at 256; 0: OMP_NUM_THREADS or the number of cores. */
int hz_threads_resolve(int wanted);

#ifdef __cplusplus
}
#endif
#endif
