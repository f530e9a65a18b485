/* test_cli.c: hzero, the command-line program, on a ResNet-20 with random weights made here, so that every command runs
 * on any machine; and on the real SqueezeNet where the data is at hand.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <sys/stat.h>

#include <jansson.h>

#include "command.h"
#include "data.h"
#include "hzero.h"
#include "tensor/npy.h"
#include "tensor/png.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"

/* ---- a network and a picture to work on ---- */

enum { MOST = 128 };

typedef struct builder {
    hz_safetensors_entry entry[MOST];
    char name[MOST][64];
    size_t n;
} builder;

static void add(builder *b, const char *prefix, const char *name, double lo, double hi, int rank,
                const int64_t *dim) {
    hz_tensor v = hz_tensor_of(NULL, HZ_F32, rank, dim);
    v.data = malloc(hz_nbytes(&v));
    for (int64_t k = 0; k < hz_numel(&v); k++)
        ((float *)v.data)[k] = (float)(lo + (hi - lo) * hz_random_uniform(3, b->n, (uint64_t)k));
    snprintf(b->name[b->n], sizeof b->name[0], "%s%s", prefix, name);
    b->entry[b->n] = (hz_safetensors_entry){b->name[b->n], v};
    b->n++;
}

static void add_conv_bn(builder *b, const char *prefix, int k, int64_t in, int64_t out) {
    char name[64];
    double bound = sqrt(6.0 / (double)(9 * in));
    snprintf(name, sizeof name, "conv%d.weight", k);
    add(b, prefix, name, -bound, bound, HZ_DIMS(out, in, 3, 3));
    static const struct {
        const char *name;
        double lo, hi;
    } parts[] = {
        {"weight", 0.8, 1.2}, {"bias", -0.1, 0.1}, {"running_mean", -0.1, 0.1}, {"running_var", 0.5, 1.5}};
    for (int p = 0; p < 4; p++) {
        snprintf(name, sizeof name, "bn%d.%s", k, parts[p].name);
        add(b, prefix, name, parts[p].lo, parts[p].hi, HZ_DIMS(out));
    }
}

static void write_network(const char *path) {
    builder *b = calloc(1, sizeof *b);
    add_conv_bn(b, "", 1, 3, 16);
    for (int stage = 1; stage <= 3; stage++)
        for (int block = 0; block < 3; block++) {
            char prefix[32];
            int64_t out = 8 << stage, in = block == 0 && stage > 1 ? out / 2 : out;
            snprintf(prefix, sizeof prefix, "layer%d.%d.", stage, block);
            add_conv_bn(b, prefix, 1, in, out);
            add_conv_bn(b, prefix, 2, out, out);
        }
    add(b, "", "linear.weight", -0.3, 0.3, HZ_DIMS(10, 64));
    add(b, "", "linear.bias", -0.1, 0.1, HZ_DIMS(10));
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_safetensors_write(path, b->entry, b->n, NULL, 0, NULL, &err), "%s", err.text);
    for (size_t k = 0; k < b->n; k++) free(b->entry[k].tensor.data);
    free(b);
}

static void write_picture(const char *path) {
    static uint8_t pixels[32 * 32 * 3];
    for (int k = 0; k < 32 * 32 * 3; k++) pixels[k] = (uint8_t)(hz_random_bits(1, 1, (uint64_t)k) >> 56);
    hz_tensor v = hz_tensor_of(pixels, HZ_U8, HZ_DIMS(32, 32, 3));
    hz_error err = {.code = HZ_OK};
    cr_assert(hz_png_write(path, &v, NULL, 0, NULL, &err), "%s", err.text);
}

static void write_lines(const char *path, int n) {
    FILE *f = fopen(path, "w");
    for (int k = 0; k < n; k++) fprintf(f, "%d\n", k);
    fclose(f);
}

static void write_input_with_nan(const char *path) {
    static float values[3 * 32 * 32];
    const hz_tensor input = hz_tensor_of(values, HZ_F32, HZ_DIMS(3, 32, 32));
    hz_set(&input, (const int64_t[]){1, 2, 3}, NAN);
    cr_assert(hz_npy_save(path, &input, NULL, NULL));
}

