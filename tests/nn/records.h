/* records.h: made-up CIFAR-10 records for tests.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_NN_RECORDS_H
#define HZ_TESTS_NN_RECORDS_H

#include "folder.h"
#include "nn/data.h"

enum { RECORD = 3073 };

/* n records: the label of record k is k % 10, its byte j (k + j) mod 256. */
static inline uint8_t *make_records(int n) {
    uint8_t *bytes = malloc((size_t)n * RECORD);
    for (int k = 0; k < n; k++) {
        bytes[k * RECORD] = (uint8_t)(k % 10);
        for (int j = 0; j < RECORD - 1; j++) bytes[k * RECORD + 1 + j] = (uint8_t)(k + j);
    }
    return bytes;
}

static inline bool open_records(const uint8_t *bytes, size_t size, hz_data *data, hz_error *err) {
    const scratch s = scratch_path("records.bin");
    write_bytes(s.path, bytes, size);
    bool ok = hz_data_open(s.path, NULL, data, err);
    unlink(s.path);
    return ok;
}

#endif
