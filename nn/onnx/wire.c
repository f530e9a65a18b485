/* wire.c: from a file to unpacked protobuf messages, with the file not trusted.
 *
 * libprotobuf-c recurses as deep as messages are nested, and allocates what a message asks for. So the bytes are first
 * walked here along the message descriptors, which settles depth, lengths and repetitions; and memory comes from a
 * budget in proportion to the file's size.
 *
 * SPDX-License-Identifier: MIT */
#include "nn/onnx/internal.h"
#include "tensor/file.h"

enum {
    MAX_DEPTH = 32,    /* of nested messages; a graph in a node in a graph takes three */
    MEMORY_FACTOR = 64 /* unpacked bytes per byte of file: an attribute of 6 bytes takes some 250 */
};
static const size_t memory_floor = 1u << 20;
static const uint64_t max_file = INT32_MAX; /* protobuf's own limit */

/* ---- walking the wire format ---- */

typedef struct span {
    const uint8_t *at, *end;
} span;

static bool get_varint(span *s, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        uint8_t byte = *s->at++;
        *value |= (uint64_t)(byte & 127u) << shift;
        if (byte < 128) return true;
    }
    return false;
}

static bool skip(span *s, uint64_t size) {
    if (size > (uint64_t)(s->end - s->at)) return false;
    s->at += size;
    return true;
}

/* A message given twice would be merged, at a cost that grows with the square of the file: nobody writes that. */
static bool is_first(const ProtobufCMessageDescriptor *kind, const ProtobufCFieldDescriptor *field,
                     uint64_t *seen) {
    uint64_t bit = (uint64_t)1 << ((size_t)(field - kind->fields) & 63u);
    bool first = field->label == PROTOBUF_C_LABEL_REPEATED || !(*seen & bit);
    *seen |= bit;
    return first;
}

static bool walk(const ProtobufCMessageDescriptor *kind, span s, int depth);

static bool walk_field(const ProtobufCMessageDescriptor *kind, span *s, int depth, uint64_t *seen) {
    uint64_t tag, size;
    if (!get_varint(s, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3) return false;
    switch (tag & 7) {
    case 0:
        return get_varint(s, &size);
    case 1:
        return skip(s, 8);
    case 5:
        return skip(s, 4);
    case 2:
        break;
    default:
        return false;
    }
    const uint8_t *before;
    if (!get_varint(s, &size) || (before = s->at, !skip(s, size))) return false;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(kind, (unsigned)(tag >> 3));
    if (!field || field->type != PROTOBUF_C_TYPE_MESSAGE) return true;
    return is_first(kind, field, seen) && walk(field->descriptor, (span){before, s->at}, depth + 1);
}

static bool walk(const ProtobufCMessageDescriptor *kind, span s, int depth) {
    uint64_t seen = 0;
    if (depth > MAX_DEPTH) return false;
    while (s.at < s.end)
        if (!walk_field(kind, &s, depth, &seen)) return false;
    return true;
}

/* ---- memory within a budget ---- */

void *hz__take(hz__budget *budget, size_t size) {
    budget->exhausted |= size > budget->left;
    if (budget->exhausted) return NULL;
    budget->left -= size;
    return hz_arena_alloc(&budget->arena, size);
}

static void *take(void *data, size_t size) {
    return hz__take(data, size);
}

static void keep(void *data, void *p) {
    (void)data, (void)p; /* the arena dies as a whole */
}

bool hz__unpack_bytes(const char *path, const ProtobufCMessageDescriptor *kind, const void *data, size_t size,
                      hz__budget *budget, ProtobufCMessage **message, hz_error *err) {
    *message = NULL;
    if (size > max_file) return hz_fail(err, HZ_EFORMAT, "%s is larger than 2 GiB", hz_label(path).s);
    if (!walk(kind, (span){data, (const uint8_t *)data + size}, 0))
        return hz_fail(err, HZ_EFORMAT, "%s is no ONNX file, or a damaged one", hz_label(path).s);
    ProtobufCAllocator allocator = {.alloc = take, .free = keep, .allocator_data = budget};
    budget->left = memory_floor + size * MEMORY_FACTOR;
    *message = protobuf_c_message_unpack(kind, &allocator, size, data);
    if (*message) return true;
    if (budget->exhausted)
        return hz_fail(err, HZ_EFORMAT, "%s takes more than %d times its size to unpack", hz_label(path).s,
                       MEMORY_FACTOR);
    return hz_fail(err, HZ_EFORMAT, "%s is no ONNX file, or memory ran out", hz_label(path).s);
}

bool hz__unpack(const char *path, const ProtobufCMessageDescriptor *kind, hz__budget *budget,
                ProtobufCMessage **message, hz_error *err) {
    void *data;
    size_t size;
    const hz_allocator *alloc = &budget->arena.alloc;
    *message = NULL;
    if (!hz_file_read(path, max_file, alloc, &data, &size, err)) return false;
    bool ok = hz__unpack_bytes(path, kind, data, size, budget, message, err);
    hz_free(alloc, data);
    return ok;
}