static void set_up(void) {
    make_folder();
    write_network(in_folder("net.safetensors"));
    write_picture(in_folder("picture.png"));
    write_lines(in_folder("eleven.txt"), 11);
    write_input_with_nan(in_folder("nan.npy"));
}

TestSuite(cli, .init = set_up, .fini = remove_folder);

#define NET "--model resnet20:net.safetensors "
#define PICTURE NET "--image picture.png "

static const outcome *hzero(const char *arguments) {
    return run("hzero/hzero", arguments);
}

static json_t *parsed(const outcome *o) {
    json_error_t why;
    json_t *j = json_loads(o->out, 0, &why);
    cr_assert(j, "line %d: %s\n%s\n%s", why.line, why.text, o->out, o->err);
    return j;
}

static double number(const json_t *j, const char *key) {
    const json_t *v = json_object_get(j, key);
    cr_assert(json_is_number(v), "no number \"%s\"", key);
    return json_number_value(v);
}

static bool exists(const char *name) {
    return access(in_folder(name), F_OK) == 0;
}

/* ---- usage ---- */

Test(cli, help_and_version_go_to_stdout) {
    const outcome *o = hzero("--help");
    cr_expect(o->status == 0 && strstr(o->out, "influence") && !*o->err);
    o = hzero("--version");
    cr_expect(o->status == 0 && strstr(o->out, "hzero 0."));
    o = hzero("influence --help");
    cr_expect(o->status == 0 && strstr(o->out, "--unit") && !*o->err);
}

Test(cli, wrong_usage_exits_2_says_why_and_prints_nothing) {
    static const struct {
        const char *arguments, *says;
    } cases[] = {
        {"", "usage"},
        {"nonsense", "nonsense"},
        {"influence --frobnicate", "--frobnicate"},
        {"influence " PICTURE, "--unit"},
        {"predict --model resnet20:net.safetensors", "--image"},
        {"predict " PICTURE "--top 0", "--top"},
        {"predict " PICTURE "--top five", "five"},
        {"predict " PICTURE "--top", "--top"},
        {"predict " PICTURE "--unit x", "--unit"},
        {"predict " PICTURE "--mean 1,2", "--mean"},
        {"predict " PICTURE "--order gbr", "gbr"},
        {"predict " PICTURE "--range 7", "7"},
        {"predict " PICTURE "stray", "stray"},
        {"predict " PICTURE "--top=", "--top"},
        {"predict " PICTURE "--json=yes", "--json takes no value"},
        {"predict " PICTURE "--unit=x", "has no option --unit"},
        {"predict " PICTURE "--std 0,1,1", "three positive numbers, not \"0\""},
        {"influence " PICTURE "--unit 'logits[0]' --rule grad",
         "gradient or deconvnet or guided, not \"grad\""},
        {"paths --unit 'h1[0]' 'h1[1]'", "one unit, not \"h1[1]\""},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const outcome *o = hzero(cases[k].arguments);
        cr_expect_eq(o->status, 2, "%s: status %d", cases[k].arguments, o->status);
        cr_expect(strstr(o->err, cases[k].says) && !*o->out, "%s: %s", cases[k].arguments, o->err);
    }
}

Test(cli, what_is_read_is_not_written_over) {
    const outcome *o = hzero("influence --image picture.png --unit 'logits[0]' --out ./picture.png");
    cr_expect(o->status == 2 && strstr(o->err, "--out wants a file that is not read"), "%s", o->err);
    o = hzero("influence --image picture.png --unit 'logits[0]' --out sheet.png");
    cr_expect(o->status == 0, "%s", o->err);
    o = hzero("weights --model allconv:sheet.png --layer conv1.weight --out sheet.png");
    cr_expect(o->status == 2 && strstr(o->err, "not read"), "%s", o->err);
}

