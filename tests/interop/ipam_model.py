# SPDX-License-Identifier: Apache-2.0
"""
A small model of address management that writes Calico's documents, by the book and in no hurry: what
the checker (ipam_check.py) is tested with.
"""

import ipaddress
import json

from ipam_check import BLOCKS, HANDLES, HOSTS


class Model:
    """Documents {key: value} in .items, and all changes in .history: [(revision, changes)]."""

    def __init__(self, pool="10.66.0.0/24", block_size=29):
        self.free = list(ipaddress.ip_network(pool).subnets(new_prefix=block_size))
        self.items, self.history, self.nodes = {}, [], {}

    def commit(self, changes):
        """{key: document or None}, all at once."""
        texts = {key: None if document is None else json.dumps(document)
                 for key, document in changes.items()}
        for key, text in texts.items():
            if text is None:
                self.items.pop(key, None)
            else:
                self.items[key] = text
        self.history.append((len(self.history) + 1, list(texts.items())))

    def read(self, key):
        """The document of a key."""
        return json.loads(self.items[key])

    @staticmethod
    def key(cidr):
        """Of a block."""
        return BLOCKS + str(cidr).replace("/", "-")

    @staticmethod
    def affinity_key(node, cidr):
        """Of a block's affinity."""
        return f"{HOSTS}{node}/ipv4/block/" + str(cidr).replace("/", "-")

    def claim(self, node):
        """One more block for a node; its network."""
        cidr = self.free.pop(0)
        size = cidr.num_addresses
        self.nodes.setdefault(node, []).append(cidr)
        self.commit({
            self.key(cidr): {"cidr": str(cidr), "affinity": "host:" + node, "strictAffinity": False,
                             "allocations": [None] * size, "unallocated": list(range(size)),
                             "attributes": [], "deleted": False},
            self.affinity_key(node, cidr): {"state": "confirmed", "deleted": "false"},
        })
        return cidr

    def give_back(self, node, cidr):
        """An empty block."""
        self.nodes[node].remove(cidr)
        self.free.append(cidr)
        self.commit({self.key(cidr): None, self.affinity_key(node, cidr): None})

    def _handle(self, handle, cidr, by):
        key = HANDLES + handle
        document = self.read(key) if key in self.items else {"block": {}, "deleted": False}
        count = document["block"].get(str(cidr), 0) + by
        document["block"][str(cidr)] = count
        if not count:
            del document["block"][str(cidr)]
        return {key: document if document["block"] else None}

    def assign(self, node, handle):
        """One address of the node's blocks; claims one when they are full."""
        for cidr in self.nodes.get(node, []):
            block = self.read(self.key(cidr))
            if block["unallocated"]:
                break
        else:
            cidr = self.claim(node)
            block = self.read(self.key(cidr))
        ordinal = block["unallocated"].pop(0)
        block["allocations"][ordinal] = len(block["attributes"])
        block["attributes"].append({"handle_id": handle, "secondary": {"node": node}})
        self.commit({self.key(cidr): block, **self._handle(handle, cidr, 1)})
        return str(cidr[ordinal])

    def release(self, address, handle):
        """Give an address back."""
        cidr = next(c for blocks in self.nodes.values() for c in blocks
                    if ipaddress.ip_address(address) in c)
        block = self.read(self.key(cidr))
        ordinal = int(ipaddress.ip_address(address)) - int(cidr[0])
        at = block["allocations"][ordinal]
        block["allocations"] = [None if i == ordinal else a if a is None or a < at else a - 1
                                for i, a in enumerate(block["allocations"])]
        del block["attributes"][at]
        block["unallocated"].append(ordinal)
        self.commit({self.key(cidr): block, **self._handle(handle, cidr, -1)})
