#!/bin/sh
# symbols.sh: what the finished library shows of itself. It exports only hz_ names, keeps no writable global data, and
# never exits, aborts or prints.
#
#   sh .ci/symbols.sh BUILD    prints every fault; status 1 if there is one
#
# Excused are the statics of stb_image (written by setters that hzero never calls, or one per thread) and of libgcc.
#
# SPDX-License-Identifier: MIT
set -u

library=$1/libhzero.so
faults=$(mktemp)
trap 'rm -f "$faults"' EXIT
[ -f "$library" ] || { echo "there is no $library" && exit 1; }

{
    nm -D --defined-only "$library" | awk '$3 !~ /^hz_/ { print "exports " $3 }'
    objdump -t "$library" | awk '
        NF > 4 && $(NF - 2) ~ /^\.t?(data|bss)$/ && / O / && $NF !~ /^(stbi_|invalid_chunk|__cpu_|completed|__dso_handle|__TMC_END__)/ {
            print "writable data: " $NF
        }'
    nm -u "$library" | sed 's/@.*//' | awk '
        $2 ~ /^_*(abort|exit|_Exit|quick_exit|assert_fail|v?printf(_chk)?|puts|putchar|perror|stdout|stderr)$/ {
            print "uses " $2
        }'
} >"$faults"
cat "$faults"
[ ! -s "$faults" ]
