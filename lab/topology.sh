# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# The lab's addresses, in one place. Sourced by lab/lab on the host and by lab/k1/init inside k1.
#
#     zone A 192.168.100.0/24                       zone B 192.168.200.0/24
#     a1 .1 ── a1-pod 10.244.1.2     router .254    b1 .2 ── b1-pod 10.244.2.2
#     a2 .2 ── a2-pod 10.244.4.2   (knows no pod)   k1 .3, inner 10.244.3.1
#
# The pair shape is a part of zone A: n1 .1 ── n2 .2, and p1 (10.244.1.2) behind n1.

# The nodes of each shape, in the order in which they are made; k1 comes after, where it is wanted.
TOPO_ROUTED_NODES="router a1 a2 b1 a1-pod a2-pod b1-pod"
TOPO_PAIR_NODES="n1 n2 p1"

# Nodes on which culvertd runs.
TOPO_ROUTED_DAEMONS="a1 a2 b1"
TOPO_PAIR_DAEMONS="n1"

A1_ADDR=192.168.100.1
A2_ADDR=192.168.100.2
B1_ADDR=192.168.200.2
K1_ADDR=192.168.200.3
ROUTER_A=192.168.100.254
ROUTER_B=192.168.200.254

A1_POD=10.244.1.2
B1_POD=10.244.2.2
A2_POD=10.244.4.2
K1_INNER=10.244.3.1

# The address of the pod of a node with culvertd.
topo_pod_address()
{
	case $1 in
	a1 | n1) echo "$A1_POD" ;;
	a2) echo "$A2_POD" ;;
	b1) echo "$B1_POD" ;;
	esac
}

# Addresses on the tunnel devices themselves: tun0 joins a1 and b1, tunk joins a1 and k1.
TUN0_A1=10.0.0.1
TUN0_B1=10.0.0.2
TUNK_A1=10.0.1.1
TUNK_K1=10.0.1.2

# The private wire over which `lab exec k1` reaches the agent in k1. It carries no test traffic
# and both of its ends are in namespaces of their own.
K1_CTL_HOST=169.254.7.1
K1_CTL_ADDR=169.254.7.2
K1_CTL_PORT=7001
