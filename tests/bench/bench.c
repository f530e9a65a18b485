/* bench.c: the benchmark program: its options, the table of groups, and how time is taken.
 *
 *   taskset -c 1 build/tests/bench/bench --only conv,train > ours.jsonl
 *   python3 tests/bench/compare.py ours.jsonl theirs.jsonl
 *
 * A workload runs once to warm up and twice to see how long it takes; short ones are then repeated for about a
 * millisecond per reading. Readings go on until there are at least min_reps of them and the budget is spent. Printed are
 * the median and the minimum. Start at measure().
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "tensor/random.h"

static const struct group {
    const char *name, *about;
    void (*run)(bench *b);
} groups[] = {
    {"gemm", "matrix products", bench_gemm},
    {"conv", "2-d convolutions: forward, with the gradient of the input, with all gradients", bench_conv},
    {"saliency", "class score of a network, and its gradient at the pixels", bench_saliency},
    {"unit", "gradient of one early, middle and late unit at the pixels", bench_unit},
    {"jacobian", "gradients of 64 units", bench_jacobian},
    {"train", "training steps of small networks", bench_train},
    {"overhead", "cost of an op on one number", bench_overhead},
    {"elem", "elementwise ops, reductions, normalisation", bench_elem},
    {"guided", "saliency with another rule at every ReLU", bench_guided},
    {"memory", "peak memory of the class score's gradient", bench_memory},
    {"field", "one early unit in images of three sizes: must not grow with the image", bench_field},
};
enum { GROUPS = sizeof groups / sizeof groups[0] };

/* ---- choosing ---- */

/* Whether name is in the part of `only` that ends before the comma: "group" is every workload of the group. */
static bool matches(const char *pattern, size_t length, const char *group, const char *name) {
    char glob[256], full[256];
    snprintf(glob, sizeof glob, "%.*s%s", (int)length, pattern, memchr(pattern, '/', length) ? "" : "/*");
    snprintf(full, sizeof full, "%s/%s", group, name);
    return fnmatch(glob, full, 0) == 0;
}