Test(cli, what_fails_exits_1_names_the_cause_and_leaves_nothing_behind) {
    static const struct {
        const char *arguments, *says;
    } cases[] = {
        {"predict --model resnet20:none.safetensors --image picture.png", "none.safetensors"},
        {"predict --model resnet99:net.safetensors --image picture.png", "resnet99"},
        {"predict --model net.safetensors --image picture.png", "net.safetensors"},
        {"predict --model squeezenet1_0:net.safetensors --image picture.png", "conv1"},
        {"predict --model resnet20:picture.png --image picture.png", "picture.png"},
        {"predict " NET "--image none.png", "none.png"},
        {"predict " NET "--image net.safetensors", "net.safetensors"},
        {"predict " NET "--image .", "."},
        {"predict " PICTURE "--labels none.txt", "none.txt"},
        {"predict " PICTURE "--labels picture.png", "not UTF-8 text"},
        {"predict " PICTURE "--labels eleven.txt", "eleven.txt: has 11 labels, the model 10 classes"},
        {"predict --model resnet20: --image picture.png", "names no file"},
        {"influence " NET "--image nan.npy --unit 'logits[0]' --out sheet.png",
         "leaf \"pixels\": first NaN at [0,1,2,3]"},
        {"influence " PICTURE "--unit 'layer9[0]' --out sheet.png", "layer9"},
        {"influence " PICTURE "--unit 'layer1[99,0,0]' --out sheet.png", "99"},
        {"influence " PICTURE "--unit 'layer1[1,2]' --out sheet.png", "layer1"},
        {"influence " PICTURE "--unit 'layer1' --out sheet.png", "layer1"},
        {"influence " PICTURE "--unit 'logits[0]' --out none/sheet.png", "none/sheet.png"},
        {"influence " PICTURE "--unit 'logits[0]' --out sheet.png --save picture.png", "picture.png"},
        {"influence " PICTURE "--unit 'conv1.weight[0,0,0,0]' --out sheet.png", "conv1.weight"},
        {"evaluate " NET "--data picture.png", "picture.png"},
        {"weights " NET "--layer linear --out sheet.png", "linear"},
        {"patches " NET "--images none --unit 'layer1[0,argmax]' --out sheet.png", "none"},
        {"occlusion " PICTURE "--unit 'layer9[0]' --window 8 --stride 8 --out sheet.png", "layer9"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const outcome *o = hzero(cases[k].arguments);
        cr_expect_eq(o->status, 1, "%s: status %d", cases[k].arguments, o->status);
        cr_expect(strstr(o->err, cases[k].says), "%s: %s", cases[k].arguments, o->err);
        cr_expect(!*o->out && !exists("sheet.png"), "%s left something behind", cases[k].arguments);
    }
}

Test(cli, a_value_may_stand_behind_an_equals_sign) {
    const outcome *o = hzero("predict --model=resnet20:net.safetensors --image=picture.png --top=3");
    int lines = 0;
    for (const char *c = o->out; *c; c++) lines += *c == '\n';
    cr_expect(o->status == 0 && lines == 3, "%s%s", o->out, o->err);
    o = hzero("influence -h");
    cr_expect(o->status == 0 && strstr(o->out, "usage: hzero influence"), "%s", o->out);
}

Test(cli, a_full_disk_is_a_failure) {
    int status = system("'" HZ_PROGRAMS "/hzero/hzero' paths >/dev/full 2>/dev/null");
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* ---- commands ---- */

Test(cli, predict_lists_the_most_probable_classes) {
    json_t *j = parsed(hzero("predict " PICTURE "--top 10 --json")), *top = json_object_get(j, "top");
    cr_assert_eq(json_array_size(top), 10);
    double sum = 0, before = 1;
    for (size_t k = 0; k < 10; k++) {
        double p = number(json_array_get(top, k), "probability");
        cr_expect_leq(p, before);
        before = p;
        sum += p;
    }
    cr_expect_float_eq(sum, 1, 1e-5);
    json_decref(j);
}

Test(cli, evaluate_takes_a_folder_of_classes) {
    char path[64];
    mkdir(in_folder("set"), 0700);
    for (int k = 0; k < 10; k++) { /* the same picture in every class is right in one */
        snprintf(path, sizeof path, "set/%d", k);
        mkdir(in_folder(path), 0700);
        snprintf(path, sizeof path, "set/%d/a.png", k);
        write_picture(in_folder(path));
    }
    cr_expect_str_eq(hzero("evaluate " NET "--data set")->out, "top-1 10.0 % of 10\n");
    snprintf(path, sizeof path, "set/%d", 10);
    mkdir(in_folder(path), 0700);
    write_picture(in_folder("set/10/a.png"));
    const outcome *o = hzero("evaluate " NET "--data set");
    cr_expect(o->status == 1 && strstr(o->err, "label 10 of example 10"), "%s", o->err);
}

Test(cli, a_file_name_that_is_not_utf8_fits_into_json_and_png) {
    char line[256];
    snprintf(line, sizeof line, "cp '%s/picture.png' '%s/\xff.png'", folder, folder);
    cr_assert_eq(system(line), 0);
    json_t *j = parsed(hzero("influence " NET "--image \xff.png --unit 'logits[0]' --out sheet.png --json"));
    cr_expect_str_eq(json_string_value(json_object_get(j, "image")), "?.png");
    cr_expect(exists("sheet.png"));
    json_decref(j);
}

Test(cli, labels_come_from_lines_or_json) {
    static const struct {
        const char *name, *text;
    } files[] = {{"a.txt", "n01440764 zero\nn01440765 one\n2\n3\n4\n5\n6\n7\n8\n9\n"},
                 {"b.json", "{\"9\": \"9\", \"0\": \"zero\", \"1\": \"one\", \"2\": \"2\"}"},
                 {"c.json", "[\"zero\", \"one\"]"}};
    for (size_t k = 0; k < 3; k++) {
        FILE *f = fopen(in_folder(files[k].name), "w");
        fputs(files[k].text, f);
        fclose(f);
        char line[128];
        snprintf(line, sizeof line, "predict " PICTURE "--top 10 --labels %s", files[k].name);
        const outcome *o = hzero(line);
        cr_expect(o->status == 0 && strstr(o->out, "  zero\n") && strstr(o->out, "  one\n"), "%s%s", o->out,
                  o->err);
    }
}

Test(cli, units_lists_layers_with_shapes_and_fields) {
    json_t *j = parsed(hzero("units " PICTURE "--json")), *layers = json_object_get(j, "layers"), *layer;
    size_t k;
    bool found = false;
    json_array_foreach (layers, k, layer) {
        if (strcmp(json_string_value(json_object_get(layer, "layer")), "layer1.0.conv1")) continue;
        found = true;
        json_t *field = json_object_get(layer, "receptive_field");
        json_t *shape = json_object_get(layer, "shape"), *size = json_object_get(field, "size");
        cr_expect_eq(json_integer_value(json_array_get(shape, 1)), 16);
        cr_expect_eq(json_integer_value(json_array_get(size, 0)), 5);
        cr_expect(json_object_get(layer, "strongest"));
    }
    cr_expect(found);
    json_decref(j);
    cr_expect_eq(hzero("units " NET)->status, 0);
}

Test(cli, influence_saves_maps_that_are_zero_outside_the_field) {
    json_t *j = parsed(hzero("influence " PICTURE
                             "--unit 'layer1.0[3,16,16]' 'layer2/0[argmax]' --unit 'logits[0,argmax]' "
                             "--rule gradient guided --out sheet.png --save maps/deep --json"));
    json_t *list = json_object_get(j, "influence"), *one;
    size_t k;
    cr_assert_eq(json_array_size(list), 6);
    json_array_foreach (list, k, one) {
        hz_tensor map;
        hz_error err = {.code = HZ_OK};
        cr_assert(hz_npy_load(in_folder(json_string_value(json_object_get(one, "map"))), NULL, &map, &err),
                  "%s", err.text);
        cr_expect(map.dtype == HZ_F32 && map.rank == 3 && map.dim[0] == 3 && map.dim[1] == 32 &&
                  map.dim[2] == 32);
        json_t *field = json_object_get(one, "receptive_field"), *rows = json_object_get(field, "rows"),
               *columns = json_object_get(field, "columns");
        double largest = 0;
        for (int64_t e = 0; e < hz_numel(&map); e++) {
            int64_t at[HZ_MAX_RANK];
            hz_unravel(&map, e, at);
            bool inside = at[1] >= json_integer_value(json_array_get(rows, 0)) &&
                          at[1] < json_integer_value(json_array_get(rows, 1)) &&
                          at[2] >= json_integer_value(json_array_get(columns, 0)) &&
                          at[2] < json_integer_value(json_array_get(columns, 1));
            double v = fabs(hz_get_flat(&map, e));
            if (!inside) cr_expect_eq(v, 0);
            largest = fmax(largest, v);
        }
        cr_expect_float_eq(largest, number(one, "largest"), 1e-6 * largest);
        cr_expect_gt(largest, 0);
        hz_free(NULL, map.data);
    }
    json_decref(j);
    cr_expect(exists("sheet.png") && exists("maps/deep/layer2_0[argmax].guided.npy"));
}

Test(cli, the_same_maps_come_out_with_one_and_two_threads) {
    cr_assert_eq(
        hzero("influence " PICTURE "--unit 'layer3[argmax]' --threads 1 --save one --out one.png")->status,
        0);
    cr_assert_eq(
        hzero("influence " PICTURE "--unit 'layer3[argmax]' --threads 2 --save two --out two.png")->status,
        0);
    char line[512];
    snprintf(line, sizeof line, "cd %s && diff -r one two && cmp one.png two.png", folder);
    cr_expect_eq(system(line), 0);
}

Test(cli, an_npy_is_the_networks_input_itself) {
    float *input = calloc(3 * 32 * 32, sizeof *input);
    for (int k = 0; k < 3 * 32 * 32; k++) input[k] = (float)sin(k);
    hz_tensor v = hz_tensor_of(input, HZ_F32, HZ_DIMS(3, 32, 32)),
              wrong = hz_tensor_of(input, HZ_F32, HZ_DIMS(3, 16, 64));
    cr_assert(hz_npy_save(in_folder("x.npy"), &v, NULL, NULL) &&
              hz_npy_save(in_folder("y.npy"), &wrong, NULL, NULL));
    free(input);
    cr_expect_eq(hzero("predict " NET "--image x.npy")->status, 0);
    const outcome *o = hzero("predict " NET "--image y.npy");
    cr_expect(o->status == 1 && strstr(o->err, "y.npy") && strstr(o->err, "16"), "%s", o->err);
}

Test(cli, occlusion_patches_and_weights_draw_their_pictures) {
    const outcome *o =
        hzero("occlusion " PICTURE "--unit 'logits[argmax]' --window 8 --stride 6 --out occlusion.png");
    cr_expect(o->status == 0 && exists("occlusion.png"), "%s", o->err);
    o = hzero("patches " NET "--images . --unit 'layer2[5,argmax]' --top 4 --out patches.png");
    cr_expect(o->status == 0 && exists("patches.png"), "%s", o->err);
    o = hzero("weights " NET "--layer conv1 --out weights.png");
    cr_expect(o->status == 0 && exists("weights.png"), "%s", o->err);
    o = hzero("weights " NET "--layer layer3.2.conv2 --out more.png");
    cr_expect(o->status == 0 && exists("more.png"), "%s", o->err);
}

/* 20 pixels a step over 32: the window starts at 0 and 20, and nowhere outside of the picture. */
Test(cli, occlusion_covers_a_part_of_the_picture_at_every_position) {
    json_t *j = parsed(hzero("occlusion " PICTURE
                             "--unit 'logits[argmax]' --window 8 --stride 20 --out occlusion.png --json"));
    json_t *drop = json_object_get(j, "drop");
    cr_assert_eq(json_array_size(drop), 2);
    for (size_t y = 0; y < 2; y++) {
        cr_assert_eq(json_array_size(json_array_get(drop, y)), 2);
        for (size_t x = 0; x < 2; x++)
            cr_expect_neq(json_number_value(json_array_get(json_array_get(drop, y), x)), 0);
    }
    json_decref(j);
}

/* y = mean(f(x)·scale·scale) of pixels (1, channels, 8, width), as ONNX; skips where the library was built without it. */
static void write_onnx(const char *name, hz_var (*f)(hz_var), double scale, int64_t channels, int64_t width) {
    static float pixels[3 * 8 * 16];
    const hz_tensor image = hz_tensor_of(pixels, HZ_F32, HZ_DIMS(1, channels, 8, width));
    hz_error err = {.code = HZ_OK};
    hz_tape *t = hz_tape_new(NULL);
    hz_var x = hz_name(hz_input(t, &image), "pixels"), by = hz_full(t, HZ_F32, HZ_DIMS(1, 1, 1, 1), scale);
    hz_var y = hz_name(hz_mean(hz_mul(hz_mul(f(x), by), by), HZ_AXIS(2) | HZ_AXIS(3), false), "y");
    const bool ok = hz_onnx_save(in_folder(name), &y, 1, &x, 1, NULL, &err);
    hz_tape_free(t);
    if (strstr(err.text, "without libprotobuf-c")) skip("no ONNX here");
    cr_assert(ok, "%s", err.text);
    pixels[0] = 1e-30F;
    cr_assert(hz_npy_save(in_folder("tiny.npy"), &image, NULL, NULL));
}

#define TINY "--size 8 --image tiny.npy --unit 'y[0]' "

Test(cli, without_a_relu_the_default_rules_change_nothing_and_say_so) {
    write_onnx("smooth.onnx", hz_sigmoid, 1, 3, 8);
    const outcome *o = hzero("influence --model smooth.onnx " TINY "--save maps");
    cr_expect(o->status == 0 && strstr(o->out, "guided: the network has no relu"), "%s%s", o->out, o->err);
    cr_expect(exists("maps/y[0].deconvnet.npy"));
    o = hzero("influence --model smooth.onnx " TINY "--rule guided");
    cr_expect(o->status == 1 && strstr(o->err, "matches no node"), "%s", o->err);
}

/* On for the smallest of the pixels, which f32 loses beside a larger number. */
static hz_var on_by_a_hair(hz_var x) {
    return hz_relu(hz_affine(hz_affine(x, 1, 1e-20F), 1, -1e-20F));
}

Test(cli, influence_is_not_decided_by_rounding) {
    write_onnx("hair.onnx", on_by_a_hair, 1, 3, 8);
    const outcome *o = hzero("influence --model hair.onnx " TINY "--rule gradient --save maps");
    cr_assert(o->status == 0 && strstr(o->out, "largest |g| 0.015625 "), "%s%s", o->out, o->err);
}

Test(cli, a_gray_onnx_model_takes_gray_pictures) {
    write_onnx("gray.onnx", hz_relu, 1, 1, 8);
    const outcome *o = hzero("influence --model gray.onnx " TINY "--rule guided --out sheet.png");
    cr_expect(o->status == 0 && strstr(o->out, "largest |g| 0.015625 ") && exists("sheet.png"), "%s%s",
              o->out, o->err);
    o = hzero("predict --model gray.onnx --image picture.png");
    cr_expect(o->status == 0, "%s", o->err);
}

Test(cli, an_onnx_model_may_take_pictures_that_are_not_square) {
    write_onnx("wide.onnx", hz_relu, 1, 3, 16);
    const outcome *o =
        hzero("influence --model wide.onnx --image picture.png --unit 'y[0]' --out sheet.png --save maps");
    cr_expect(o->status == 0 && strstr(o->out, "largest |g| 0.0078125 ") && exists("sheet.png"), "%s%s",
              o->out, o->err);
    hz_tensor map;
    cr_assert(hz_npy_load(in_folder("maps/y[0].guided.npy"), NULL, &map, NULL));
    cr_expect(map.dim[map.rank - 2] == 8 && map.dim[map.rank - 1] == 16);
    hz_free(NULL, map.data);
    o = hzero("occlusion --model wide.onnx --image picture.png --unit 'y[0]' --window 4 --stride 4 --out "
              "sheet.png");
    cr_expect(o->status == 0, "%s", o->err);
    o = hzero("units --model wide.onnx");
    cr_expect(o->status == 0, "%s", o->err);
    o = hzero("influence --model wide.onnx --image tiny.npy --unit 'y[0]' --size 8");
    cr_expect(o->status == 1 && strstr(o->err, "[1,3,8,16]"), "%s", o->err);
}

Test(cli, a_gradient_that_overflows_is_an_error) {
    write_onnx("steep.onnx", hz_relu, 1e30, 3, 8);
    const outcome *o = hzero("influence --model steep.onnx " TINY "--json --out sheet.png --save maps");
    cr_expect(o->status == 1 && strstr(o->err, "infinity") && !*o->out, "%s%s", o->out, o->err);
    cr_expect(!exists("sheet.png") && !exists("maps"));
    o = hzero("occlusion --model steep.onnx " TINY "--window 4 --stride 4 --out sheet.png");
    cr_expect(o->status == 1 && strstr(o->err, "covered") && !exists("sheet.png"), "%s", o->err);
}

Test(cli, curve_is_drawn_from_a_log) {
    FILE *f = fopen(in_folder("run <1>.jsonl"), "w");
    for (int k = 1; k <= 3; k++) fprintf(f, "{\"step\": %d, \"loss\": %g, \"accuracy\": 0.5}\n", k, 1.0 / k);
    fclose(f);
    char svg[8192];
    cr_expect_eq(hzero("curve --log 'run <1>.jsonl' --out curve.svg")->status, 0);
    read_whole(in_folder("curve.svg"), svg, sizeof svg);
    cr_expect(strstr(svg, "<title>run &lt;1&gt;</title>") && strstr(svg, "Accuracy"), "%s", svg);
    const outcome *o = hzero("curve --log picture.png --out curve.svg");
    cr_expect(o->status == 1 && strstr(o->err, "picture.png: line 1"), "%s", o->err);
    o = hzero("curve --log none.jsonl --out curve.svg");
    cr_expect(o->status == 1 && strstr(o->err, "none.jsonl"), "%s", o->err);
    o = hzero("curve --out curve.svg");
    cr_expect(o->status == 2 && strstr(o->err, "--log"), "%s", o->err);
    cr_expect(!exists("curve.svg"));
}

Test(cli, paths_add_up_to_the_gradient) {
    json_t *j = parsed(hzero("paths --json")), *paths = json_object_get(j, "paths"), *path;
    double sum = 0;
    size_t k;
    cr_assert_eq(json_array_size(paths), 4);
    json_array_foreach (paths, k, path) {
        json_t *local = json_object_get(path, "local_derivatives"), *d;
        double product = 1;
        size_t l;
        json_array_foreach (local, l, d) product *= json_number_value(d);
        cr_expect_eq(product, number(path, "product"));
        sum += product;
    }
    cr_expect_eq(sum, number(j, "sum"));
    cr_expect_eq(sum, number(j, "gradient"));
    cr_expect_eq(sum, -2);
    json_decref(j);
    const outcome *o = hzero("paths --unit 'a1[1]'");
    cr_expect(o->status == 0 && strstr(o->out, "sum over 1 path = 1"), "%s%s", o->out, o->err);
}

/* ---- the real thing ---- */

Test(cli, squeezenet_sees_an_egyptian_cat) {
    char line[8192], weights[4096], labels[4096];
    if (!hz_test_data("squeezenet1_0_dc.safetensors") || !hz_test_data("chelsea_227.png"))
        skip("no data: set HZ_DATA");
    snprintf(weights, sizeof weights, "%s", hz_test_data("squeezenet1_0_dc.safetensors"));
    snprintf(labels, sizeof labels, "%s", hz_test_data("synset_words.txt"));
    cr_assert((size_t)snprintf(
                  line, sizeof line,
                  "predict --model 'squeezenet1_0:%.2000s' --labels '%.2000s' --image '%.2000s' --json",
                  weights, labels, hz_test_data("chelsea_227.png")) < sizeof line);
    json_t *j = parsed(hzero(line)), *top = json_object_get(j, "top");
    static const struct {
        int class;
        double p;
    } want[5] = {{285, .565}, {282, .193}, {281, .181}, {287, .039}, {293, .013}};
    for (size_t k = 0; k < 5; k++) {
        cr_expect_eq((int)number(json_array_get(top, k), "class"), want[k].class);
        cr_expect_float_eq(number(json_array_get(top, k), "probability"), want[k].p, 6e-4);
    }
    cr_expect_float_eq(number(json_array_get(top, 0), "score"), 17.5213346, 1e-4);
    json_decref(j);
}
