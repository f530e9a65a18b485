/* test_mpi.c: the program mnist under mpirun: several processes train what one does, and end together.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "digits.h"
#include "nn/weights.h"

/* mpirun refuses root and more processes than cores unless told otherwise; and what Open MPI leaks is not ours to find. */
static void set_up(void) {
    char asan[256];
    const char *before = getenv("ASAN_OPTIONS");
    make_folder_of_digits();
    snprintf(asan, sizeof asan, "%s:detect_leaks=0", before ? before : "");
    setenv("ASAN_OPTIONS", asan, 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
}

TestSuite(mpi, .init = set_up, .fini = remove_folder, .timeout = 120);

/* HZ_HAVE_MPI: the programs were built with it. */
static void need_mpi(void) {
    if (!HZ_HAVE_MPI) skip("built without MPI: install libopenmpi-dev");
    if (system("command -v mpirun >/dev/null")) skip("no mpirun here: install openmpi-bin");
}

/* Every one of n processes does `first`, then becomes mnist. */
static const outcome *train(int n, const char *first, const char *options) {
    char line[2048];
    snprintf(line, sizeof line,
             "mpirun -n %d sh -c '%s exec \"%s/mnist\" --data . --batch 21 --threads 1 %s'", n, first,
             HZ_PROGRAMS, options);
    return run_line(line);
}

static hz_weights *open_weights(const char *name) {
    hz_weights *w = NULL;
    hz_error err = {HZ_OK, ""};
    cr_assert(hz_weights_open(in_folder(name), NULL, &w, &err), "%s", err.text);
    return w;
}

static void expect_close(const char *a, const char *b, double tolerance) {
    hz_weights *x = open_weights(a), *y = open_weights(b);
    cr_assert_gt(hz_weights_count(x), 0);
    for (size_t k = 0; k < hz_weights_count(x); k++) {
        const hz_tensor *u = hz_weights_tensor(x, k), *v = hz_weights_find(y, hz_weights_name(x, k));
        cr_assert(v && hz_same_shape(u, v));
        for (int64_t i = 0; i < hz_numel(u); i++) {
            const double p = hz_get_flat(u, i), q = hz_get_flat(v, i);
            cr_assert(fabs(p - q) <= tolerance, "%s[%lld]: %g and %g", hz_weights_name(x, k), (long long)i, p,
                      q);
        }
    }
    hz_weights_close(x);
    hz_weights_close(y);
}

static int count(const char *text, const char *word) {
    int n = 0;
    for (; (text = strstr(text, word)); text++) n++;
    return n;
}

/* ---- claims ---- */

Test(mpi, two_and_three_processes_train_what_one_does) {
    need_mpi();
    const outcome *o = run("mnist", "--data . --batch 21 --threads 1 --epochs 1 --out one");
    cr_assert_eq(o->status, 0, "%s", o->err);
    o = train(2, "", "--epochs 1 --out two --log two.jsonl");
    cr_assert_eq(o->status, 0, "%s", o->err);
    cr_expect_eq(count(o->out, "test accuracy"), 1, "%s", o->out); /* one of them speaks, of all pictures */
    cr_expect(strstr(o->out, " of 100 after 1 epochs"), "%s", o->out);
    cr_expect_eq(train(3, "", "--epochs 1 --out three")->status, 0);
    expect_close("one", "two", 2e-5);
    expect_close("one", "three", 2e-5);
}

Test(mpi, a_killed_process_ends_the_job_with_a_word) {
    need_mpi();
    /* Process 1 is killed a second from its start. */
    const outcome *o =
        train(2, "test $OMPI_COMM_WORLD_RANK = 0 || { sleep 1; kill -9 $$; } &", "--epochs 1000000");
    cr_expect(o->status != 0);
    cr_expect(strstr(o->err, "process rank 1") && strstr(o->err, "Killed"), "%s", o->err);
}

Test(mpi, a_process_that_fails_ends_the_job_and_says_why) {
    need_mpi();
    const outcome *o = train(2, "test $OMPI_COMM_WORLD_RANK = 0 || cd /;", "--epochs 1000000");
    cr_expect(o->status != 0);
    cr_expect(strstr(o->err, "mnist: process 1: ./train-images-idx3-ubyte: cannot open"), "%s", o->err);
}

Test(mpi, processes_with_other_seeds_are_told_so) {
    need_mpi();
    const outcome *o = train(2, "", "--seed 1$OMPI_COMM_WORLD_RANK --epochs 1");
    cr_expect(o->status != 0);
    cr_expect(strstr(o->err, "process 1 has other parameters"), "%s", o->err);
}

/* What is stopped goes on where it was, whatever the number of processes. */
Test(mpi, ctrl_c_saves_once_and_stops_all) {
    need_mpi();
    const outcome *o = run_line("sh -c '{ sleep 2; kill -INT $$; } & exec mpirun -n 2 \"" HZ_PROGRAMS
                                "/mnist\" --data . --batch 21 --threads 1 --epochs 1000000 --checkpoint c'");
    cr_expect(o->status != 0);
    cr_expect_eq(count(o->err, "go on with --resume: c"), 1, "%s", o->err);
    o = train(1, "", "--checkpoint c --resume --epochs 1");
    cr_expect_eq(o->status, 0, "%s", o->err);
}

Test(mpi, a_build_without_it_refuses_to_be_one_of_several) {
    if (HZ_HAVE_MPI) skip("this one has it");
    const outcome *o = run_line("OMPI_COMM_WORLD_SIZE=2 '" HZ_PROGRAMS "/mnist' --data .");
    cr_expect(o->status == 1 && strstr(o->err, "this build knows no MPI"), "%s", o->err);
}
