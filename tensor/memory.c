/* memory.c: the allocator's wrappers, the block pool and the arena.
 *
 * The pool rounds sizes up to classes, about eight to a doubling, so that at most 1/8 is wasted, and keeps one
 * free list a class: taking and returning a block is a pop and a push. Memory comes in slabs, each one call of
 * the allocator: small classes get many blocks out of a slab, large ones a slab per block. A slab is
 *
 *     data of block 0 | data of block 1 | … | struct slab | hz_block 0 | hz_block 1 | …
 *
 * so that data is dense and aligned. Start at hz_pool_get.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* madvise */
#include "tensor/memory.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sys/mman.h>
#endif

/* Under AddressSanitizer memory that nobody may touch (free blocks, the slack behind a tensor) is poisoned. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HZ__ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(HZ__ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#endif

/* ---- allocator ---- */

static bool is_libc(const hz_allocator *a) {
    return !a || !a->alloc;
}

void *hz_alloc(const hz_allocator *a, size_t size) {
    if (size == 0) size = 1;
    return is_libc(a) ? malloc(size) : a->alloc(a->ctx, size);
}

void *hz_alloc0(const hz_allocator *a, size_t size) {
    if (is_libc(a)) return calloc(1, size ? size : 1);
    void *p = hz_alloc(a, size);
    return p ? memset(p, 0, size) : NULL;
}

void hz_free(const hz_allocator *a, void *p) {
    if (!p) return;
    if (is_libc(a))
        free(p);
    else if (a->free)
        a->free(a->ctx, p);
}

/* ---- size classes ---- */

enum {
    UNIT = HZ_ALIGN, /* sizes are multiples of this many bytes */
    STEP_BITS = 3,   /* 2^3 classes to a doubling */
    STEPS = 1 << STEP_BITS,
    CLASSES = 64 * STEPS,        /* more than a size_t can ask for */
    SLAB_BYTES = 64 * 1024,      /* data of a slab of small blocks */
    SMALL_BYTES = 4 * 1024,      /* largest block that shares a slab */
    HUGE_BYTES = 2 * 1024 * 1024 /* one huge page: blocks from here on are aligned to it */
};

static const size_t max_block = PTRDIFF_MAX / 2; /* room for rounding up, alignment and headers */

static int floor_log2(uint64_t n) { /* n ≥ 1 */
#if defined(__GNUC__)
    return 63 - __builtin_clzll(n);
#else
    int bits = 0;
    while (n >>= 1) bits++;
    return bits;
#endif
}

/* The class of a size is a tiny floating-point number, exponent and three bits of mantissa, of units − 1:
 *     units − 1 = 0 … 15 ↦ itself;  from there on  class = 8·shift + ((units − 1) >> shift). */
static uint32_t class_of(size_t size) {
    const uint64_t last = size <= UNIT ? 0 : ((uint64_t)size - 1) / UNIT;
    const int log = floor_log2(last | STEPS); /* ≥ STEP_BITS */
    const int shift = log - STEP_BITS;
    return (uint32_t)(shift * STEPS) + (uint32_t)(last >> shift);
}

/* Bytes of the blocks of a class: the largest size that class_of maps to it. */
static size_t class_size(uint32_t size_class) {
    const uint32_t shift = size_class < STEPS ? 0 : size_class / STEPS - 1;
    const size_t mantissa = size_class - shift * STEPS;
    return ((mantissa + 1) << shift) * UNIT;
}

/* ---- slabs ---- */

typedef struct slab {
    struct slab *next;
    void *base;   /* what the allocator gave */
    size_t count; /* blocks */
    hz_block block[];
} slab;

struct hz_pool {
    size_t limit; /* of stats.used; 0: none */
    hz_allocator alloc;
    hz_pool_stats stats;
    slab *slabs;
    hz_block *free[CLASSES]; /* blocks with refs = 0, by class */
};

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

static void *advise_huge(void *p, size_t size) {
#if defined(MADV_HUGEPAGE)
    madvise(p, size / HUGE_BYTES * HUGE_BYTES, MADV_HUGEPAGE); /* a wish: failure does no harm */
#else
    (void)size;
#endif
    return p;
}

