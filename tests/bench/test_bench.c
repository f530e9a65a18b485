/* test_bench.c: the benchmark program prints what it promises: one line of valid JSON per workload, under the names it is
 * compared by. Nothing is said about speed.
 *
 * SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { LINE = 4096 };

typedef struct output {
    int lines;
    json_t *line[16]; /* parsed; NULL: not JSON */
    char text[16][LINE];
    int status; /* of the program */
} output;

/* Run the benchmark; the first 16 lines of its output. */
static output run(const char *arguments) {
    output out = {.lines = 0};
    char command[1024], text[LINE];
    snprintf(command, sizeof command, "'%s' %s 2>/dev/null", BENCH, arguments);
    FILE *f = popen(command, "r");
    cr_assert_not_null(f);
    while (fgets(text, sizeof text, f)) {
        cr_assert_lt(out.lines, 16);
        text[strcspn(text, "\n")] = '\0';
        out.line[out.lines] = json_loads(text, 0, NULL);
        memcpy(out.text[out.lines++], text, sizeof text);
    }
    int status = pclose(f);
    cr_assert(WIFEXITED(status), "%s died", command);
    out.status = WEXITSTATUS(status);
    return out;
}

static void drop(output *out) {
    for (int k = 0; k < out->lines; k++) json_decref(out->line[k]);
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    cr_assert(json_is_number(value), "\"%s\" is missing or no number", key);
    return json_number_value(value);
}

/* The fields every line has, and this rate among them. */
static void check_line(const output *out, int k, const char *group, const char *name, const char *rate) {
    const json_t *line = out->line[k];
    cr_assert(json_is_object(line), "not JSON: %s", out->text[k]);
    cr_assert_str_eq(json_string_value(json_object_get(line, "group")), group);
    cr_assert_str_eq(json_string_value(json_object_get(line, "name")), name);
    cr_assert_eq(number(line, "threads"), 2);
    cr_assert_geq(number(line, "reps"), 7);
    cr_assert_gt(number(line, "min_ms"), 0);
    cr_assert_geq(number(line, "med_ms"), number(line, "min_ms"));
    if (rate) cr_assert_gt(number(line, rate), 0);
}

Test(bench, prints_one_line_of_json_per_workload) {
    output out =
        run("--threads 2 --budget 0 --only "
            "'gemm/*_k64,conv/N32*,overhead/chain10000_record,elem/add_64K:fwd,train/mlp784_b128_adam'");
    cr_assert_eq(out.status, 0);
    cr_assert_eq(out.lines, 7);
    check_line(&out, 0, "gemm", "sgemm_m64_n64_k64", "gflops_med");
    check_line(&out, 1, "conv", "N32_C1_28x28_K16_k5_s1_p2:fwd", "gflops_best");
    check_line(&out, 2, "conv", "N32_C1_28x28_K16_k5_s1_p2:fwd+dx", "gflops_med");
    check_line(&out, 3, "conv", "N32_C1_28x28_K16_k5_s1_p2:fwd+dx+dw", "gflops_best");
    check_line(&out, 4, "train", "mlp784_b128_adam", "steps_per_s_med");
    check_line(&out, 5, "overhead", "chain10000_record", "ns_per_op_min");
    check_line(&out, 6, "elem", "add_64K:fwd", "gbs_best");
    drop(&out);
}

Test(bench, tells_the_shape_of_the_layer_and_the_relus_of_a_rule) {
    output out =
        run("--threads 2 --budget 0 --only 'unit/squeezenet:early:bwd_only,guided/squeezenet:guided*'");
    cr_assert_eq(out.status, 0);
    cr_assert_eq(out.lines, 2);
    check_line(&out, 0, "unit", "squeezenet:early:bwd_only", NULL);
    json_t *shape = json_pack("[iiii]", 1, 128, 55, 55);
    cr_assert(json_equal(json_object_get(out.line[0], "shape"), shape), "%s", out.text[0]);
    json_decref(shape);
    check_line(&out, 1, "guided", "squeezenet:guided_backward_hooks", NULL);
    cr_assert_eq(number(out.line[1], "hooks"), 26);
    drop(&out);
}

