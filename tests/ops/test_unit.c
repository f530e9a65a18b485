/* test_unit.c: naming one number of a recorded pass.
 *
 * SPDX-License-Identifier: MIT */
#include "varied.h"

static hz_tape *t;

/* "fire9.concat" (1, 2, 2, 3) = 0 … 11 but for two; "logits" (1, 5); "batch" (2, 3); "vector" (4); "loss" () */
static void open_tape(void) {
    t = hz_tape_new(NULL);
    hz_var fire = given(t, HZ_F32, HZ_DIMS(1, 2, 2, 3), (double[]){0, 1, 2, 50, 4, 5, 6, 7, 8, 40, 10, 11});
    hz_name(fire, "fire9.concat");
    hz_name(given(t, HZ_F32, HZ_DIMS(1, 5), (double[]){3, 1, 4, 1, 5}), "logits");
    hz_name(given(t, HZ_F32, HZ_DIMS(2, 3), (double[]){1, 2, 3, 6, 5, 4}), "batch");
    hz_name(given(t, HZ_F32, HZ_DIMS(4), (double[]){1, NAN, 3, 2}), "vector");
    hz_name(hz_scalar(t, HZ_F32, 7), "loss");
    hz_name(hz_full(t, HZ_F32, HZ_DIMS(1, 0), 0), "nothing");
    hz_name(hz_scalar(t, HZ_F32, 8), "relu:0[post]/x");
}
static void close_tape(void) {
    hz_tape_free(t);
}

TestSuite(unit, .init = open_tape, .fini = close_tape);

Test(unit, finds_the_number_named) {
    static const struct {
        const char *unit, *text;
        double value;
    } cases[] = {
        {"fire9.concat[1,0,2]", "fire9.concat[1,0,2]", 8},
        {"fire9/concat[1,0,2]", "fire9/concat[1,0,2]", 8},
        {"fire9.concat[0,1,0,2]", "fire9.concat[1,0,2]", 8},
        {" fire9.concat [ 1 , 0 ,2 ] ", "fire9.concat[1,0,2]", 8},
        {"fire9.concat[1,argmax]", "fire9.concat[1,1,0]", 40},
        {"fire9.concat[0,1,argmax]", "fire9.concat[1,1,0]", 40},
        {"fire9.concat[ argmax ]", "fire9.concat[0,1,0]", 50},
        {"logits[2]", "logits[2]", 4},
        {"logits[0,2]", "logits[2]", 4},
        {"logits[argmax]", "logits[4]", 5},
        {"logits[0,argmax]", "logits[4]", 5},
        {"batch[1]", "batch[1]", 2},
        {"batch[1,0]", "batch[1,0]", 6},
        {"batch[argmax]", "batch[1,0]", 6},
        {"batch[0,argmax]", "batch[2]", 3},
        {"vector[3]", "vector[3]", 2},
        {"vector[argmax]", "vector[2]", 3},
        {"loss[]", "loss[]", 7},
        {"loss", "loss", 7},
        {"relu:0[post]/x", "relu:0[post]/x", 8},
        {"relu:0[post]/x[]", "relu:0[post]/x[]", 8},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        hz_unit_info info;
        cr_expect(hz_unit_parse(t, cases[k].unit, &info), "%s", cases[k].unit);
        expect_ok(t);
        cr_expect_str_eq(info.text, cases[k].text);
        cr_expect_eq(hz_get(hz_value(info.layer), info.index), cases[k].value, "%s", cases[k].unit);
        hz_var unit = hz_unit(t, cases[k].unit);
        cr_expect_eq(hz_value(unit)->rank, 0);
        cr_expect_eq(hz_item(unit), cases[k].value, "%s", cases[k].unit);
    }
}

Test(unit, says_what_is_wrong_with_the_index) {
    static const struct {
        const char *unit, *says;
    } cases[] = {
        {"fire9.concat[2,0,0]",
         "unit \"fire9.concat[2,0,0]\": index 2 is outside axis 1 (0 … 1); the layer has shape [1,2,2,3]"},
        {"fire9.concat[0,0,-1]", "index -1 is outside axis 3 (0 … 2)"},
        {"fire9.concat[1,0,0,0]", "index 1 is outside axis 0 (0 … 0)"},
        {"fire9.concat[0,0]", "wrong number of indices; the layer has shape [1,2,2,3]"},
        {"fire9.concat[0,0,0,0,0]", "wrong number of indices"},
        {"fire9.concat[0,0,0,argmax]", "argmax takes no index before it, that of a channel"},
        {"fire9.concat[5,argmax]", "index 5 is outside axis 1"},
        {"logits[4,argmax]", "index 4 is outside axis 0 (0 … 0)"},
        {"logits[0,4,argmax]", "argmax takes no index"},
        {"vector[0,argmax]", "argmax takes no index"},
        {"logits[99999999999999999999]", "is not of the form"},
        {"nothing[argmax]", "nothing to take the maximum of"},
        {"vector[]", "wrong number of indices; the layer has shape [4]"},
        {"loss[0]", "wrong number of indices; the layer has shape []"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        cr_expect_not(hz_ok(hz_unit(t, cases[k].unit)), "%s", cases[k].unit);
        expect_error(t, HZ_EINVAL, cases[k].says);
    }
}

Test(unit, says_what_is_wrong_with_the_text) {
    static const char *const texts[] = {"",
                                        "logits",
                                        "[1]",
                                        "logits[",
                                        "logits[1",
                                        "logits[1,",
                                        "logits[1,]",
                                        "logits[,1]",
                                        "logits[1]x",
                                        "logits[one]",
                                        "logits[1 2]",
                                        "logits[argmax,1]",
                                        "logits[argmaxx]",
                                        "logits]1["};
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        cr_expect_not(hz_ok(hz_unit(t, texts[k])), "%s", texts[k]);
        expect_error(t, HZ_EINVAL,
                     "is not of the form layer[c,y,x], layer[k], layer[c,argmax] or layer[argmax]");
    }
}

Test(unit, an_unknown_layer_is_not_found_but_others_are_near) {
    cr_expect_not(hz_ok(hz_unit(t, "logit[0]")));
    expect_error(t, HZ_ENOTFOUND, "logits");
}

Test(unit, a_failed_tape_stays_as_it_is) {
    hz_tape_fail(t, HZ_EIO, "first");
    hz_unit_info info;
    cr_expect_not(hz_unit_parse(t, "logits[", &info));
    expect_error(t, HZ_EIO, "first");
}
