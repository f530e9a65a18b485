/* test_folder.c: folders of pictures are classes; what is wrong in them is named.
 *
 * SPDX-License-Identifier: MIT */
#include "folder.h"
#include "nn/loader.h"
#include "tensor/png.h"

/* FOLDER/CLASS/NAME, a picture of h × w pixels of one colour. */
static void put_picture(const scratch *folder, const char *class, const char *name, int64_t h, int64_t w,
                        int color) {
    uint8_t *pixels = malloc((size_t)(h * w * 3));
    const hz_tensor image = hz_tensor_of(pixels, HZ_U8, HZ_DIMS(h, w, 3));
    const scratch inner = folder_path(folder, class);
    hz_error err = {0};
    for (int64_t k = 0; k < h * w * 3; k++) pixels[k] = (uint8_t)(color + k % 3);
    mkdir(inner.path, 0700);
    cr_assert(hz_png_write(folder_path(&inner, name).path, &image, NULL, 0, NULL, &err), "%s", err.text);
    free(pixels);
}

/* The folder, the folders in it and the files in those. */
static void remove_tree(const scratch *folder) {
    DIR *d = opendir(folder->path);
    for (struct dirent *e; d && (e = readdir(d));) {
        const scratch inner = folder_path(folder, e->d_name);
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        cr_assert(stat(inner.path, &st) == 0);
        if (S_ISDIR(st.st_mode)) {
            unlink(folder_path(&inner, ".hidden.png").path);
            folder_remove(&inner);
        }
    }
    closedir(d);
    folder_remove(folder);
}

/* Three classes, two of them with pictures of the colors 10, 20; 30; and things that do not count. */
static scratch pets(void) {
    const scratch folder = folder_new();
    const scratch cat = folder_path(&folder, "cat");
    put_picture(&folder, "dog", "a.png", 4, 5, 30);
    put_picture(&folder, "cat", "b.PNG", 4, 5, 20);
    put_picture(&folder, "cat", "a.png", 4, 5, 10);
    folder_write(&folder, "README", "x", 1);
    folder_write(&cat, "notes.txt", "x", 1);
    folder_write(&cat, ".hidden.png", "x", 1);
    return folder;
}

static hz_data open_folder(const scratch *folder, const hz_preprocess *fit) {
    hz_data data;
    hz_error err = {0};
    cr_assert(hz_data_open_folder(folder->path, fit, NULL, &data, &err), "%s", err.text);
    return data;
}

/* The first batch, of all examples. */
static bool load_all(const hz_data *data, hz_loader **l, hz_batch *b, hz_error *err) {
    *l = hz_loader_new(data, &(hz_loader_opts){.batch = 100}, err);
    cr_assert(*l && hz_loader_start(*l, 0, 0, err), "%s", err->text);
    return hz_loader_next(*l, b, err);
}

Test(folder, classes_and_pictures_are_sorted_by_name) {
    const scratch folder = pets();
    hz_data data = open_folder(&folder, NULL);
    hz_loader *l;
    hz_batch b;
    hz_error err = {0};
    cr_assert_eq(data.classes, 2);
    cr_assert(strcmp(data.names[0], "cat") == 0 && strcmp(data.names[1], "dog") == 0);
    cr_assert_str_eq(hz_shape_str(&data.x).s, "[3,3,4,5]");
    cr_assert(load_all(&data, &l, &b, &err), "%s", err.text);
    for (int k = 0; k < 3; k++) {
        cr_assert_eq(hz_get_flat(&b.y, k), k == 2);
        for (int c = 0; c < 3; c++)
            cr_assert_eq(hz_get(&b.x, (const int64_t[]){k, c, 3, 4}), 10 * (k + 1) + c);
    }
    hz_loader_free(l);
    hz_data_close(&data);
    remove_tree(&folder);
}

Test(folder, a_slice_reads_its_own_pictures) {
    const scratch folder = pets();
    hz_data data = open_folder(&folder, NULL), part;
    hz_loader *l;
    hz_batch b;
    hz_error err = {0};
    cr_assert(hz_data_slice(&data, 1, 2, &part, &err) && load_all(&part, &l, &b, &err), "%s", err.text);
    cr_assert(hz_get_flat(&b.x, 0) == 20 && hz_get_flat(&b.y, 0) == 0 && hz_get_flat(&b.y, 1) == 1);
    hz_loader_free(l);
    hz_data_close(&part);
    hz_data_close(&data);
    remove_tree(&folder);
}

