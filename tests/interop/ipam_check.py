# SPDX-License-Identifier: Apache-2.0
"""
Are the documents of address management right? Whether they were at every moment of their history,
and whether they say what the clients were told.

Three oracles, none of which uses code of src/:

- faults(): documents at one moment: blocks, handles and affinities must agree.
- History: all changes since the beginning, as etcd's own watch tells them. At each revision blocks
  and handles must agree (what belongs together is one commit); no address goes from one handle to
  another without having been free; what is released goes to the end of its block's queue.
- Grants: what each client was told, with times. An address is certainly a client's from the answer
  that granted it until the request that releases it; two such times may not overlap.

The documents are those of Calico's IPAM, see src/ipam/ipam.h.
"""

import ipaddress
import json
import threading

BLOCKS = "ipam/v2/assignment/ipv4/block/"
HANDLES = "ipam/v2/handle/"
HOSTS = "ipam/v2/host/"


class Malformed(ValueError):
    """A document that is none."""


def need(condition, what):
    """Raise Malformed unless it holds."""
    if not condition:
        raise Malformed(what)


class Block:
    """A block's document."""

    def __init__(self, key, value):
        self.key = key
        try:
            document = json.loads(value)
            self.cidr = ipaddress.ip_network(document["cidr"])
            self.affinity = document.get("affinity")
            self.allocations = document["allocations"]
            self.unallocated = document["unallocated"]
            self.attributes = document["attributes"]
            self.deleted = document.get("deleted", False)
        except (ValueError, KeyError, TypeError) as error:
            raise Malformed(f"{key}: {error!r}") from error
        self._check()

    def _check(self):
        key, size = self.key, self.cidr.num_addresses
        need(key == BLOCKS + str(self.cidr).replace("/", "-"), f"{key} holds {self.cidr}")
        need(len(self.allocations) == size, f"{key}: {len(self.allocations)} allocations of {size}")
        free = {i for i, at in enumerate(self.allocations) if at is None}
        need(len(set(self.unallocated)) == len(self.unallocated), f"{key}: unallocated twice")
        need(set(self.unallocated) == free,
             f"{key}: unallocated and allocations differ: {sorted(set(self.unallocated) ^ free)}")
        used = {at for at in self.allocations if at is not None}
        need(all(isinstance(at, int) and 0 <= at < len(self.attributes) for at in used),
             f"{key}: an allocation points nowhere")
        need(used == set(range(len(self.attributes))), f"{key}: attributes that nothing points at")

    @property
    def node(self):
        """Whose it is, or None."""
        return self.affinity[5:] if (self.affinity or "").startswith("host:") else None

    def owners(self):
        """{ordinal: handle} of what is assigned."""
        return {i: self.attributes[at].get("handle_id")
                for i, at in enumerate(self.allocations) if at is not None}

    def address(self, ordinal):
        """As text."""
        return str(self.cidr[ordinal])

    def counts(self):
        """{handle: number of its addresses}."""
        counts = {}
        for handle in self.owners().values():
            counts[handle] = counts.get(handle, 0) + 1
        return counts


def handle_of(key, value):
    """{block: count} of a handle's document; its name is in the key alone."""
    try:
        counts = json.loads(value)["block"]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{key}: {error!r}") from error
    need(counts, f"{key}: no block is left in it")
    for cidr, count in counts.items():
        need(isinstance(count, int) and count > 0, f"{key}: {count} addresses in {cidr}")
    return dict(counts)


def affinity_of(key, value):
    """(node, cidr, state) of an affinity's document."""
    words = key[len(HOSTS):].split("/")
    need(len(words) == 4 and words[1:3] == ["ipv4", "block"], f"{key}: not the key of an affinity")
    try:
        state = json.loads(value)["state"]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{key}: {error!r}") from error
    need(state in ("confirmed", "pending", "pendingDeletion"), f"{key}: state {state}")
    return words[0], ipaddress.ip_network(words[3].replace("-", "/")), state