static bool is_wanted(const bench *b, const char *name) {
    for (const char *p = b->only; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (matches(p, strcspn(p, ","), b->group, name)) return true;
    return !b->only;
}

/* ---- timing ---- */

enum { MIN_REPS = 7, MAX_REPS = 300, READINGS = 3000 };

typedef struct timing {
    double median, best; /* seconds per repetition */
    int readings;
} timing;

static double now(const bench *b) {
    struct timespec ts;
    clock_gettime(b->cpu_time ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* Seconds per repetition over n of them. */
static double reading(const bench *b, const workload *w, hz_tape *t, hz_mark mark, int n) {
    double start = now(b);
    for (int k = 0; k < n; k++) {
        w->run(t, w->data);
        hz_tape_rewind(t, mark);
    }
    return (now(b) - start) / n;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n) {
    qsort(x, (size_t)n, sizeof *x, compare_doubles);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* How many repetitions one reading takes: about a millisecond of them. */
static int choose_inner(const bench *b, const workload *w, hz_tape *t, hz_mark mark) {
    double first = reading(b, w, t, mark, 1), d = fmin(first, reading(b, w, t, mark, 1));
    return w->single || d > 1e-3 ? 1 : (int)(1e-3 / fmax(d, 1e-7)) + 1;
}

static timing measure(const bench *b, const workload *w, hz_tape *t) {
    static double seconds[READINGS];
    const double budget = b->budget * (w->budget > 0 ? w->budget : 1);
    const int min_reps = w->min_reps ? w->min_reps : MIN_REPS;
    const int max_reps = w->max_reps ? w->max_reps : MAX_REPS;
    if (w->prepare) w->prepare(t, w->data);
    const hz_mark mark = hz_tape_mark(t);
    reading(b, w, t, mark, 1);
    const int inner = choose_inner(b, w, t, mark);
    const uint64_t allocated = hz_pool_get_stats(hz_tape_pool(t)).allocated;
    double spent = 0;
    int n = 0;
    while (n < max_reps && n < READINGS && (n < min_reps || spent < budget) && hz_tape_ok(t, NULL)) {
        seconds[n] = reading(b, w, t, mark, inner);
        spent += seconds[n++] * inner;
    }
    const uint64_t grown = hz_pool_get_stats(hz_tape_pool(t)).allocated - allocated;
    if (grown)
        fprintf(stderr, "%s/%s: the pool called the allocator %llu times in steady state\n", b->group,
                w->name, (unsigned long long)grown);
    return n ? (timing){median(seconds, n), seconds[0], n} : (timing){NAN, NAN, 0};
}

/* ---- printing ---- */

static void print_rate(const char *unit, const char *best, double scale, double work, bool per_second,
                       const timing *s) {
    if (work <= 0) return;
    double med = scale * s->median / work, min = scale * s->best / work;
    if (per_second) med = scale * work / s->median, min = scale * work / s->best;
    printf(", \"%s_med\": %.4f, \"%s_%s\": %.4f", unit, med, unit, best, min);
}

static void print_line(const bench *b, const workload *w, const timing *s) {
    printf("{\"group\": \"%s\", \"name\": \"%s\", \"threads\": %d", b->group, w->name, b->threads);
    printf(", \"med_ms\": %.5f, \"min_ms\": %.5f, \"reps\": %d", s->median * 1e3, s->best * 1e3, s->readings);
    if (b->tag) printf(", \"tag\": \"%s\"", b->tag);
    if (b->isa != HZ_ISA_AUTO) printf(", \"isa\": \"%s\"", hz_isa_name(b->isa));
    if (b->cpu_time) printf(", \"clock\": \"cpu\"");
    print_rate("gflops", "best", 1e-9, w->flops, true, s);
    print_rate("ns_per_elem", "min", 1e9, w->elements, false, s);
    print_rate("gbs", "best", 1e-9, w->bytes, true, s);
    print_rate("ns_per_op", "min", 1e9, w->ops, false, s);
    print_rate("steps_per_s", "best", 1, w->steps, true, s);
    if (w->extra && *w->extra) printf(", %s", w->extra);
    printf("}\n");
    fflush(stdout);
}

void bench_run(bench *b, const workload *w) {
    if (!is_wanted(b, w->name)) return;
    b->matched++;
    if (b->list) {
        printf("%s/%s\n", b->group, w->name);
        return;
    }
    hz_error err = {HZ_ENOMEM, "no memory for a tape"};
    hz_tape *t = hz_tape_new(&(hz_tape_opts){.threads = b->threads, .isa = b->isa, .winograd = !b->exact});
    timing s = t ? measure(b, w, t) : (timing){0};
    if (t && hz_tape_ok(t, &err)) {
        print_line(b, w, &s);
    } else {
        fprintf(stderr, "%s/%s: %s\n", b->group, w->name, err.text);
        b->failed++;
    }
    hz_tape_free(t);
}

hz_var bench_normal(hz_tape *t, int rank, const int64_t *dim) {
    uint64_t stream = hz_tape_size(t);
    hz_var x = hz_full(t, HZ_F32, rank, dim, 0);
    if (hz_ok(x)) hz_random_fill_normal(hz_tape_exec(t), 1, stream, 0, 1, hz_value(x));
    return x;
}

/* ---- command line ---- */

static void print_help(void) {
    printf("usage: bench [options]\n\n"
           "  --only LIST   groups, or globs of group/name, separated by commas; default: everything\n"
           "  --threads N   threads of the kernels; default: 1\n"
           "  --budget S    seconds of measuring per workload; default: 1\n"
           "  --tag TEXT    a field \"tag\" in every line\n"
           "  --exact       forward convolutions without Winograd's algorithm, as a tape does unless told "
           "otherwise\n"
           "  --isa NAME    kernels for c, avx2 or avx512 at most, not for all the machine has\n"
           "  --cpu-time    take processor time, not time passed: for one thread beside other programs\n"
           "  --list        print the names of the workloads and measure nothing\n\n"
           "One line of JSON per workload on standard output. Pin the program when measuring one thread\n"
           "(taskset -c 1), and give the other processors nothing else to do.\n\ngroups:\n");
    for (int k = 0; k < GROUPS; k++) printf("  %-10s %s\n", groups[k].name, groups[k].about);
}

static bool usage_error(const char *what, const char *text) {
    fprintf(stderr, "bench: %s \"%s\"; see bench --help\n", what, text);
    return false;
}

static bool read_number(const char *text, double lo, double hi, double *value) {
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    if (!errno && end != text && !*end && *value >= lo && *value <= hi) return true;
    return usage_error("not a number this option takes:", text);
}

static bool read_isa(const char *text, hz_isa *isa) {
    for (*isa = HZ_ISA_C; *isa <= HZ_ISA_AVX512; ++*isa)
        if (strcmp(text, hz_isa_name(*isa)) == 0)
            return hz_isa_resolve(*isa) == *isa || usage_error("this machine or build has no", text);
    return usage_error("not an instruction set, of c, avx2 and avx512:", text);
}

/* One option that takes a value. */
static bool read_option(bench *b, const char *name, const char *value) {
    double number = 0;
    if (strcmp(name, "--only") == 0) {
        b->only = value;
    } else if (strcmp(name, "--tag") == 0) {
        b->tag = value;
        if (strpbrk(value, "\"\\\n")) return usage_error("a tag is plain text, not", value);
    } else if (strcmp(name, "--threads") == 0) {
        if (!read_number(value, 1, 256, &number)) return false;
        b->threads = (int)number;
    } else if (strcmp(name, "--budget") == 0) {
        return read_number(value, 0, 3600, &b->budget);
    } else if (strcmp(name, "--isa") == 0) {
        return read_isa(value, &b->isa);
    } else {
        return usage_error("no such option:", name);
    }
    return true;
}

static bool read_arguments(bench *b, int argc, char **argv) {
    for (int k = 1; k < argc; k++) {
        if (strcmp(argv[k], "--list") == 0) {
            b->list = true;
            continue;
        }
        if (strcmp(argv[k], "--exact") == 0) {
            b->exact = true;
            continue;
        }
        if (strcmp(argv[k], "--cpu-time") == 0) {
            b->cpu_time = true;
            continue;
        }
        if (k + 1 == argc) return usage_error("no such option, or it wants a value:", argv[k]);
        if (!read_option(b, argv[k], argv[k + 1])) return false;
        k++;
    }
    return true;
}

int main(int argc, char **argv) {
    bench b = {.threads = 1, .budget = 1};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        print_help();
        return 0;
    }
    if (!read_arguments(&b, argc, argv)) return 2;
    for (int k = 0; k < GROUPS; k++) {
        b.group = groups[k].name;
        groups[k].run(&b);
    }
    if (!b.matched) {
        usage_error("no workload is called", b.only);
        return 2;
    }
    return b.failed ? 1 : 0;
}
