#!/bin/sh
# tally.sh: run one test program and leave what it came to: the wrapper that tests/run.sh gives to `meson test`.
#
#   sh tests/tally.sh PROGRAM [ARGUMENT…]    with HZ_TALLY naming a directory, which gets NAME.tally (one line
#                                            "passed failed skipped") and NAME.log (everything it wrote);
#                                            HZ_WRAP, if set, is a command to run the program under
#
# A Criterion program counts its tests; any other program is one test (exit status 77: skipped). NAME.tally says
# "failed" before the program starts, so that one that is killed stays counted as failed.
#
# SPDX-License-Identifier: MIT
set -u

name=$(basename "$1").$$ # a program may be several tests, with different arguments
tally=$HZ_TALLY/$name.tally
log=$HZ_TALLY/$name.log
json=$HZ_TALLY/$name.json

echo "0 1 0" >"$tally"
echo "$*" >"$log"
# shellcheck disable=SC2086 # HZ_WRAP is a list of words
CRITERION_OUTPUTS=json:$json CRITERION_VERBOSITY_LEVEL=1 ${HZ_WRAP-} "$@" >>"$log" 2>&1
status=$?

# number KEY: a total of the report. Totals are indented by two columns, those of its suites by more.
number() {
    sed -n "s/^  \"$1\": \([0-9]*\).*/\1/p" "$json"
}

if [ -s "$json" ]; then
    passed=$(number passed) failed=$(number failed) skipped=$(number skipped)
    if [ $((passed + failed + skipped)) -eq 0 ]; then
        echo "it has no tests" >>"$log"
        failed=1
    elif [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
        echo "its tests passed, but it ended with status $status" >>"$log"
        failed=1
    fi
elif [ "$status" -eq 77 ]; then
    passed=0 failed=0 skipped=1
elif [ "$status" -eq 0 ] && ! grep -q libcriterion "$1"; then
    passed=1 failed=0 skipped=0
else
    echo "it ended with status $status, without a report" >>"$log"
    passed=0 failed=1 skipped=0
fi

echo "$passed $failed $skipped" >"$tally"
[ "$failed" -eq 0 ] || exit 1
[ "$passed" -gt 0 ] || exit 77
