#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
#
# Segmenting and coalescing against the kernel's own, in a namespace that is removed at
# the end; kernel_offload.c says how.
set -u
cd "$(dirname "$0")/../.." || exit 1

ns=cv-offload-$$
trap 'ip netns del "$ns" 2>/dev/null' EXIT
trap 'exit 1' INT TERM HUP
ip netns add "$ns" || { echo "Bail out! no network namespace"; exit 1; }
ip netns exec "$ns" sh -c \
	'sysctl -qw net.ipv6.conf.default.disable_ipv6=1; exec build/tests/packet/kernel_offload'
