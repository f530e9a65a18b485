/* test_picture.c: maps as colors: zero, and only zero, is gray.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <criterion/criterion.h>

#include "../../examples/hzero/picture.c"

static hz_tensor draw(float *map, int64_t channels, int64_t width, double scale, bool bgr) {
    const hz_tensor g = hz_tensor_of(map, HZ_F32, HZ_DIMS(channels, 1, width));
    hz_tensor out;
    cr_assert(picture_of_map(&g, scale, bgr, &out));
    return out;
}

Test(picture, only_zero_is_gray) {
    float map[] = {0, 1e-6f, -1e-6f, 1, -1, 5, -5};
    const uint8_t want[] = {128, 129, 127, 255, 1, 255, 1};
    hz_tensor out = draw(map, 1, 7, 1, false);
    for (int64_t k = 0; k < 7 * 3; k++)
        cr_expect_eq(((uint8_t *)out.data)[k], want[k / 3], "byte %d", (int)k);
    free(out.data);
}

Test(picture, channels_are_drawn_red_first) {
    float map[] = {1, 0, -1};
    for (int bgr = 0; bgr < 2; bgr++) {
        hz_tensor out = draw(map, 3, 1, 1, bgr);
        const uint8_t *p = out.data;
        cr_expect(p[bgr ? 2 : 0] == 255 && p[1] == 128 && p[bgr ? 0 : 2] == 1);
        free(out.data);
    }
}

Test(picture, the_scale_passes_over_the_few_largest_and_all_zeros) {
    float map[1000] = {0};
    for (int k = 0; k < 400; k++) map[k] = (float)(k + 1);
    map[399] = 1e9f;
    const hz_tensor g = hz_tensor_of(map, HZ_F32, HZ_DIMS(1, 1, 1000));
    cr_expect_eq(picture_scale(&g), 398); /* element ⌊0.995 · 399⌋ of the 400 that are not zero, in order */
}
