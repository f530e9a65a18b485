/* digits.h: a folder with made-up digits in the files and the format of MNIST: a bright square at a place told by the class,
 * in noise.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_TESTS_EXAMPLES_DIGITS_H
#define HZ_TESTS_EXAMPLES_DIGITS_H

#include <stdint.h>
#include <stdio.h>

#include "command.h"
#include "tensor/random.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, EXAMPLES = 400, TESTS = 100 };

static inline void draw_digit(uint64_t number, int class, uint8_t *pixel) {
    for (int k = 0; k < PIXELS; k++) pixel[k] = (uint8_t)(60 * hz_random_uniform(number, 0, (uint64_t)k));
    for (int y = 0; y < 6; y++)
        for (int x = 0; x < 4; x++) pixel[(4 + class / 5 * 12 + y) * SIDE + 2 + class % 5 * 5 + x] = 250;
}

static inline void put_number(FILE *f, uint32_t n) {
    for (int shift = 24; shift >= 0; shift -= 8) putc((int)(n >> shift & 255), f);
}

static inline void write_digits(const char *which, uint32_t n, uint64_t seed) {
    char path[128];
    uint8_t pixel[PIXELS];
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", folder, which);
    FILE *images = fopen(path, "wb");
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", folder, which);
    FILE *labels = fopen(path, "wb");
    cr_assert(images && labels);
    put_number(images, 0x803), put_number(images, n), put_number(images, SIDE), put_number(images, SIDE);
    put_number(labels, 0x801), put_number(labels, n);
    for (uint32_t k = 0; k < n; k++) {
        draw_digit(seed + k, (int)(k % CLASSES), pixel);
        fwrite(pixel, 1, PIXELS, images);
        putc((int)(k % CLASSES), labels);
    }
    cr_assert(fclose(images) == 0 && fclose(labels) == 0);
}

static inline void make_folder_of_digits(void) {
    make_folder();
    write_digits("train", EXAMPLES, 1000);
    write_digits("t10k", TESTS, 9000);
}

#endif
