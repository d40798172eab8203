"""make bench: karez, two-hop HAProxy and ssh -R in front of the same target, in one run, taking
turns. See README.md for what is measured and how to read it.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time

import chains
import loads
import report

TOOLS = {'bulk': (), 'pace': (), 'delay': (), 'sink': (), 'sessions': ('-lssh',)}
FAMILIES = ('karez', 'haproxy', 'ssh', 'sshd')


def options():
    p = argparse.ArgumentParser(prog='bench/run.py', description=__doc__)
    names = [group.name for group in loads.GROUPS]
    p.add_argument('--quick', action='store_true', help='one short round: does everything work?')
    p.add_argument('--rounds', type=int, help='rounds; the figures are medians (default: 5)')
    p.add_argument('--only', action='append', choices=names, metavar='NAME',
                   help='only this group of loads, may be repeated: ' + ', '.join(names))
    p.add_argument('--chains', default=','.join(FAMILIES),
                   help='families or single chains (default: %(default)s): '
                   + ', '.join(c.key for c in chains.ALL))
    o = p.parse_args()
    o.rounds = o.rounds or (1 if o.quick else 5)
    o.asked_chains = o.chains.split(',')
    known = {c.key for c in chains.ALL} | {c.family for c in chains.ALL}
    for name in o.asked_chains:
        if name not in known:
            p.error(f'argument --chains: {name!r} is none of {", ".join(sorted(known))}')
    return o


def chosen_chains(asked):
    """The chain classes to measure; "no relay" belongs to every full comparison."""
    if asked == list(FAMILIES):
        asked = ['direct'] + asked
    # karez is a family and a chain: beside others of the family it is the chain
    single = {c.family for c in chains.ALL if c.key in asked and c.key != c.family}
    found = [c for c in chains.ALL
             if c.key in asked or (c.family in asked and c.family not in single)]
    missing = [b for b in ('karezd', 'karez') if not (chains.BUILD / b).exists()]
    if missing and any(c.family == 'karez' for c in found):
        if not any(c.family != 'karez' for c in found):
            sys.exit(f'bench: build/{missing[0]} is not there: run make first')
        print(f'bench: build/{missing[0]} is not there (run make): measuring the others only',
              file=sys.stderr)
        found = [c for c in found if c.family != 'karez']
    return found


def prepare():
    """Compile the C tools, lift the descriptor limit, look for the programs."""
    chains.OUT.mkdir(exist_ok=True)
    here = chains.ROOT / 'bench'
    for name, libs in TOOLS.items():
        subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-O2', '-Wall', '-o',
                        chains.OUT / name, here / f'{name}.c', '-pthread', *libs], check=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.environ['PATH'] += ':/usr/sbin:/sbin'
    for name in ('nginx', 'haproxy', 'sshd', 'ssh', 'ssh-keygen', 'wrk', 'openssl'):
        if shutil.which(name) is None:
            sys.exit(f'bench: {name} is not installed: scripts/deps says how')


def first_line(*argv):
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return lines[0] if lines and done.returncode == 0 else 'unknown'


def machine():
    """What a reader must know to compare figures."""
    built = (chains.BUILD / 'karezd').exists()
    model = [line.split(':')[1].strip() for line in open('/proc/cpuinfo', encoding='utf-8')
             if line.startswith('model name')]
    return {
        'date': datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
        'cpu': model[0] if model else platform.machine(),
        'cores': os.cpu_count(),
        'kernel': platform.release(),
        'haproxy': first_line('haproxy', '-v'),
        'nginx': first_line('nginx', '-v'),
        'ssh': first_line('ssh', '-V'),
        'karez': first_line(str(chains.BUILD / 'karezd'), '--version') if built
        else 'not built',
        'command': 'python3 ' + ' '.join(sys.argv),
    }


def measure(lab, group, targets, kind, size):
    """One chain, one group: {metric: value}."""
    if group.target not in targets:
        targets[group.target] = group.target(lab)
    chain = kind(lab, targets[group.target], group.path)
    try:
        return dict(group.run(chain, size))
    finally:
        chain.stop()


def rounds(lab, o, kinds):
    """{metric: {chain: [a value per round]}}; in a round the chains take turns at each group."""
    samples, targets = {}, {}
    size = loads.Size(o.quick)
    groups = [g for g in loads.GROUPS if o.only is None or g.name in o.only]
    begin = time.monotonic()
    for turn in range(o.rounds):
        for group in groups:
            # The order turns with the rounds: what comes first must not always be the same.
            order = kinds[turn % len(kinds):] + kinds[:turn % len(kinds)]
            for kind in filter(group.takes, order):
                got = measure(lab, group, targets, kind, size)
                for metric, value in got.items():
                    samples.setdefault(metric, {}).setdefault(kind.key, []).append(value)
                shown = '  '.join(f'{k} {report.short(v)}' for k, v in got.items())
                print(f'{time.monotonic() - begin:5.0f} s  round {turn + 1}/{o.rounds}  '
                      f'{group.name:9s} {kind.key:17s} {shown}', flush=True)
    return samples


def main():
    o = options()
    prepare()
    kinds = chosen_chains(o.asked_chains)
    try:
        with chains.Lab() as lab:
            samples = rounds(lab, o, kinds)
    except chains.Wrong as e:
        sys.exit(f'bench: {e}')
    result = report.result(samples, kinds, machine(), o)
    text = report.text(result)
    print('\n' + text)
    (chains.OUT / 'results.json').write_text(json.dumps(result, indent=1) + '\n')
    (chains.OUT / 'results.md').write_text(text + '\n')
    report.plot(result, chains.OUT / 'plot.png')
    print(f'\nwritten: {chains.OUT}/results.json, results.md, plot.png')


if __name__ == '__main__':
    main()
