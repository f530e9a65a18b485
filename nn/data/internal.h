/* internal.h: what the files of nn/data/ share and nobody else sees.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_DATA_INTERNAL_H
#define HZ_NN_DATA_INTERNAL_H

#include "nn/data.h"
#include "tensor/file.h"

#define HZ__MAX_DATA_FILE (UINT64_C(4) << 30) /* bytes */

/* An empty data set with that allocator; every opener begins with it, … */
void hz__data_begin(hz_data *data, const hz_allocator *alloc);

/* … and returns through this: ok, or everything closed. */
bool hz__data_end(hz_data *data, bool ok);

bool hz__is_cifar10_size(uint64_t size); /* a whole number of records, and not none */

/* Index k of the first axis: a view of rank one less. */
hz_tensor hz__data_row(const hz_tensor *t, int64_t k);

/* ---- lists of strings ---- */

/* All zero but arena.alloc is an empty list. */
typedef struct hz__names {
    hz_arena arena; /* the strings */
    const char **at;
    size_t n, room;
} hz__names;

bool hz__names_add(hz__names *l, const char *text, size_t length); /* a copy; false: out of memory */
void hz__names_sort(hz__names *l, bool unique);                    /* by bytes */
void hz__names_free(hz__names *l);

/* The strings in one block from alloc, which outlives the list; NULL: out of memory. */
const char **hz__names_pack(const hz__names *l, const hz_allocator *alloc);

/* Which of n sorted names it is; −1 if none. */
int64_t hz__names_find(const char *const *names, int64_t n, const char *name);

#endif
