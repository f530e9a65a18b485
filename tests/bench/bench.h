/* bench.h: what the groups of the benchmark are written with.
 *
 * A group is a function that describes its workloads and gives each to bench_run, which measures it and prints one
 * line of JSON. Names, shapes and meaning of the fields are shared with a script that measures PyTorch, so that
 * compare.py can lay the two side by side.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_BENCH_H
#define HZ_TESTS_BENCH_H

#include "ops/ops.h"

typedef struct bench {
    int threads;       /* of every kernel */
    hz_isa isa;        /* the best that kernels may use; HZ_ISA_AUTO: what the machine has */
    bool exact;        /* forward convolutions without Winograd's algorithm */
    double budget;     /* seconds of measuring per workload */
    const char *only;  /* globs "group" or "group/name", separated by commas; NULL: everything */
    const char *tag;   /* printed with every line, or NULL */
    bool cpu_time;     /* take the time the program computed, not the time that passed */
    bool list;         /* print names, measure nothing */
    const char *group; /* the one that runs now */
    int matched;       /* workloads that `only` let through */
    int failed;        /* of these: the ones that ended in an error */
} bench;

/* One thing to measure. Every workload gets a tape of its own, and what run() records is forgotten after each
 * repetition; that is part of the time, as freeing tensors is in other frameworks. */
typedef struct workload {
    const char *name;
    void (*prepare)(hz_tape *t,
                    void *data);         /* once, before the clock starts; stays on the tape; may be NULL */
    void (*run)(hz_tape *t, void *data); /* one repetition; errors are left with the tape */
    void *data;

    double budget;     /* share of the budget; 0: 1 */
    int min_reps;      /* 0: 7 */
    int max_reps;      /* 0: 300 */
    bool single;       /* time single repetitions, however short; otherwise about 1 ms of them at a time */
    const char *extra; /* further fields, as JSON: `"hooks": 26`; read after measuring; NULL: none */

    /* The work of one repetition, for the rates; 0: not reported. */
    double flops, elements, bytes, ops, steps;
} workload;

void bench_run(bench *b, const workload *w);

/* A new f32 leaf of standard normal numbers. */
hz_var bench_normal(hz_tape *t, int rank, const int64_t *dim);

/* ---- the groups ---- */

void bench_gemm(bench *b);
void bench_conv(bench *b);
void bench_saliency(bench *b);
void bench_unit(bench *b);
void bench_jacobian(bench *b);
void bench_train(bench *b);
void bench_overhead(bench *b);
void bench_elem(bench *b);
void bench_guided(bench *b);
void bench_memory(bench *b);
void bench_field(bench *b);

#endif
