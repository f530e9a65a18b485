/* test_file.c: reading regular files only, writing all or nothing, and the encodings that file formats share.
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "files.h"
#include "layouts.h"
#include "tensor/half.h"

/* ---- reading ---- */

Test(file, read_gives_the_bytes_and_their_number) {
    const scratch s = scratch_path("read");
    write_bytes(s.path, "abc\0def", 7);
    size_t size;
    void *data;
    hz_error err = {0};
    cr_assert(hz_file_read(s.path, 7, NULL, &data, &size, &err), "%s", err.text);
    cr_assert(size == 7 && memcmp(data, "abc\0def", 7) == 0);
    hz_free(NULL, data);
    cr_assert(!hz_file_read(s.path, 6, NULL, &data, &size, &err));
    cr_assert(err.code == HZ_EFORMAT && strstr(err.text, "7 bytes") && data == NULL, "%s", err.text);
    unlink(s.path);
}

Test(file, an_empty_file_has_no_bytes) {
    const scratch s = scratch_path("empty");
    size_t size = 1;
    void *data;
    write_bytes(s.path, "", 0);
    cr_assert(hz_file_read(s.path, 0, NULL, &data, &size, NULL));
    cr_assert(size == 0 && data);
    hz_free(NULL, data);
    unlink(s.path);
}

static void check_refused(const char *path, hz_code code, const char *words) {
    size_t size;
    void *data;
    hz_error err = {0};
    cr_assert(!hz_file_read(path, 1 << 20, NULL, &data, &size, &err), "%s was read", path);
    cr_assert(err.code == code && strstr(err.text, words) && strstr(err.text, path), "%s", err.text);
}

Test(file, only_regular_files_are_read) {
    const scratch fifo = scratch_path("fifo");
    cr_assert(mkfifo(fifo.path, 0600) == 0);
    check_refused("/tmp", HZ_EIO, "a directory");
    check_refused(fifo.path, HZ_EIO, "a FIFO");
    check_refused("/dev/zero", HZ_EIO, "a device");
    check_refused("/nowhere/at/all", HZ_ENOTFOUND, "No such file");
    unlink(fifo.path);
}

static bool read_action(const hz_allocator *a, const char *path, hz_error *err) {
    size_t size;
    void *data;
    if (!hz_file_read(path, 100, a, &data, &size, err)) return false;
    hz_free(a, data);
    return true;
}

Test(file, reading_survives_lack_of_memory) {
    const scratch s = scratch_path("memory");
    write_bytes(s.path, "abc", 3);
    fail_every_allocation(read_action, s.path);
    unlink(s.path);
}

/* ---- writing ---- */

/* A new directory, so that what is left behind can be counted. */
static scratch new_directory(void) {
    const scratch s = scratch_path("dir");
    cr_assert(mkdir(s.path, 0700) == 0);
    return s;
}

static int count_entries(const char *directory) {
    DIR *d = opendir(directory);
    int n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n - 2; /* "." and ".." */
}

static scratch inside(const scratch *directory, const char *name) {
    scratch s;
    snprintf(s.path, sizeof s.path, "%.400s/%s", directory->path, name);
    return s;
}

static void check_content(const char *path, const char *text) {
    size_t size;
    uint8_t *bytes = read_bytes(path, &size);
    cr_assert(size == strlen(text) && memcmp(bytes, text, size) == 0);
    free(bytes);
}

Test(file, commit_replaces_the_old_file) {
    const scratch d = new_directory(), f = inside(&d, "f");
    hz_error err = {0};
    write_bytes(f.path, "old", 3);
    hz_file_out *out = hz_file_create(f.path, NULL, &err);
    cr_assert(out && hz_file_put(out, "ne", 2, &err) && hz_file_put(out, "w", 1, &err), "%s", err.text);
    check_content(f.path, "old");
    cr_assert(hz_file_commit(out, &err), "%s", err.text);
    check_content(f.path, "new");
    cr_assert(count_entries(d.path) == 1);
    unlink(f.path);
    rmdir(d.path);
}

Test(file, discard_leaves_the_old_file) {
    const scratch d = new_directory(), f = inside(&d, "f");
    write_bytes(f.path, "old", 3);
    hz_file_out *out = hz_file_create(f.path, NULL, NULL);
    cr_assert(out && hz_file_put(out, "new", 3, NULL));
    hz_file_discard(out);
    hz_file_discard(NULL);
    check_content(f.path, "old");
    cr_assert(count_entries(d.path) == 1);
    unlink(f.path);
    rmdir(d.path);
}

Test(file, large_pieces_keep_their_order) {
    enum { N = 300000 };
    const scratch s = scratch_path("large");
    uint8_t *bytes = malloc(N);
    for (size_t i = 0; i < N; i++) bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    hz_file_out *out = hz_file_create(s.path, NULL, NULL);
    const size_t cuts[] = {0, 1, 65536, 65537, 65600, 200000, N};
    for (int i = 0; i < 6; i++) cr_assert(hz_file_put(out, bytes + cuts[i], cuts[i + 1] - cuts[i], NULL));
    cr_assert(hz_file_commit(out, NULL));
    size_t size;
    uint8_t *back = read_bytes(s.path, &size);
    cr_assert(size == N && memcmp(back, bytes, N) == 0);
    free(back);
    free(bytes);
    unlink(s.path);
}

