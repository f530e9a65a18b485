/* test_builtin.c: the network that comes with the library, and the programs that need no other: nothing is downloaded.
 *
 * SPDX-License-Identifier: MIT */
#include "command.h"
#include "data.h"

TestSuite(builtin, .init = make_folder, .fini = remove_folder);

#define SHIP "'" HZ_SOURCE_ROOT "/examples/ship.png'"

static bool is_png(const char *name) {
    unsigned char head[8] = {0};
    FILE *f = fopen(in_folder(name), "rb");
    const bool read = f && fread(head, 1, sizeof head, f) == sizeof head;
    if (f) fclose(f);
    return read && memcmp(head, "\x89PNG\r\n\x1a\n", sizeof head) == 0;
}

Test(builtin, predict_without_a_model_names_the_classes_itself) {
    const outcome *o = run("hzero/hzero", "predict --top 1 --image " SHIP);
    cr_expect_eq(o->status, 0, "%s", o->err);
    cr_expect(strncmp(o->out, "    8  ", 7) == 0 && strstr(o->out, "  ship\n"), "%s", o->out);
}

Test(builtin, influence_without_a_model_draws_a_hidden_unit) {
    const outcome *o =
        run("hzero/hzero", "influence --unit 'relu5[argmax]' --out hz-builtin.png --image " SHIP);
    cr_expect_eq(o->status, 0, "%s", o->err);
    cr_expect(strstr(o->out, "guided: 5 of 5 relu"), "%s", o->out);
    cr_expect(is_png("hz-builtin.png"));
}

Test(builtin, what_export_writes_predicts_the_same) {
    char first[64];
    const outcome *o = run("hzero/hzero", "export --out hz-builtin.onnx");
    if (strstr(o->err, "without libprotobuf-c")) skip("no ONNX here");
    cr_assert_eq(o->status, 0, "%s", o->err);
    cr_expect(strstr(o->out, "(N, 3, 32, 32)"), "%s", o->out);
    o = run("hzero/hzero", "predict --top 1 --image " SHIP);
    snprintf(first, sizeof first, "%.28s", o->out);
    o = run(
        "hzero/hzero",
        "predict --top 1 --model hz-builtin.onnx --range 1 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
        "--image " SHIP);
    cr_expect(o->status == 0 && strncmp(o->out, first, 12) == 0, "%s %s, not %s", o->err, o->out, first);
}

Test(builtin, only_allconv_comes_with_weights) {
    const outcome *o = run("hzero/hzero", "units --model allconv");
    cr_expect(o->status == 0 && strstr(o->out, "relu8"), "%s", o->err);
    o = run("hzero/hzero", "units --model resnet20");
    cr_expect(o->status == 1 && strstr(o->err, "resnet20"), "%s", o->err);
}

Test(builtin, nine_of_ten_pictures_are_told) {
    char line[4200];
    const char *data = hz_test_data("cifar10_test_first1000.bin");
    if (!data) skip("no cifar10_test_first1000.bin: set HZ_DATA");
    snprintf(line, sizeof line, "evaluate --data '%s'", data);
    const outcome *o = run("hzero/hzero", line);
    double accuracy = 0;
    cr_assert(o->status == 0 && sscanf(o->out, "top-1 %lf %% of 1000", &accuracy) == 1, "%s", o->err);
    cr_expect(accuracy >= 89.0, "%s", o->out); /* 90 % and more of all ten thousand */
}

Test(builtin, fgsm_finds_the_step_that_fools_and_draws_it) {
    double levels = 0;
    const outcome *o = run("fgsm", "--out hz-fgsm.png --image " SHIP);
    cr_expect_eq(o->status, 0, "%s", o->err);
    const char *second = strchr(o->out, '\n'), *after = strstr(o->out, "after ");
    cr_assert(strncmp(o->out, "8 ship, ", 8) == 0 && second && after, "%s", o->out);
    cr_expect(strncmp(second + 1, "8 ", 2) != 0, "%s", o->out);
    cr_expect(sscanf(after, "after %lf of", &levels) == 1 && levels > 0 && levels <= 64, "%s", o->out);
    cr_expect(is_png("hz-fgsm.png"));
}

Test(builtin, dream_makes_a_silent_unit_fire) {
    double first = -1, last = -1;
    const outcome *o = run("dream", "--unit 'relu6[3,3,3]' --steps 40 --out hz-dream.png");
    const char *start = strstr(o->out, "] = "), *end = strstr(o->out, "after   40 steps: relu6[3,3,3] = ");
    cr_assert(o->status == 0 && start && end, "%s%s", o->err, o->out);
    sscanf(start, "] = %lf", &first);
    sscanf(end, "after 40 steps: relu6[3,3,3] = %lf", &last);
    cr_expect(first >= 0 && last > first + 1, "%g, then %g", first, last);
    cr_expect(is_png("hz-dream.png"));
}

Test(builtin, programs_refuse_what_they_do_not_know) {
    cr_expect_eq(run("fgsm", "--unit x --image " SHIP)->status, 2);
    cr_expect_eq(run("fgsm", "")->status, 2);
    cr_expect_eq(run("dream", "--unit 'nosuch[0]'")->status, 1);
    const outcome *o = run("dream", "--unit 'relu1[0,0,0]' --image /nonexistent.png");
    cr_expect(o->status == 1 && strstr(o->err, "/nonexistent.png"), "%s", o->err);
}
