/* test_text.c: a text becomes windows of tokens, y one token later than x.
 *
 * SPDX-License-Identifier: MIT */
#include "folder.h"
#include "nn/loader.h"

static bool open_bytes(const char *bytes, size_t size, const hz_text_opts *opts, hz_data *data,
                       hz_error *err) {
    const scratch s = scratch_path("text");
    write_bytes(s.path, bytes, size);
    bool ok = hz_data_open_text(s.path, opts, NULL, data, err);
    unlink(s.path);
    return ok;
}

static hz_data text_of(const char *text, hz_text_opts opts) {
    hz_data data;
    hz_error err = {0};
    cr_assert(open_bytes(text, strlen(text), &opts, &data, &err), "%s", err.text);
    return data;
}

static void check_refused(const char *bytes, size_t size, hz_text_opts opts, const char *words) {
    hz_data data;
    hz_error err = {0};
    cr_assert(!open_bytes(bytes, size, &opts, &data, &err));
    cr_assert(strstr(err.text, words), "\"%s\" is not in: %s", words, err.text);
}

/* Window k of t, x or y, as text. */
static const char *window(const hz_data *data, const hz_tensor *t, int64_t k) {
    static char text[64];
    text[0] = 0;
    for (int64_t i = 0; i < t->dim[1]; i++)
        strcat(text, data->names[(int64_t)hz_get(t, (const int64_t[]){k, i})]);
    return text;
}

Test(text, windows_follow_one_another_and_y_is_a_token_later) {
    hz_data data = text_of("abcdefghijk", (hz_text_opts){.length = 3});
    cr_assert_eq(data.classes, 11);
    cr_assert_str_eq(hz_shape_str(&data.x).s, "[3,3]");
    cr_assert_str_eq(window(&data, &data.x, 0), "abc");
    cr_assert_str_eq(window(&data, &data.y, 0), "bcd");
    cr_assert_str_eq(window(&data, &data.x, 2), "ghi");
    cr_assert_str_eq(window(&data, &data.y, 2), "hij");
    hz_data_close(&data);
}

Test(text, the_step_between_windows_is_an_option) {
    for (int step = 1; step < 12; step++) {
        hz_data data = text_of("abcdefghijk", (hz_text_opts){.length = 4, .step = step});
        const int64_t last = data.x.dim[0] - 1;
        cr_assert_eq(last, 6 / step, "step %d", step); /* the last window and its y end within the text */
        cr_assert_eq(window(&data, &data.x, last)[0], 'a' + last * step);
        hz_data_close(&data);
    }
}

Test(text, characters_are_tokens_in_the_order_of_their_code_points) {
    hz_data data = text_of("zé€a\n😀z", (hz_text_opts){.length = 2});
    const char *const names[] = {"\n", "a", "z", "é", "€", "😀"};
    cr_assert_eq(data.classes, 6);
    for (int k = 0; k < 6; k++) cr_assert_str_eq(data.names[k], names[k]);
    cr_assert_str_eq(window(&data, &data.x, 0), "zé");
    cr_assert_str_eq(window(&data, &data.y, 1), "a\n");
    hz_data_close(&data);
}

Test(text, bytes_can_be_tokens) {
    const char bytes[] = {'a', 0, (char)0xff, '\n', (char)0x80};
    hz_data data;
    hz_error err = {0};
    int64_t tokens[4], n;
    cr_assert(open_bytes(bytes, 5, &(hz_text_opts){.length = 4, .bytes = true}, &data, &err), "%s", err.text);
    cr_assert_eq(data.classes, 256);
    for (int k = 0; k < 4; k++) {
        cr_assert_eq(hz_get_flat(&data.x, k), (unsigned char)bytes[k]);
        cr_assert_eq(hz_get_flat(&data.y, k), (unsigned char)bytes[k + 1]);
    }
    cr_assert_eq((unsigned char)data.names[255][0], 255);
    cr_assert(hz_text_encode(&data, "é", 4, tokens, &n, &err) && n == 2 && tokens[0] == 0xc3 &&
              tokens[1] == 0xa9);
    hz_data_close(&data);
}

