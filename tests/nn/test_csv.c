/* test_csv.c: tables are read as written; whatever is wrong with one is told with line and column.
 *
 * SPDX-License-Identifier: MIT */
#include <locale.h>

#include "folder.h"
#include "nn/data.h"

static bool open_text(const char *text, size_t size, const hz_csv_opts *opts, const hz_allocator *alloc,
                      hz_data *data, hz_error *err) {
    const scratch s = scratch_path("table.csv");
    write_bytes(s.path, text, size);
    bool ok = hz_data_open_csv(s.path, opts, alloc, data, err);
    unlink(s.path);
    return ok;
}

static hz_data table_of(const char *text, hz_csv_opts opts) {
    hz_data data;
    hz_error err = {0};
    cr_assert(open_text(text, strlen(text), &opts, NULL, &data, &err), "%s", err.text);
    return data;
}

/* x is these numbers, row by row, and y those, both up to a −1. */
static void check_table(hz_data data, const double *x, const double *y) {
    int64_t n = 0;
    for (; x[n] != -1; n++) cr_assert_eq((float)hz_get_flat(&data.x, n), (float)x[n], "number %d", (int)n);
    cr_assert_eq(hz_numel(&data.x), n);
    for (n = 0; y[n] != -1; n++)
        cr_assert_eq((float)hz_get_flat(&data.y, n), (float)y[n], "label %d", (int)n);
    cr_assert_eq(data.y.rank == 0 ? 0 : hz_numel(&data.y), n);
    hz_data_close(&data);
}

/* A table with that text is refused, in a sentence with these words. */
static void check_refused(const char *text, hz_csv_opts opts, const char *words) {
    hz_data data;
    hz_error err = {0};
    cr_assert(!open_text(text, strlen(text), &opts, NULL, &data, &err), "accepted: %s", text);
    cr_assert(strstr(err.text, words), "\"%s\" is not in: %s", words, err.text);
    cr_assert(data.x.data == NULL && data.memory[0] == NULL);
}

#define NUMBERS(...) ((const double[]){__VA_ARGS__, -1})

/* ---- what is read ---- */

Test(csv, the_last_column_is_the_label) {
    hz_data data = table_of("1,2.5,0\n-3e2,+4,2\n", (hz_csv_opts){0});
    cr_assert_eq(data.classes, 3);
    cr_assert(data.x.dtype == HZ_F32 && data.y.dtype == HZ_I64);
    cr_assert_str_eq(hz_shape_str(&data.x).s, "[2,2]");
    check_table(data, NUMBERS(1, 2.5, -300, 4), NUMBERS(0, 2));
}

Test(csv, separator_header_and_label_column_are_options) {
    check_table(table_of("a;b;c\n1;2;3\n4;5;6", (hz_csv_opts){.separator = ';', .header = true, .label = 1}),
                NUMBERS(2, 3, 5, 6), NUMBERS(1, 4));
    check_table(table_of("a\tb\tc\n1\t2\t3\n4\t5\t6",
                         (hz_csv_opts){.separator = '\t', .header = true, .label_name = "b"}),
                NUMBERS(1, 3, 4, 6), NUMBERS(2, 5));
    check_table(table_of("1 2 3\n", (hz_csv_opts){.separator = ' ', .label = -1}), NUMBERS(1, 2, 3),
                (const double[]){-1});
    check_table(table_of("1,2.25\n3,-4.5\n", (hz_csv_opts){.kind = HZ_CSV_TARGETS}), NUMBERS(1, 3),
                NUMBERS(2.25, -4.5));
}

Test(csv, names_are_numbered_in_their_sorted_order) {
    hz_data data =
        table_of("5.1,setosa\n6,\"virgin\"\"ica\"\n7,setosa\n8,  a\n", (hz_csv_opts){.kind = HZ_CSV_NAMES});
    cr_assert_eq(data.classes, 3);
    cr_assert_str_eq(data.names[0], "a");
    cr_assert_str_eq(data.names[1], "setosa");
    cr_assert_str_eq(data.names[2], "virgin\"ica");
    check_table(data, NUMBERS(5.1, 6, 7, 8), NUMBERS(1, 2, 1, 0));
}

Test(csv, line_ends_quotes_blanks_empty_lines_and_byte_order_marks_are_understood) {
    check_table(table_of("\xEF\xBB\xBF\"a\nb\",\"c,d\"\r\n\r\n \"1\" , 2\r\n\n\"3\",4\r\n\r\n",

                         (hz_csv_opts){.header = true, .label = -1, .separator = ','}),
                NUMBERS(1, 2, 3, 4), (const double[]){-1});
}

Test(csv, numbers_have_a_point_in_every_locale) {
    const char *comma = setlocale(LC_ALL, "de_DE.UTF-8");
    check_table(table_of("1.5,0\n", (hz_csv_opts){0}), NUMBERS(1.5), NUMBERS(0));
    check_refused("1,5;0\n", (hz_csv_opts){.separator = ';'}, "\"1,5\" is no number");
    if (!comma) cr_skip("no German locale here");
}

/* ---- what is refused ---- */

