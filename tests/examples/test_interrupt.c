/* test_interrupt.c: one Ctrl-C stops a loop cleanly, the second kills at once.
 *
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "examples/common/interrupt.h"

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* A loop as the programs have one, which answers through its exit status; `deaf` never looks at the flag. */
static pid_t start(bool deaf, int ready) {
    pid_t child = fork();
    if (child != 0) return child;
    hz_interrupt_install();
    if (write(ready, "", 1) != 1) _exit(99);
    for (int k = 0; k < 20000 && (deaf || !hz_interrupted()); k++) nap();
    _exit(hz_interrupted());
}

/* What becomes of it when these signals are sent, one after the other. */
static int status_after(bool deaf, const int *number, int n) {
    int ready[2], status = 0;
    char byte;
    cr_assert(pipe(ready) == 0);
    pid_t child = start(deaf, ready[1]);
    cr_assert(child > 0 && read(ready[0], &byte, 1) == 1);
    for (int k = 0; k < n; k++) {
        kill(child, number[k]);
        for (int t = 0; t < 50; t++) nap();
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

Test(interrupt, first_signal_only_raises_the_flag) {
    static const int each[] = {SIGINT, SIGTERM};
    for (int k = 0; k < 2; k++) {
        int status = status_after(false, &each[k], 1);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == each[k], "signal %d: status %d", each[k],
                  status);
    }
}

Test(interrupt, second_signal_kills_at_once) {
    static const int pairs[][2] = {
        {SIGINT, SIGINT}, {SIGINT, SIGTERM}, {SIGTERM, SIGINT}, {SIGTERM, SIGTERM}};
    for (int k = 0; k < 4; k++) {
        int status = status_after(true, pairs[k], 2);
        cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == pairs[k][1], "pair %d: status %d", k, status);
    }
}

Test(interrupt, signal_ignored_before_stays_ignored) {
    signal(SIGINT, SIG_IGN);
    hz_interrupt_install();
    raise(SIGINT);
    cr_expect_eq(hz_interrupted(), 0);
    raise(SIGTERM);
    cr_expect_eq(hz_interrupted(), SIGTERM);
    raise(SIGINT); /* would end the test */
}
