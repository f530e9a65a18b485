#!/bin/sh
# demo.sh: what a trained ResNet-50 sees in a cat. Installs what is missing, builds hzero, fetches photo and weights,
# prints the five likeliest classes, and draws the influence of every pixel on four units under three ReLU rules. Where
# they cannot be had, the small network that is built into hzero looks at a drawing.
#
#   sh examples/demo.sh [PICTURE.png]    default: build/influence.png
#
# SPDX-License-Identifier: MIT
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

picture=${1:-$root/build/influence.png}
hzero=$root/build/examples/hzero/hzero

install build
build "$root/build" examples/hzero/hzero || die "hzero could not be built; the compiler's words are above."

# look EARLY MIDDLE LATE OPTION…: the likeliest classes on standard output, and the picture: one row each for the strongest
# unit of an early, a middle and a late layer and for the winning class.
look() {
    early=$1 middle=$2 late=$3
    shift 3
    started=$(date +%s)
    "$hzero" predict "$@" --top 5
    shift "$(($# - 4))" # labels are for predict alone
    "$hzero" influence "$@" --unit "${early}[argmax]" --unit "${middle}[argmax]" --unit "${late}[argmax]" \
        --unit 'logits[argmax]' --out "$picture"
    say "Computed in $(($(date +%s) - started)) s. The picture, one row per unit and one column per rule: $picture"
}

if data=$(sh "$root/examples/fetch.sh"); then
    look res2c res3d res5c --labels "$data/resnet50/assets/labels.json" \
        --model "resnet50:$data/resnet50/ResNet50/model.json" --image "$data/chelsea/chelsea.png"
else
    say "Until then: the network for ten classes that is built into hzero, and a drawing of a ship."
    look relu3 relu5 relu8 --model allconv --image "$root/examples/ship.png"
fi