class Documents:
    """All that is stored, {key: value}; what cannot be read is in .faults."""

    def __init__(self, items):
        self.blocks, self.handles, self.affinities, self.faults = {}, {}, {}, []
        for key, value in items.items():
            try:
                if key.startswith(BLOCKS):
                    block = Block(key, value)
                    self.blocks[str(block.cidr)] = block
                elif key.startswith(HANDLES):
                    self.handles[key[len(HANDLES):]] = handle_of(key, value)
                elif key.startswith(HOSTS):
                    node, cidr, state = affinity_of(key, value)
                    self.affinities[(node, str(cidr))] = state
            except Malformed as error:
                self.faults.append(str(error))

    def assigned(self):
        """{address: handle}."""
        return {block.address(i): handle
                for block in self.blocks.values() for i, handle in block.owners().items()}


def faults_of_handles(documents):
    """Handles and blocks must count alike."""
    want, found = {}, []
    for cidr, block in documents.blocks.items():
        for handle, count in block.counts().items():
            if handle is not None:
                want.setdefault(handle, {})[cidr] = count
    for handle in sorted(want.keys() | documents.handles.keys()):
        in_blocks, in_handle = want.get(handle), documents.handles.get(handle)
        if in_blocks != in_handle:
            found.append(f"handle {handle}: blocks say {in_blocks}, it says {in_handle}")
    return found


def faults_of_blocks(documents, nodes, pools):
    """Blocks must not overlap, lie in a pool, and belong to the node whose affinity says so."""
    found = []
    blocks = sorted(documents.blocks.values(), key=lambda block: block.cidr)
    for one, other in zip(blocks, blocks[1:]):
        if one.cidr.overlaps(other.cidr):
            found.append(f"blocks {one.cidr} and {other.cidr} overlap")
    for block in blocks:
        cidr = str(block.cidr)
        if pools is not None and not any(block.cidr.subnet_of(pool) for pool in pools):
            found.append(f"block {cidr} is in no pool")
        if block.node is None:
            continue
        if documents.affinities.get((block.node, cidr)) != "confirmed":
            found.append(f"block {cidr} is {block.node}'s, but no affinity says so")
        if nodes is not None and block.node not in nodes:
            found.append(f"block {cidr} is {block.node}'s, which is gone")
    for (node, cidr), state in documents.affinities.items():
        block = documents.blocks.get(cidr)
        if state == "confirmed" and (block is None or block.node != node):
            found.append(f"affinity {node} {cidr}: the block is "
                         f"{block.node + chr(39) + 's' if block and block.node else 'nobody' + chr(39) + 's'}")
    return found


def faults_of_holders(documents, held, tolerated):
    """Each client must have what it was told, and nobody else anything."""
    found = []
    assigned = documents.assigned()
    for address, handle in sorted(held.items()):
        if assigned.get(address) != handle:
            found.append(f"lost: {address} was granted to {handle}, "
                         f"and is stored as {assigned.get(address)}'s")
    for address, handle in sorted(assigned.items()):
        if address not in held and not tolerated(handle):
            found.append(f"leak: {address} is stored as {handle}'s, who does not have it")
    return found


def faults(items, held=None, tolerated=lambda handle: False, nodes=None, pools=None, holes=()):
    """
    What is wrong in documents {key: value}, in words. held: {address: handle} that clients have;
    tolerated(handle): it may also have others. nodes: names of all; pools, holes: their networks.
    """
    documents = Documents(items)
    found = documents.faults + faults_of_handles(documents)
    found += faults_of_blocks(documents, nodes, pools)
    if held is not None:
        found += faults_of_holders(documents, held, tolerated)
    for address, handle in documents.assigned().items():
        if any(ipaddress.ip_address(address) in hole for hole in holes):
            found.append(f"hole: {address} is {handle}'s")
    return found


