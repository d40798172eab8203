"""From samples to what a person reads: medians, ratios karez/peer, the targets, JSON and a plot."""

import statistics

# metric, what it says, unit, decimals. In this order the table shows them.
METRICS = (
    ('down-1', 'bulk down, 1 stream', 'CPU s/GiB', 2),
    ('down-8', 'bulk down, 8 streams', 'CPU s/GiB', 2),
    ('up-1', 'bulk up, 1 stream', 'CPU s/GiB', 2),
    ('up-8', 'bulk up, 8 streams', 'CPU s/GiB', 2),
    ('keepalive', 'request, keep-alive', 'CPU us', 1),
    ('close', 'request, Connection: close', 'CPU us', 1),
    ('short', 'short connection', 'CPU us', 1),
    ('pass-down', 'TLS passed through, bulk down', 'CPU s/GiB', 2),
    ('pass-short', 'TLS passed through, short connection', 'CPU us', 1),
    ('idle-public', 'idle visitor, public process', 'bytes RSS', 0),
    ('idle-agent', 'idle visitor, agent process', 'bytes RSS', 0),
    ('session', 'idle ssh session, public process', 'bytes RSS', 0),
    ('session-pss', 'idle ssh session, public process', 'bytes PSS', 0),
    ('alone-p50', 'small request, p50', 'us', 0),
    ('alone-p99', 'small request, p99', 'us', 0),
    ('beside-p50', 'beside a download, p50', 'us', 0),
    ('beside-p99', 'beside a download, p99', 'us', 0),
    ('distance', '40 ms round trip, one stream', 'Mbit/s', 0),
    ('distance-settled', 'the same, second half of the time', 'Mbit/s', 0),
    ('narrow-idle-p50', '40 ms and 200 Mbit/s, idle, p50', 'us', 0),
    ('narrow-idle-p99', '40 ms and 200 Mbit/s, idle, p99', 'us', 0),
    ('narrow-busy-p50', 'the same beside a download, p50', 'us', 0),
    ('narrow-busy-p99', 'the same beside a download, p99', 'us', 0),
    ('narrow-down', 'that download', 'Mbit/s', 0),
    ('down-1-rate', 'bulk down, 1 stream (time is noise)', 'GiB/s', 2),
    ('down-8-rate', 'bulk down, 8 streams (time is noise)', 'GiB/s', 2),
    ('up-1-rate', 'bulk up, 1 stream (time is noise)', 'GiB/s', 2),
    ('up-8-rate', 'bulk up, 8 streams (time is noise)', 'GiB/s', 2),
    ('keepalive-rate', 'requests, keep-alive (time is noise)', '/s', 0),
    ('close-rate', 'requests, close (time is noise)', '/s', 0),
    ('short-rate', 'short connections (time is noise)', '/s', 0),
    ('pass-short-rate', 'the same, TLS passed through (time is noise)', '/s', 0),
    ('beside-rate', 'the download beside small requests', 'GiB/s', 2),
)

