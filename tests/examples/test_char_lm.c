/* test_char_lm.c: both networks learn a small text, write the same for the same seed, and go on where they stopped.
 *
 * SPDX-License-Identifier: MIT */
#include <signal.h>

#include "command.h"

#define SMALL "--data lm.txt --batch 4 --context 16 --width 16 --heads 2 --layers 1 --measure 10 --threads 1 "

static void set_up(void) {
    make_folder();
    FILE *f = fopen(in_folder("lm.txt"), "wb");
    cr_assert(f);
    for (int k = 0; k < 200; k++) fputs("she sells sea shells by the sea shore. ", f);
    cr_assert(fclose(f) == 0);
}

TestSuite(char_lm, .init = set_up, .fini = remove_folder);

/* The last perplexity on the text kept apart. */
static double last_perplexity(const char *text) {
    double value = 0;
    for (const char *p = text; (p = strstr(p, "validation perplexity ")); p++)
        sscanf(p, "validation perplexity %lf", &value);
    return value;
}

/* Everything it says, wherever it says it. */
static const char *run_lm(const char *arguments) {
    static char text[1 << 15];
    const outcome *o = run("char_lm", arguments);
    cr_assert_eq(o->status, 0, "%s: %s", arguments, o->err);
    strcpy(stpcpy(text, o->out), o->err);
    return text;
}

Test(char_lm, both_networks_learn_a_text) {
    for (int k = 0; k < 2; k++) {
        char arguments[256];
        snprintf(arguments, sizeof arguments, SMALL "--steps 150 --lr 0.01 --arch %s", k ? "lstm" : "gpt");
        const double perplexity = last_perplexity(run_lm(arguments));
        cr_expect(perplexity > 1 && perplexity < 8, "%s: %g", arguments, perplexity);
    }
}

Test(char_lm, what_it_writes_is_told_by_the_seed_and_outlives_the_program) {
    static char first[1 << 15];
    run_lm(SMALL "--steps 30 --out lm.safetensors");
    const char *load = SMALL "--steps 0 --load lm.safetensors --sample 50";
    strcpy(first, run_lm(load));
    cr_expect(strlen(first) >= 50);
    cr_expect_str_eq(run_lm(load), first);
}

Test(char_lm, a_run_in_two_parts_is_the_run) {
    const double whole = last_perplexity(run_lm(SMALL "--steps 1000"));
    const outcome *o =
        run_line("sh -c '{ until [ -e lm.checkpoint ]; do :; done; kill -INT $$; } & exec "
                 "\"" HZ_PROGRAMS "/char_lm\" " SMALL "--steps 1000 --every 1 --checkpoint lm.checkpoint'");
    cr_expect(o->status == 128 + SIGINT && strstr(o->err, "stopped at step"), "%s", o->err);
    const double again = last_perplexity(run_lm(SMALL "--steps 1000 --resume --checkpoint lm.checkpoint"));
    cr_expect(whole > 1 && whole == again, "%g, %g", whole, again);
}

Test(char_lm, says_what_is_wrong) {
    const outcome *o = run("char_lm", "--data none.txt");
    cr_expect(o->status == 1 && strstr(o->err, "none.txt"), "%s", o->err);
    o = run("char_lm", "--arch nonsense");
    cr_expect(o->status == 2 && strstr(o->err, "gpt or lstm"), "%s", o->err);
}
