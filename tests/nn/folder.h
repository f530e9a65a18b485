/* folder.h: for tests of formats that are several files: a scratch folder and what is written into it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_NN_FOLDER_H
#define HZ_TESTS_NN_FOLDER_H

#include <dirent.h>
#include <sys/stat.h>

#include "../tensor/files.h"

/* A new empty folder of this process. */
static inline scratch folder_new(void) {
    scratch s = scratch_path("folder");
    cr_assert(mkdir(s.path, 0700) == 0, "cannot make %s", s.path);
    return s;
}

/* FOLDER/name */
static inline scratch folder_path(const scratch *folder, const char *name) {
    scratch s;
    cr_assert((size_t)snprintf(s.path, sizeof s.path, "%s/%s", folder->path, name) < sizeof s.path);
    return s;
}

static inline void folder_write(const scratch *folder, const char *name, const void *bytes, size_t size) {
    write_bytes(folder_path(folder, name).path, bytes, size);
}

/* The folder and the files in it. */
static inline void folder_remove(const scratch *folder) {
    DIR *d = opendir(folder->path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') unlink(folder_path(folder, e->d_name).path);
    closedir(d);
    cr_assert(rmdir(folder->path) == 0, "cannot remove %s", folder->path);
}

#endif
