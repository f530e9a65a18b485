/* data.h: data sets: examples x and, for each, y, what a network is to make of it. nn/loader.h makes batches of them.
 *
 *   hz_data train, test;
 *   if (!hz_data_open("train-images-idx3-ubyte", NULL, &train, &err)) …
 *   hz_data_close(&train);                                after the loaders that use it
 *
 * Files are untrusted: one that is truncated, longer than it says, or whose labels are no classes is HZ_EFORMAT, and the
 * sentence says where. No file may have more than 4 GiB, a text 256 MiB. Memory comes from alloc (NULL: the C library).
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_NN_DATA_H
#define HZ_NN_DATA_H

#include "nn/preprocess.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The caller may fill one with tensors of its own: hz_data d = {.x = features, .y = labels}; such is not closed. */
typedef struct hz_data hz_data;
struct hz_data {
    hz_tensor x; /* (N, …), any strides. Pictures: u8 (N, C, H, W), C = 3 (red, green, blue) or 1 */
    hz_tensor y; /* integers: classes, (N) or (N, …); floats: targets (N, …); rank 0: there are none */
    int64_t classes;          /* every class lies below it; 0: not known, or y holds none */
    const char *const *names; /* of the classes, UTF-8; NULL: not known */
    int64_t first;            /* of a slice: how many examples of the whole lie before it */
    /* Put example k (of the whole) into *example, u8 (C, H, W), contiguous. Not NULL where examples are read when they are needed: then
     * x.data is NULL. Several threads may call it at once. */
    bool (*read)(const hz_data *data, int64_t k, const hz_tensor *example, hz_error *err);
    const void *source; /* what read needs */
    hz_allocator alloc;
    void *memory[4]; /* private */
};

/* Frees what was opened. One that failed to open is legal. */
void hz_data_close(hz_data *data);

/* Fails with HZ_EFORMAT, naming the first example whose class is not in 0 … classes − 1; HZ_EINVAL if y holds no classes. */
bool hz_data_check_classes(const hz_data *data, int64_t classes, hz_error *err);

/* Examples first … first + count − 1 as a data set of their own, to hold some out: a view that must not
 * outlive the whole, and need not be closed. HZ_EINVAL. */
bool hz_data_slice(const hz_data *data, int64_t first, int64_t count, hz_data *part, hz_error *err);

/* ---- labelled pictures in binary files ---- */

/* Read what is at path: a folder as hz_data_open_folder does, or a file whose kind its first bytes tell:
 *   NAME.bin                          CIFAR-10's records: one byte of label, then 32 × 32 bytes each of red, green, blue
 *   NAME-images-idx3-ubyte with       an IDX pair as of MNIST (IDX begins with 0, 0, 8): 4 bytes magic, the extents as
 *   NAME-labels-idx1-ubyte beside it  big-endian 32-bit numbers, the bytes
 * For an IDX pair, path is the file of the images, and "images" and "idx3" in its name become "labels" and "idx1" in the
 * other's. */
bool hz_data_open(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err);
bool hz_data_open_cifar10(const char *path, const hz_allocator *alloc, hz_data *data, hz_error *err);
bool hz_data_open_idx(const char *images, const char *labels, const hz_allocator *alloc, hz_data *data,
                      hz_error *err);

/* n files, n ≥ 1, one after the other, as one data set: the five training batches of CIFAR-10. Needs, for a moment, the memory
 * twice. */
bool hz_data_open_all(const char *const *paths, size_t n, const hz_allocator *alloc, hz_data *data,
                      hz_error *err);

/* n data sets in memory, n ≥ 1, one after the other, copied; names are those of the first,
 * borrowed. HZ_ESHAPE if their examples or dtypes differ. */
bool hz_data_join(const hz_data *parts, size_t n, const hz_allocator *alloc, hz_data *data, hz_error *err);

/* ---- folders of pictures ---- */

/* PATH/CLASS/NAME.png, .jpg or .jpeg. Classes are the folders in the order of their names' bytes, or, if all are called by
 * numbers up to 99999, below 65536, those numbers. Hidden and other files are left out; a folder without pictures is
 * HZ_EFORMAT. x is u8 (N, 3, H, W): gray is repeated, transparency laid over white.
 *
 * With fit->size every picture is resized and cropped as hz_preprocess_fit does. Otherwise (or fit NULL) all must have the
 * size of the first, which is looked at now. The others are listed now, at most 10 million, and decoded when they are needed:
 * damage and another size are errors of the batch, and alloc is called from the threads of a loader. */
bool hz_data_open_folder(const char *path, const hz_preprocess *fit, const hz_allocator *alloc, hz_data *data,
                         hz_error *err);

/* ---- tables ---- */

typedef enum hz_csv_kind {
    HZ_CSV_CLASSES = 0, /* y are class numbers from 0 to 2^24: i64 */
    HZ_CSV_NAMES,       /* y are names of at most 255 bytes; their sorted list numbers the classes: i64 */
    HZ_CSV_TARGETS      /* y are numbers: f32 */
} hz_csv_kind;

typedef struct hz_csv_opts {
    char separator;         /* 0: a comma */
    bool header;            /* the first line names the columns */
    int label;              /* the column of y, from 1; 0: the last; negative: there is none */
    const char *label_name; /* or the column of y by its name in the header; NULL: none */
    hz_csv_kind kind;
    int64_t classes; /* how many there are, checked; 0: as many as the labels say */
} hz_csv_opts;

/* Lines of numbers (RFC 4180: quotes may surround a field): x f32 (N, columns but that of y), y (N). Every line has as many
 * columns, at most 65536, every field is a finite number with a decimal point, and errors name line and column. Empty lines
 * are skipped. opts may be NULL. */
bool hz_data_open_csv(const char *path, const hz_csv_opts *opts, const hz_allocator *alloc, hz_data *data,
                      hz_error *err);

/* ---- arrays ---- */

/* x (N, …) and y (N, …), or none if y is NULL, from two .npy files or from two tensors of a safetensors file. Floats must be
 * finite and integers in y not negative. */
bool hz_data_open_npy(const char *x, const char *y, const hz_allocator *alloc, hz_data *data, hz_error *err);
bool hz_data_open_safetensors(const char *path, const char *x, const char *y, const hz_allocator *alloc,
                              hz_data *data, hz_error *err);

/* ---- text ---- */

typedef struct hz_text_opts {
    int64_t length; /* tokens of a window; 0: 64 */
    int64_t step;   /* from one window to the next; 0: length */
    bool bytes;     /* tokens are bytes, 256 of them; false: the different characters of the text */
    const hz_data *vocabulary; /* a text opened before, whose tokens are used; NULL: its own */
} hz_text_opts;

/* A file of UTF-8 (or, with bytes, of anything) as windows for a language model: x i32 (N, length), and y, the same one token
 * later. Both are views of one array. classes is the size of the vocabulary, names[token] the character, in the order of
 * code points. HZ_EFORMAT if the text is malformed, shorter than a window, or has a character outside the vocabulary. */
bool hz_data_open_text(const char *path, const hz_text_opts *opts, const hz_allocator *alloc, hz_data *data,
                       hz_error *err);

/* A text as tokens, at most room of them. HZ_ENOTFOUND names a character that is not in the vocabulary. */
bool hz_text_encode(const hz_data *vocabulary, const char *text, int64_t room, int64_t *tokens,
                    int64_t *count, hz_error *err);

#ifdef __cplusplus
}
#endif
#endif
