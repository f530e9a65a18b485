#!/bin/sh
# demo.sh: what a trained ResNet-50 sees in a cat. Installs what is missing, builds hzero, fetches photo and weights,
# prints the five likeliest classes, and draws the influence of every pixel on four units under three ReLU rules.
#
#   sh examples/demo.sh [PICTURE.png]    default: build/influence.png
#
# SPDX-License-Identifier: MIT
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

# One row of the picture each: the strongest unit of an early, a middle and a late layer, and the winning class.
early='res2c[argmax]'
middle='res3d[argmax]'
late='res5c[argmax]'
class='logits[argmax]'

picture=${1:-$root/build/influence.png}
hzero=$root/build/examples/hzero/hzero

install build
build "$root/build" examples/hzero/hzero || die "hzero could not be built; the compiler's words are above."
data=$(sh "$root/examples/fetch.sh")

set -- --model "resnet50:$data/resnet50/ResNet50/model.json" --image "$data/chelsea/chelsea.png"
started=$(date +%s)
"$hzero" predict "$@" --labels "$data/resnet50/assets/labels.json" --top 5
"$hzero" influence "$@" --unit "$early" --unit "$middle" --unit "$late" --unit "$class" --out "$picture"
say "Computed in $(($(date +%s) - started)) s. The picture, one row per unit and one column per rule: $picture"