/* size bytes on a multiple of align; *base is what hz_free wants. NULL when out of memory. */
static void *alloc_aligned(const hz_allocator *a, size_t size, size_t align, void **base) {
    if (is_libc(a)) {
        *base = aligned_alloc(align, round_up(size, align));
        return *base;
    }
    *base = hz_alloc(a, size + align - 1);
    if (!*base) return NULL;
    const size_t past = (size_t)((uintptr_t)*base % align);
    return (char *)*base + (past ? align - past : 0);
}

static void push_free(hz_pool *pool, hz_block *block) {
    block->next = pool->free[block->size_class];
    pool->free[block->size_class] = block;
    ASAN_POISON_MEMORY_REGION(block->data, block->size);
}

/* A slab of blocks of one class, all of them free. Slabs of small blocks hold many. */
static bool add_slab(hz_pool *pool, uint32_t size_class) {
    const size_t size = class_size(size_class);
    const size_t count = size <= SMALL_BYTES ? SLAB_BYTES / size : 1;
    const bool huge = size >= HUGE_BYTES;
    const size_t data_bytes = round_up(count * size, alignof(slab));
    const size_t header_bytes = sizeof(slab) + count * sizeof(hz_block);
    void *base;
    char *data = alloc_aligned(&pool->alloc, data_bytes + header_bytes, huge ? HUGE_BYTES : HZ_ALIGN, &base);
    pool->stats.allocated++;
    if (!data) return false;
    if (huge && is_libc(&pool->alloc)) advise_huge(data, size);

    slab *s = (slab *)(void *)(data + data_bytes);
    *s = (slab){.next = pool->slabs, .base = base, .count = count};
    pool->slabs = s;
    pool->stats.held += count * size;
    for (size_t k = count; k-- > 0;) { /* backwards, so that blocks are taken in order of address */
        s->block[k] =
            (hz_block){.data = data + k * size, .size = size, .pool = pool, .size_class = size_class};
        push_free(pool, &s->block[k]);
    }
    return true;
}

static void free_slab(hz_pool *pool, slab *s) {
    const size_t bytes = s->count * s->block[0].size;
    ASAN_UNPOISON_MEMORY_REGION(s->block[0].data, bytes);
    pool->stats.held -= bytes;
    hz_free(&pool->alloc, s->base);
}

static bool is_in_use(const slab *s) {
    for (size_t k = 0; k < s->count; k++)
        if (s->block[k].refs > 0) return true;
    return false;
}

/* ---- pool ---- */

hz_pool *hz_pool_new(const hz_allocator *alloc) {
    hz_pool *pool = hz_alloc0(alloc, sizeof *pool);
    if (pool && alloc) pool->alloc = *alloc;
    return pool;
}

void hz_pool_free(hz_pool *pool) {
    if (!pool) return;
    for (slab *s = pool->slabs, *next; s; s = next) {
        next = s->next;
        free_slab(pool, s);
    }
    const hz_allocator alloc = pool->alloc;
    hz_free(&alloc, pool);
}

void hz_pool_trim(hz_pool *pool) {
    memset(pool->free, 0, sizeof pool->free); /* built again from the slabs that stay */
    for (slab **link = &pool->slabs; *link;) {
        slab *s = *link;
        if (!is_in_use(s)) {
            *link = s->next;
            free_slab(pool, s);
            continue;
        }
        for (size_t k = s->count; k-- > 0;)
            if (s->block[k].refs == 0) push_free(pool, &s->block[k]);
        link = &s->next;
    }
}

/* Put a block on the free list of a class; when the allocator has nothing, try without what other classes keep. */
static bool refill(hz_pool *pool, uint32_t size_class) {
    if (add_slab(pool, size_class)) return true;
    hz_pool_trim(pool);
    return add_slab(pool, size_class);
}

size_t hz_pool_set_limit(hz_pool *pool, size_t limit) {
    size_t before = pool->limit;
    pool->limit = limit;
    return before;
}

/* Whether a block of this size would go beyond the limit. */
static bool is_over(const hz_pool *pool, size_t size) {
    return pool->limit && (pool->stats.used > pool->limit || size > pool->limit - pool->stats.used);
}