Test(csv, what_is_no_number_is_named_with_line_and_column) {
    check_refused("1,2,0\n1,x,0\n", (hz_csv_opts){0}, "line 2, column 2: \"x\" is no number");
    check_refused("1,2,0\n\n1,,0\n", (hz_csv_opts){0}, "line 3, column 2 is empty");
    check_refused("a,b\n1,2\n", (hz_csv_opts){0}, "line 1, column 1: \"a\" is no number");
    check_refused("1,nan,0\n", (hz_csv_opts){0}, "line 1, column 2: \"nan\" is no finite");
    check_refused("1,-Infinity,0\n", (hz_csv_opts){0}, "is no finite");
    check_refused("1,1e39,0\n", (hz_csv_opts){0}, "\"1e39\" is no finite float");
    check_refused("1,0x10,0\n", (hz_csv_opts){0}, "\"0x10\" is no number");
    check_refused("1,1 2,0\n", (hz_csv_opts){0}, "\"1 2\" is no number");
    check_refused("1,--2,0\n", (hz_csv_opts){0}, "\"--2\" is no number");
    check_refused("\"a\nb\",c\n1,2\n1,?\n", (hz_csv_opts){.header = true}, "line 4, column 2");
}

Test(csv, lines_of_another_length_are_named) {
    check_refused("1,2,0\n1,2\n", (hz_csv_opts){0}, "line 2 has 2 columns, line 1 has 3");
    check_refused("a,b,c\n1,2,3,4\n", (hz_csv_opts){.header = true}, "line 2 has 4 columns, line 1 has 3");
    check_refused("1,2,0\n1,2,0,\n", (hz_csv_opts){0}, "line 2 has 4 columns");
}

Test(csv, labels_that_are_no_classes_are_named) {
    check_refused("1,0\n1,1.5\n", (hz_csv_opts){0}, "line 2, column 2: \"1.5\" is no class");
    check_refused("1,-1\n", (hz_csv_opts){0}, "\"-1\" is no class");
    check_refused("1,cat\n", (hz_csv_opts){0}, "\"cat\" is no number");
    check_refused("1,0\n1,3\n", (hz_csv_opts){.classes = 3}, "line 2, column 2: label 3 is not below 3");
    check_refused("1,a\n1,b\n1,c\n", (hz_csv_opts){.kind = HZ_CSV_NAMES, .classes = 2},
                  "3 different labels, not 2");
    check_refused("1,\n", (hz_csv_opts){.kind = HZ_CSV_NAMES}, "column 2 is empty");
}

Test(csv, quotes_must_be_closed_and_end_their_field) {
    check_refused("1,\"2\n3,4\n", (hz_csv_opts){0}, "line 1, column 2 begins with a quote");
    check_refused("1,\"2\"3,0\n", (hz_csv_opts){0}, "column 2 goes on after its closing quote");
}

Test(csv, tables_without_numbers_are_refused) {
    check_refused("", (hz_csv_opts){0}, "has no lines");
    check_refused("\n\r\n", (hz_csv_opts){0}, "has no lines");
    check_refused("a,b\n", (hz_csv_opts){.header = true}, "has no lines");
    check_refused("1\n2\n", (hz_csv_opts){0}, "no column besides");
    check_refused("1,2\n", (hz_csv_opts){.label = 3}, "column 3 was to be y");
    check_refused("a,b\n1,2\n", (hz_csv_opts){.header = true, .label_name = "c"}, "no column \"c\"");
    check_refused("1,2\n", (hz_csv_opts){.label_name = "c"}, "no header");
    check_refused("1,2\n", (hz_csv_opts){.separator = '"'}, "separated by byte 34");
}

/* ---- hostile files ---- */

static const char good[] = "a,b,\"c\"\"d\"\n1.5,\"2\",x\n-3e1,4,\"y,z\"\n";

static bool load(const uint8_t *bytes, size_t size, hz_error *err) {
    hz_data data;
    bool ok = open_text((const char *)bytes, size, &(hz_csv_opts){.header = true, .kind = HZ_CSV_NAMES}, NULL,
                        &data, err);
    if (ok) read_elements(&data.x), read_elements(&data.y);
    hz_data_close(&data);
    return ok;
}

Test(csv, damage_never_crashes) {
    cr_assert_gt(check_mutations(load, (const uint8_t *)good, sizeof good - 1, 400), 0);
    for (size_t n = 0; n < sizeof good; n++) {
        uint8_t *exact = memcpy(malloc(n + 1), good, n);
        accepts(load, exact, n);
        free(exact);
    }
}

static bool open_and_close(const hz_allocator *alloc, const char *path, hz_error *err) {
    hz_data data;
    bool ok = hz_data_open_csv(path, &(hz_csv_opts){.header = true, .kind = HZ_CSV_NAMES}, alloc, &data, err);
    hz_data_close(&data);
    return ok;
}

Test(csv, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch s = scratch_path("table.csv");
    write_bytes(s.path, good, sizeof good - 1);
    fail_every_allocation(open_and_close, s.path);
    unlink(s.path);
}
