/* data.c: labelled pictures in files, and how many a network gets right. Start with hz_data_open and hz_evaluate.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/data.h"

#include <inttypes.h>
#include <string.h>

#include "tensor/file.h"

enum { CIFAR_SIDE = 32, CIFAR_RECORD = 1 + 3 * CIFAR_SIDE * CIFAR_SIDE, CIFAR_CLASSES = 10 };
static const uint64_t max_file = UINT64_C(4) << 30;

static void start(hz_data *data, const hz_allocator *alloc) {
    *data = (hz_data){.pixels = {.dtype = HZ_U8}};
    if (alloc) data->alloc = *alloc;
}

void hz_data_close(hz_data *data) {
    for (int k = 0; k < 2; k++) hz_free(&data->alloc, data->memory[k]);
    *data = (hz_data){.pixels = {.dtype = HZ_U8}};
}

/* ok, or everything closed. */
static bool finish(hz_data *data, bool ok) {
    if (!ok) hz_data_close(data);
    return ok;
}

/* ---- CIFAR-10 ---- */

static bool view_cifar10(hz_data *data, const char *path, size_t size, hz_error *err) {
    uint8_t *record = data->memory[0];
    int64_t n = (int64_t)(size / CIFAR_RECORD);
    if (size == 0 || size % CIFAR_RECORD != 0)
        return hz_fail(err, HZ_EFORMAT, "%s: has %zu bytes, which is no multiple of %d, a CIFAR-10 record",
                       hz_label(path).s, size, CIFAR_RECORD);
    data->pixels = hz_tensor_of(record + 1, HZ_U8, HZ_DIMS(n, 3, CIFAR_SIDE, CIFAR_SIDE));
    data->labels = hz_tensor_of(record, HZ_U8, HZ_DIMS(n));
    data->pixels.stride[0] = data->labels.stride[0] = CIFAR_RECORD;
    for (int64_t k = 0; k < n; k++)
        if (record[k * CIFAR_RECORD] >= CIFAR_CLASSES)
            return hz_fail(err, HZ_EFORMAT, "%s: label %d of record %" PRId64 " is not below %d",
                           hz_label(path).s, record[k * CIFAR_RECORD], k, CIFAR_CLASSES);
    return true;
}

bool hz_data_open_cifar10(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err) {
    size_t size;
    start(data, alloc);
    return finish(data, hz_file_read(path, max_file, &data->alloc, &data->memory[0], &size, err) &&
                            view_cifar10(data, path, size, err));
}

/* ---- IDX ---- */

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Read an IDX file of bytes with `rank` axes as a tensor. */
static bool read_idx(const char *path, const hz_allocator *alloc, int rank, void **memory, hz_tensor *t,
                     hz_error *err) {
    size_t size, header = 4 + 4 * (size_t)rank;
    int64_t dim[HZ_MAX_RANK];
    if (!hz_file_read(path, max_file, alloc, memory, &size, err)) return false;
    const uint8_t *p = *memory;
    if (size < header || big_endian(p) != (UINT32_C(0x800) | (uint32_t)rank))
        return hz_fail(err, HZ_EFORMAT, "%s: is no IDX file of bytes with %d axes", hz_label(path).s, rank);
    for (int k = 0; k < rank; k++) dim[k] = big_endian(p + 4 + 4 * k);
    if (!hz_shape_check("IDX extents", HZ_U8, rank, dim, err)) return hz_fail_in(err, "%s", hz_label(path).s);
    *t = hz_tensor_of((uint8_t *)*memory + header, HZ_U8, rank, dim);
    if (hz_nbytes(t) != size - header)
        return hz_fail(err, HZ_EFORMAT, "%s: extents %s need %zu bytes, %zu follow", hz_label(path).s,
                       hz_shape_str(t).s, hz_nbytes(t), size - header);
    return true;
}

static bool read_idx_pair(hz_data *data, const char *images, const char *labels, hz_error *err) {
    hz_tensor t;
    if (!read_idx(images, &data->alloc, 3, &data->memory[0], &t, err) ||
        !read_idx(labels, &data->alloc, 1, &data->memory[1], &data->labels, err))
        return false;
    if (t.dim[0] != data->labels.dim[0])
        return hz_fail(err, HZ_EFORMAT, "%s: has %" PRId64 " images, %s %" PRId64 " labels",
                       hz_label(images).s, t.dim[0], hz_label(labels).s, data->labels.dim[0]);
    data->pixels = hz_tensor_of(t.data, HZ_U8, HZ_DIMS(t.dim[0], 1, t.dim[1], t.dim[2]));
    return true;
}

bool hz_data_open_idx(const char *images, const char *labels, const hz_allocator *alloc, hz_data *data,
                      hz_error *err) {
    start(data, alloc);
    return finish(data, read_idx_pair(data, images, labels, err));
}

/* ---- which of them ---- */

/* Overwrite the last occurrence of from in s with to, as long. */
static void replace_last(char *s, const char *from, const char *to) {
    char *found = NULL;
    for (char *p = strstr(s, from); p; p = strstr(p + 1, from)) found = p;
    if (found) memcpy(found, to, strlen(to));
}

