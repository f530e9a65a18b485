/* own_rule.c: a model, a forward pass, and the gradient of a hidden unit under a rule of one's own.
 *
 * The network: a 4 × 4 picture → convolution (2 filters of 3 × 3) → ReLU → linear (4 units) → ReLU. How much does each
 * pixel matter to the first unit? The answer depends on what a ReLU lets through on the way back.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "hzero.h"

/* What arrives at a ReLU passes only where it is positive and the ReLU is on: dx = max(dy, 0) · [x > 0]. */
static hz_var positive_only(const hz_node *n, int i, hz_var dy) {
    return hz_mul(hz_relu(dy), hz_step(n->in[i]));
}

static void print_map(const char *title, hz_var map) {
    printf("%s\n", title);
    for (int k = 0; k < 16; k++) printf("%3.0f%s", hz_get_flat(hz_value(map), k), k % 4 == 3 ? "\n" : "");
}

int main(void) {
    float pixels[16], bias[] = {-50, -75}, row[] = {1, 1, 1, 1, 1, -1, -1, -1};
    for (int k = 0; k < 16; k++) pixels[k] = (float)k;
    hz_tensor image = hz_tensor_of(pixels, HZ_F32, HZ_DIMS(1, 1, 4, 4));
    hz_tensor b = hz_tensor_of(bias, HZ_F32, HZ_DIMS(2)), w = hz_tensor_of(row, HZ_F32, HZ_DIMS(1, 8));

    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_name(hz_input(t, &image), "pixels");
    hz_var filters = hz_full(t, HZ_F32, HZ_DIMS(2, 1, 3, 3), 1);
    hz_var h = hz_relu(hz_conv2d(x, filters, hz_input(t, &b), NULL)); /* (1, 2, 2, 2) */
    hz_var rows = hz_broadcast_to(hz_input(t, &w), HZ_DIMS(4, 8));    /* four equal rows */
    hz_name(hz_relu(hz_linear(hz_flatten(h, 1), rows, hz_none(t))), "hidden");

    hz_var unit = hz_unit(t, "hidden[0]");
    hz_var plain = hz_grad1(unit, x, NULL);
    hz_var mine = hz_grad1(unit, x, HZ_RULES({.op = &hz_op_relu, .vjp = positive_only}));

    hz_error err;
    if (!hz_tape_ok(t, &err)) return fprintf(stderr, "%s\n", err.text), 1;
    print_map("gradient:", plain);
    print_map("positive only:", mine);
    hz_tape_free(t);
    return 0;
}