Test(text, another_text_shares_the_vocabulary) {
    hz_data first = text_of("hello, world", (hz_text_opts){.length = 2});
    hz_data second = text_of("where", (hz_text_opts){.length = 2, .vocabulary = &first});
    cr_assert_eq(second.classes, first.classes);
    cr_assert_str_eq(window(&second, &second.y, 1), "re");
    check_refused("who\nwas", 7, (hz_text_opts){.length = 2, .vocabulary = &first},
                  "line 1: character \"?\"");
    check_refused("hewas", 5, (hz_text_opts){.length = 2, .vocabulary = &first},
                  "line 1: character \"a\" is not in");
    hz_data_close(&first);
    cr_assert_str_eq(window(&second, &second.x, 0), "wh");
    hz_data_close(&second);
}

Test(text, a_prompt_is_encoded_with_it) {
    hz_data data = text_of("aé€b", (hz_text_opts){.length = 2});
    int64_t tokens[3], n;
    hz_error err = {0};
    cr_assert(hz_text_encode(&data, "€a", 3, tokens, &n, &err), "%s", err.text);
    cr_assert(n == 2 && tokens[0] == 3 && tokens[1] == 0);
    cr_assert(!hz_text_encode(&data, "aax", 3, tokens, &n, &err));
    cr_assert(err.code == HZ_ENOTFOUND && strstr(err.text, "\"x\", number 2"), "%s", err.text);
    cr_assert(!hz_text_encode(&data, "aaaa", 3, tokens, &n, &err) && err.code == HZ_EINVAL);
    cr_assert(!hz_text_encode(&data, "a\x80", 3, tokens, &n, &err) && err.code == HZ_ENOTFOUND);
    hz_data_close(&data);
}

Test(text, what_is_no_text_or_too_short_is_refused) {
    check_refused("", 0, (hz_text_opts){.length = 1}, "has 0 characters");
    check_refused("abc", 3, (hz_text_opts){.length = 3}, "fewer than the 4");
    check_refused("abc", 3, (hz_text_opts){0}, "fewer than the 65");
    check_refused("ab\ncd\xff", 6, (hz_text_opts){.length = 2}, "line 2: byte 5");
    check_refused("abcd\xe2\x82", 6, (hz_text_opts){.length = 2}, "byte 4 begins no UTF-8");
    check_refused("abcd", 4, (hz_text_opts){.length = -1}, "windows of -1");
    check_refused("abcd", 4, (hz_text_opts){.length = 1, .step = -1}, "-1 apart");
}

Test(text, batches_are_tokens) {
    hz_data data =
        text_of("the quick brown fox jumps over the lazy dog", (hz_text_opts){.length = 5, .step = 1});
    hz_error err = {0};
    hz_batch b;
    int64_t seen = 0;
    hz_loader *l = hz_loader_new(&data, &(hz_loader_opts){.batch = 4, .shuffle = true, .seed = 1}, &err);
    cr_assert(l && hz_loader_start(l, 0, 0, &err), "%s", err.text);
    while (hz_loader_next(l, &b, &err)) {
        cr_assert(b.x.dtype == HZ_I64 && b.y.dtype == HZ_I64);
        for (int64_t k = 0; k < hz_numel(&b.x); k++) {
            const int64_t at = b.index[k / 5] + k % 5;
            cr_assert_eq(hz_get_flat(&b.x, k), ((int32_t *)data.x.data)[at]);
            cr_assert_eq(hz_get_flat(&b.y, k), ((int32_t *)data.x.data)[at + 1]);
        }
        seen += b.x.dim[0];
    }
    cr_assert(err.code == HZ_OK && seen == 43 - 5, "%d", (int)seen);
    hz_loader_free(l);
    hz_data_close(&data);
}

static bool open_and_close(const hz_allocator *alloc, const char *path, hz_error *err) {
    hz_data data;
    bool ok = hz_data_open_text(path, &(hz_text_opts){.length = 2}, alloc, &data, err);
    hz_data_close(&data);
    return ok;
}

Test(text, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch s = scratch_path("text");
    write_bytes(s.path, "hello", 5);
    fail_every_allocation(open_and_close, s.path);
    unlink(s.path);
}
