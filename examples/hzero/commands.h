/* commands.h: the commands of hzero, one file each.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HZERO_COMMANDS_H
#define HZERO_COMMANDS_H

#include "options.h"

int run_predict(const options *o);
int run_evaluate(const options *o);
int run_units(const options *o);
int run_influence(const options *o);
int run_occlusion(const options *o);
int run_patches(const options *o);
int run_weights(const options *o);
int run_curve(const options *o);
int run_export(const options *o);
int run_paths(const options *o);

#endif
