#!/bin/sh
# train.sh: train one of the example networks. Installs what is missing, builds hzero, fetches the data, trains.
#
#   sh examples/train.sh [-n PROCESSES] mnist|cifar10|char_lm [OPTION…]        OPTIONs are the program's: see --help
#
# With -n, mnist and cifar10 are trained by so many processes on MPI, each on its share of every batch. Weights, log, learning
# curve and checkpoint go to build/NAME.*; a run that was stopped goes on where it was.
#
# SPDX-License-Identifier: MIT
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

usage() { die "usage: sh examples/train.sh [-n PROCESSES] mnist|cifar10|char_lm [OPTION…]"; }

processes=
while getopts n: letter; do
    case $letter$OPTARG in
    n[1-9] | n[1-9][0-9] | n[1-9][0-9][0-9]) processes=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
case $processes:${1-} in
*:mnist | *:cifar10) name=$1 set=$1 more= ;;
:char_lm) name=$1 set=text more='--sample 400' ;;
*) usage ;;
esac
shift

# on_mpi COMMAND…: in so many processes. As root, as in a container, mpirun has to be told that it may.
on_mpi() {
    if [ "$(id -u)" -eq 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
    mpirun -n "$processes" "$@"
}

install build
if [ "$processes" ]; then
    install mpi
    configure "$root/build" && quietly "Turning on MPI" meson configure "$root/build" -Dmpi=enabled
fi
build "$root/build" "examples/$name" || die "hzero could not be built; the compiler's words are above."
data=$(sh "$root/examples/fetch.sh" "$set")/$set
[ "$set" != text ] || data=$data/devils_dictionary.txt

out=$root/build/$name
# shellcheck disable=SC2086 # a list of words
${processes:+on_mpi} "$root/build/examples/$name" $more --data "$data" --out "$out.safetensors" --log "$out.jsonl" \
    --curve "$out.svg" --checkpoint "$out.checkpoint" --resume "$@"
rm -f "$out.checkpoint"
say "Weights: $out.safetensors. Learning curve: $out.svg."
