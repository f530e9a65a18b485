/* tensors.c: element types, and TensorProto as tensors: raw bytes, typed lists, or a file beside the model.
 *
 * SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700 /* realpath */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nn/onnx/internal.h"
#include "tensor/file.h"
#include "tensor/half.h"

/* ---- element types ---- */

static const hz__elem elems[] = {
    {0, "undefined", HZ_F32, 0, 0, false},      {1, "float", HZ_F32, 4, 0, true},
    {2, "uint8", HZ_U8, 1, 8, false},           {3, "int8", HZ_I32, 1, 8, true},
    {4, "uint16", HZ_I32, 2, 16, false},        {5, "int16", HZ_I32, 2, 16, true},
    {6, "int32", HZ_I32, 4, 32, true},          {7, "int64", HZ_I64, 8, 64, true},
    {8, "string", HZ_U8, 0, 0, false},          {9, "bool", HZ_U8, 1, 0, false},
    {10, "float16", HZ_F32, 2, 0, true},        {11, "double", HZ_F64, 8, 0, true},
    {12, "uint32", HZ_I64, 4, 32, false},       {13, "uint64", HZ_I64, 8, 64, false},
    {14, "complex64", HZ_F32, 0, 0, true},      {15, "complex128", HZ_F64, 0, 0, true},
    {16, "bfloat16", HZ_F32, 2, 0, true},       {17, "float8e4m3fn", HZ_F32, 0, 0, true},
    {18, "float8e4m3fnuz", HZ_F32, 0, 0, true}, {19, "float8e5m2", HZ_F32, 0, 0, true},
    {20, "float8e5m2fnuz", HZ_F32, 0, 0, true}, {21, "uint4", HZ_I32, 0, 4, false},
    {22, "int4", HZ_I32, 0, 4, true},           {23, "float4e2m1", HZ_F32, 0, 0, true},
    {24, "float8e8m0", HZ_F32, 0, 0, true},     {25, "uint2", HZ_I32, 0, 2, false},
    {26, "int2", HZ_I32, 0, 2, true},
};
static const hz__elem unknown = {0, "an unknown type", HZ_F32, 0, 0, false};

const hz__elem *hz__elem_of(int type) {
    return type >= 0 && type < HZ__COUNT(elems) ? &elems[type] : &unknown;
}

int hz__type_of(hz_dtype dtype) {
    static const int type[HZ_DTYPES] = {[HZ_F32] = 1, [HZ_F64] = 11, [HZ_I32] = 6, [HZ_I64] = 7, [HZ_U8] = 2};
    return type[dtype];
}

int64_t hz__wrap(const hz__elem *e, int64_t v) {
    if (e->bits == 0 || e->bits == 64) return v;
    int64_t range = (int64_t)1 << e->bits, low = v & (range - 1);
    return e->is_signed && low >= range / 2 ? low - range : low;
}

/* ---- where the elements are ---- */

/* Elements as the file has them: count of them, `width` bytes each. */
typedef struct elements {
    const void *data;
    uint64_t count;
    size_t width;
} elements;

static elements typed_elements(const Onnx__TensorProto *p) {
    switch (p->data_type) {
    case 1:
        return (elements){p->float_data, p->n_float_data, 4};
    case 7:
        return (elements){p->int64_data, p->n_int64_data, 8};
    case 11:
        return (elements){p->double_data, p->n_double_data, 8};
    case 12:
    case 13:
        return (elements){p->uint64_data, p->n_uint64_data, 8};
    default:
        return (elements){p->int32_data, p->n_int32_data, 4};
    }
}

static const char *external_entry(const Onnx__TensorProto *p, const char *key) {
    for (size_t k = 0; k < p->n_external_data; k++) {
        const Onnx__StringStringEntryProto *e = p->external_data[k];
        if (e->key && e->value && strcmp(e->key, key) == 0) return e->value;
    }
    return NULL;
}

/* A decimal number without sign; false for anything else. */
static bool parse_size(const char *text, uint64_t *value) {
    *value = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || *value > (UINT64_MAX >> 4) / 10) return false;
        *value = *value * 10 + (uint64_t)(*text - '0');
    }
    return true;
}

