/* test_memory.c: the pool and the arena under an allocator that counts, fails on demand and checks what it gets
 * back.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/memory.h"

typedef struct counter {
    int calls;   /* of alloc */
    int fail_at; /* number of the first call that fails, counted from 1; 0: none */
    int live;    /* allocations not given back */
} counter;

/* Alignment as poor as an allocator may have it. */
static void *count_alloc(void *ctx, size_t size) {
    counter *c = ctx;
    if (++c->calls == c->fail_at) return NULL;
    char *p = malloc(size + 16);
    c->live++;
    return p + 16;
}

static void count_free(void *ctx, void *p) {
    ((counter *)ctx)->live--;
    free((char *)p - 16);
}

static hz_allocator counting(counter *c) {
    return (hz_allocator){.alloc = count_alloc, .free = count_free, .ctx = c};
}

static uint64_t state = 1;

static uint64_t draw(uint64_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % n;
}

/* Sizes of all magnitudes, up to about 8 MiB. */
static size_t draw_size(void) {
    return (size_t)draw((uint64_t)1 << draw(24));
}

/* ---- allocator ---- */

Test(alloc, of_no_bytes_is_still_memory) {
    counter c = {0};
    const hz_allocator a = counting(&c);
    void *p = hz_alloc(NULL, 0), *q = hz_alloc0(NULL, 0), *r = hz_alloc0(&a, 0);
    cr_assert(p && q && r);
    hz_free(NULL, p);
    hz_free(NULL, q);
    hz_free(&a, r);
    hz_free(&a, NULL);
    cr_assert(c.live == 0);
}

Test(alloc0, is_zero) {
    counter c = {0};
    const hz_allocator a = counting(&c);
    unsigned char *p = hz_alloc0(&a, 100);
    for (int k = 0; k < 100; k++) cr_assert(p[k] == 0);
    hz_free(&a, p);
    c.fail_at = c.calls + 1;
    cr_assert_null(hz_alloc0(&a, 100));
}

/* ---- pool ---- */

static void exercise_blocks(hz_pool *pool) {
    enum { BLOCKS = 64 };
    hz_block *block[BLOCKS] = {0};
    for (int round = 0; round < 3000; round++) {
        const size_t slot = (size_t)draw(BLOCKS);
        if (block[slot]) {
            const unsigned char *data = block[slot]->data;
            cr_assert(data[0] == slot && data[block[slot]->size - 1] == slot,
                      "someone else wrote into a block");
            hz_block_unref(block[slot]);
        }
        const size_t size = draw_size();
        block[slot] = hz_pool_get(pool, size);
        cr_assert(block[slot] && block[slot]->size >= size && block[slot]->refs == 1);
        cr_assert((uintptr_t)block[slot]->data % HZ_ALIGN == 0);
        unsigned char *data = block[slot]->data;
        data[0] = data[block[slot]->size - 1] = (unsigned char)slot;
    }
    for (int k = 0; k < BLOCKS; k++) hz_block_unref(block[k]);
    cr_assert(hz_pool_get_stats(pool).used == 0);
}

Test(pool, blocks_are_aligned_large_enough_and_apart) {
    hz_pool *pool = hz_pool_new(NULL);
    exercise_blocks(pool);
    hz_pool_free(pool);
}

Test(pool, asks_nobody_but_the_callers_allocator) {
    counter c = {0};
    const hz_allocator a = counting(&c);
    hz_pool *pool = hz_pool_new(&a);
    exercise_blocks(pool);
    cr_assert((int)hz_pool_get_stats(pool).allocated == c.calls - 1,
              "all but the pool itself are for blocks");
    hz_pool_free(pool);
    cr_assert(c.live == 0);
}

Test(pool, wastes_at_most_an_eighth) {
    hz_pool *pool = hz_pool_new(NULL);
    for (int round = 0; round < 3000; round++) {
        const size_t size = draw_size();
        hz_block *block = hz_pool_get(pool, size);
        const size_t rounded = (size + 63) / 64 * 64;
        cr_assert(block->size >= 64 && block->size % 64 == 0);
        cr_assert(block->size <= 64 || block->size - rounded <= rounded / 8, "%zu for %zu", block->size,
                  size);
        hz_block_unref(block);
    }
    hz_pool_free(pool);
}

