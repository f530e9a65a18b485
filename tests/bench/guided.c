/* guided.c: saliency with the guided rule at every ReLU beside plain saliency. Where other frameworks hang hooks on
 * modules, here a rule is given to the gradient; "hooks" counts the ReLUs it was used for.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bench.h"
#include "networks.h"

typedef struct guided {
    network net;
    hz_var x; /* (1, 3, 224, 224) */
    char hooks[32];
} guided;

static void prepare(hz_tape *t, void *data) {
    guided *g = data;
    g->x = bench_normal(t, HZ_DIMS(1, 3, 224, 224));
}

static hz_var class_score(guided *g) {
    return hz_pick(network_record(&g->net, g->x, NULL), (const int64_t[]){0, 7});
}

static void run_plain(hz_tape *t, void *data) {
    guided *g = data;
    (void)t;
    hz_grad1(class_score(g), g->x, NULL);
}

static void run_guided(hz_tape *t, void *data) {
    guided *g = data;
    hz_grad_report report;
    hz_var y = class_score(g), dx;
    if (!hz_grad(&y, 1, &g->x, 1, &(hz_grad_opts){.rules = hz_rules_named("guided"), .report = &report}, &dx))
        return;
    if (report.rule[0].matched != report.rule[0].of) hz_tape_fail(t, HZ_EGRAD, "%s", report.text);
    snprintf(g->hooks, sizeof g->hooks, "\"hooks\": %u", report.rule[0].matched);
}

void bench_guided(bench *b) {
    static const char *const nets[] = {"squeezenet", "vgg16"};
    for (int k = 0; k < 2; k++) {
        guided g = {.net.layers = classifier_named(nets[k])->layers};
        char name[64];
        snprintf(name, sizeof name, "%s:plain_saliency_relu_not_inplace", nets[k]);
        bench_run(b, &(workload){.name = name, .prepare = prepare, .run = run_plain, .data = &g});
        snprintf(name, sizeof name, "%s:guided_backward_hooks", nets[k]);
        bench_run(b, &(workload){
                         .name = name, .prepare = prepare, .run = run_guided, .data = &g, .extra = g.hooks});
        network_free(&g.net);
    }
}