/* A disk that is full, played by a limit on file sizes. */
Test(file, a_failed_write_leaves_nothing) {
    const scratch d = new_directory(), f = inside(&d, "f");
    const hz_tensor t = hz_tensor_of(calloc(1, 1 << 20), HZ_U8, 1, (int64_t[]){1 << 20});
    hz_error err = {0};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 16, 1 << 16}) == 0);
    hz_file_out *out = hz_file_create(f.path, NULL, &err);
    cr_assert(out && !hz_file_put_tensor(out, &t, false, &err));
    cr_assert(err.code == HZ_EIO && strstr(err.text, "cannot write"), "%s", err.text);
    hz_file_discard(out);
    out = hz_file_create(f.path, NULL, &err); /* and one that fails only when it is flushed */
    cr_assert(out && hz_file_put(out, t.data, 1 << 16, &err) && hz_file_put(out, "x", 1, &err));
    cr_assert(!hz_file_commit(out, &err));
    cr_assert(count_entries(d.path) == 0);
    rmdir(d.path);
    free(t.data);
}

/* Start to write a file called path, and be killed. */
static void write_and_die(const char *path) {
    const pid_t child = fork();
    if (child == 0) {
        hz_file_out *out = hz_file_create(path, NULL, NULL);
        if (out && hz_file_put(out, "half", 4, NULL)) raise(SIGKILL);
        _exit(1);
    }
    int status;
    cr_assert(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

Test(file, what_killed_writers_left_is_removed_by_the_next) {
    const scratch d = new_directory(), f = inside(&d, "f");
    write_and_die(f.path);
    cr_assert(count_entries(d.path) == 1);
    write_and_die(f.path);
    cr_assert(count_entries(d.path) == 1, "the second left another file");
    cr_assert(hz_file_commit(hz_file_create(f.path, NULL, NULL), NULL));
    check_content(f.path, "");
    cr_assert(count_entries(d.path) == 1);
    unlink(f.path);
    rmdir(d.path);
}

Test(file, writers_of_one_file_do_not_meet) {
    const scratch d = new_directory(), f = inside(&d, "f");
    hz_file_out *a = hz_file_create(f.path, NULL, NULL), *b = hz_file_create(f.path, NULL, NULL);
    cr_assert(a && b && hz_file_put(a, "a", 1, NULL) && hz_file_put(b, "b", 1, NULL));
    hz_file_out *c = hz_file_create(f.path, NULL, NULL);
    hz_file_discard(c);
    cr_assert(hz_file_commit(b, NULL));
    check_content(f.path, "b");
    cr_assert(hz_file_commit(a, NULL));
    check_content(f.path, "a");
    cr_assert(count_entries(d.path) == 1);
    unlink(f.path);
    rmdir(d.path);
}

Test(file, permissions_follow_the_umask) {
    const scratch s = scratch_path("mode");
    struct stat st;
    umask(027);
    cr_assert(hz_file_commit(hz_file_create(s.path, NULL, NULL), NULL));
    cr_assert(stat(s.path, &st) == 0 && (st.st_mode & 0777) == 0640);
    unlink(s.path);
}

Test(file, only_regular_files_are_replaced) {
    const scratch d = new_directory(), fifo = inside(&d, "fifo"), lost = inside(&d, "no/f");
    hz_error err = {0};
    cr_assert(mkfifo(fifo.path, 0600) == 0);
    cr_assert(!hz_file_create(fifo.path, NULL, &err) && strstr(err.text, "a FIFO"), "%s", err.text);
    cr_assert(!hz_file_create(d.path, NULL, &err) && strstr(err.text, "a directory"), "%s", err.text);
    cr_assert(!hz_file_create(lost.path, NULL, &err) && strstr(err.text, "cannot create"), "%s", err.text);
    cr_assert(count_entries(d.path) == 1);
    unlink(fifo.path);
    rmdir(d.path);
}

Test(file, tensors_of_any_layout_are_written_in_row_major_order) {
    uint64_t state = 7;
    const scratch s = scratch_path("tensor");
    for (int trial = 0; trial < 60; trial++) {
        int64_t dim[4];
        const int rank = (int)random_int(&state, 1, 4);
        for (int i = 0; i < rank; i++)
            dim[i] = random_int(&state, trial == 0 ? 0 : 1, trial % 10 == 9 ? 40 : 6);
        sample x = sample_of(trial & 1 ? HZ_F64 : HZ_F32, rank, dim, (layout)(trial % LAYOUTS), &state);
        hz_file_out *out = hz_file_create(s.path, NULL, NULL);
        cr_assert(hz_file_put_tensor(out, &x.t, false, NULL) && hz_file_commit(out, NULL));
        size_t size;
        uint8_t *bytes = read_bytes(s.path, &size);
        cr_assert(size == hz_nbytes(&x.t));
        const hz_tensor back = hz_tensor_of(bytes, x.t.dtype, rank, dim);
        for (int64_t k = 0; k < hz_numel(&x.t); k++) cr_assert(hz_get_flat(&back, k) == hz_get_flat(&x.t, k));
        free(bytes);
        free_sample(&x);
    }
    unlink(s.path);
}

/* ---- names and text ---- */

Test(label, control_characters_do_not_reach_a_terminal) {
    cr_assert(strcmp(hz_label("a\n\x1b[2Jb\x7f").s, "a??[2Jb?") == 0);
    cr_assert(strcmp(hz_label("größe").s, "größe") == 0);
}

Test(label, of_a_long_name_the_end_is_kept_on_a_character_border) {
    char name[1024] = "";
    for (int i = 0; i < 300; i++) strcat(name, "é");
    for (int i = 0; i < 3; i++) {
        const hz_label_text label = hz_label(name);
        cr_assert(strlen(label.s) < HZ_LABEL_TEXT && strlen(label.s) > 120);
        cr_assert(hz_is_utf8(label.s) && strncmp(label.s, "…", 3) == 0);
        strcat(name, "x");
    }
}

Test(utf8, well_formed_text_is_told_from_the_rest) {
    static const char *good[] = {"", "a", "é", "€", "𝄞", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *bad[] = {
        "\x80",         "\xc3",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xe2\x82",     "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",         "a\xe2\x28\xa1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) cr_assert(hz_is_utf8(good[i]), "good[%zu]", i);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_assert(!hz_is_utf8(bad[i]), "bad[%zu]", i);
}

/* ---- 16-bit floats ---- */

Test(half, every_f16_widens_to_its_value) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        const int exponent = h >> 10 & 31, fraction = h & 1023;
        const float x = hz__f32_of_f16((uint16_t)h);
        cr_assert(!signbit(x) == !(h & 0x8000));
        if (exponent == 31 && fraction)
            cr_assert(isnan(x));
        else if (exponent == 31)
            cr_assert(isinf(x));
        else if (exponent == 0)
            cr_assert(fabs((double)x) == ldexp(fraction, -24));
        else
            cr_assert(fabs((double)x) == ldexp(1024 + fraction, exponent - 25));
    }
}

Test(half, every_f16_survives_the_round_trip) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float x = hz__f32_of_f16((uint16_t)h);
        if (!isnan(x)) cr_assert(hz__f16_of_f64((double)x) == h, "0x%04x", h);
    }
    cr_assert(isnan(hz__f32_of_f16(hz__f16_of_f64((double)NAN))));
}