Test(pool, a_block_fits_its_own_size_exactly) {
    hz_pool *pool = hz_pool_new(NULL);
    for (size_t size = 1; size < (size_t)1 << 23; size += size / 16 + 1) {
        hz_block *block = hz_pool_get(pool, size), *same = hz_pool_get(pool, block->size);
        cr_assert(same->size == block->size, "%zu: %zu, %zu", size, block->size, same->size);
        hz_block_unref(block);
        hz_block_unref(same);
    }
    hz_pool_free(pool);
}

Test(pool, reuses_the_block_given_back_last) {
    hz_pool *pool = hz_pool_new(NULL);
    hz_block *block = hz_pool_get(pool, 1000000);
    void *data = block->data;
    hz_block_unref(block);
    block = hz_pool_get(pool, 999999);
    cr_assert(block->data == data);
    hz_pool_free(pool);
}

static void one_step(hz_pool *pool) {
    hz_block *block[40];
    for (int k = 0; k < 40; k++) block[k] = hz_pool_get(pool, (size_t)k * k * k * 50);
    for (int k = 0; k < 40; k += 2) hz_block_unref(block[k]);
    for (int k = 0; k < 40; k += 2) block[k] = hz_pool_get(pool, (size_t)k * k * k * 50);
    for (int k = 0; k < 40; k++) hz_block_unref(block[k]);
}

Test(pool, in_steady_state_makes_no_call) {
    counter c = {0};
    const hz_allocator a = counting(&c);
    hz_pool *pool = hz_pool_new(&a);
    one_step(pool);
    const int calls = c.calls;
    const hz_pool_stats before = hz_pool_get_stats(pool);
    for (int step = 0; step < 100; step++) one_step(pool);
    const hz_pool_stats after = hz_pool_get_stats(pool);
    cr_assert(calls > 1 && c.calls == calls);
    cr_assert(memcmp(&before, &after, sizeof before) == 0);
    hz_pool_free(pool);
}

Test(pool, small_tensors_are_compact) {
    enum { MANY = 10000 };
    counter c = {0};
    const hz_allocator a = counting(&c);
    hz_pool *pool = hz_pool_new(&a);
    for (int k = 0; k < MANY; k++) cr_assert(hz_pool_get(pool, sizeof(float)));
    cr_assert(hz_pool_get_stats(pool).used == MANY * 64);
    cr_assert(hz_pool_get_stats(pool).held < MANY * 64 + 64 * 1024);
    cr_assert(c.calls < 20);
    hz_pool_free(pool);
    cr_assert(c.live == 0);
}

Test(pool, a_block_lives_while_it_is_referred_to) {
    hz_pool *pool = hz_pool_new(NULL);
    hz_block *block = hz_pool_get(pool, 100);
    hz_block_ref(block);
    hz_block_unref(block);
    hz_block *other = hz_pool_get(pool, 100);
    cr_assert(other != block);
    hz_block_unref(block);
    cr_assert(hz_pool_get(pool, 100) == block);
    hz_block_ref(NULL);
    hz_block_unref(NULL);
    hz_pool_free(pool);
    hz_pool_free(NULL);
}

Test(pool, statistics_add_up) {
    hz_pool *pool = hz_pool_new(NULL);
    hz_block *a = hz_pool_get(pool, 10000), *b = hz_pool_get(pool, 20000);
    const size_t a_size = a->size, b_size = b->size;
    cr_assert(hz_pool_get_stats(pool).used == a_size + b_size);
    cr_assert(hz_pool_get_stats(pool).held == a_size + b_size);
    hz_block_unref(a);
    cr_assert(hz_pool_get_stats(pool).used == b_size);
    cr_assert(hz_pool_get_stats(pool).peak == a_size + b_size);
    hz_pool_reset_peak(pool);
    cr_assert(hz_pool_get_stats(pool).peak == b_size);
    hz_pool_trim(pool);
    cr_assert(hz_pool_get_stats(pool).held == b_size);
    hz_pool_free(pool);
}

