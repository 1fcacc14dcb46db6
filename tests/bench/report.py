# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks have measured, for people and for programs."""

import csv
import datetime
import os
import statistics
import subprocess

import plot
from labs import ROOT
from measure import METRICS, NAMES

OUT = os.environ.get("BENCH_OUT", os.path.join(ROOT, "build", "bench"))


class Results:
    """Every value, in memory and in a CSV file, which is complete up to any interruption."""

    FIELDS = ["commit", "peer", "offloads", "round", "path", "metric", "value", "unit"]

    def __init__(self, commit, name="results.csv"):
        self.commit = commit
        self.values = {}
        self.file = open(os.path.join(OUT, name), "w", encoding="ascii", newline="")
        self.writer = csv.writer(self.file)
        self.writer.writerow(self.FIELDS)

    def add(self, peer, offloads, number, path, metric, value):
        """One measured value."""
        self.values.setdefault((peer, offloads, path, metric), []).append(value)
        unit, digits = METRICS[metric]
        self.writer.writerow(
            [self.commit, peer, offloads, number, path, metric, f"{value:.{digits + 1}f}", unit]
        )
        self.file.flush()

    def median(self, peer, offloads, path, metric):
        """The median, or None if nothing was measured."""
        values = self.values.get((peer, offloads, path, metric))
        return statistics.median(values) if values else None

    def span(self, *key):
        """The smallest and the largest value."""
        return min(self.values[key]), max(self.values[key])


def git(*words):
    """What git says about the tree; empty where there is no git."""
    done = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", ROOT, *words], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def commit_name():
    """The commit that is measured; "+" when the sources differ from it."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "lab", "Makefile")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def machine(commit, settings):
    """On what this was measured."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    load = os.getloadavg()[0]
    busy = " (BUSY: compare within this table only)" if load > os.cpu_count() / 4 else ""
    now = datetime.datetime.now(datetime.timezone.utc)
    system = os.uname()
    return (
        f"{now:%Y-%m-%d %H:%M} UTC, commit {commit}, Linux {system.release} {system.machine}, "
        f"{os.cpu_count()} CPUs ({model}), load {load:.1f} before{busy}; "
        f"medians of {settings.rounds} interleaved rounds of {settings.seconds:g} s"
    )


def align(rows):
    """The rows with columns below each other: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  " + "  ".join(
            x.ljust(w) if i == 0 else x.rjust(w) for i, (x, w) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def write_summary(results, name="summary.csv"):
    """Medians for programs."""
    with open(os.path.join(OUT, name), "w", encoding="ascii", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["commit", "peer", "offloads", "path", "metric", "median", "min", "max",
                         "rounds", "ratio_to_direct", "unit"])
        for (peer, offloads, path, metric), values in results.values.items():
            median = statistics.median(values)
            direct = results.median(peer, offloads, "direct", metric)
            writer.writerow([results.commit, peer, offloads, path, metric, f"{median:.3f}",
                             f"{min(values):.3f}", f"{max(values):.3f}", len(values),
                             f"{median / direct:.3f}" if direct else "", METRICS[metric][0]])


# What a plot shows; in the order of its panels.
PLOTTED = ["tcp", "tcp-back", "pps", "p50", "p99"]


def write_plot(results, title, peer, offloads, paths, name):
    """One SVG file with a panel for each metric and a bar for each path, in the order of paths."""
    panels = []
    for metric in PLOTTED:
        keys = [(peer, offloads, path, metric) for path in paths]
        bars = [
            (key[2], results.median(*key), *results.span(*key))
            for key in keys if key in results.values
        ]
        unit, digits = METRICS[metric]
        if bars:
            panels.append((f"{NAMES[metric]}, {unit}", digits, bars))
    plot.write(os.path.join(OUT, name), title, panels)
