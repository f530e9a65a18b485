/* pinn.c: a differential equation solved by a network, without data (Lagaris et al. 1998; Raissi et al. 2019).
 *
 *   −Δu = 2π²·sin(πx)·sin(πy) on the unit square, u = 0 on its border;  exact solution u = sin(πx)·sin(πy)
 *
 * The guess u = x(1 − x)·y(1 − y)·N(x, y) has the border right whatever the network N says. What is left of the equation,
 * Δu + 2π²·sin·sin, is squared, averaged over points drawn anew at each step, and lowered by Adam. Δu is a second
 * derivative with respect to the input, and the gradient of the loss differentiates it once more, with respect to the weights.
 *
 *   pinn [STEPS [PICTURE.png]]     default: 3000; the picture shows the solution and, times 1000, its error
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "hzero.h"

enum { POINTS = 256, WIDTH = 24, GRID = 101 };
static const double PI = 3.14159265358979323846, LR = 0.01;

static hz_var network(hz_net *net, hz_var xy) { /* (n, 2) → (n, 1) */
    const hz_linear_layer hidden = {.out = WIDTH};
    xy = hz_tanh(hz_layer_linear(net, "fc1", xy, &hidden));
    xy = hz_tanh(hz_layer_linear(net, "fc2", xy, &hidden));
    return hz_layer_linear(net, "fc3", xy, &(hz_linear_layer){.out = 1});
}

static hz_var column(hz_var xy, int64_t k) {
    return hz_slice(xy, 1, k, 1, 1);
}

static hz_var solution(hz_net *net, hz_var xy) {
    hz_var x = column(xy, 0), y = column(xy, 1),
           border = hz_mul(hz_sub(x, hz_mul(x, x)), hz_sub(y, hz_mul(y, y)));
    return hz_mul(border, network(net, xy));
}

/* ∂Σf/∂xy: since f's rows do not depend on each other, row k holds the derivatives of f[k]. */
static hz_var derivatives(hz_var f, hz_var xy) {
    hz_var d, sum = hz_sum(f, HZ_ALL_AXES, false);
    hz_grad(&sum, 1, &xy, 1, &(hz_grad_opts){.differentiable = true}, &d);
    return d;
}

/* The mean square of Δu + 2π²·sin(πx)·sin(πy). */
static hz_var residual(hz_net *net, hz_var xy) {
    hz_var du = derivatives(solution(net, xy), xy);
    hz_var uxx = column(derivatives(column(du, 0), xy), 0), uyy = column(derivatives(column(du, 1), xy), 1);
    hz_var s = hz_sin(hz_scale(xy, PI)), source = hz_scale(hz_mul(column(s, 0), column(s, 1)), 2 * PI * PI);
    hz_var r = hz_add(hz_add(uxx, uyy), source);
    return hz_mean(hz_mul(r, r), HZ_ALL_AXES, false);
}

/* Points of the square, new ones for every seed. */
static hz_var draw_points(hz_tape *t, uint64_t seed) {
    hz_var xy = hz_full(t, HZ_F64, HZ_DIMS(POINTS, 2), 0);
    if (hz_ok(xy)) hz_random_fill_uniform(hz_tape_exec(t), seed, 0, 0, 1, hz_value(xy));
    return xy;
}

static bool train(hz_tape *t, hz_params *p, hz_optimizer *opt, long steps, hz_error *err) {
    for (long k = 0; k < steps; k++) {
        hz_tape_reset(t);
        hz_net net = {.tape = t, .params = p, .training = true};
        hz_var loss = residual(&net, draw_points(t, (uint64_t)k));
        const double value = hz_item(loss);
        if (!hz_optimizer_set_lr(opt, LR * hz_lr_cosine(k, steps, 0.001), err) ||
            !hz_params_minimize(p, opt, loss, err))
            return false;
        if (k % 250 == 0 || k + 1 == steps) printf("step %5ld  mean square residual %.2e\n", k, value);
    }
    return true;
}

static double exact(int row, int col) {
    return sin(PI * col / (GRID - 1)) * sin(PI * row / (GRID - 1));
}

/* u at the points of a grid, from the network as it is. */
static hz_var on_grid(hz_tape *t, hz_params *p) {
    hz_tape_reset(t);
    hz_net net = {.tape = t, .params = p};
    hz_var xy = hz_full(t, HZ_F64, HZ_DIMS(GRID * GRID, 2), 0);
    for (int64_t k = 0; hz_ok(xy) && k < GRID * GRID; k++)
        for (int64_t axis = 0; axis < 2; axis++)
            hz_set(hz_value(xy), (int64_t[]){k, axis}, (double)(axis ? k / GRID : k % GRID) / (GRID - 1));
    return solution(&net, xy);
}

/* 128 is zero, 255 one and 1 minus one. */
static uint8_t shade(double v) {
    return (uint8_t)lround(128 + 127 * fmax(-1, fmin(1, v)));
}

/* The solution beside 1000 times its error. */
static bool draw(const hz_tensor *u, const char *path, hz_error *err) {
    static uint8_t pixels[GRID][2 * GRID];
    const hz_tensor image = hz_tensor_of(pixels, HZ_U8, HZ_DIMS(GRID, 2 * GRID, 1));
    const hz_text_pair text = {"Description",
                               "-laplace(u) = 2 pi^2 sin(pi x) sin(pi y): u, and 1000 times its error"};
    for (int row = 0; row < GRID; row++)
        for (int col = 0; col < GRID; col++) {
            const double value = hz_get(u, (int64_t[]){(int64_t)row * GRID + col, 0});
            pixels[row][col] = shade(value);
            pixels[row][GRID + col] = shade(1000 * (value - exact(row, col)));
        }
    return hz_png_write(path, &image, &text, 1, NULL, err);
}

static double largest_error(const hz_tensor *u) {
    double worst = 0;
    for (int64_t k = 0; k < GRID * GRID; k++)
        worst = fmax(worst, fabs(hz_get(u, (int64_t[]){k, 0}) - exact((int)(k / GRID), (int)(k % GRID))));
    return worst;
}

static bool run(hz_tape *t, hz_params *p, hz_optimizer *opt, long steps, const char *picture, hz_error *err) {
    if (!p || !opt || !hz_params_build(p, network, HZ_DIMS(1, 2), err) || !hz_params_optimize(p, opt, err) ||
        !train(t, p, opt, steps, err))
        return false;
    hz_var u = on_grid(t, p);
    if (!hz_tape_ok(t, err)) return false;
    printf("largest error on a grid of %d × %d points: %.2e\n", GRID, GRID, largest_error(hz_value(u)));
    return !picture || draw(hz_value(u), picture, err);
}

int main(int argc, char **argv) {
    const long steps = argc > 1 ? strtol(argv[1], NULL, 10) : 3000;
    if (argc > 3 || steps < 1 || steps > 1000000)
        return fprintf(stderr, "usage: pinn [STEPS [PICTURE.png]]\n"), 2;
    hz_error err = {HZ_OK, ""};
    hz_tape *t = hz_tape_new(NULL);
    hz_params *p = hz_params_new(&(hz_params_opts){.dtype = HZ_F64, .seed = 1}, &err);
    hz_optimizer *opt = hz_adam_new(&(hz_adam_opts){.lr = LR}, &err);
    const bool ok = t && run(t, p, opt, steps, argc > 2 ? argv[2] : NULL, &err);
    if (!ok) fprintf(stderr, "pinn: %s\n", t ? err.text : "out of memory");
    hz_optimizer_free(opt);
    hz_tape_free(t);
    hz_params_free(p);
    return ok ? 0 : 1;
}
