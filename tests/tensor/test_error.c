/* test_error.c: sentences, their cutting and their context.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "tensor/error.h"

static bool is_continuation(char c) {
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Does text consist of whole UTF-8 characters? (Enough of the rules for what the tests write.) */
static bool is_whole_utf8(const char *text) {
    while (*text) {
        const unsigned char lead = (unsigned char)*text++;
        if (is_continuation((char)lead)) return false;
        for (int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0; more > 0; more--)
            if (!is_continuation(*text++)) return false;
    }
    return true;
}

Test(fail, formats_and_returns_false) {
    hz_error err = {0};
    cr_assert(!hz_fail(&err, HZ_ESHAPE, "channels (%d vs %d)", 96, 64));
    cr_assert(err.code == HZ_ESHAPE);
    cr_assert_str_eq(err.text, "channels (96 vs 64)");
}

Test(fail, accepts_null) {
    cr_assert(!hz_fail(NULL, HZ_EINVAL, "%d", 1));
    cr_assert(!hz_fail_in(NULL, "%d", 1));
}

Test(fail, may_quote_the_error_it_replaces) {
    hz_error err = {0};
    hz_fail(&err, HZ_EIO, "disk");
    hz_fail(&err, HZ_EFORMAT, "not a file: %s", err.text);
    cr_assert_str_eq(err.text, "not a file: disk");
    cr_assert(err.code == HZ_EFORMAT);
}

Test(fail, keeps_a_sentence_that_just_fits) {
    char sentence[HZ_ERROR_TEXT];
    memset(sentence, 'a', sizeof sentence - 1);
    memcpy(sentence + sizeof sentence - 3, "é", 3);
    hz_error err = {0};
    hz_fail(&err, HZ_EINVAL, "%s", sentence);
    cr_assert_str_eq(err.text, sentence);
}

Test(fail, cuts_between_characters) {
    static const char *const character[] = {"a", "é", "∂", "𝛁"};
    for (size_t c = 0; c < 4; c++) {
        for (size_t shift = 0; shift < 4; shift++) {
            char sentence[4 * HZ_ERROR_TEXT + 8] = "aaaa";
            sentence[shift] = '\0';
            for (int k = 0; k < HZ_ERROR_TEXT; k++) strcat(sentence, character[c]);
            hz_error err = {0};
            hz_fail(&err, HZ_EINVAL, "%s", sentence);
            const size_t length = strlen(err.text);
            cr_assert(is_whole_utf8(err.text), "%s after %zu", character[c], shift);
            cr_assert(length < HZ_ERROR_TEXT && length + strlen(character[c]) >= HZ_ERROR_TEXT,
                      "%s after %zu: more was cut than needed, %zu left", character[c], shift, length);
            cr_assert(strncmp(err.text, sentence, length) == 0);
        }
    }
}

Test(fail, survives_text_that_is_not_utf8) {
    char sentence[2 * HZ_ERROR_TEXT];
    memset(sentence, 0x80, sizeof sentence);
    sentence[sizeof sentence - 1] = '\0';
    hz_error err = {0};
    hz_fail(&err, HZ_EINVAL, "%s", sentence);
    cr_assert(strlen(err.text) < HZ_ERROR_TEXT);
    memset(sentence, 0xFF, sizeof sentence - 1);
    hz_fail(&err, HZ_EINVAL, "%s", sentence);
    cr_assert(strlen(err.text) < HZ_ERROR_TEXT);
}

Test(fail_in, puts_context_in_front) {
    hz_error err = {0};
    hz_fail(&err, HZ_EINVAL, "pad is %d", -1);
    cr_assert(!hz_fail_in(&err, "conv2d \"%s\"", "fire2"));
    cr_assert_str_eq(err.text, "conv2d \"fire2\": pad is -1");
    cr_assert(err.code == HZ_EINVAL);
}

Test(fail_in, says_nothing_while_all_is_well) {
    hz_error err = {0};
    cr_assert(!hz_fail_in(&err, "conv2d"));
    cr_assert(err.code == HZ_OK);
    cr_assert_str_empty(err.text);
}

Test(fail_in, cuts_between_characters) {
    hz_error err = {0};
    hz_fail(&err, HZ_EINVAL, "x");
    for (int depth = 0; depth < HZ_ERROR_TEXT; depth++) {
        hz_fail_in(&err, depth % 2 ? "∂∂" : "∂");
        cr_assert(is_whole_utf8(err.text), "depth %d", depth);
    }
    cr_assert(strlen(err.text) >= HZ_ERROR_TEXT - 3);
    cr_assert(strncmp(err.text, "∂∂: ∂: ∂∂", strlen("∂∂: ∂: ∂∂")) == 0);
}
