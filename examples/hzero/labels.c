/* labels.c: see labels.h.
 *
 * SPDX-License-Identifier: MIT */
#include "labels.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/file.h"

enum { MOST_LABELS = 1000000, MOST_BYTES = 16 << 20 };

static bool out_of_memory(const char *path, hz_error *err) {
    return hz_fail(err, HZ_ENOMEM, "%s: out of memory", path);
}

/* "n01440764 tench, Tinca tinca" → "tench, Tinca tinca" */
static char *without_id(char *name) {
    if (name[0] != 'n' || strlen(name) < 10 || name[9] != ' ') return name;
    for (int k = 1; k < 9; k++)
        if (!isdigit((unsigned char)name[k])) return name;
    return name + 10;
}

/* ---- a name a line ---- */

static bool from_lines(labels *l, const char *path, hz_error *err) {
    size_t lines = 1;
    for (const char *p = l->text; *p; p++) lines += *p == '\n';
    l->name = calloc(lines, sizeof *l->name);
    if (!l->name) return out_of_memory(path, err);
    for (char *line = l->text; line && *line;) {
        char *end = strchr(line, '\n');
        if (end) *end = '\0';
        size_t len = strlen(line);
        if (len && line[len - 1] == '\r') line[len - 1] = '\0';
        l->name[l->n++] = without_id(line);
        line = end ? end + 1 : NULL;
    }
    while (l->n && !*l->name[l->n - 1]) l->n--; /* empty lines at the end */
    return l->n > 0 || hz_fail(err, HZ_EFORMAT, "%s: has no labels", path);
}

/* ---- JSON ---- */

static bool add_json(labels *l, size_t k, const json_t *value, char **at) {
    if (!json_is_string(value) || k >= l->n) return false;
    size_t len = json_string_length(value) + 1;
    memcpy(*at, json_string_value(value), len);
    l->name[k] = without_id(*at);
    *at += len;
    return true;
}

/* Room for all strings: never more than the JSON text itself had, plus terminators. */
static bool reserve(labels *l, const char *path, size_t bytes, size_t n, hz_error *err) {
    l->n = n;
    l->text = malloc(bytes + n + 1);
    l->name = calloc(n ? n : 1, sizeof *l->name);
    return (l->text && l->name) || out_of_memory(path, err);
}

static bool from_list(labels *l, const char *path, const json_t *list, size_t bytes, hz_error *err) {
    if (!reserve(l, path, bytes, json_array_size(list), err)) return false;
    char *at = l->text;
    for (size_t k = 0; k < l->n; k++)
        if (!add_json(l, k, json_array_get(list, k), &at))
            return hz_fail(err, HZ_EFORMAT, "%s: entry %zu is not a string", path, k);
    return true;
}

static bool from_object(labels *l, const char *path, json_t *object, size_t bytes, hz_error *err) {
    const char *key;
    json_t *value;
    size_t most = 0;
    json_object_foreach (object, key, value) {
        char *end;
        unsigned long k = strtoul(key, &end, 10);
        if (end == key || *end || k >= MOST_LABELS)
            return hz_fail(err, HZ_EFORMAT, "%s: \"%.40s\" is not the number of a class", path, key);
        most = k + 1 > most ? k + 1 : most;
    }
    if (!reserve(l, path, bytes, most, err)) return false;
    char *at = l->text;
    json_object_foreach (object, key, value)
        if (!add_json(l, strtoul(key, NULL, 10), value, &at))
            return hz_fail(err, HZ_EFORMAT, "%s: the label of class %.40s is not a string", path, key);
    return true;
}

static bool from_json(labels *l, const char *path, hz_error *err) {
    json_error_t why;
    char *text = l->text;
    size_t bytes = strlen(text);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    l->text = NULL;
    bool ok = root && json_is_array(root) ? from_list(l, path, root, bytes, err)
              : root && json_is_object(root)
                  ? from_object(l, path, root, bytes, err)
                  : hz_fail(err, HZ_EFORMAT, "%s: line %d: %s", path, root ? 1 : why.line,
                            root ? "neither a list nor an object" : why.text);
    json_decref(root);
    free(text);
    return ok;
}

bool labels_load(labels *l, const char *path, hz_error *err) {
    *l = (labels){.n = 0};
    void *bytes;
    size_t size;
    if (!hz_file_read(path, MOST_BYTES, NULL, &bytes, &size, err)) return false;
    l->text = malloc(size + 1);
    if (l->text) memcpy(l->text, bytes, size), l->text[size] = '\0';
    hz_free(NULL, bytes);
    if (!l->text) return out_of_memory(path, err);
    if (strlen(l->text) != size || !hz_is_utf8(l->text))
        return hz_fail(err, HZ_EFORMAT, "%s: is not UTF-8 text", path);
    const char *first = l->text + strspn(l->text, " \t\r\n");
    return *first == '{' || *first == '[' ? from_json(l, path, err) : from_lines(l, path, err);
}

void labels_free(labels *l) {
    free(l->text);
    free(l->name);
    *l = (labels){.n = 0};
}

const char *labels_get(const labels *l, int64_t k) {
    return k >= 0 && (uint64_t)k < l->n ? l->name[k] : NULL;
}
