# setup.sh: what the project's scripts share: the Debian packages hzero needs, installing them, and building.
#
# Sourced, not run:  root=…; . "$root/examples/setup.sh"; install build; build "$root/build"
# Nothing here reads standard input; a step is quiet while it works and shows its whole log when it fails.
#
# SPDX-License-Identifier: MIT
# shellcheck shell=sh disable=SC2154 # $root comes from the caller

# The one list of packages: who needs it, the package (a|b: any of them will do, the first is installed), and why.
packages() {
    cat <<'EOF'
build  gcc                 the C compiler, with OpenMP
build  libc6-dev           headers of the C library
build  meson               configures the build
build  ninja-build         runs it
build  pkgconf             finds the libraries
build  libblis-serial-dev|libblis-openmp-dev|libblis-pthread-dev   BLIS: matrix products
build  libsleef-dev        SLEEF: vectorised exp, log, tanh, erf
build  libstb-dev          stb_image: PNG and JPEG
build  libpng-dev          PNG out
build  libjansson-dev      JSON: safetensors headers, TensorFlow.js models
build  libcairo2-dev       lettering of the picture sheets
build  libprotobuf-c-dev   protocol buffers: ONNX models
build  protobuf-c-compiler turns onnx.proto into C
build  libonnx-dev         onnx.proto
build  fonts-dejavu-core   the font of that lettering
build  libcriterion-dev    the tests, which the build makes, too
fetch  npm                 fetches the ResNet-50 weights
test   libonnx-testdata    ONNX's own conformance cases
mpi    libopenmpi-dev|libmpich-dev   MPI: training by several processes (a build without it trains by one)
mpi    openmpi-bin|mpich             mpirun
test   g++                 headers compile as C++
ci     clang               the second compiler
ci     libomp-14-dev       its OpenMP
ci     libclang-rt-14-dev  its sanitizers
ci     clang-format        style
ci     shellcheck          style of the scripts
ci     pyflakes3           the same of those in Python
ci     valgrind            memory errors the sanitizers do not see
ci     python3-torch       the oracle of tests/nn/oracle.py, which is skipped without it
ci     python3-onnx        the checker of tests/nn/onnx_written.py, likewise
ci     python3-torchvision the networks of tests/nn/onnx_networks.py, likewise
EOF
}

# OpenMP's threads, when they wait for each other, are to sleep rather than spin: on a machine that is busy with other
# things spinning took four times as long as the work itself.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# quietly WHAT COMMAND…: say WHAT and run COMMAND; show what it wrote only if it fails. Returns its status.
quietly() {
    say "$1 …"
    shift
    quiet_log=$(mktemp)
    quiet_status=0
    "$@" >"$quiet_log" 2>&1 </dev/null || quiet_status=$?
    [ "$quiet_status" -eq 0 ] || cat "$quiet_log" >&2
    rm -f "$quiet_log"
    return "$quiet_status"
}

# present PACKAGE: it is installed, or what it brings is on the PATH from elsewhere.
present() {
    command -v "$1" >/dev/null ||
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# missing GROUP…: the packages of these groups that this machine does not have.
missing() {
    for group; do
        packages | while read -r of choice _; do
            [ "$of" = "$group" ] || continue
            found=
            for package in $(printf '%s' "$choice" | tr '|' ' '); do
                if present "$package"; then found=yes; fi
            done
            [ "$found" ] || printf '%s ' "${choice%%|*}"
        done
    done
}

# can_be_root: directly, or through sudo, which asks for a password on a terminal only.
can_be_root() {
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || { [ -t 0 ] && [ -t 2 ] && command -v sudo >/dev/null && sudo -v; }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@"
}

# apt_install PACKAGE…: after finishing what an interrupted run may have left.
apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
    apt_get install -y --no-install-recommends "$@"
}

# install GROUP…: bring in what is missing of these groups; without the means to, name the packages and stop.
install() {
    wanted=$(missing "$@")
    [ "$wanted" ] || return 0
    { command -v apt-get >/dev/null && can_be_root; } ||
        die "hzero needs Debian packages that are missing here; as root, run: apt-get install ${wanted% }"
    quietly "Reading the package lists" apt_get update ||
        say "The package lists could not be renewed; trying with those at hand."
    # shellcheck disable=SC2086 # a list of words
    quietly "Installing ${wanted% }" apt_install $wanted ||
        die "Some Debian packages could not be installed; as root, try: apt-get install ${wanted% }"
}

# configure DIRECTORY [MESON OPTION…]: unless that has been done.
configure() {
    build_dir=$1
    shift
    [ -f "$build_dir/build.ninja" ] || quietly "Configuring $build_dir" meson setup "$@" "$build_dir" "$root"
}

# build DIRECTORY [TARGET…]: configure it with the defaults if need be, then compile (everything, or these targets).
build() {
    configure "$1" && quietly "Building $*" ninja --quiet -k 0 -C "$@"
}
