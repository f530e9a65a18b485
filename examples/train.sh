#!/bin/sh
# train.sh: train one of the example networks. Installs what is missing, builds hzero, fetches the data, trains.
#
#   sh examples/train.sh mnist|cifar10|char_lm [OPTION…]        OPTIONs are the program's: see --help
#
# Weights, log, learning curve and checkpoint go to build/NAME.*; a run that was stopped goes on where it was.
#
# SPDX-License-Identifier: MIT
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

case ${1-} in
mnist | cifar10) name=$1 set=$1 more= ;;
char_lm) name=$1 set=text more='--sample 400' ;;
*) die "usage: sh examples/train.sh mnist|cifar10|char_lm [OPTION…]" ;;
esac
shift

install build
build "$root/build" "examples/$name" || die "hzero could not be built; the compiler's words are above."
data=$(sh "$root/examples/fetch.sh" "$set")/$set
[ "$set" != text ] || data=$data/devils_dictionary.txt

out=$root/build/$name
# shellcheck disable=SC2086 # a list of words
"$root/build/examples/$name" $more --data "$data" --out "$out.safetensors" --log "$out.jsonl" --curve "$out.svg" \
    --checkpoint "$out.checkpoint" --resume "$@"
rm -f "$out.checkpoint"
say "Weights: $out.safetensors. Learning curve: $out.svg."