# what, (metric, chain), compared with (metric, chain) or None for the plain figure, sense, limit
TARGETS = (
    ('keep-alive request', ('keepalive', 'karez'), ('keepalive', 'haproxy-http'), '<=', 0.75),
    ('Connection: close', ('close', 'karez'), ('close', 'haproxy-http'), '<=', 1.0),
    ('bulk down in clear, 1 stream', ('down-1', 'karez'), ('down-1', 'haproxy-http'), '<=', 0.9),
    ('bulk down in clear, 8 streams', ('down-8', 'karez'), ('down-8', 'haproxy-http'), '<=', 0.9),
    ('bulk up in clear, 1 stream', ('up-1', 'karez'), ('up-1', 'haproxy-http'), '<=', 0.9),
    ('bulk up in clear, 8 streams', ('up-8', 'karez'), ('up-8', 'haproxy-http'), '<=', 0.9),
    ('bulk down over TLS, 1 stream', ('down-1', 'karez-tls'), ('down-1', 'haproxy-http-tls'),
     '<=', 0.75),
    ('bulk down over TLS, 8 streams', ('down-8', 'karez-tls'), ('down-8', 'haproxy-http-tls'),
     '<=', 0.75),
    ('bulk up over TLS, 1 stream', ('up-1', 'karez-tls'), ('up-1', 'haproxy-http-tls'),
     '<=', 0.75),
    ('bulk up over TLS, 8 streams', ('up-8', 'karez-tls'), ('up-8', 'haproxy-http-tls'),
     '<=', 0.75),
    *((f'WebSocket, {what}', (metric, 'karez-ws'), (metric, 'karez'), '<=', 1.15)
      for metric, what, _, _ in METRICS[:6]),
    *((f'WebSocket over TLS, {what}', (metric, 'karez-ws-tls'), (metric, 'karez-tls'), '<=', 1.15)
      for metric, what, _, _ in METRICS[:6]),
    *((f'through a hop, {what}', (metric, 'karez-hop'), (metric, 'karez'), '<=', 1.5)
      for metric, what, _, _ in METRICS[:6]),
    *((f'through a hop, TLS to the agent, {what}', (metric, 'karez-hop-tls'),
       (metric, 'karez-tls'), '<=', 1.5) for metric, what, _, _ in METRICS[:6]),
    *((f'two workers, {what}', (metric, 'karez-workers'), (metric, 'karez'), '<=', 1.1)
      for metric, what, _, _ in (METRICS[0], METRICS[1], METRICS[4], METRICS[5])),
    ('tcp, bulk down, 1 stream', ('down-1', 'karez-tcp'), ('down-1', 'haproxy-splice'), '<=', 0.9),
    ('tcp, bulk down, 8 streams', ('down-8', 'karez-tcp'), ('down-8', 'haproxy-splice'),
     '<=', 0.9),
    ('tcp, bulk up, 1 stream', ('up-1', 'karez-tcp'), ('up-1', 'haproxy-splice'), '<=', 0.9),
    ('tcp, bulk up, 8 streams', ('up-8', 'karez-tcp'), ('up-8', 'haproxy-splice'), '<=', 0.9),
    ('tcp, short connection', ('short', 'karez-tcp'), ('short', 'haproxy-splice'), '<=', 0.7),
    ('tcp, short connections a second', ('short-rate', 'karez-tcp'),
     ('short-rate', 'haproxy-splice'), '>=', 1.0),
    ('TLS passed through, bulk down', ('pass-down', 'karez-pass'), ('pass-down', 'haproxy-pass'),
     '<=', 0.9),
    ('TLS passed through, short connection', ('pass-short', 'karez-pass'),
     ('pass-short', 'haproxy-pass'), '<=', 0.7),
    ('TLS passed through, connections a second', ('pass-short-rate', 'karez-pass'),
     ('pass-short-rate', 'haproxy-pass'), '>=', 1.0),
    ('idle tcp visitor in karezd, bytes', ('idle-public', 'karez-tcp'), None, '<=', 8192),
    ('idle tcp visitor in karez, bytes', ('idle-agent', 'karez-tcp'), None, '<=', 8192),
    ('idle visitor in karezd, bytes', ('idle-public', 'karez'), None, '<=', 16384),
    ('idle visitor in karez, bytes', ('idle-agent', 'karez'), None, '<=', 16384),
    ('ssh aes128-gcm, bulk down, 1 stream', ('down-1', 'karez-ssh-gcm'), ('down-1', 'sshd-gcm'),
     '<=', 1.1),
    ('ssh aes128-gcm, bulk down, 8 streams', ('down-8', 'karez-ssh-gcm'), ('down-8', 'sshd-gcm'),
     '<=', 1.1),
    ('ssh aes128-gcm, bulk up, 1 stream', ('up-1', 'karez-ssh-gcm'), ('up-1', 'sshd-gcm'),
     '<=', 1.1),
    ('ssh aes128-gcm, bulk up, 8 streams', ('up-8', 'karez-ssh-gcm'), ('up-8', 'sshd-gcm'),
     '<=', 1.1),
    ('ssh aes128-gcm, keep-alive request', ('keepalive', 'karez-ssh-gcm'), ('keepalive', 'sshd-gcm'),
     '<=', 1.1),
    ('ssh aes128-gcm, Connection: close', ('close', 'karez-ssh-gcm'), ('close', 'sshd-gcm'),
     '<=', 1.1),
    ('ssh chacha20, bulk down, 1 stream', ('down-1', 'karez-ssh-chacha'), ('down-1', 'sshd-chacha'),
     '<=', 1.1),
    ('ssh chacha20, bulk down, 8 streams', ('down-8', 'karez-ssh-chacha'), ('down-8', 'sshd-chacha'),
     '<=', 1.1),
    ('ssh chacha20, bulk up, 1 stream', ('up-1', 'karez-ssh-chacha'), ('up-1', 'sshd-chacha'),
     '<=', 1.1),
    ('ssh chacha20, bulk up, 8 streams', ('up-8', 'karez-ssh-chacha'), ('up-8', 'sshd-chacha'),
     '<=', 1.1),
    ('ssh chacha20, keep-alive request', ('keepalive', 'karez-ssh-chacha'), ('keepalive', 'sshd-chacha'),
     '<=', 1.1),
    ('ssh chacha20, Connection: close', ('close', 'karez-ssh-chacha'), ('close', 'sshd-chacha'),
     '<=', 1.1),
    ('idle ssh session in karezd, bytes', ('session', 'karez-ssh-gcm'), None, '<=', 98304),
    ('p99 beside a download / alone', ('beside-p99', 'karez'), ('alone-p99', 'karez'), '<=', 5),
    ('40 ms round trip, one stream, Mbit/s', ('distance', 'karez'), None, '>=', 1000),
    ('40 ms, 200 Mbit/s: p50 beside a download / idle', ('narrow-busy-p50', 'karez'),
     ('narrow-idle-p50', 'karez'), '<=', 2.5),
)


