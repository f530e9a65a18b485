/* overhead.c: what an op costs when there is next to nothing to compute: 10,000 of them, x ← 1.0001·x, x ← x + 0.0001 in
 * turn, on one number.
 *
 * SPDX-License-Identifier: MIT */
#include "bench.h"
#include "tensor/elementwise.h"

enum { OPS = 10000 };

typedef struct chain {
    int64_t size;
    hz_var x, factor, term, y;
} chain;

static void prepare(hz_tape *t, void *data) {
    chain *c = data;
    c->x = hz_full(t, HZ_F32, 1, &c->size, 1);
    c->factor = hz_full(t, HZ_F32, HZ_DIMS(1), 1.0001);
    c->term = hz_full(t, HZ_F32, HZ_DIMS(1), 0.0001);
}

static hz_var record(hz_var x) {
    for (int k = 0; k < OPS / 2; k++) x = hz_add_scalar(hz_scale(x, 1.0001), 0.0001);
    return x;
}

static void run_record(hz_tape *t, void *data) {
    const chain *c = data;
    (void)t;
    record(c->x);
}

static void run_both(hz_tape *t, void *data) {
    const chain *c = data;
    (void)t;
    hz_grad1(record(c->x), c->x, NULL);
}

static void prepare_recorded(hz_tape *t, void *data) {
    chain *c = data;
    prepare(t, data);
    c->y = record(c->x);
}

static void run_backward(hz_tape *t, void *data) {
    const chain *c = data;
    (void)t;
    hz_grad1(c->y, c->x, NULL);
}

/* Without a tape: a block for each result, given back when the next one is there. */
static void run_kernels(hz_tape *t, void *data) {
    const chain *c = data;
    const hz_exec *ex = hz_tape_exec(t);
    hz_tensor x = *hz_value(c->x);
    hz_block *held = NULL;
    hz_error err;
    for (int k = 0; k < OPS; k++) {
        hz_tensor y = x;
        hz_block *block = hz_pool_tensor(ex->pool, &y, &err);
        if (!block) {
            hz_tape_fail(t, err.code, "%s", err.text);
            break;
        }
        hz_map1(ex, HZ_AFFINE, &x, k % 2 ? 1 : 1.0001, k % 2 ? 0.0001 : 0, &y);
        hz_block_unref(held);
        held = block;
        x = y;
    }
    hz_block_unref(held);
}

static void run_tensor_operands(hz_tape *t, void *data) {
    const chain *c = data;
    hz_var x = c->x;
    (void)t;
    for (int k = 0; k < OPS / 2; k++) x = hz_add(hz_mul(x, c->factor), c->term);
    hz_grad1(x, c->x, NULL);
}

static void run_vector(hz_tape *t, void *data) {
    const chain *c = data;
    (void)t;
    hz_grad1(hz_sum(record(c->x), HZ_ALL_AXES, false), c->x, NULL);
}

void bench_overhead(bench *b) {
    chain c = {.size = 1};
    workload w = {.prepare = prepare, .data = &c, .single = true, .ops = OPS};
    w.name = "chain10000_record", w.run = run_record;
    bench_run(b, &w);
    w.name = "chain10000_record+backward", w.run = run_both;
    bench_run(b, &w);
    w.name = "chain10000_backward_only", w.prepare = prepare_recorded, w.run = run_backward;
    bench_run(b, &w);
    w.name = "chain10000_no_grad", w.prepare = prepare, w.run = run_kernels;
    bench_run(b, &w);
    w.name = "chain10000_tensor_operands_record+backward", w.run = run_tensor_operands;
    bench_run(b, &w);
    c.size = 1000;
    w.name = "chain10000_1000elem_record+backward", w.run = run_vector;
    bench_run(b, &w);
}
