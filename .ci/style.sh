#!/bin/sh
# style.sh: what a machine can check of the style: formatting, licence lines, who includes what, length of functions,
# and the scripts. Prints every fault; status 1 if there is one.
#
# SPDX-License-Identifier: MIT
set -u

cd "$(dirname -- "$0")/.." || exit 2
faults=$(mktemp)
trap 'rm -f "$faults"' EXIT

sources() { git ls-files --cached --others --exclude-standard -- "$@"; }
library() { sources 'tensor/*.[ch]' 'autograd/*.[ch]' 'ops/*.[ch]' 'nn/*.[ch]'; }

# expect_none WHAT: every line on standard input is a fault of that kind.
expect_none() {
    sed "s|^|$1: |" | tee -a "$faults"
}

# 1. clang-format, with the .clang-format of the top folder
sources '*.c' '*.h' | xargs -r clang-format --dry-run -Werror 2>&1 | grep 'error:' | cut -d: -f1 | sort | uniq -c |
    expect_none "formatting"

# 2. one SPDX line in every source file
sources '*.c' '*.h' '*.sh' | xargs grep -c 'SPDX-License-Identifier: MIT$\|SPDX-License-Identifier: MIT \*/$' | grep -v ':1$' | expect_none "SPDX lines"

# 3. each foreign library is known to one file
# only_in FILE HEADER
only_in() {
    library | xargs grep -l "#include *[<\"]\(.*/\)\?$2[>\"]" | grep -v -x "$1" | expect_none "includes $2, besides $1"
}
only_in tensor/gemm.c blis.h
only_in tensor/vmath.c sleef.h
only_in tensor/image.c stb_image.h

# 4. dependencies point one way: examples ─▶ nn ─▶ ops ─▶ autograd ─▶ tensor
# may_not FOLDER ABOVE…
may_not() {
    sources "$1/*.[ch]" | xargs -r grep -n -E "#include +\"(\.\./)*($(shift && echo "$*" | tr ' ' '|'))/" |
        expect_none "upward include"
}
may_not tensor autograd ops nn examples tests
may_not autograd ops nn examples tests
may_not ops nn examples tests
may_not nn examples tests
may_not examples tests

# 5. a function fits a screen (an inner loop of a kernel may be longer)
# shellcheck disable=SC2016 # an awk program
sources '*.c' | grep -v '/kernels/' | xargs awk '
    /^[a-z].*\) \{$/ { start = FNR; name = $0 }
    /^}/ && start { if (FNR - start >= 60) print FILENAME ":" start ": " FNR - start + 1 " lines"; start = 0 }' |
    expect_none "long function"

# 6. the scripts
sources '*.sh' .ci/run | xargs shellcheck -x 2>&1 | expect_none "shellcheck"
sources '*.py' | xargs -r pyflakes3 2>&1 | expect_none "pyflakes"

[ ! -s "$faults" ]
