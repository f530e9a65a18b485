/* main.c: hzero, the command-line program: which commands there are, and calling one.
 *
 * Data goes to stdout, messages to stderr; the exit status is 0, 1 (failed) or 2 (wrong usage).
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "nn/model.h"

enum {
    OPT_NETWORK = OPT_MODEL | OPT_PREPROCESSING | OPT_THREADS,
    OPT_PICTURE = OPT_NETWORK | OPT_IMAGE,
};

static const command commands[] = {
    {"predict", "hzero predict", "class scores of an image",
     "Prints the most probable classes: index, probability, score, label.",
     OPT_PICTURE | OPT_LABELS | OPT_TOP | OPT_JSON, OPT_IMAGE, run_predict},
    {"evaluate", "hzero evaluate", "accuracy on a labelled file or folder",
     "Prints the top-1 accuracy on CIFAR-10 binary records, on an IDX file of images with its labels beside "
     "it,\n"
     "or on a folder DIR/CLASS/PICTURE.png, where CLASS is a number or the folders sorted by name are the "
     "classes.",
     OPT_NETWORK | OPT_DATA | OPT_JSON, OPT_DATA, run_evaluate},
    {"units", "hzero units", "the layers: shape, receptive field, strongest unit",
     "Lists every named layer with its shape and receptive field; with an image, also its strongest unit.",
     OPT_PICTURE | OPT_JSON, 0, run_units},
    {"influence", "hzero influence",
     "how much each pixel influences hidden units, as numbers and as a picture",
     "The gradient of each unit at the pixels under each rule, from one forward pass: a picture with a row "
     "per unit and a\n"
     "column per rule, in which gray is exactly zero, and on request the maps as .npy files. Computed in "
     "f64, so that\n"
     "rounding decides no ReLU and no maximum.",
     OPT_PICTURE | OPT_UNIT | OPT_UNITS | OPT_RULE | OPT_OUT | OPT_SAVE | OPT_JSON, OPT_IMAGE | OPT_UNIT,
     run_influence},
    {"occlusion", "hzero occlusion", "how a unit drops while a gray window slides over the image",
     "Covers the image with a gray window, position by position, and draws how far the unit falls at each.",
     OPT_PICTURE | OPT_UNIT | OPT_WINDOW | OPT_STRIDE | OPT_OUT | OPT_JSON,
     OPT_IMAGE | OPT_UNIT | OPT_WINDOW | OPT_STRIDE | OPT_OUT, run_occlusion},
    {"patches", "hzero patches", "the image patches that fire a unit most",
     "Looks for the unit's channel everywhere in every image of a folder and draws the receptive fields of "
     "the strongest.",
     OPT_NETWORK | OPT_IMAGES | OPT_UNIT | OPT_TOP | OPT_OUT | OPT_JSON, OPT_IMAGES | OPT_UNIT | OPT_OUT,
     run_patches},
    {"weights", "hzero weights", "the filters of a layer as pictures",
     "Draws each filter of a convolution: in colour where it has three input channels, otherwise channel by "
     "channel.",
     OPT_MODEL | OPT_LAYER | OPT_OUT | OPT_JSON, OPT_LAYER | OPT_OUT, run_weights},
    {"curve", "hzero curve", "the learning curve of a training run",
     "Draws the loss and the accuracy in the log of a training run as an SVG picture.", OPT_LOG | OPT_OUT,
     OPT_LOG | OPT_OUT, run_curve},
    {"export", "hzero export", "the network as an ONNX file",
     "Writes the network with its weights as ONNX of opset 17 for a batch of any size, under the names of "
     "its layers.",
     OPT_NETWORK | OPT_OUT, OPT_OUT, run_export},
    {"paths", "hzero paths", "a small network in which every path can be followed by hand",
     "Prints every path from x2 to a unit of the second layer (default: h2[0]), the product of the local "
     "derivatives\n"
     "along it, and their sum, which is the gradient.",
     OPT_UNIT | OPT_JSON, 0, run_paths},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(void) {
    printf("hzero: what does a network look at?\n\nusage: hzero COMMAND [options]\n\n");
    for (int k = 0; k < COMMANDS; k++) printf("  %-10s %s\n", commands[k].name, commands[k].summary);
    printf("\n  hzero COMMAND --help   the options of a command\n  hzero --version\n\n"
           "SPEC, the model, is ARCH:WEIGHTS, where WEIGHTS is a .safetensors file or a TensorFlow.js "
           "model.json "
           "and ARCH\none of");
    for (const hz_arch *arch = hz_archs; arch->name; arch++)
        printf("%s %s", arch == hz_archs ? "" : ",", arch->name);
    printf("; or it is an .onnx file, whose preprocessing\n"
           "--size, --mean, --std, --order and --range say. Without --model it is allconv, ten classes of "
           "CIFAR-10, with\nthe weights that come with hzero. For example:\n\n"
           "  hzero influence --model squeezenet1_0:squeezenet.safetensors --image cat.png \\\n"
           "        --unit 'fire9[489,5,3]' --unit 'logits[argmax]' --out sheet.png\n");
}

static int complain(const char *word) {
    fprintf(stderr, "hzero: unknown command \"%s\"; known are", word);
    for (int k = 0; k < COMMANDS; k++) fprintf(stderr, "%s %s", k ? "," : "", commands[k].name);
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

static int run(const command *c, int argc, char **argv) {
    options o;
    if (!options_parse(c, argc, argv, 2, &o)) return EXIT_USAGE;
    if (o.help) {
        options_help(c);
        return 0;
    }
    if (!o.model && (c->takes & OPT_MODEL)) o.model = "allconv"; /* its weights are built in */
    return c->run(&o);
}

/* A full disk or a closed pipe must not look like success. */
static int close_output(int status) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    fprintf(stderr, "hzero: cannot write to standard output\n");
    return status ? status : EXIT_FAILED;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: hzero COMMAND [options]; see hzero --help\n");
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_help();
        return close_output(0);
    }
    if (!strcmp(argv[1], "--version")) {
        printf("hzero %s\n", HZERO_VERSION);
        return close_output(0);
    }
    for (int k = 0; k < COMMANDS; k++)
        if (!strcmp(argv[1], commands[k].name)) return close_output(run(&commands[k], argc, argv));
    return complain(argv[1]);
}