Test(pool, trim_gives_back_free_memory_and_leaves_the_rest) {
    counter c = {0};
    const hz_allocator a = counting(&c);
    hz_pool *pool = hz_pool_new(&a);
    hz_block *kept[2] = {hz_pool_get(pool, 64), hz_pool_get(pool, 500000)};
    memset(kept[1]->data, 7, 500000);
    hz_block *other = hz_pool_get(pool, 64);
    for (size_t size = 1; size < 1000000; size *= 2) hz_block_unref(hz_pool_get(pool, size));
    hz_block_unref(other);
    hz_pool_trim(pool);
    cr_assert(c.live == 3, "the pool, and the slabs of two blocks: %d", c.live);
    cr_assert(((unsigned char *)kept[1]->data)[499999] == 7);
    const int calls = c.calls;
    cr_assert(hz_pool_get(pool, 64) && c.calls == calls, "the kept slab still serves small blocks");
    hz_block_unref(kept[0]);
    hz_block_unref(kept[1]);
    hz_pool_free(pool);
    cr_assert(c.live == 0);
}

Test(pool, gives_back_free_blocks_before_it_says_out_of_memory) {
    counter c = {0};
    const hz_allocator a = counting(&c);
    hz_pool *pool = hz_pool_new(&a);
    hz_block_unref(hz_pool_get(pool, 100000));
    c.fail_at = c.calls + 1;
    cr_assert(hz_pool_get(pool, 200000), "the second try succeeds");
    cr_assert(c.live == 2, "at the price of the free block");
    hz_pool_free(pool);
}

Test(pool, refuses_sizes_no_memory_has) {
    counter c = {0};
    const hz_allocator a = counting(&c);
    hz_pool *pool = hz_pool_new(&a);
    for (size_t size = SIZE_MAX; size > SIZE_MAX - 5; size--) cr_assert_null(hz_pool_get(pool, size));
    cr_assert_null(hz_pool_get(pool, (size_t)PTRDIFF_MAX));
    cr_assert_null(hz_pool_get(pool, (size_t)PTRDIFF_MAX / 2 + 1));
    cr_assert(c.calls == 1);
    hz_pool_free(pool);
}

/* Make, use and free a pool; false if the allocator failed on the way. */
static bool life_of_a_pool(const hz_allocator *a) {
    hz_pool *pool = hz_pool_new(a);
    if (!pool) return false;
    bool ok = true;
    hz_error err = {0};
    for (size_t size = 1; size < 100000 && ok; size *= 3) ok = hz_pool_get(pool, size) != NULL;
    hz_tensor t = {.dtype = HZ_F32, .rank = 2, .dim = {300, 500}};
    if (ok && !hz_pool_tensor(pool, &t, &err)) {
        ok = false;
        cr_assert(err.code == HZ_ENOMEM);
        cr_assert_str_eq(err.text, "out of memory: 600000 bytes for [300,500] of f32");
    }
    hz_pool_free(pool);
    return ok;
}

/* An allocator that fails from its N-th call on. */
static void *fail_alloc(void *ctx, size_t size) {
    counter *c = ctx;
    if (c->calls + 1 >= c->fail_at) {
        c->calls++;
        return NULL;
    }
    return count_alloc(ctx, size);
}

Test(pool, survives_failure_of_every_allocation) {
    int n = 1;
    for (bool ok = false; !ok; n++) {
        counter c = {.fail_at = n};
        const hz_allocator a = {.alloc = fail_alloc, .free = count_free, .ctx = &c};
        ok = life_of_a_pool(&a);
        cr_assert(c.live == 0, "something leaks when call %d fails", n);
        cr_assert(n < 100);
    }
    cr_assert(n > 5);
}

Test(pool, tensor_is_contiguous_and_counted) {
    hz_pool *pool = hz_pool_new(NULL);
    hz_tensor t = {.dtype = HZ_F64, .rank = 3, .dim = {2, 3, 4}};
    hz_block *block = hz_pool_tensor(pool, &t, NULL);
    cr_assert(block && t.data == block->data && hz_is_contiguous(&t) && block->size >= 192);
    memset(t.data, 0, hz_nbytes(&t));
    hz_tensor empty = {.dtype = HZ_F64, .rank = 2, .dim = {0, 4}};
    cr_assert(hz_pool_tensor(pool, &empty, NULL) && empty.data);
    hz_pool_free(pool);
}

Test(pool, tensor_of_impossible_shape_fails) {
    hz_pool *pool = hz_pool_new(NULL);
    hz_error err = {0};
    hz_tensor t = {.dtype = HZ_F32, .rank = 2, .dim = {(int64_t)1 << 40, (int64_t)1 << 40}};
    cr_assert_null(hz_pool_tensor(pool, &t, &err));
    cr_assert(err.code == HZ_ESHAPE);
    t.dim[1] = (int64_t)1 << 20;
    cr_assert_null(hz_pool_tensor(pool, &t, &err));
    cr_assert(err.code == HZ_ENOMEM);
    hz_pool_free(pool);
}