Test(folder, numbers_are_the_classes_they_say) {
    const scratch folder = folder_new();
    put_picture(&folder, "10", "a.png", 2, 2, 10);
    put_picture(&folder, "2", "a.png", 2, 2, 20);
    hz_data data = open_folder(&folder, NULL);
    cr_assert_eq(data.classes, 11);
    cr_assert(hz_get_flat(&data.y, 0) == 2 && hz_get_flat(&data.y, 1) == 10);
    cr_assert(strcmp(data.names[2], "2") == 0 && data.names[3][0] == 0);
    hz_data_close(&data);
    put_picture(&folder, "02", "a.png", 2, 2, 20);
    hz_error err = {0};
    cr_assert(!hz_data_open_folder(folder.path, NULL, NULL, &data, &err) && strstr(err.text, "second"), "%s",
              err.text);
    remove_tree(&folder);
}

Test(folder, pictures_of_another_size_are_named_or_resized) {
    const scratch folder = pets();
    hz_loader *l;
    hz_batch b;
    hz_error err = {0};
    put_picture(&folder, "dog", "b.png", 9, 7, 40);
    hz_data data = open_folder(&folder, NULL);
    cr_assert(!load_all(&data, &l, &b, &err));
    cr_assert(err.code == HZ_ESHAPE &&
                  strstr(err.text, "dog/b.png: has 9 × 7 pixels, the first picture 4 × 5"),
              "%s", err.text);
    hz_loader_free(l);
    hz_data_close(&data);
    data = open_folder(&folder, &(hz_preprocess){.size = 4});
    err = (hz_error){0};
    cr_assert(load_all(&data, &l, &b, &err), "%s", err.text);
    cr_assert_str_eq(hz_shape_str(&b.x).s, "[4,3,4,4]");
    cr_assert_eq(hz_get_flat(&b.x, 3 * 48), 40);
    hz_loader_free(l);
    hz_data_close(&data);
    remove_tree(&folder);
}

Test(folder, damaged_pictures_are_errors_of_their_batch) {
    const scratch folder = pets(), dog = folder_path(&folder, "dog");
    size_t size;
    hz_loader *l;
    hz_batch b;
    hz_error err = {0};
    uint8_t *bytes = read_bytes(folder_path(&dog, "a.png").path, &size);
    folder_write(&dog, "b.png", bytes, size / 2);
    folder_write(&dog, "c.jpg", "no picture", 10);
    hz_data data = open_folder(&folder, NULL);
    cr_assert(!load_all(&data, &l, &b, &err));
    cr_assert(err.code == HZ_EFORMAT && strstr(err.text, "dog/b.png"), "%s", err.text);
    hz_loader_free(l);
    unlink(folder_path(&dog, "b.png").path);
    cr_assert(!load_all(&data, &l, &b, &err) && err.code == HZ_ENOTFOUND, "%s", err.text);
    hz_loader_free(l);
    hz_data_close(&data);
    remove_tree(&folder);
    free(bytes);
}

static void check_refused(const scratch *folder, hz_code code, const char *words) {
    hz_data data;
    hz_error err = {0};
    cr_assert(!hz_data_open_folder(folder->path, NULL, NULL, &data, &err));
    cr_assert(err.code == code && strstr(err.text, words), "%s", err.text);
}

Test(folder, folders_without_pictures_are_refused) {
    const scratch folder = folder_new(), bird = folder_path(&folder, "bird"),
                  none = folder_path(&folder, "none");
    hz_data data;
    hz_error err = {0};
    check_refused(&folder, HZ_EFORMAT, "no folders of pictures");
    put_picture(&folder, "cat", "a.png", 2, 2, 10);
    mkdir(bird.path, 0700);
    check_refused(&folder, HZ_EFORMAT, "bird: holds no PNG or JPEG");
    folder_write(&bird, "a.png", "", 0);
    check_refused(&folder, HZ_EFORMAT, "bird/a.png");
    check_refused(&none, HZ_ENOTFOUND, "cannot be opened");
    cr_assert(!hz_data_open_folder(folder.path, &(hz_preprocess){.size = -1}, NULL, &data, &err));
    remove_tree(&folder);
}

static bool open_and_close(const hz_allocator *alloc, const char *path, hz_error *err) {
    hz_data data;
    bool ok = hz_data_open(path, alloc, &data, err);
    hz_data_close(&data);
    return ok;
}

Test(folder, running_out_of_memory_is_an_error_and_leaks_nothing) {
    const scratch folder = pets();
    fail_every_allocation(open_and_close, folder.path);
    remove_tree(&folder);
}
