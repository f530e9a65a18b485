/* interrupt.c: the flag that Ctrl-C raises.
 *
 * SPDX-License-Identifier: MIT */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static const int signals[] = {SIGINT, SIGTERM};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

static volatile sig_atomic_t came;

static void handle(int number) {
    came = number;
    struct sigaction now;
    for (int k = 0; k < SIGNALS; k++)
        if (sigaction(signals[k], NULL, &now) == 0 && now.sa_handler == handle) signal(signals[k], SIG_DFL);
}

/* SA_RESTART: a read or write under way goes on, so that what is saved is whole. */
void hz_interrupt_install(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    for (int k = 0; k < SIGNALS; k++)
        if (sigaction(signals[k], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[k], &action, NULL);
}

int hz_interrupted(void) {
    return came;
}
