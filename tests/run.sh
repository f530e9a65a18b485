#!/bin/sh
# run.sh: install what is missing, build, run every test, and close with "N passed, N failed, N skipped".
#
# Exit status 0 if something passed and nothing failed. A program that crashes, hangs or has no tests is a failure.
# Start reading at the last lines.
#
# SPDX-License-Identifier: MIT
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

usage() {
    cat <<'EOF'
usage: sh tests/run.sh [--build DIR] [--suite NAME]… [--wrap COMMAND] [TEST…]

  --build DIR     build there (default: build, at the top of the source tree); an existing build is brought up to date
  --suite NAME    only this folder: tensor, autograd, ops, nn, examples, headers, …
  --wrap COMMAND  run every test program under COMMAND, such as valgrind
  TEST            only these tests, named as in `meson test --list`: tensor/gemm, …
EOF
}

build_dir=$root/build
selection=
while [ $# -gt 0 ]; do
    case $1 in
    --build) build_dir=${2:?--build needs a directory} && shift ;;
    --suite) selection="$selection --suite ${2:?--suite needs a name}" && shift ;;
    --wrap) export HZ_WRAP="${2:?--wrap needs a command}" && selection="$selection --timeout-multiplier 10" && shift ;;
    -h | --help) usage && exit 0 ;;
    -*) usage >&2 && exit 2 ;;
    *) selection="$selection $1" ;;
    esac
    shift
done

# Run the selected tests; what each came to is left in $HZ_TALLY.
run_tests() {
    export HZ_TALLY="$build_dir/tally"
    rm -rf "$HZ_TALLY"
    mkdir -p "$HZ_TALLY"
    # shellcheck disable=SC2086 # a list of words
    meson test -C "$build_dir" --no-rebuild --wrap "sh '$root/tests/tally.sh'" $selection </dev/null
}

# What the failed programs wrote, without their successes; then why tests were skipped.
show_failures() {
    for tally in "$HZ_TALLY"/*.tally; do
        if [ "$(cut -d' ' -f2 "$tally" 2>/dev/null)" -gt 0 ] 2>/dev/null; then
            printf '\n---- '
            grep -v -E '^\[(RUN |PASS)\]' "${tally%.tally}.log"
        fi
    done
    grep -h '^\[SKIP\]' "$HZ_TALLY"/*.log 2>/dev/null | sort || true
}

# The closing line from all tallies; fails unless something passed and nothing failed.
sum_up() {
    cat "$HZ_TALLY"/*.tally 2>/dev/null | awk '
        { passed += $1; failed += $2; skipped += $3 }
        END {
            printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
            exit !(passed > 0 && failed == 0)
        }'
}

case $build_dir in
/*) ;;
*) build_dir=$PWD/$build_dir ;;
esac
install build mpi test
if ! build "$build_dir"; then
    echo "The build failed, so no test was run."
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
status=0
run_tests || status=$?
show_failures
sum_up || status=1
exit "$status"
