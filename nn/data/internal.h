/* internal.h: what the files of nn/data/ share and nobody else sees.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_DATA_INTERNAL_H
#define HZ_NN_DATA_INTERNAL_H

#include "nn/data.h"
#include "tensor/file.h"

#define HZ__MAX_DATA_FILE (UINT64_C(4) << 30) /* bytes */

/* An empty data set with that allocator; every opener begins with it, … */
void hz__data_begin(hz_data *data, const hz_allocator *alloc);

/* … and returns through this: ok, or everything closed. */
bool hz__data_end(hz_data *data, bool ok);

bool hz__is_cifar10_size(uint64_t size); /* a whole number of records, and not none */

/* Index k of the first axis: a view of rank one less. */
hz_tensor hz__data_row(const hz_tensor *t, int64_t k);

#endif
