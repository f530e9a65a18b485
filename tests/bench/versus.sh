#!/bin/sh
# versus.sh: this library beside its peers, measured in turn on one machine, as ratios.
#
#   sh tests/bench/versus.sh [options]
#
#   --only GLOBS      groups, or globs of group/name, with commas; default: every group PyTorch has an answer to
#   --rounds N        how often each group is measured on each side; default: 3
#   --threads "1 2"   numbers of threads; default: "1 2"
#   --budget S        seconds of measuring per workload and round; default: 0.3
#   --peer COMMAND    how the peer is run, options are appended; may be given several times. The default is
#                     python3 tests/bench/peer_torch.py, and peer_ort.py if ONNX Runtime is there; in a chroot, after
#                     copying the script there: --peer 'chroot DIR python3 /peer_torch.py'. Give a PyTorch that
#                     multiplies with OpenBLAS the latter's OpenMP build: with two pools of threads it is slow.
#   --bench PATH      our program; default: build/tests/bench/bench
#   --isa NAME        c, avx2 or avx512: no better instructions than these, on either side
#   --out DIR         keep the lines that were measured there; default: they are deleted
#
# A round runs a group in our program, then in each peer as it is and with an allocator told to keep freed memory, so
# that a change of the machine's pace meets all alike. Every time is the fastest of its rounds, and the ratio is taken
# against the faster of the peers. Without PyTorch our own times are printed. Close other programs; "taskset -c 1" before
# "sh" pins a run of one thread.
#
# SPDX-License-Identifier: MIT
set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 2
bench=$here/../../build/tests/bench/bench
python=${PYTHON:-python3}
rounds=3 threads='1 2' budget=0.3 isa='' out='' peers=''
only=gemm,conv,saliency,unit,jacobian,train,overhead,elem,guided
newline='
'

fail() {
    echo "versus.sh: $*" >&2
    exit 2
}

usage() {
    sed -n '2,/^# SPDX/ { /SPDX/d; s/^# \{0,1\}//; p; }' "$0"
    exit "$1"
}

while [ $# -gt 0 ]; do
    case $1 in
        --help) usage 0 ;;
        --only | --rounds | --threads | --budget | --peer | --bench | --isa | --out) ;;
        *) fail "no such option: $1; see --help" ;;
    esac
    [ $# -gt 1 ] || fail "$1 wants a value"
    case $1 in
        --only) only=$2 ;;
        --rounds) rounds=$2 ;;
        --threads) threads=$2 ;;
        --budget) budget=$2 ;;
        --peer) peers=$peers$2$newline ;;
        --bench) bench=$2 ;;
        --isa) isa=$2 ;;
        --out) out=$2 ;;
    esac
    shift 2
done
for number in $rounds $threads; do
    case $number in '' | *[!0-9]* | 0*) fail "not a number of rounds or threads: $number" ;; esac
done
[ -x "$bench" ] || fail "no program $bench; build it first: meson setup build && ninja -C build"

# The same limit, in the words of PyTorch, oneDNN, OpenBLAS and BLIS (5: penryn, 3: haswell; 0.9 knows numbers only).
case $isa in
    '') ;;
    c) export ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem BLIS_ARCH_TYPE=5 ;;
    avx2) export ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell BLIS_ARCH_TYPE=3 ;;
    avx512) ;;
    *) fail "not an instruction set, of c, avx2 and avx512: $isa" ;;
esac

if [ -z "$peers" ]; then
    for peer in torch ort; do
        # shellcheck disable=SC2086 # $python may be a command with arguments
        $python "$here/peer_$peer.py" --help >/dev/null 2>&1 && peers="$peers$python '$here/peer_$peer.py'$newline"
    done
fi

work=$out
if [ -z "$out" ]; then
    work=$(mktemp -d) || exit 2
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
fi
mkdir -p "$work" || exit 2
: >"$work/ours.jsonl" && : >"$work/peer.jsonl" || exit 2

ours() {
    "$bench" --only "$1" --threads "$2" --budget "$budget" ${isa:+--isa "$isa"} >>"$work/ours.jsonl"
}

# The workloads of $1 that a peer lacks are no fault: it says so, and the rest is measured.
theirs() {
    printf '%s' "$peers" | while IFS= read -r peer; do
        for keep in '' 'MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184'; do
            # shellcheck disable=SC2086 # a list of words
            env OMP_NUM_THREADS="$2" OPENBLAS_NUM_THREADS="$2" $keep sh -c "$peer \"\$@\"" sh \
                --only "$1" --threads "$2" --budget "$budget" </dev/null >>"$work/peer.jsonl" || :
        done
    done
}

"$bench" --list --only "$only" >"$work/names" || exit 2
groups=$(cut -d/ -f1 "$work/names" | uniq)

# The part of $only that lies in a group.
part() {
    grep "^$1/" "$work/names" | tr '\n' ',' | sed 's/,$//'
}

for t in $threads; do
    for group in $groups; do
        round=0
        while [ $((round += 1)) -le "$rounds" ]; do
            echo "$group, $t threads, round $round of $rounds" >&2
            ours "$(part "$group")" "$t" || exit 1
            theirs "$(part "$group")" "$t"
        done
    done
done

if [ -s "$work/peer.jsonl" ]; then
    $python "$here/compare.py" "$work/ours.jsonl" "$work/peer.jsonl"
else
    [ -z "$peers" ] || fail "the peers measured nothing"
    $python "$here/compare.py" "$work/ours.jsonl" &&
        echo "for ratios to PyTorch: apt install python3-torch, or --peer 'COMMAND' (see versus.sh --help)"
fi
