/* labels.h: names of classes out of a file.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZERO_LABELS_H
#define HZERO_LABELS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/error.h"

typedef struct labels {
    char *text;        /* private: all names, each terminated */
    const char **name; /* n names; NULL where the file has none for that class */
    size_t n;
} labels;

/* A text file with one name a line; or JSON, a list of names or an object {"0": "tench", …}. WordNet ids in front of a
 * name ("n01440764 tench") are left out. HZ_EFORMAT if it is not UTF-8. */
bool labels_load(labels *l, const char *path, hz_error *err);
void labels_free(labels *l);

/* NULL if there is no name for class k. */
const char *labels_get(const labels *l, int64_t k);

#endif
