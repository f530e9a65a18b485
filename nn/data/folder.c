/* folder.c: pictures in folders that are their classes, decoded when they are needed. Start with hz_data_open_folder.
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "nn/data/internal.h"
#include "nn/preprocess.h"
#include "tensor/image.h"

enum { CHANNELS = 3, MAX_CLASSES = 65536, MAX_PICTURES = 10000000, MAX_PATH = 4096 };

/* What reading a picture needs. */
typedef struct source {
    const char **paths; /* of the pictures */
    hz_preprocess fit;  /* size 0: as they are */
} source;

/* ---- listing ---- */

static bool out_of_memory(const char *path, hz_error *err) {
    return hz_fail(err, HZ_ENOMEM, "%s: no memory to list it", hz_label(path).s);
}

static bool join_path(const char *folder, const char *name, char path[MAX_PATH], hz_error *err) {
    size_t n = strlen(folder), m = strlen(name);
    if (n + m + 2 > MAX_PATH)
        return hz_fail(err, HZ_EINVAL, "%s: its path has more than %d bytes", hz_label(name).s, MAX_PATH - 1);
    memcpy(path, folder, n);
    path[n] = '/';
    memcpy(path + n + 1, name, m + 1);
    return true;
}

static bool is_picture(const char *name) {
    static const char *const ends[] = {".png", ".jpg", ".jpeg"};
    size_t n = strlen(name);
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
        if (n > strlen(ends[k]) && strcasecmp(name + n - strlen(ends[k]), ends[k]) == 0) return true;
    return false;
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The folders, or else the pictures, in a folder, sorted, without hidden ones. */
static bool list(const char *folder, bool folders, hz__names *names, hz_error *err) {
    char path[MAX_PATH];
    bool ok = true;
    DIR *d = opendir(folder);
    if (!d) {
        hz_code code = errno == ENOENT ? HZ_ENOTFOUND : HZ_EIO;
        return hz_fail(err, code, "%s: cannot be opened as a folder", hz_label(folder).s);
    }
    for (struct dirent *e; ok && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        ok = join_path(folder, e->d_name, path, err);
        if (ok && (folders ? is_folder(path) : is_picture(e->d_name)))
            ok = hz__names_add(names, e->d_name, strlen(e->d_name)) || out_of_memory(folder, err);
    }
    closedir(d);
    if (ok) hz__names_sort(names, false);
    return ok;
}

/* ---- classes ---- */

static bool is_number(const char *name) {
    size_t n = strlen(name);
    return n > 0 && n < 6 && strspn(name, "0123456789") == n;
}

static bool all_numbers(const hz__names *names) {
    for (size_t k = 0; k < names->n; k++)
        if (!is_number(names->at[k])) return false;
    return true;
}

static int by_number(const void *a, const void *b) {
    return atoi(*(const char *const *)a) - atoi(*(const char *const *)b);
}

/* Folders called by numbers are the classes of those numbers; those between are empty. */
static bool spread_numbers(const char *path, const hz__names *found, hz__names *classes, hz_error *err) {
    qsort(found->at, found->n, sizeof *found->at, by_number);
    for (size_t k = 0; k < found->n; k++) {
        size_t number = (size_t)atoi(found->at[k]);
        if (number >= MAX_CLASSES || number < classes->n)
            return hz_fail(err, HZ_EFORMAT, "%s: folder %s is a second one of that class, or not below %d",
                           hz_label(path).s, hz_label(found->at[k]).s, MAX_CLASSES);
        while (classes->n < number)
            if (!hz__names_add(classes, "", 0)) return out_of_memory(path, err);
        if (!hz__names_add(classes, found->at[k], strlen(found->at[k]))) return out_of_memory(path, err);
    }
    return true;
}

static bool list_classes(const char *path, hz__names *classes, hz_error *err) {
    hz__names found = {.arena = {.alloc = classes->arena.alloc}};
    bool ok = list(path, true, &found, err);
    if (ok && found.n == 0) ok = hz_fail(err, HZ_EFORMAT, "%s: has no folders of pictures", hz_label(path).s);
    if (ok && found.n > MAX_CLASSES)
        ok = hz_fail(err, HZ_EFORMAT, "%s: has more than %d folders", hz_label(path).s, MAX_CLASSES);
    if (ok && all_numbers(&found)) {
        ok = spread_numbers(path, &found, classes, err);
    } else {
        for (size_t k = 0; ok && k < found.n; k++)
            ok = hz__names_add(classes, found.at[k], strlen(found.at[k])) || out_of_memory(path, err);
    }
    hz__names_free(&found);
    return ok;
}

/* ---- pictures ---- */

/* The paths of the pictures of one class, appended. */
static bool list_pictures(const char *folder, hz__names *paths, hz_error *err) {
    char path[MAX_PATH];
    hz__names found = {.arena = {.alloc = paths->arena.alloc}};
    bool ok = list(folder, false, &found, err);
    if (ok && found.n == 0) ok = hz_fail(err, HZ_EFORMAT, "%s: holds no PNG or JPEG", hz_label(folder).s);
    if (ok && found.n + paths->n > MAX_PICTURES)
        ok = hz_fail(err, HZ_EFORMAT, "%s: with it there are more than %d pictures", hz_label(folder).s,
                     MAX_PICTURES);
    for (size_t k = 0; ok && k < found.n; k++)
        ok = join_path(folder, found.at[k], path, err) &&
             (hz__names_add(paths, path, strlen(path)) || out_of_memory(folder, err));
    hz__names_free(&found);
    return ok;
}

/* Paths of all pictures, class after class, and in ends[c] how many there are up to the end of class c. */
static bool list_all(const char *path, const hz__names *classes, hz__names *paths, int64_t *ends,
                     hz_error *err) {
    char folder[MAX_PATH];
    for (size_t c = 0; c < classes->n; c++) {
        if (classes->at[c][0] &&
            !(join_path(path, classes->at[c], folder, err) && list_pictures(folder, paths, err)))
            return false;
        ends[c] = (int64_t)paths->n;
    }
    return true;
}

static bool wrong_size(const char *path, const hz_tensor *image, const hz_tensor *example, hz_error *err) {
    return hz_fail(err, HZ_ESHAPE,
                   "%s: has %" PRId64 " × %" PRId64 " pixels, the first picture %" PRId64 " × %" PRId64
                   " (and no size was asked for)",
                   hz_label(path).s, image->dim[0], image->dim[1], example->dim[1], example->dim[2]);
}

/* (H, W, 3) into (3, H, W). */
static void separate(const hz_tensor *image, const hz_tensor *example) {
    const uint8_t *from = image->data;
    uint8_t *to = example->data;
    int64_t pixels = image->dim[0] * image->dim[1];
    for (int64_t c = 0; c < CHANNELS; c++)
        for (int64_t k = 0; k < pixels; k++) *to++ = from[k * CHANNELS + c];
}

static bool read_picture(const hz_data *data, int64_t k, const hz_tensor *example, hz_error *err) {
    const source *s = data->source;
    hz_tensor image, fitted;
    if (!hz_image_load(s->paths[k], CHANNELS, &data->alloc, &image, err)) return false;
    bool ok = true;
    if (s->fit.size > 0) {
        ok = hz_preprocess_fit(&s->fit, &image, &data->alloc, &fitted, err) ||
             hz_fail_in(err, "%s", hz_label(s->paths[k]).s);
        hz_free(&data->alloc, image.data);
        if (!ok) return false;
        image = fitted;
    }
    if (image.dim[0] != example->dim[1] || image.dim[1] != example->dim[2])
        ok = wrong_size(s->paths[k], &image, example, err);
    else
        separate(&image, example);
    hz_free(&data->alloc, image.data);
    return ok;
}

/* ---- opening ---- */

/* The extents of the examples: those asked for, or those of the first picture. */
static bool settle_size(hz_data *data, const source *s, int64_t n, hz_error *err) {
    hz_tensor first = {.dim = {s->fit.size, hz_preprocess_complete(&s->fit).width}};
    if (s->fit.size == 0) {
        if (!hz_image_load(s->paths[0], CHANNELS, &data->alloc, &first, err)) return false;
        hz_free(&data->alloc, first.data);
    }
    data->x = hz_tensor_of(NULL, HZ_U8, HZ_DIMS(n, CHANNELS, first.dim[0], first.dim[1]));
    data->read = read_picture;
    data->source = s;
    return true;
}

static bool fill(const char *path, const hz__names *classes, const hz__names *paths, const int64_t *ends,
                 const hz_preprocess *fit, hz_data *data, hz_error *err) {
    int64_t n = (int64_t)paths->n, c = 0;
    source *s = data->memory[0] = hz_alloc(&data->alloc, sizeof *s);
    int64_t *label = data->memory[1] = hz_alloc(&data->alloc, paths->n * sizeof *label);
    data->memory[2] = hz__names_pack(classes, &data->alloc);
    const char **packed = data->memory[3] = hz__names_pack(paths, &data->alloc);
    if (!s || !label || !packed || !data->memory[2]) return out_of_memory(path, err);
    *s = (source){.paths = packed, .fit = fit ? *fit : (hz_preprocess){0}};
    for (int64_t k = 0; k < n; k++) {
        while (k >= ends[c]) c++;
        label[k] = c;
    }
    data->y = hz_tensor_of(label, HZ_I64, HZ_DIMS(n));
    data->names = data->memory[2];
    data->classes = (int64_t)classes->n;
    return settle_size(data, s, n, err);
}

bool hz_data_open_folder(const char *path, const hz_preprocess *fit, const hz_allocator *alloc, hz_data *data,
                         hz_error *err) {
    hz__data_begin(data, alloc);
    hz__names classes = {.arena = {.alloc = data->alloc}}, paths = classes;
    int64_t *ends = NULL;
    bool ok = (!fit || fit->size == 0 || hz_preprocess_check(fit, err)) && list_classes(path, &classes, err);
    if (ok) ends = hz_alloc(alloc, classes.n * sizeof *ends);
    ok = ok && (ends || out_of_memory(path, err)) && list_all(path, &classes, &paths, ends, err) &&
         fill(path, &classes, &paths, ends, fit, data, err);
    hz_free(alloc, ends);
    hz__names_free(&classes);
    hz__names_free(&paths);
    return hz__data_end(data, ok);
}