/* Between two neighbours lies their middle, which goes to the even one; what is beside it goes to the nearer
 * one. */
Test(half, rounding_is_to_nearest_ties_to_even) {
    for (uint32_t h = 0; h < 0x7c00; h++) {
        const double low = (double)hz__f32_of_f16((uint16_t)h),
                     high = h == 0x7bff ? 65536 : (double)hz__f32_of_f16((uint16_t)(h + 1));
        const double middle = (low + high) / 2;
        cr_assert(hz__f16_of_f64(middle) == h + (h & 1), "0x%04x", h);
        cr_assert(hz__f16_of_f64(nextafter(middle, 0)) == h);
        cr_assert(hz__f16_of_f64(nextafter(middle, 1e9)) == h + 1);
        cr_assert(hz__f16_of_f64(-nextafter(middle, 0)) == (h | 0x8000));
    }
    cr_assert(hz__f16_of_f64(1e300) == 0x7c00 && hz__f16_of_f64(-1e300) == 0xfc00);
    cr_assert(hz__f16_of_f64(5e-324) == 0 && hz__f16_of_f64(-0.0) == 0x8000);
}

Test(half, bf16_is_the_upper_half_of_an_f32) {
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint32_t bits = h << 16;
        float want, got = hz__f32_of_bf16((uint16_t)h);
        memcpy(&want, &bits, sizeof want);
        cr_assert(memcmp(&want, &got, sizeof got) == 0);
    }
}

Test(byte_order, swapping_twice_changes_nothing) {
    uint32_t x[2] = {0x01020304, 0xa0b0c0d0};
    hz_file_byte_order(x, 2, 4, false);
    hz_file_byte_order(x, 2, 4, true);
    hz_file_byte_order(x, 2, 4, true);
    hz_file_byte_order(x, 2, 4, false);
    cr_assert(x[0] == 0x01020304 && x[1] == 0xa0b0c0d0);
    uint8_t big[4] = {1, 2, 3, 4};
    uint32_t value;
    hz_file_byte_order(big, 1, 4, true);
    memcpy(&value, big, 4);
    cr_assert(value == 0x01020304);
}
