/* file.h: reading and writing whole files, for the loaders and savers of every format.
 *
 * Reading takes regular files only (a directory, FIFO or device is refused and never waited for), and its
 * size is known before anything is allocated. Writing is atomic: bytes go to a temporary file beside the
 * target, "PATH.0.tmp", which hz_file_commit moves into place; a command that fails leaves the old file as it was, or
 * none. What a killed writer left is removed by the next one.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_FILE_H
#define HZ_TENSOR_FILE_H

#include "tensor/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A key and its value, both UTF-8: metadata of a safetensors file, a text chunk of a PNG. */
typedef struct hz_text_pair {
    const char *key;
    const char *value;
} hz_text_pair;

/* Bytes of the UTF-8 character that s, which a 0 ends, begins with; 0 if it is malformed (RFC 3629, section 4). */
int hz_utf8_length(const char *s);
bool hz_is_utf8(const char *s); /* well-formed: no overlong forms, surrogates or code points past U+10FFFF */

/* A path, or a name that came out of a file, made fit for an error sentence: control characters become '?',
 * and of a long one only the end is kept. For use inside a printf argument: hz_label(path).s. */
enum { HZ_LABEL_TEXT = 132 };
typedef struct hz_label_text {
    char s[HZ_LABEL_TEXT];
} hz_label_text;
hz_label_text hz_label(const char *name);

/* "PATH: cannot DOING: what errno says", HZ_ENOTFOUND where there is no such file, HZ_ENOMEM, or else HZ_EIO. Returns
 * false. */
bool hz_fail_errno(hz_error *err, const char *path, const char *doing);

/* ---- reading ---- */

typedef struct hz_file_in {
    const char *path;           /* borrowed: must outlive this struct */
    uint64_t size;              /* bytes in the file when it was opened */
    int fd;                     /* private */
    const unsigned char *bytes; /* private: of a file in memory, what has not been read, */
    size_t left;                /* and how much that is */
} hz_file_in;

/* HZ_ENOTFOUND if there is no such file, HZ_EIO if it cannot be read or is no regular file. */
bool hz_file_open(const char *path, hz_file_in *in, hz_error *err);

/* The same for bytes that are in memory already, which must outlive *in; path is what errors call them. */
void hz_file_open_bytes(const char *path, const void *bytes, size_t size, hz_file_in *in);

/* The next size bytes; HZ_EIO if the file ends before (it shrank since it was opened). */
bool hz_file_get(hz_file_in *in, void *data, size_t size, hz_error *err);
void hz_file_close(hz_file_in *in);

/* The whole file, at most max bytes of it (a larger one is refused with HZ_EFORMAT). *data comes from alloc
 * and is given back with hz_free(alloc, data); NULL on failure. */
bool hz_file_read(const char *path, uint64_t max, const hz_allocator *alloc, void **data, size_t *size,
                  hz_error *err);

/* ---- writing ---- */

typedef struct hz_file_out hz_file_out;

/* Start a file that will be called path. A path that exists must be a regular file (or a symbolic link, which
 * is replaced, not followed). NULL with HZ_EIO or HZ_ENOMEM. Ends with hz_file_commit or hz_file_discard. */
hz_file_out *hz_file_create(const char *path, const hz_allocator *alloc, hz_error *err);

/* Append bytes. After a failure the only thing left to do is hz_file_discard. */
bool hz_file_put(hz_file_out *out, const void *data, size_t size, hz_error *err);

/* Append the elements of t in row-major order, little-endian; as_f16: floats rounded to 16 bits. */
bool hz_file_put_tensor(hz_file_out *out, const hz_tensor *t, bool as_f16, hz_error *err);

/* Flush to the disk, give the file its name, flush that, free out (also on failure, when the file is discarded). */
bool hz_file_commit(hz_file_out *out, hz_error *err);

/* Give up: remove the temporary file, free out. NULL is legal. */
void hz_file_discard(hz_file_out *out);

/* ---- byte order ---- */

/* Turn count numbers of `width` bytes from little-endian (big: big-endian) to the machine's order or back. */
void hz_file_byte_order(void *data, size_t count, size_t width, bool big);

#ifdef __cplusplus
}
#endif
#endif
