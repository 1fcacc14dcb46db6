# SPDX-License-Identifier: Apache-2.0
"""What a result must look like in each version of CNI (SPEC.md of each: "Result", "Success")."""

import re

import cni

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
ADDRESS = re.compile(r"\d+(\.\d+){3}")
PREFIX = re.compile(r"\d+(\.\d+){3}/\d+")


def is_text(pattern):
    return lambda value: isinstance(value, str) and bool(pattern.fullmatch(value))


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def check_members(where, value, needed, optional):
    """What is wrong with an object, by its members' checks."""
    if not isinstance(value, dict):
        return [f"{where}: no object"]
    wrong = [f"{where}.{name}: missing" for name in needed if name not in value]
    for name, each in value.items():
        check = (needed | optional).get(name)
        if check is None:
            wrong.append(f"{where}.{name}: not of this version")
        elif not check(each):
            wrong.append(f"{where}.{name}: {each!r}")
    return wrong


def schema_errors(result, version):
    """SPEC.md of each version: "Result", "Success", by hand."""
    newest = cni.numbers(version) >= (1, 1, 0)
    interface = {"mac": is_text(MAC), "sandbox": lambda v: isinstance(v, str)}
    route = {"gw": is_text(ADDRESS)}
    if newest:
        interface |= {"mtu": is_number, "socketPath": lambda v: isinstance(v, str),
                      "pciID": lambda v: isinstance(v, str)}
        route |= {name: is_number for name in ("mtu", "advmss", "priority", "table", "scope")}
    ip = {"address": is_text(PREFIX)}
    if cni.numbers(version) < (1, 0, 0):
        ip["version"] = lambda value: value == "4"
    texts = lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value)
    wrong = check_members("result", result, {
        "cniVersion": lambda value: value == version,
        "ips": lambda value: isinstance(value, list) and value,
    }, {
        "interfaces": lambda value: isinstance(value, list) and value,
        "routes": lambda value: isinstance(value, list),
        "dns": lambda value: isinstance(value, dict),
    })
    count = len(result.get("interfaces", ()))
    for i, each in enumerate(result.get("interfaces", ())):
        wrong += check_members(f"interfaces[{i}]", each, {"name": lambda v: isinstance(v, str)},
                               interface)
    for i, each in enumerate(result.get("ips", ())):
        wrong += check_members(f"ips[{i}]", each, ip, {
            "gateway": is_text(ADDRESS), "interface": lambda v: is_number(v) and v < count})
    for i, each in enumerate(result.get("routes", ())):
        wrong += check_members(f"routes[{i}]", each, {"dst": is_text(PREFIX)}, route)
    return wrong + check_members("dns", result.get("dns", {}), {}, {
        "nameservers": texts, "domain": lambda v: isinstance(v, str), "search": texts,
        "options": texts})
