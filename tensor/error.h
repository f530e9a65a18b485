/* error.h: how every part of hzero says what went wrong.
 *
 * A function that can fail returns false (or NULL) and fills a caller's hz_error; it never exits, aborts or
 * prints. The text is one sentence that names the thing, both sides of a disagreement and the number that
 * disagrees. Every function here accepts err == NULL.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TENSOR_ERROR_H
#define HZ_TENSOR_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define HZ_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define HZ_PRINTF(format_at, args_at)
#endif

typedef enum hz_code {
    HZ_OK = 0,
    HZ_EINVAL,    /* an argument is outside what the function accepts */
    HZ_ESHAPE,    /* shapes, ranks or dtypes disagree */
    HZ_ENOMEM,    /* memory could not be had */
    HZ_EIO,       /* a file could not be opened, read or written */
    HZ_EFORMAT,   /* a file's contents are not what the format demands */
    HZ_ENOTFOUND, /* no variable, tensor, layer or file of that name */
    HZ_EGRAD,     /* a gradient was asked for that does not exist */
    HZ_ENUMERIC   /* a NaN or an infinity, where the caller asked to be told */
} hz_code;

enum { HZ_ERROR_TEXT = 512 };

typedef struct hz_error {
    hz_code code;             /* HZ_OK while nothing has gone wrong */
    char text[HZ_ERROR_TEXT]; /* one sentence, UTF-8, always terminated; "" while code is HZ_OK */
} hz_error;

/* Fill *err with code and a formatted sentence. Always returns false, so that callers write
 * `return hz_fail(err, HZ_ESHAPE, "…", …);`. A sentence too long is cut on a character boundary. */
bool hz_fail(hz_error *err, hz_code code, const char *format, ...) HZ_PRINTF(3, 4);

/* Put "context: " in front of what *err already says; nothing happens while err->code is HZ_OK.
 * Always returns false. */
bool hz_fail_in(hz_error *err, const char *format, ...) HZ_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
