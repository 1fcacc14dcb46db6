# SPDX-License-Identifier: Apache-2.0
"""
Culvert's configuration of each BIRD of a mesh, as culvertd renders it, without a culvertd for each: of one
manifest with all nodes and all their blocks.
"""

import os

import culvert
from bgp_mesh import POOL, address, block
from zones import NODE, POOL as POOL_TEXT, block_text

TOOL = os.path.join(culvert.BUILD, "tests/packet/bird_tool")

BGP = """\
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata:
  name: default
spec: {}
"""


def manifest(count):
    """Of a mesh of so many."""
    text = POOL_TEXT.format(name="pool", cidr=POOL, mode="Always", nat="false", block_size=26) + BGP
    for i in range(count):
        node = NODE.format(name=f"s{i}", address=address(i) + "/16", tunnel="")
        text += node.replace("    ipv4IPIPTunnelAddr: \n", "") + block_text(f"s{i}", block(i))
    return text


class Renderer:
    """configure(i, count, directory) of Mesh.run()."""

    def __init__(self, mesh):
        self.mesh = mesh
        self.path = os.path.join(mesh.directory, "manifest.yaml")
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(manifest(mesh.count))

    def __call__(self, i, count, directory):
        include = os.path.join(directory, "culvert.conf")
        with open(include, "w", encoding="utf-8") as f:
            f.write(self._run(i, "include"))
        return self._run(i, "main", include, os.path.join(directory, "bird.log"))

    def _run(self, i, *words):
        return self.mesh.nodes[i].run([TOOL, f"s{i}", self.path, "/nonexistent", *words]).stdout