def short(value):
    return f'{value:.0f}' if abs(value) >= 1000 else f'{value:.3g}'


def judge(medians):
    """Each target that could be judged: what it is, the figure, the limit, pass or not."""
    rows = []
    for what, (metric, chain), base, sense, limit in TARGETS:
        value = medians.get(metric, {}).get(chain)
        if base is not None and value is not None:
            other = medians.get(base[0], {}).get(base[1])
            value = value / other if other else None
        row = {'target': what, 'sense': sense, 'limit': limit, 'value': value, 'pass': None}
        if value is not None:
            row['pass'] = value <= limit if sense == '<=' else value >= limit
        rows.append(row)
    return rows


def result(samples, kinds, machine, o):
    """Everything there is to know of a run, ready for JSON."""
    medians = {metric: {chain: statistics.median(values) for chain, values in by.items()}
               for metric, by in samples.items()}
    return {
        'machine': machine,
        'rounds': o.rounds,
        'quick': o.quick,
        'chains': {kind.key: {'title': kind.title, 'tls': kind.tls, 'versus': kind.versus}
                   for kind in kinds},
        'samples': samples,
        'medians': medians,
        'targets': judge(medians),
    }


def table(header, rows):
    """A Markdown table whose source is aligned as well."""
    rows = [header] + rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = ['| ' + ' | '.join(cell.ljust(w) if i == 0 else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(row, widths))) + ' |'
             for row in rows]
    rule = '|' + '|'.join('-' * (w + 2) if i == 0 else '-' * (w + 1) + ':'
                          for i, w in enumerate(widths)) + '|'
    return [lines[0], rule] + lines[1:]


def figures(res):
    """The medians, a row a metric and a column a chain, without chains that took no part."""
    keys = [k for k in res['chains'] if any(k in by for by in res['medians'].values())]
    rows = []
    for metric, what, unit, decimals in METRICS:
        by = res['medians'].get(metric)
        if by is None:
            continue
        row = [f'{what}, {unit}']
        for key in keys:
            row.append(f'{by[key]:,.{decimals}f}' if key in by else '-')
        rows.append(row)
    return table(['median of the rounds'] + keys, rows)


def spread(res):
    """How far apart the rounds were: (largest - smallest) / median, the worst chain of a metric."""
    rows = []
    for metric, what, _unit, _decimals in METRICS:
        by = res['samples'].get(metric)
        if by is None:
            continue
        worst = max(by, key=lambda k, by=by, m=metric: width(by[k], res['medians'][m][k]))
        row = [what]
        row += [f'{100 * width(by[k], res["medians"][metric][k]):.0f} %' if k in by else '-'
                for k in ('karez', 'haproxy-http', 'ssh')]
        rows.append(row + [f'{100 * width(by[worst], res["medians"][metric][worst]):.0f} % '
                           f'({worst})'])
    return table(['range over the rounds / median', 'karez', 'haproxy-http', 'ssh', 'worst'], rows)


def width(values, median):
    return (max(values) - min(values)) / median if median else 0.0