class History:
    """All changes, in their order. add() takes what one revision changed."""

    def __init__(self):
        self.items = {}
        self.faults = []
        self.revisions = 0
        self.grants = 0  # addresses that were assigned, by what is stored
        self._blocks = {}  # key: Block
        self._counts = {}  # handle: {cidr: count}, of the blocks

    def add(self, revision, changes):
        """changes: [(key, value or None)] of one revision."""
        self.revisions += 1
        touched = set()
        for key, value in changes:
            if value is None:
                self.items.pop(key, None)
            else:
                self.items[key] = value
            try:
                if key.startswith(BLOCKS):
                    touched |= self._block(revision, key, value)
                elif key.startswith(HANDLES):
                    touched.add(key[len(HANDLES):])
            except Malformed as error:
                self.faults.append(f"revision {revision}: {error}")
        for handle in touched:
            self._handle(revision, handle)

    def _handle(self, revision, handle):
        value = self.items.get(HANDLES + handle)
        try:
            said = handle_of(HANDLES + handle, value) if value is not None else None
        except Malformed as error:
            self.faults.append(f"revision {revision}: {error}")
            return
        counted = self._counts.get(handle) or None
        if said != counted:
            self.faults.append(f"revision {revision}: handle {handle}: blocks say {counted}, "
                               f"it says {said}")

    def _block(self, revision, key, value):
        before = self._blocks.pop(key, None)
        after = self._blocks[key] = Block(key, value) if value is not None else None
        if after is None:
            del self._blocks[key]
        cidr = str((after or before).cidr) if after or before else None
        old = before.owners() if before else {}
        new = after.owners() if after else {}
        for ordinal in old.keys() & new.keys():
            if old[ordinal] != new[ordinal]:
                self.faults.append(f"revision {revision}: {after.address(ordinal)} went from "
                                   f"{old[ordinal]} to {new[ordinal]}")
        if old and not after:
            self.faults.append(f"revision {revision}: block {cidr} is deleted with "
                               f"{sorted(set(old.values()))} in it")
        self.grants += len(new.keys() - old.keys())
        if before and after:
            self._queue(revision, before, after, old.keys() - new.keys())
        changed = set()
        for block, sign in ((before, -1), (after, 1)):
            for handle, count in (block.counts() if block else {}).items():
                if handle is None:
                    continue
                counts = self._counts.setdefault(handle, {})
                counts[cidr] = counts.get(cidr, 0) + sign * count
                if not counts[cidr]:
                    del counts[cidr]
                changed.add(handle)
        return changed

    def _queue(self, revision, before, after, released):
        """First in, first out: what is left of the queue stays as it was, the released come last."""
        taken = set(before.unallocated) - set(after.unallocated)
        left = [i for i in before.unallocated if i not in taken]
        if after.unallocated[:len(left)] != left or set(after.unallocated[len(left):]) != released:
            self.faults.append(f"revision {revision}: {before.cidr}: the queue {before.unallocated} "
                               f"became {after.unallocated}, released {sorted(released)}")


class Grants:
    """What clients were told, and when (time.monotonic). For many threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._held = {}  # (address, handle): since
        self._past = []  # (address, handle, since, until)

    def granted(self, address, handle, at):
        """A client was told, at this time, that it has an address."""
        with self._lock:
            self._held.setdefault((address, handle), at)

    def releasing(self, handle, at):
        """A client is about to give back all that its handle has; what it certainly had."""
        with self._lock:
            mine = [key for key in self._held if key[1] == handle]
            for key in mine:
                self._past.append((*key, self._held.pop(key), at))
            return [address for address, _ in mine]

    def held(self):
        """{address: handle}; of an address that two have, one."""
        with self._lock:
            return {address: handle for address, handle in self._held}

    def count(self):
        """How many grants there were; twice the same to the same is one."""
        with self._lock:
            return len(set(self._held) | {span[:2] for span in self._past})

    def doubles(self):
        """Addresses that two had at one time, in words."""
        with self._lock:
            spans = self._past + [(*key, since, float("inf"))
                                  for key, since in self._held.items()]
        found, last = [], {}
        for address, handle, since, until in sorted(spans, key=lambda span: span[2]):
            for other, other_until in last.get(address, ()):
                if other_until > since and other != handle:
                    found.append(f"twice: {address} is granted to {handle} at {since:.3f}, "
                                 f"and {other} has it until {other_until:.3f}")
            last[address] = [each for each in last.get(address, ()) if each[1] > since]
            last[address].append((handle, until))
        return found