Test(bench, runs_every_group) {
    static const char *const groups[] = {"gemm",  "conv",     "saliency", "unit",   "jacobian",
                                         "train", "overhead", "elem",     "guided", "field"};
    for (size_t k = 0; k < sizeof groups / sizeof groups[0]; k++) {
        char arguments[128];
        snprintf(arguments, sizeof arguments, "--list --only %s | grep -c '^%s/'", groups[k], groups[k]);
        output out = run(arguments);
        cr_assert_eq(out.lines, 1);
        cr_assert_gt(atoi(out.text[0]), 1, "group %s", groups[k]);
        drop(&out);
    }
}

Test(bench, lists_every_name_once) {
    output out = run("--list | sort | uniq -d");
    cr_assert_eq(out.lines, 0, "%s", out.text[0]);
    out = run("--list | wc -l");
    cr_assert_geq(atoi(out.text[0]), 169, "as many as there are to compare with");
    drop(&out);
}

Test(bench, a_name_that_matches_nothing_is_an_error) {
    output out = run("--only gem");
    cr_assert_eq(out.status, 2);
    cr_assert_eq(out.lines, 0);
}

Test(bench, an_unknown_option_is_an_error) {
    cr_assert_eq(run("--bugdet 1").status, 2);
    cr_assert_eq(run("--budget").status, 2);
    cr_assert_eq(run("--budget much").status, 2);
    cr_assert_eq(run("--threads 0").status, 2);
    cr_assert_eq(run("--isa sse").status, 2);
    cr_assert_eq(run("--isa").status, 2);
}

Test(bench, kernels_can_be_kept_to_an_instruction_set) {
    output out = run("--threads 2 --budget 0 --isa c --only elem/add_64K:fwd");
    cr_assert_eq(out.status, 0);
    cr_assert_eq(out.lines, 1);
    check_line(&out, 0, "elem", "add_64K:fwd", NULL);
    cr_assert_str_eq(json_string_value(json_object_get(out.line[0], "isa")), "c");
    drop(&out);
}

Test(bench, tells_where_the_memory_of_a_gradient_goes) {
    output out = run("--threads 2 --budget 0 --only memory/squeezenet*");
    cr_assert_eq(out.status, 0);
    cr_assert_eq(out.lines, 1);
    check_line(&out, 0, "memory", "squeezenet:class_logit_fwd+bwd", "cotangents");
    const double parameters = 1235496 * 4.0 / (1 << 20); /* as Iandola et al. count them */
    cr_assert_float_eq(number(out.line[0], "parameters_mb"), parameters, 0.05);
    cr_assert_gt(number(out.line[0], "activations_mb"), 0);
    cr_assert_geq(number(out.line[0], "peak_mb"), parameters + number(out.line[0], "activations_mb") - 0.1);
    drop(&out);
}

/* ---- the scripts beside it ---- */

static int status_of(const char *command) {
    const int status = system(command);
    cr_assert(WIFEXITED(status), "%s died", command);
    return WEXITSTATUS(status);
}

Test(versus, rejects_options_it_does_not_know) {
    cr_assert_eq(status_of("sh '" VERSUS "' --bogus 2>/dev/null"), 2);
    cr_assert_eq(status_of("sh '" VERSUS "' --rounds 2>/dev/null"), 2);
    cr_assert_eq(status_of("sh '" VERSUS "' --rounds 0 2>/dev/null"), 2);
    cr_assert_eq(status_of("sh '" VERSUS "' --isa sse 2>/dev/null"), 2);
    cr_assert_eq(status_of("sh '" VERSUS "' --bench /nowhere 2>/dev/null"), 2);
}

/* The program as its own peer: a ratio, and a summary for the one group. */
Test(versus, prints_a_ratio_for_each_workload) {
    cr_assert_eq(status_of("sh '" VERSUS "' --bench '" BENCH "' --peer '" BENCH
                           "' --rounds 1 --threads 2 --budget 0 "
                           "--only gemm/*_k64 2>/dev/null | grep -c -E "
                           "'^(gemm sgemm_m64_n64_k64 +2( +[0-9.e-]+){3}|gemm +2 +1 )' | grep -q '^2$'"),
                 0);
}

Test(versus, prints_our_own_times_without_a_peer) {
    cr_assert_eq(
        status_of("PYTHON='python3 -S' sh '" VERSUS "' --bench '" BENCH "' --rounds 1 --threads 1 --budget 0 "
                  "--only gemm/*_k64 2>/dev/null | grep -c -E '^(gemm sgemm_m64_n64_k64 +1|for ratios)' | "
                  "grep -q '^2$'"),
        0);
}
