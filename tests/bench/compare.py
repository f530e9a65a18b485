#!/usr/bin/env python3
"""Lay benchmark runs side by side: compare.py OURS.jsonl [PEER.jsonl …]

Each file holds one JSON object per line with "group", "name", "min_ms" and "med_ms", as tests/bench/bench prints them.
A workload that stands in a file several times, or in several of the peer's files (the peer as shipped, the peer with
another allocator), counts with its fastest time; one measured with other threads is another workload. Without a peer our
own times are printed. The ratio is the peer's time over ours: above 1, we are faster. It ends
with the geometric mean of each group and with the workloads that only one side has, in groups that both have.

  --by med    compare medians; the default is the minimum, which suffers least from other programs
  --threads N only lines measured with N threads
  --slower    show only the workloads in which the peer is faster

SPDX-License-Identifier: MIT
"""
import argparse
import json
import math
import sys


def read(paths, field, threads):
    """{(group, name, threads): fastest time in ms}, in the order of the files."""
    times = {}
    for path in paths:
        with open(path, encoding='utf-8') as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                    key = record['group'], record['name'], record.get('threads', 1)
                    if field not in record or threads not in (None, record.get('threads')):
                        continue  # a note, such as an error of the peer's
                    times[key] = min(float(record[field]), times.get(key, math.inf))
                except (ValueError, KeyError, TypeError) as error:
                    sys.exit(f'{path}:{number}: not a line of a benchmark: {error!r}')
    return times


def geometric_mean(numbers):
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('ours')
    parser.add_argument('peers', nargs='*')
    parser.add_argument('--by', choices=('min', 'med'), default='min')
    parser.add_argument('--threads', type=int)
    parser.add_argument('--slower', action='store_true')
    options = parser.parse_args()
    field = options.by + '_ms'
    ours = read([options.ours], field, options.threads)
    peer = read(options.peers, field, options.threads)

    if not options.peers:
        print(f'{"workload":60} {"threads":>7} {"ours, ms":>10}')
        for (group, name, threads), time in ours.items():
            print(f'{group + " " + name:60} {threads:7} {time:10.4g}')
        return
    ratios = {}  # (group, threads) → its ratios
    print(f'{"workload":60} {"threads":>7} {"ours, ms":>10} {"peer, ms":>10} {"ratio":>7}')
    for key, a in ours.items():
        if key not in peer:
            continue
        group, name, threads = key
        b = peer[key]
        ratios.setdefault((group, threads), []).append(b / a)
        if b < a or not options.slower:
            print(f'{group + " " + name:60} {threads:7} {a:10.4g} {b:10.4g} {b / a:7.2f}{" *" if b < a else ""}')
    if not ratios:
        sys.exit('no workload is in both')

    print(f'\n{"group":12} {"threads":>7} {"workloads":>9} {"slower":>6} {"worst":>7} {"mean":>7}')
    for threads in sorted({t for _, t in ratios}):
        summary = {group: r for (group, t), r in ratios.items() if t == threads}
        summary['all'] = [x for r in summary.values() for x in r]
        for group, r in summary.items():
            print(f'{group:12} {threads:7} {len(r):9} {sum(x < 1 for x in r):6} {min(r):7.2f} {geometric_mean(r):7.2f}')
    for whose, one, other in ('ours', ours, peer), ('the peer', peer, ours):
        alone = [f'{g} {n} ({t})' for g, n, t in one if (g, n, t) not in other and (g, t) in ratios]
        if alone:
            print(f'\nonly in {whose}: ' + ', '.join(alone))


if __name__ == '__main__':
    try:
        main()
    except BrokenPipeError:  # into head, say
        sys.stderr.close()