def ratios(res):
    """karez / peer, like with like: each peer beside the chain of ours that does the same."""
    peers = [k for k in res['chains'] if not k.startswith('karez') and k != 'direct']
    rows = []
    for metric, what, unit, _decimals in METRICS:
        if unit in ('GiB/s', '/s') or metric == 'narrow-down':
            continue  # the pace of this machine, not a cost
        by = res['medians'].get(metric, {})
        row = [what]
        for peer in peers:
            mine = res['chains'][peer]['versus']
            ok = by.get(peer) and by.get(mine) is not None
            row.append(f'{by[mine] / by[peer]:.2f}' if ok else '-')
        if any(cell != '-' for cell in row[1:]):
            rows.append(row)
    return table(['karez / peer'] + peers, rows)


def targets(res):
    rows = []
    for t in res['targets']:
        value = '-' if t['value'] is None else f'{t["value"]:,.{0 if t["limit"] > 99 else 2}f}'
        verdict = {None: 'not measured', True: 'pass', False: 'FAIL'}[t['pass']]
        rows.append([t['target'], value, f'{t["sense"]} {t["limit"]:,}', verdict])
    return table(['target', 'measured', 'limit', 'verdict'], rows)


def text(res):
    m = res['machine']
    lines = [f'{m["date"]}, {m["cores"]} cores {m["cpu"]}, Linux {m["kernel"]}',
             f'{m["haproxy"]}; {m["nginx"]}; {m["ssh"]}; karez: {m["karez"]}',
             f'`{m["command"]}`: {res["rounds"]} round(s)' + (', quick' if res['quick'] else ''),
             '', *figures(res), '']
    if res['rounds'] > 1:
        lines += [*spread(res), '']
    if len(compared := ratios(res)) > 2:
        lines += [*compared, '']
    return '\n'.join(lines + targets(res))


PANELS = (
    ('CPU seconds per GiB', ('down-1', 'down-8', 'up-1', 'up-8')),
    ('CPU microseconds per request or connection (log)',
     ('keepalive', 'close', 'short', 'pass-short')),
    ('Resident bytes per idle visitor', ('idle-public', 'idle-agent')),
    ('Resident bytes per idle ssh session', ('session', 'session-pss')),
    ('Small request, us (log)', ('alone-p50', 'alone-p99', 'beside-p50', 'beside-p99')),
    ('40 ms round trip, one stream, Mbit/s', ('distance',)),
    ('40 ms and 200 Mbit/s, small request, us',
     ('narrow-idle-p50', 'narrow-idle-p99', 'narrow-busy-p50', 'narrow-busy-p99')),
)


def panel(ax, res, title, metrics, colours):
    """Grouped bars: a group a metric, a bar a chain; whiskers show the range of the rounds."""
    keys = [k for k in res['chains'] if any(k in res['medians'].get(m, {}) for m in metrics)]
    for n, key in enumerate(keys):
        for i, metric in enumerate(metrics):
            values = res['samples'].get(metric, {}).get(key)
            if not values:
                continue
            mid = res['medians'][metric][key]
            ax.bar(i + (n - (len(keys) - 1) / 2) * 0.8 / len(keys), mid, 0.8 / len(keys),
                   color=colours[key], yerr=[[mid - min(values)], [max(values) - mid]],
                   error_kw={'linewidth': 0.8})
    ax.set_title(title, fontsize=10)
    ax.set_xticks(range(len(metrics)))
    ax.set_xticklabels(metrics, fontsize=8)
    ax.grid(axis='y', alpha=0.3)
    if '(log)' in title:
        ax.set_yscale('log')


def plot(res, path):
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    palette = pyplot.get_cmap('tab10')
    colours = {key: palette(i % 10) for i, key in enumerate(res['chains'])}
    panels = [p for p in PANELS if any(m in res['medians'] for m in p[1])]
    rows = (len(panels) + 1) // 2
    fig, axes = pyplot.subplots(rows, 2, figsize=(13, 4 * rows), squeeze=False)
    for ax in axes.flat[len(panels):]:
        ax.set_visible(False)
    for ax, (title, metrics) in zip(axes.flat, panels):
        panel(ax, res, title, metrics, colours)
    fig.legend([Patch(color=colours[k]) for k in colours],
               [c['title'] for c in res['chains'].values()], loc='lower center', ncol=3, fontsize=9)
    fig.tight_layout(rect=(0, 0.07, 1, 1))
    fig.savefig(path, dpi=110)
    pyplot.close(fig)