hz_block *hz_pool_get(hz_pool *pool, size_t size) {
    if (size > max_block || is_over(pool, size)) return NULL;
    const uint32_t size_class = class_of(size);
    if (!pool->free[size_class] && !refill(pool, size_class)) return NULL;
    hz_block *block = pool->free[size_class];
    pool->free[size_class] = block->next;
    block->next = NULL;
    block->refs = 1;
    pool->stats.used += block->size;
    if (pool->stats.used > pool->stats.peak) pool->stats.peak = pool->stats.used;
    ASAN_UNPOISON_MEMORY_REGION(block->data, block->size);
    return block;
}

void hz_block_ref(hz_block *block) {
    if (block) block->refs++;
}

void hz_block_unref(hz_block *block) {
    if (!block || --block->refs > 0) return;
    block->pool->stats.used -= block->size;
    push_free(block->pool, block);
}

hz_pool_stats hz_pool_get_stats(const hz_pool *pool) {
    return pool->stats;
}

void hz_pool_reset_peak(hz_pool *pool) {
    pool->stats.peak = pool->stats.used;
}

hz_block *hz_pool_tensor(hz_pool *pool, hz_tensor *shape, hz_error *err) {
    if (!hz_shape_check("memory", shape->dtype, shape->rank, shape->dim, err)) return NULL;
    const size_t size = hz_nbytes(shape);
    hz_block *block = hz_pool_get(pool, size);
    if (!block) {
        hz_fail(err, HZ_ENOMEM, "%s: %zu bytes for %s of %s",
                is_over(pool, size) ? "more memory than the limit that is set" : "out of memory", size,
                hz_shape_str(shape).s, hz_dtype_name(shape->dtype));
        return NULL;
    }
    ASAN_POISON_MEMORY_REGION((char *)block->data + size, block->size - size);
    shape->data = block->data;
    hz_tensor_set_contiguous(shape);
    return block;
}

/* ---- arena ---- */

enum { ARENA_ALIGN = 16, ARENA_CHUNK = 32 * 1024 };

struct hz_arena_chunk {
    struct hz_arena_chunk *next;
    size_t size, used; /* bytes of data */
    alignas(ARENA_ALIGN) unsigned char data[];
};
typedef struct hz_arena_chunk chunk;

/* Where the link to the chunk after the one in use is kept: from there on all chunks are empty. */
static chunk **after_top(hz_arena *arena) {
    return arena->top ? &arena->top->next : &arena->first;
}

/* Make a chunk with room for size bytes the one in use: an empty one that is kept, or a new one. */
static bool next_chunk(hz_arena *arena, size_t size) {
    chunk **link = after_top(arena);
    while (*link && (*link)->size < size) link = &(*link)->next;
    chunk *c = *link;
    if (c) {
        *link = c->next;
    } else {
        const size_t room = size > ARENA_CHUNK ? size : ARENA_CHUNK;
        c = hz_alloc(&arena->alloc, sizeof *c + room);
        if (!c) return false;
        c->size = room;
    }
    c->used = 0;
    link = after_top(arena);
    c->next = *link;
    *link = c;
    arena->top = c;
    return true;
}

void *hz_arena_alloc(hz_arena *arena, size_t size) {
    if (size > max_block) return NULL;
    size = round_up(size ? size : 1, ARENA_ALIGN);
    if ((!arena->top || arena->top->size - arena->top->used < size) && !next_chunk(arena, size)) return NULL;
    void *p = arena->top->data + arena->top->used;
    arena->top->used += size;
    return p;
}

void *hz_arena_copy(hz_arena *arena, const void *p, size_t size) {
    void *copy = hz_arena_alloc(arena, size);
    if (copy && size > 0) memcpy(copy, p, size);
    return copy;
}

char *hz_arena_strdup(hz_arena *arena, const char *s) {
    return hz_arena_copy(arena, s, strlen(s) + 1);
}

hz_arena_mark hz_arena_now(const hz_arena *arena) {
    return (hz_arena_mark){.chunk = arena->top, .used = arena->top ? arena->top->used : 0};
}

void hz_arena_rewind(hz_arena *arena, hz_arena_mark mark) {
    arena->top = mark.chunk;
    if (mark.chunk) mark.chunk->used = mark.used;
}

void hz_arena_free(hz_arena *arena) {
    for (chunk *c = arena->first, *next; c; c = next) {
        next = c->next;
        hz_free(&arena->alloc, c);
    }
    arena->first = arena->top = NULL;
}
