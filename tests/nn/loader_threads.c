/* loader_threads.c: a loader under strain, without a test framework, for a thread sanitizer (.ci/run threads): every number of
 * threads and batches ahead, epochs left in the middle, failing examples. Status 0 if all batches were as they should be.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "nn/loader.h"

enum { N = 60, PIXELS = 3 * 8 * 8 };

static bool read_picture(const hz_data *data, int64_t k, const hz_tensor *example, hz_error *err) {
    (void)data;
    if (k == 33) return hz_fail(err, HZ_EIO, "number 33 cannot be read");
    memset(example->data, (int)k + 1, PIXELS);
    return true;
}

/* Numbers that differ from those of the pictures, which are all one colour. */
static int count_faults(const hz_batch *b) {
    int faults = 0;
    for (int64_t k = 0; k < b->x.dim[0]; k++)
        for (int64_t i = 0; i < PIXELS; i++)
            faults += ((const float *)b->x.data)[k * PIXELS + i] != (float)(b->index[k] + 1);
    return faults;
}

/* Up to `batches` batches of an epoch; an error must be that of example 33. */
static int run_epoch(hz_loader *l, int64_t epoch, int64_t first, int64_t batches) {
    hz_batch b;
    hz_error err = {0};
    int faults = !hz_loader_start(l, epoch, first, &err);
    for (int64_t k = 0; k < batches && hz_loader_next(l, &b, &err); k++) faults += count_faults(&b);
    return faults + (err.code != HZ_OK && !strstr(err.text, "number 33"));
}

int main(void) {
    hz_data data = {.read = read_picture};
    hz_error err = {0};
    int faults = 0, epochs = 0;
    data.x = hz_tensor_of(NULL, HZ_U8, HZ_DIMS(N, 3, 8, 8));
    for (int threads = 1; threads < 5; threads++)
        for (int ahead = 1; ahead < 9; ahead++) {
            hz_loader_opts o = {.batch = 4, .shuffle = true, .threads = threads, .ahead = ahead};
            o.augment = (hz_augment){.flip = 0.5, .crop = 2, .reflect = true};
            hz_loader *l = hz_loader_new(&data, &o, &err);
            for (int k = 0; l && k < 6; k++, epochs++) faults += run_epoch(l, k, k, k < 4 ? k : 100);
            faults += l == NULL;
            hz_loader_free(l);
        }
    printf("%d epochs, %d faults\n", epochs, faults);
    return faults != 0 || epochs == 0;
}
