/* dump.c: the recorded graph as Graphviz text: one box per node with op, name and shape, arrows along the data.
 *
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/internal.h"

/* A growing string; text is NULL after a failed allocation, and stays so. */
typedef struct buffer {
    char *text;
    size_t used, size;
} buffer;

static void reserve(buffer *b, size_t more) {
    if (!b->text || b->size - b->used > more) return;
    size_t size = 2 * b->size + more;
    char *text = realloc(b->text, size);
    if (!text) free(b->text);
    b->text = text;
    b->size = size;
}

static void print(buffer *b, const char *format, ...) HZ_PRINTF(2, 3);
static void print(buffer *b, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    reserve(b, len + 1);
    if (!b->text) return;
    memcpy(b->text + b->used, line, len + 1);
    b->used += len;
}

/* Names go into quoted strings: quotes and backslashes are escaped. */
static void print_quoted(buffer *b, const char *s) {
    for (; *s; s++) print(b, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
}

static void print_node(buffer *b, const hz_node *n) {
    print(b, "  n%u [label=\"%s", n->id, n->op->name);
    if (n->name) {
        print(b, "\\n");
        print_quoted(b, n->name);
    }
    print(b, "\\n%s %s\"%s];\n", hz_dtype_name(n->value.dtype), hz_shape_str(&n->value).s,
          n->n_in ? "" : " style=filled");
    for (int i = 0; i < n->n_in; i++) print(b, "  n%u -> n%u;\n", n->in[i].id, n->id);
}

/* Mark y and everything it depends on. */
static void mark_needed(hz_tape *t, hz_var y, bool *needed) {
    needed[y.id] = true;
    for (uint32_t id = y.id; id > 0; id--) {
        const hz_node *n = hz__node(t, id);
        for (int i = 0; needed[id] && i < n->n_in; i++) needed[n->in[i].id] = true;
    }
}

char *hz_graph_dot(hz_tape *t, hz_var y) {
    bool *needed = calloc(t->size, sizeof *needed);
    buffer b = {.text = malloc(1024), .size = 1024};
    if (!needed || !b.text) {
        free(needed);
        free(b.text);
        return NULL;
    }
    if (hz_ok(y)) mark_needed(t, y, needed);
    print(&b, "digraph hzero {\n  rankdir=TB;\n  node [shape=box fontname=sans];\n");
    for (uint32_t id = 1; id < t->size; id++)
        if (!hz_ok(y) || needed[id]) print_node(&b, hz__node(t, id));
    print(&b, "}\n");
    free(needed);
    return b.text;
}
