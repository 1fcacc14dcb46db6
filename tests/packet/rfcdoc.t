#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
"""doc/rfc.md and the tests agree: what it names exists, and it says something of every row."""

import ast
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import tap  # noqa: E402

with open(os.path.join(HERE, "..", "..", "doc", "rfc.md"), encoding="utf-8") as f:
    TEXT = f.read()


def strings_of(name):
    """All whole string constants in a test (those in f-strings are parts only)."""
    with open(os.path.join(HERE, name), encoding="utf-8") as source:
        tree = ast.parse(source.read())
    parts = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    return {
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in parts
    }


def rows():
    """The rows of all tables, each with its heading: (heading, cells)."""
    heading = ""
    for line in TEXT.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("|") and not line.startswith(("|---", "| §")):
            yield heading, [cell.strip() for cell in line.strip("|").split("|")]


def names_exist():
    count, cache = 0, {}
    for file, names in re.findall(r'`(\w+\.t)` ("[^|`]*")', TEXT):
        if file not in cache:
            cache[file] = strings_of(file)
        for name in re.findall(r'"([^"]*)"', names):
            count += 1
            tap.ok(name in cache[file], f"{file} asserts: {name}")
    tap.ok(count > 60, f"doc/rfc.md names {count} assertions")


def unit_tests_exist():
    count = 0
    for file, names in re.findall(r'`(\w+_test)` ("[^|`]*")', TEXT):
        path = os.path.join(HERE, "..", "unit", file + ".c")
        with open(path, encoding="utf-8") as source:
            run = set(re.findall(r"cmocka_unit_test\w*\((\w+)", source.read()))
        for name in re.findall(r'"([^"]*)"', names):
            count += 1
            tap.ok(name in run, f"{file} runs: {name}")
    tap.ok(count > 20, f"doc/rfc.md names {count} unit tests")


def tables():
    found = list(rows())
    tap.ok(all(len(cells) == 5 for _, cells in found), "every row has five cells",
           lambda: [cells for _, cells in found if len(cells) != 5])
    must = [cells for heading, cells in found if heading == "RFC 2003: MUST and MUST NOT"]
    should = [cells for heading, cells in found if heading == "RFC 2003: SHOULD and SHOULD NOT"]
    tap.equal((len(must), len(should)), (13, 18), "RFC 2003 has 13 MUST and 18 SHOULD")
    tap.ok(all("MUST" in cells[2] for cells in must), "… the first table has MUST alone")
    tap.ok(all("SHOULD" in cells[2] for cells in should), "… the second SHOULD alone")
    tap.ok(all(cells[4] for cells in must), "every MUST of RFC 2003 has a test")
    for heading, cells in found:
        if cells[2]:
            excused = re.match(r"\*\*no\*\*|no\b|does not apply", cells[3])
            tap.ok(cells[4] or excused, f"{heading}, {cells[0]}, {cells[1][:50]}: test or excuse")
    counts = ["none", "one", "two", "three", "four"]
    tap.equal(counts[sum(cells[3].startswith("**no**") for cells in should)],
              re.search(r"(\w+) are not followed", TEXT).group(1),
              "as many SHOULD are not followed as the summary says")


tap.main([names_exist, unit_tests_exist, tables], root=False)
