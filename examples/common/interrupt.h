/* interrupt.h: Ctrl-C as a question that a loop asks: finish this step, save, stop.
 *
 *   hz_interrupt_install();
 *   while (!done && !hz_interrupted()) …one step…
 *   …save a checkpoint…
 *   return hz_interrupted() ? 128 + hz_interrupted() : 0;
 *
 * This is of the programs, not of the library, which keeps no global state: a signal handler cannot do without.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZ_EXAMPLES_INTERRUPT_H
#define HZ_EXAMPLES_INTERRUPT_H

/* From here on the first SIGINT or SIGTERM only raises the flag, and a second of either kills at once. One that was ignored
 * before, as in a background job of a script, stays so. */
void hz_interrupt_install(void);

/* The number of the signal that came, 0 while none has. */
int hz_interrupted(void);

#endif
