#!/bin/sh
# alone.sh: each public header compiles by itself, twice over, as C11 and as C++, with every compiler at hand.
#
#   sh alone.sh ROOT HEADER    status 1 if a compiler objects, 77 if there is no compiler
#
# SPDX-License-Identifier: MIT
set -u

root=$1
header=$(realpath "$2")
strict="-fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Werror -I $root"
status=77

# alone COMPILER LANGUAGE STANDARD
alone() {
    command -v "$1" >/dev/null || return 0
    echo "$1 -x $2 -std=$3 $header"
    [ "$status" -eq 1 ] || status=0
    # shellcheck disable=SC2086 # a list of words
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        "$1" -x "$2" -std="$3" $strict - || status=1
}

for compiler in gcc clang; do
    alone "$compiler" c c11
done
for compiler in g++ clang++; do
    alone "$compiler" c++ c++11
done
exit "$status"
