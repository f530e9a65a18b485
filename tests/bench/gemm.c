/* gemm.c: C = A·B into an existing C: a large square product, one as convolutions make them, a small one.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bench.h"
#include "tensor/gemm.h"

typedef struct product {
    int64_t m, n, k;
    hz_var a, b, c; /* (m, k), (k, n), (m, n) */
} product;

static void prepare(hz_tape *t, void *data) {
    product *p = data;
    p->a = bench_normal(t, HZ_DIMS(p->m, p->k));
    p->b = bench_normal(t, HZ_DIMS(p->k, p->n));
    p->c = bench_normal(t, HZ_DIMS(p->m, p->n));
}

static void run(hz_tape *t, void *data) {
    const product *p = data;
    hz_error err;
    if (!hz_gemm(hz_tape_exec(t), 1, hz_value(p->a), hz_value(p->b), 0, hz_value(p->c), &err))
        hz_tape_fail(t, err.code, "%s", err.text);
}

void bench_gemm(bench *b) {
    static const int64_t sizes[][3] = {{1024, 1024, 1024}, {256, 3136, 1152}, {64, 64, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        product p = {.m = sizes[i][0], .n = sizes[i][1], .k = sizes[i][2]};
        char name[64];
        snprintf(name, sizeof name, "sgemm_m%d_n%d_k%d", (int)p.m, (int)p.n, (int)p.k);
        bench_run(b, &(workload){.name = name,
                                 .prepare = prepare,
                                 .run = run,
                                 .data = &p,
                                 .flops = 2.0 * (double)(p.m * p.n * p.k)});
    }
}