/* ---- arena ---- */

Test(arena, of_zeros_is_ready_and_memory_is_apart) {
    hz_arena arena = {0};
    unsigned char *p[200];
    size_t size[200];
    for (int k = 0; k < 200; k++) {
        size[k] = (size_t)draw(draw(8) ? 500 : 100000);
        p[k] = hz_arena_alloc(&arena, size[k]);
        cr_assert(p[k] && (uintptr_t)p[k] % 16 == 0);
        memset(p[k], k, size[k]);
    }
    for (int k = 0; k < 200; k++)
        for (size_t i = 0; i < size[k]; i += 1 + size[k] / 64) cr_assert(p[k][i] == k);
    hz_arena_free(&arena);
    cr_assert(!arena.first && !arena.top);
    cr_assert(hz_arena_alloc(&arena, 1), "an arena can be used again");
    hz_arena_free(&arena);
    hz_arena_free(&arena);
}

Test(arena, copies) {
    hz_arena arena = {0};
    char text[] = "conv1";
    char *copy = hz_arena_strdup(&arena, text);
    int *numbers = hz_arena_copy(&arena, (int[]){1, 2, 3}, 3 * sizeof(int));
    text[0] = 'x';
    cr_assert_str_eq(copy, "conv1");
    cr_assert(numbers[2] == 3);
    cr_assert(hz_arena_copy(&arena, NULL, 0), "nothing at all can be copied");
    hz_arena_free(&arena);
}

Test(arena, rewind_brings_back_the_same_memory) {
    hz_arena arena = {0};
    const hz_arena_mark empty = hz_arena_now(&arena);
    void *first = hz_arena_alloc(&arena, 40);
    const hz_arena_mark mark = hz_arena_now(&arena);
    void *second = hz_arena_alloc(&arena, 40);
    for (int k = 0; k < 100; k++) hz_arena_alloc(&arena, 5000);
    hz_arena_rewind(&arena, mark);
    cr_assert(hz_arena_alloc(&arena, 40) == second);
    hz_arena_rewind(&arena, empty);
    cr_assert(hz_arena_alloc(&arena, 40) == first);
    hz_arena_free(&arena);
}

Test(arena, rewound_repeats_without_a_call) {
    counter c = {0};
    hz_arena arena = {.alloc = counting(&c)};
    const hz_arena_mark empty = hz_arena_now(&arena);
    int calls = 0;
    for (int step = 0; step < 50; step++) {
        for (int k = 0; k < 60; k++) cr_assert(hz_arena_alloc(&arena, (size_t)(k * k * 20)));
        hz_arena_rewind(&arena, empty);
        if (step == 0) calls = c.calls;
    }
    cr_assert(calls > 1 && c.calls == calls);
    hz_arena_free(&arena);
    cr_assert(c.live == 0);
}

Test(arena, nested_marks_unwind_like_a_stack) {
    hz_arena arena = {0};
    hz_arena_mark mark[20];
    unsigned char *p[20];
    for (int k = 0; k < 20; k++) {
        p[k] = hz_arena_alloc(&arena, 10000);
        memset(p[k], k, 10000);
        mark[k] = hz_arena_now(&arena);
    }
    for (int k = 19; k > 0; k--) {
        hz_arena_rewind(&arena, mark[k - 1]);
        memset(hz_arena_alloc(&arena, 30000), 255, 30000);
        for (int j = 0; j < k; j++)
            cr_assert(p[j][0] == j && p[j][9999] == j, "memory below the mark was touched");
    }
    hz_arena_free(&arena);
}

Test(arena, out_of_memory_is_null_and_leaves_it_usable) {
    counter c = {.fail_at = 2};
    hz_arena arena = {.alloc = counting(&c)};
    cr_assert(hz_arena_alloc(&arena, 100));
    cr_assert_null(hz_arena_alloc(&arena, 1000000));
    cr_assert_null(hz_arena_copy(&arena, NULL, SIZE_MAX));
    cr_assert_null(hz_arena_alloc(&arena, SIZE_MAX - 15));
    cr_assert(hz_arena_alloc(&arena, 100));
    cr_assert(hz_arena_alloc(&arena, 1000000));
    hz_arena_free(&arena);
    cr_assert(c.live == 0);
}
