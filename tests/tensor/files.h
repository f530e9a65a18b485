/* files.h: for tests of loaders and savers: scratch files, an allocator that counts and fails on demand, and
 * damage done to good files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_FILES_H
#define HZ_TESTS_FILES_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tensor/file.h"

/* ---- scratch files ---- */

typedef struct scratch {
    char path[512];
} scratch;

/* A path of this process in the directory for temporary files. */
static inline scratch scratch_path(const char *name) {
    scratch s;
    const char *directory = getenv("TMPDIR");
    snprintf(s.path, sizeof s.path, "%s/hzero-%ld-%s", directory ? directory : "/tmp", (long)getpid(), name);
    return s;
}

static inline void write_bytes(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    cr_assert(f && fwrite(bytes, 1, size, f) == size && fclose(f) == 0, "cannot write %s", path);
}

/* The file's bytes, to be freed. */
static inline uint8_t *read_bytes(const char *path, size_t *size) {
    void *data;
    hz_error err = {0};
    cr_assert(hz_file_read(path, 1 << 30, NULL, &data, size, &err), "%s", err.text);
    return data;
}

/* ---- an allocator whose N-th call fails ---- */

typedef struct faulty {
    int calls;
    int fail_at; /* counted from 1; 0: never */
    int live;    /* allocations not given back */
} faulty;

static inline void *faulty_alloc(void *ctx, size_t size) {
    faulty *f = ctx;
    if (++f->calls == f->fail_at) return NULL;
    f->live++;
    return malloc(size);
}

static inline void faulty_free(void *ctx, void *p) {
    ((faulty *)ctx)->live--;
    free(p);
}

/* Let the first allocation of an action fail, then the second, … until it succeeds. Each failure must be
 * reported as one of memory, and nothing may stay allocated. */
static inline void fail_every_allocation(bool (*action)(const hz_allocator *a, const char *path,
                                                        hz_error *err),
                                         const char *path) {
    for (int n = 1; n < 10000; n++) {
        faulty f = {.fail_at = n};
        const hz_allocator a = {faulty_alloc, faulty_free, &f};
        hz_error err = {0};
        const bool ok = action(&a, path, &err);
        cr_assert(f.live == 0, "%d allocations live after the failure of number %d", f.live, n);
        if (ok && f.calls < n) {
            cr_assert(n > 1, "nothing was ever allocated");
            return;
        }
        if (!ok) cr_assert(err.code == HZ_ENOMEM, "allocation %d: code %d: %s", n, (int)err.code, err.text);
    }
    cr_assert_fail("never succeeded");
}

/* ---- damage ---- */

/* Touch every element, so that a sanitizer sees a view that reaches outside its memory. */
static inline void read_elements(const hz_tensor *t) {
    volatile double last = 0;
    for (int64_t k = 0; k < hz_numel(t); k++) last = hz_get_flat(t, k);
    (void)last;
}

/* A loader under test: reads bytes, cleans up, says whether it accepted them. */
typedef bool (*loader)(const uint8_t *bytes, size_t size, hz_error *err);

static inline bool accepts(loader load, const uint8_t *bytes, size_t size) {
    hz_error err = {0};
    const bool ok = load(bytes, size, &err);
    cr_assert(ok ? err.code == HZ_OK : err.code != HZ_OK && err.text[0], "verdict %d, code %d", ok,
              (int)err.code);
    return ok;
}

/* Every proper prefix of a good file is refused. */
static inline void check_truncations(loader load, const uint8_t *good, size_t size) {
    cr_assert(accepts(load, good, size));
    for (size_t n = 0; n < size; n++) {
        uint8_t *exact = memcpy(malloc(n + 1), good, n); /* one byte: malloc(0) may be NULL */
        cr_assert(!accepts(load, exact, n), "accepted the first %zu of %zu bytes", n, size);
        free(exact);
    }
}

/* One to four random bytes changed, `trials` times: either verdict will do, a crash will not. Returns the
 * refusals. */
static inline int check_mutations(loader load, const uint8_t *good, size_t size, int trials) {
    uint64_t state = 88172645463325252u;
    uint8_t *copy = malloc(size);
    int refused = 0;
    for (int trial = 0; trial < trials; trial++) {
        memcpy(copy, good, size);
        for (int k = 0; k <= trial % 4; k++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            copy[(state >> 20) % size] =
                (trial & 1) ? (uint8_t)(state >> 8) : copy[(state >> 20) % size] ^ (1 << (state & 7));
        }
        refused += !accepts(load, copy, size);
    }
    free(copy);
    return refused;
}

#endif
