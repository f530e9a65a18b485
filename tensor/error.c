/* error.c: one sentence about what went wrong.
 *
 * Sentences are built in a local buffer first, so that an argument may be the text of the very error that is
 * being replaced. Start at hz_fail.
 *
 * SPDX-License-Identifier: MIT */
#include "tensor/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 character that starts with lead. */
static size_t character_length(unsigned char lead) {
    if (lead >= 0xF0) return 4;
    if (lead >= 0xE0) return 3;
    return lead >= 0xC0 ? 2 : 1;
}

static bool is_continuation(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Take away the last character of text[0..length) if its end is missing. */
static void drop_cut_character(char *text, size_t length) {
    size_t lead = length;
    while (lead > 0 && is_continuation(text[lead - 1])) lead--;
    if (lead == 0) return;
    lead--;
    if (lead + character_length((unsigned char)text[lead]) > length) text[lead] = '\0';
}

/* Append s to text[0..length) as far as it fits; returns the new length. */
static size_t append(char text[HZ_ERROR_TEXT], size_t length, const char *s) {
    const size_t room = HZ_ERROR_TEXT - 1 - length;
    const size_t wanted = strlen(s);
    const size_t n = wanted < room ? wanted : room;
    memcpy(text + length, s, n);
    text[length + n] = '\0';
    if (n < wanted) drop_cut_character(text, length + n);
    return strlen(text);
}

static void format_text(char text[HZ_ERROR_TEXT], const char *format, va_list args) {
    text[0] = '\0';
    const int length = vsnprintf(text, HZ_ERROR_TEXT, format, args);
    if (length < 0) append(text, 0, "(an error message that could not be formatted)");
    if (length >= HZ_ERROR_TEXT) drop_cut_character(text, HZ_ERROR_TEXT - 1);
}

bool hz_fail(hz_error *err, hz_code code, const char *format, ...) {
    if (!err) return false;
    char text[HZ_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    err->code = code;
    memcpy(err->text, text, strlen(text) + 1);
    return false;
}

bool hz_fail_in(hz_error *err, const char *format, ...) {
    if (!err || err->code == HZ_OK) return false;
    char text[HZ_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    size_t length = append(text, strlen(text), ": ");
    length = append(text, length, err->text);
    memcpy(err->text, text, length + 1);
    return false;
}
