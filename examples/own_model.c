/* own_model.c: a network of one's own, from its definition to the trained weights: which of two spirals is a point on?
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "hzero.h"

enum { POINTS = 400, STEPS = 300 };

static hz_var network(hz_net *net, hz_var x) { /* (N, 2) → (N, 2) */
    x = hz_tanh(hz_layer_linear(net, "fc1", x, &(hz_linear_layer){.out = 32}));
    x = hz_tanh(hz_layer_linear(net, "fc2", x, &(hz_linear_layer){.out = 32}));
    return hz_name(hz_layer_linear(net, "fc3", x, &(hz_linear_layer){.out = 2}), "logits");
}

static bool train(hz_tape *t, hz_params *p, hz_optimizer *opt, const hz_tensor *x, const hz_tensor *y,
                  hz_error *err) {
    for (int step = 0; step < STEPS; step++) {
        hz_tape_reset(t);
        hz_net net = {.tape = t, .params = p, .training = true, .step = step};
        hz_var loss = hz_cross_entropy(network(&net, hz_input(t, x)), hz_input(t, y), HZ_LOSS_MEAN);
        if (step % 100 == 0) printf("step %3d  loss %.4f\n", step, hz_item(loss));
        if (!hz_params_minimize(p, opt, loss, err)) return false;
    }
    return true;
}

/* Two arms of a spiral, two turns about the origin. */
static void draw_points(float (*x)[2], int64_t *y) {
    for (int k = 0; k < POINTS; k++) {
        const double along = (double)(k / 2) / (POINTS / 2),
                     angle = 4 * 3.14159265 * along + 3.14159265 * (k % 2);
        x[k][0] = (float)((0.1 + along) * cos(angle));
        x[k][1] = (float)((0.1 + along) * sin(angle));
        y[k] = k % 2;
    }
}

static double accuracy(hz_tape *t, hz_params *p, const hz_tensor *x, const int64_t *y) {
    hz_tape_reset(t);
    hz_net net = {.tape = t, .params = p};
    const hz_tensor *best = hz_value(hz_argmax(network(&net, hz_input(t, x)), 1, false));
    int right = 0;
    for (int64_t k = 0; k < hz_numel(best); k++) right += (int64_t)hz_get(best, &k) == y[k];
    return 100.0 * right / POINTS;
}

int main(void) {
    static float points[POINTS][2];
    static int64_t arms[POINTS];
    draw_points(points, arms);
    const hz_tensor x = hz_tensor_of(points, HZ_F32, HZ_DIMS(POINTS, 2)),
                    y = hz_tensor_of(arms, HZ_I64, HZ_DIMS(POINTS));

    hz_error err = {HZ_OK, ""};
    hz_tape *t = hz_tape_new(NULL);
    hz_params *p = hz_params_new(&(hz_params_opts){.seed = 1}, &err);
    hz_optimizer *opt = hz_adam_new(&(hz_adam_opts){.lr = 0.02}, &err);
    bool ok = t && p && opt && hz_params_build(p, network, HZ_DIMS(1, 2), &err) &&
              hz_params_optimize(p, opt, &err) && train(t, p, opt, &x, &y, &err);
    if (ok)
        printf("%lld parameters, accuracy %.1f %%\n", (long long)hz_params_numel(p),
               accuracy(t, p, &x, arms));
    ok = ok && hz_params_save(p, "spirals.safetensors", NULL, &err);
    if (!ok) fprintf(stderr, "own_model: %s\n", err.text);

    hz_optimizer_free(opt);
    hz_tape_free(t);
    hz_params_free(p);
    return ok ? 0 : 1;
}
