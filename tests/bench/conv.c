/* conv.c: convolutions of well-known networks: the op alone, with the gradient of its input, with all three gradients.
 * FLOPs count a multiply-add as two, and each gradient as much as the forward pass.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "bench.h"

typedef struct convolution {
    int64_t n, c, h, w, k, r, stride, pad;
    hz_var x, weight, bias, dy; /* (n, c, h, w), (k, c, r, r), (k), (n, k, oh, ow) */
} convolution;

/* In the order of convolution's first eight fields. */
static const int64_t sizes[][8] = {
    {1, 3, 224, 224, 64, 3, 1, 1},    /* VGG conv1_1 */
    {1, 64, 224, 224, 64, 3, 1, 1},   /* VGG conv1_2 */
    {1, 128, 112, 112, 128, 3, 1, 1}, /* VGG conv2_2 */
    {1, 256, 56, 56, 256, 3, 1, 1},   /* VGG conv3_2 */
    {1, 512, 28, 28, 512, 3, 1, 1},   /* VGG conv4_2 */
    {1, 512, 14, 14, 512, 3, 1, 1},   /* VGG conv5_2 */
    {1, 3, 227, 227, 96, 11, 4, 0},   /* AlexNet conv1 */
    {1, 64, 56, 56, 16, 1, 1, 0},     /* SqueezeNet, squeeze */
    {1, 16, 56, 56, 64, 3, 1, 1},     /* SqueezeNet, expand */
    {8, 32, 32, 32, 64, 3, 1, 1},     /* CIFAR-10, a small batch */
    {32, 1, 28, 28, 16, 5, 1, 2},     /* LeNet conv1 */
};

static int64_t out_extent(const convolution *c, int64_t in) {
    return hz_conv2d_extent(in, c->r, c->stride, c->pad, c->pad, 1);
}

static void prepare(hz_tape *t, void *data) {
    convolution *c = data;
    c->x = bench_normal(t, HZ_DIMS(c->n, c->c, c->h, c->w));
    c->weight = bench_normal(t, HZ_DIMS(c->k, c->c, c->r, c->r));
    c->bias = bench_normal(t, HZ_DIMS(c->k));
    c->dy = bench_normal(t, HZ_DIMS(c->n, c->k, out_extent(c, c->h), out_extent(c, c->w)));
}

static hz_var forward(const convolution *c) {
    return hz_conv2d(c->x, c->weight, c->bias,
                     &(hz_conv2d_opts){.stride = {c->stride, c->stride}, .pad = {c->pad, c->pad}});
}

static void run_forward(hz_tape *t, void *data) {
    (void)t;
    forward(data);
}

/* The gradients of the first n of x, weight, bias. */
static void gradients(const convolution *c, int n) {
    const hz_var y = forward(c), x[] = {c->x, c->weight, c->bias};
    hz_var dx[3];
    hz_grad(&y, 1, x, n, &(hz_grad_opts){.dy = &c->dy}, dx);
}

static void run_input_gradient(hz_tape *t, void *data) {
    (void)t;
    gradients(data, 1);
}

static void run_all_gradients(hz_tape *t, void *data) {
    (void)t;
    gradients(data, 3);
}

static void measure(bench *b, convolution *c, const char *what, void (*run)(hz_tape *, void *), int passes) {
    char name[96];
    const double multiply_adds =
        (double)(c->n * c->k * out_extent(c, c->h) * out_extent(c, c->w)) * (double)(c->c * c->r * c->r);
    snprintf(name, sizeof name, "N%d_C%d_%dx%d_K%d_k%d_s%d_p%d:%s", (int)c->n, (int)c->c, (int)c->h,
             (int)c->w, (int)c->k, (int)c->r, (int)c->stride, (int)c->pad, what);
    bench_run(
        b, &(workload){
               .name = name, .prepare = prepare, .run = run, .data = c, .flops = 2 * multiply_adds * passes});
}

void bench_conv(bench *b) {
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int64_t *s = sizes[i];
        convolution c = {s[0], s[1], s[2], s[3], s[4], s[5], s[6], .pad = s[7]};
        measure(b, &c, "fwd", run_forward, 1);
        measure(b, &c, "fwd+dx", run_input_gradient, 2);
        measure(b, &c, "fwd+dx+dw", run_all_gradients, 3);
    }
}
