/* memory.h: where tensor memory comes from.
 *
 *   hz_allocator  the caller's malloc and free, or the C library's; tests make its N-th call fail
 *   hz_pool       reference-counted blocks for tensor data, reused by size class: a loop in steady state takes
 *                 every block from the pool's free lists and touches no fresh page
 *   hz_arena      a bump allocator for small things (attributes, names) that die together
 *
 * None of them is safe to share between threads; one pool and one arena per tape.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_MEMORY_H
#define HZ_TENSOR_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HZ_ALIGN = 64 }; /* a block's data starts on a multiple of this many bytes */

/* Both functions may be NULL: then malloc and free of the C library. alloc returns at least size bytes aligned
 * as malloc does, or NULL. An alloc without a free is for memory that the caller drops as a whole. */
typedef struct hz_allocator {
    void *(*alloc)(void *ctx, size_t size);
    void (*free)(void *ctx, void *p);
    void *ctx;
} hz_allocator;

void *hz_alloc(const hz_allocator *a, size_t size);  /* a may be NULL; NULL when out of memory; size 0 is 1 */
void *hz_alloc0(const hz_allocator *a, size_t size); /* the same, zeroed */
void hz_free(const hz_allocator *a, void *p);        /* p may be NULL */

/* ---- blocks ---- */

typedef struct hz_pool hz_pool;

typedef struct hz_block {
    void *data;            /* HZ_ALIGN-aligned memory, contents unspecified */
    size_t size;           /* usable bytes, at least what was asked for */
    hz_pool *pool;         /* where it goes back to */
    uint32_t refs;         /* views that keep it alive */
    uint32_t size_class;   /* private */
    struct hz_block *next; /* private: free list */
} hz_block;

/* alloc == NULL: the C library. The struct is copied. NULL when out of memory. */
hz_pool *hz_pool_new(const hz_allocator *alloc);

/* Every block goes back to the allocator; views of them dangle from here on. NULL is legal. */
void hz_pool_free(hz_pool *pool);

/* No block is handed out that would bring `used` above limit bytes (0: no limit). Returns the limit before. */
size_t hz_pool_set_limit(hz_pool *pool, size_t limit);

/* A block of at least size bytes with refs = 1, from a free list where possible; NULL when out of memory. */
hz_block *hz_pool_get(hz_pool *pool, size_t size);

void hz_block_ref(hz_block *block);   /* one more view; NULL is legal */
void hz_block_unref(hz_block *block); /* the last one returns it to its pool; NULL is legal */

/* Give the memory of free blocks back to the allocator. */
void hz_pool_trim(hz_pool *pool);

typedef struct hz_pool_stats {
    size_t used;        /* bytes in blocks handed out now */
    size_t held;        /* bytes in all blocks, handed out and free */
    size_t peak;        /* largest value of used since the pool was made or hz_pool_reset_peak */
    uint64_t allocated; /* how often the allocator was called for a block: constant in steady state */
} hz_pool_stats;
hz_pool_stats hz_pool_get_stats(const hz_pool *pool);
void hz_pool_reset_peak(hz_pool *pool);

/* Contiguous tensor of *shape's dtype, rank and dims in a block of its own: sets shape->data and strides.
 * Returns the block (refs = 1), NULL with HZ_ENOMEM, or HZ_ESHAPE if no memory could hold the shape. An empty
 * tensor gets a block, too. */
hz_block *hz_pool_tensor(hz_pool *pool, hz_tensor *shape, hz_error *err);

/* ---- arena ---- */

typedef struct hz_arena {
    hz_allocator alloc;           /* where chunks come from */
    struct hz_arena_chunk *first; /* chunks in order of use; all zero is a valid empty arena */
    struct hz_arena_chunk *top;   /* the chunk in use */
} hz_arena;

typedef struct hz_arena_mark {
    struct hz_arena_chunk *chunk;
    size_t used;
} hz_arena_mark;

void *hz_arena_alloc(hz_arena *arena, size_t size); /* 16-byte aligned; NULL when out of memory */
void *hz_arena_copy(hz_arena *arena, const void *p, size_t size); /* a copy of size bytes at p */
char *hz_arena_strdup(hz_arena *arena, const char *s);            /* a copy of a string */
hz_arena_mark hz_arena_now(const hz_arena *arena);                /* the state to rewind to */
void hz_arena_rewind(hz_arena *arena, hz_arena_mark mark); /* forget what came later; chunks are kept */
void hz_arena_free(hz_arena *arena); /* give everything back; the arena is empty again */

#ifdef __cplusplus
}
#endif
#endif
