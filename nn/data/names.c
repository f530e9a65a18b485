/* names.c: lists of strings: the classes of a table or folder, the files in it.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "nn/data/internal.h"

static bool grow(hz__names *l) {
    size_t room = l->room ? 2 * l->room : 64;
    const char **at = room < SIZE_MAX / sizeof *at ? hz_alloc(&l->arena.alloc, room * sizeof *at) : NULL;
    if (!at) return false;
    if (l->n) memcpy(at, l->at, l->n * sizeof *at);
    hz_free(&l->arena.alloc, l->at);
    l->at = at;
    l->room = room;
    return true;
}

bool hz__names_add(hz__names *l, const char *text, size_t length) {
    if (l->n == l->room && !grow(l)) return false;
    char *copy = hz_arena_alloc(&l->arena, length + 1);
    if (!copy) return false;
    memcpy(copy, text, length);
    copy[length] = 0;
    l->at[l->n++] = copy;
    return true;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void hz__names_sort(hz__names *l, bool unique) {
    size_t n = 0;
    if (l->n) qsort(l->at, l->n, sizeof *l->at, by_bytes);
    for (size_t k = 0; k < l->n; k++)
        if (!unique || n == 0 || strcmp(l->at[n - 1], l->at[k]) != 0) l->at[n++] = l->at[k];
    l->n = n;
}

int64_t hz__names_find(const char *const *names, int64_t n, const char *name) {
    const char *const *found = n ? bsearch(&name, names, (size_t)n, sizeof *names, by_bytes) : NULL;
    return found ? found - names : -1;
}

const char **hz__names_pack(const hz__names *l, const hz_allocator *alloc) {
    size_t size = l->n * sizeof *l->at;
    for (size_t k = 0; k < l->n; k++) size += strlen(l->at[k]) + 1;
    const char **packed = hz_alloc(alloc, size);
    char *to = packed ? (char *)(packed + l->n) : NULL;
    for (size_t k = 0; packed && k < l->n; k++) {
        size_t length = strlen(l->at[k]) + 1;
        packed[k] = memcpy(to, l->at[k], length);
        to += length;
    }
    return packed;
}

void hz__names_free(hz__names *l) {
    hz_free(&l->arena.alloc, l->at);
    hz_arena_free(&l->arena);
}