static bool external_elements(const Onnx__TensorProto *p, const char *model, const hz__elem *e,
                              uint64_t count, hz_arena *arena, elements *out, hz_error *err) {
    const char *location = external_entry(p, "location"), *offset = external_entry(p, "offset"),
               *length = external_entry(p, "length");
    uint64_t from = 0, size = count * e->width, given = size;
    if (!location || (offset && !parse_size(offset, &from)) || (length && !parse_size(length, &given)) ||
        given != size)
        return hz_fail(err, HZ_EFORMAT,
                       "external data without location, or of another length than %" PRIu64 " bytes", size);
    void *data;
    if (!model) return hz_fail(err, HZ_EFORMAT, "external data of a tensor that comes without a folder");
    if (!hz__external(model, location, from, size, arena, &data, err)) return false;
    *out = (elements){data, count, e->width};
    return true;
}

static bool find_elements(const Onnx__TensorProto *p, const char *model, const hz__elem *e, uint64_t count,
                          hz_arena *arena, elements *out, hz_error *err) {
    if (p->has_data_location && p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return external_elements(p, model, e, count, arena, out, err);
    *out = p->has_raw_data ? (elements){p->raw_data.data, p->raw_data.len / e->width, e->width}
                           : typed_elements(p);
    if (p->has_raw_data && p->raw_data.len % e->width != 0)
        return hz_fail(err, HZ_EFORMAT, "%zu bytes are no whole number of %s", p->raw_data.len, e->name);
    if (out->count == count) return true;
    return hz_fail(err, HZ_EFORMAT, "%" PRIu64 " elements for shape %s", out->count,
                   hz_dims_str((int)p->n_dims, p->dims).s);
}

/* ---- external data ---- */

/* The folder of model, resolved, with a closing slash; from malloc. */
static char *folder_of(const char *model) {
    const char *slash = strrchr(model, '/');
    size_t n = slash ? (size_t)(slash - model) + 1 : 0;
    char *folder = malloc(n + 2);
    if (!folder) return NULL;
    memcpy(folder, model, n);
    memcpy(folder + n, ".", 2);
    char *real = realpath(folder, NULL);
    free(folder);
    return real;
}

/* folder/location with every link followed, if that is inside folder; from malloc. */
static char *inside(const char *folder, const char *location) {
    size_t n = strlen(folder), m = strlen(location);
    char *joined = malloc(n + m + 2);
    if (!joined) return NULL;
    memcpy(joined, folder, n);
    joined[n] = '/';
    memcpy(joined + n + 1, location, m + 1);
    char *real = realpath(joined, NULL);
    free(joined);
    if (real && strncmp(real, folder, n) == 0 && (real[n] == '/' || folder[n - 1] == '/')) return real;
    free(real);
    return NULL;
}

static bool read_part(const char *path, uint64_t offset, uint64_t size, hz_arena *arena, void **data,
                      hz_error *err) {
    hz_file_in in;
    if (!hz_file_open(path, &in, err)) return false;
    bool fits = offset <= in.size && size <= in.size - offset;
    *data = fits ? hz_arena_alloc(arena, (size_t)size) : NULL;
    bool ok =
        *data && lseek(in.fd, (off_t)offset, SEEK_SET) >= 0 && hz_file_get(&in, *data, (size_t)size, err);
    hz_file_close(&in);
    if (!fits)
        return hz_fail(err, HZ_EFORMAT, "%s has %" PRIu64 " bytes, not %" PRIu64 " from %" PRIu64 " on",
                       hz_label(path).s, in.size, size, offset);
    return ok || hz_fail(err, *data ? HZ_EIO : HZ_ENOMEM, "%s cannot be read", hz_label(path).s);
}

bool hz__external(const char *model, const char *location, uint64_t offset, uint64_t size, hz_arena *arena,
                  void **data, hz_error *err) {
    *data = NULL;
    char *folder = folder_of(model);
    char *path = folder && location[0] && location[0] != '/' ? inside(folder, location) : NULL;
    bool ok = path ? read_part(path, offset, size, arena, data, err)
                   : hz_fail(err, HZ_ENOTFOUND, "external data \"%s\" is not in the model's folder",
                             hz_label(location).s);
    free(path);
    free(folder);
    return ok;
}

/* ---- decoding ---- */

static uint64_t bits_at(const elements *from, uint64_t k) {
    const uint8_t *at = (const uint8_t *)from->data + k * from->width;
    uint64_t bits = 0;
    for (size_t b = 0; b < from->width; b++) bits |= (uint64_t)at[b] << (8 * b);
    return bits;
}

/* One element that is not kept as it is in the file. */
static void convert(const hz__elem *e, uint64_t bits, const hz_tensor *to, int64_t k) {
    int64_t whole = e->type == 9 ? bits != 0 : hz__wrap(e, (int64_t)bits);
    if (e->dtype == HZ_F32)
        ((float *)to->data)[k] =
            e->type == 16 ? hz__f32_of_bf16((uint16_t)bits) : hz__f32_of_f16((uint16_t)bits);
    else if (e->dtype == HZ_I64)
        ((int64_t *)to->data)[k] = whole;
    else if (e->dtype == HZ_I32)
        ((int32_t *)to->data)[k] = (int32_t)whole;
    else
        ((uint8_t *)to->data)[k] = (uint8_t)whole;
}

/* Everything unpacked lies in an arena, so it is aligned. */
static bool as_it_is(const hz__elem *e, const elements *from) {
    static const uint16_t one = 1;
    bool little = *(const uint8_t *)&one == 1, plain = e->type != 9 && e->type != 10 && e->type != 16;
    return little && plain && from->width == hz_dtype_size(e->dtype);
}

static bool fill(const Onnx__TensorProto *p, const char *model, const hz__elem *e, hz_arena *arena,
                 hz__array *out, hz_error *err) {
    int64_t count = hz_numel(&out->value);
    elements from = {NULL, 0, 0};
    if (count == 0) return true;
    if (!find_elements(p, model, e, (uint64_t)count, arena, &from, err)) return false;
    if (as_it_is(e, &from)) {
        out->value.data = (void *)(uintptr_t)from.data;
        return true;
    }
    out->value.data = hz_arena_alloc(arena, hz_nbytes(&out->value));
    if (!out->value.data) return hz_fail(err, HZ_ENOMEM, "out of memory");
    for (int64_t k = 0; k < count; k++) convert(e, bits_at(&from, (uint64_t)k), &out->value, k);
    return true;
}

bool hz__decode(const Onnx__TensorProto *p, const char *model, hz_arena *arena, hz__array *out,
                hz_error *err) {
    const char *name = p->name ? p->name : "";
    const hz__elem *e = hz__elem_of(p->data_type);
    if (e->width == 0)
        return hz_fail(err, HZ_EINVAL, "unsupported: tensor \"%s\" of %s", hz_label(name).s, e->name);
    if (p->n_dims > HZ_MAX_RANK)
        return hz_fail(err, HZ_EINVAL, "unsupported: tensor \"%s\" of rank %zu", hz_label(name).s, p->n_dims);
    hz_error why = {.code = HZ_OK};
    if (!hz_shape_check("shape", HZ_F64, (int)p->n_dims, p->dims, &why)) goto failed;
    *out = (hz__array){.value = hz_tensor_of(NULL, e->dtype, (int)p->n_dims, p->dims), .type = e->type};
    if (fill(p, model, e, arena, out, &why)) return true;
failed:
    return hz_fail(err, why.code, "tensor \"%s\": %s", hz_label(name).s, why.text);
}

bool hz_onnx_read_tensor(const char *path, const hz_allocator *alloc, hz_tensor *out, hz_error *err) {
    hz__budget budget = {.left = 0};
    if (alloc) budget.arena.alloc = *alloc;
    ProtobufCMessage *message;
    hz__array array;
    bool ok = hz__unpack(path, &onnx__tensor_proto__descriptor, &budget, &message, err) &&
              hz__decode((const Onnx__TensorProto *)(const void *)message, NULL, &budget.arena, &array, err);
    if (ok) {
        *out = array.value;
        out->data = hz_alloc(alloc, hz_nbytes(out));
        ok = out->data || hz_fail(err, HZ_ENOMEM, "%s: out of memory", hz_label(path).s);
        if (ok && hz_nbytes(out)) memcpy(out->data, array.value.data, hz_nbytes(out));
    }
    hz_arena_free(&budget.arena);
    return ok;
}