static bool open_pair_of(const char *images, const hz_allocator *alloc, hz_data *data, hz_error *err) {
    size_t n = strlen(images) + 1;
    char *labels = hz_alloc(alloc, n);
    if (!labels) return hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(images).s);
    memcpy(labels, images, n);
    replace_last(labels, "images", "labels");
    replace_last(labels, "idx3", "idx1");
    bool ok = hz_data_open_idx(images, labels, alloc, data, err);
    hz_free(alloc, labels);
    return ok;
}

bool hz_data_open(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err) {
    uint8_t magic[3] = {0};
    hz_file_in in;
    start(data, alloc);
    if (!hz_file_open(path, &in, err)) return false;
    bool ok = in.size < sizeof magic || hz_file_get(&in, magic, sizeof magic, err);
    hz_file_close(&in);
    if (!ok) return false;
    /* A CIFAR-10 record may begin with 0, 0, 8, too; its file's size tells. */
    bool idx =
        magic[0] == 0 && magic[1] == 0 && magic[2] == 8 && (in.size == 0 || in.size % CIFAR_RECORD != 0);
    return idx ? open_pair_of(path, alloc, data, err) : hz_data_open_cifar10(path, alloc, data, err);
}

/* ---- batches and accuracy ---- */

bool hz_data_batch(const hz_data *data, const hz_preprocess *p, int64_t first, const hz_tensor *input,
                   hz_error *err) {
    hz_tensor pixels;
    return hz_view_slice(&data->pixels, 0, first, input->dim[0], 1, &pixels, err) &&
           hz_preprocess_normalize(p, &pixels, input, err);
}

static bool check_data(const hz_model *model, const hz_data *data, hz_error *err) {
    int64_t size = model->preprocess.size;
    if (data->pixels.dim[2] != size || data->pixels.dim[3] != size)
        return hz_fail(err, HZ_ESHAPE,
                       "pictures of %" PRId64 " × %" PRId64 " are no input of %s, which is %" PRId64
                       " × %" PRId64,
                       data->pixels.dim[2], data->pixels.dim[3], model->arch->name, size, size);
    for (int64_t k = 0; k < data->labels.dim[0]; k++)
        if (hz_get(&data->labels, &k) >= (double)model->arch->classes)
            return hz_fail(err, HZ_EINVAL,
                           "label %g of picture %" PRId64 " is not below %" PRId64 ", the classes of %s",
                           hz_get(&data->labels, &k), k, model->arch->classes, model->arch->name);
    return true;
}

/* The pictures of input, the data's from first on, through the network; count the labels it names. */
static bool judge(const hz_model *model, const hz_data *data, int64_t first, hz_tape *t,
                  const hz_tensor *input, int64_t *right, hz_error *err) {
    hz_tape_reset(t);
    if (!hz_data_batch(data, &model->preprocess, first, input, err)) return false;
    hz_var best = hz_argmax(hz_model_forward(model, hz_input(t, input)), 1, false); /* (N) */
    if (!hz_tape_ok(t, err)) return false;
    for (int64_t k = 0; k < input->dim[0]; k++)
        *right += hz_get_flat(hz_value(best), k) == hz_get_flat(&data->labels, first + k);
    return true;
}

static bool judge_all(const hz_model *model, const hz_data *data, int64_t batch, hz_tape *t, void *memory,
                      hz_accuracy *accuracy, hz_error *err) {
    int64_t n = data->labels.dim[0], size = model->preprocess.size;
    for (int64_t first = 0; first < n; first += batch) {
        int64_t count = n - first < batch ? n - first : batch;
        hz_tensor input = hz_tensor_of(memory, HZ_F32, HZ_DIMS(count, 3, size, size));
        if (!judge(model, data, first, t, &input, &accuracy->right, err)) return false;
    }
    accuracy->of = n;
    return true;
}

bool hz_evaluate(const hz_model *model, const hz_data *data, int64_t batch, const hz_tape_opts *opts,
                 hz_accuracy *accuracy, hz_error *err) {
    *accuracy = (hz_accuracy){0, 0};
    if (batch == 0) batch = 100;
    if (!hz_preprocess_check(&model->preprocess, err) || !check_data(model, data, err)) return false;
    const int64_t dim[] = {batch, 3, model->preprocess.size, model->preprocess.size};
    if (batch < 0 || !hz_shape_check("batch", HZ_F32, 4, dim, err))
        return batch >= 0 ? false : hz_fail(err, HZ_EINVAL, "a batch of %" PRId64 " pictures", batch);
    hz_tensor input = hz_tensor_of(NULL, HZ_F32, 4, dim);
    void *memory = hz_alloc(&data->alloc, hz_nbytes(&input));
    hz_tape *t = hz_tape_new(opts);
    bool ok =
        (memory && t) || hz_fail(err, HZ_ENOMEM, "no memory for a batch of %" PRId64 " pictures", batch);
    ok = ok && judge_all(model, data, batch, t, memory, accuracy, err);
    hz_tape_free(t);
    hz_free(&data->alloc, memory);
    return ok;
}
