# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The lab's namespaces and wires; see topology.sh for the drawing.

# The network namespace of a node of this instance.
ns_of()
{
	echo "cv-$LAB_NAME-$1"
}

# ns_run NODE CMD…: run CMD on a node that is a namespace. `ip netns exec` would remount /sys.
ns_run()
{
	local node=$1
	shift
	nsenter --net="/run/netns/$(ns_of "$node")" -- "$@"
}

# Make the namespace of NODE: no IPv6 (it would chatter in captures), no reverse-path filter,
# loopback up. The name is on record before the namespace exists, so that `down` finds it.
ns_add()
{
	local ns
	ns=$(ns_of "$1")

	echo "$ns" >>"$LAB_DIR/netns"
	ip netns add "$ns"
	mkdir -p "$LAB_DIR/$1"
	# shellcheck disable=SC2016
	ns_run "$1" sh -ec '
		cd /proc/sys/net
		if [ -d ipv6/conf ]; then
			echo 1 >ipv6/conf/all/disable_ipv6
			echo 1 >ipv6/conf/default/disable_ipv6
		fi
		echo 0 >ipv4/conf/all/rp_filter
		echo 0 >ipv4/conf/default/rp_filter
		exec ip link set lo up'
}

# Delete the namespaces on record; devices inside go with them.
ns_remove_all()
{
	local ns

	[[ -f $LAB_DIR/netns ]] || return 0
	while read -r ns; do
		[[ ! -e /run/netns/$ns ]] || ip netns del "$ns" 2>/dev/null || umount_netns "$ns"
	done <"$LAB_DIR/netns"
}

# An `ip netns add` that was interrupted half-way leaves a plain file without a mount.
umount_netns()
{
	umount "/run/netns/$1" 2>/dev/null || :
	rm -f "/run/netns/$1"
}

# forward NODE: let NODE pass packets on.
net_forward()
{
	ns_run "$1" sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
}

# net_host NODE ADDR/LEN GATEWAY PORT: NODE's eth0 is wired to PORT of the router.
net_host()
{
	ip link add eth0 netns "$(ns_of "$1")" type veth peer name "$4" netns "$(ns_of router)"
	ip -n "$(ns_of "$1")" -batch - <<-END
		addr add $2 dev eth0
		link set eth0 up
		route add default via $3
	END
}

# net_pod POD NODE SUBNET: POD is .2 of 10.244.SUBNET.0/24 behind pod0 (.1) on NODE.
net_pod()
{
	ip link add eth0 netns "$(ns_of "$1")" type veth peer name pod0 netns "$(ns_of "$2")"
	ip -n "$(ns_of "$2")" -batch - <<-END
		addr add 10.244.$3.1/24 dev pod0
		link set pod0 up
	END
	ip -n "$(ns_of "$1")" -batch - <<-END
		addr add 10.244.$3.2/24 dev eth0
		link set eth0 up
		route add default via 10.244.$3.1
	END
	net_forward "$2"
}

# Two zones and a router between them that knows no pod.
net_routed()
{
	local node

	for node in $TOPO_ROUTED_NODES; do
		ns_add "$node"
	done
	net_host a1 "$A1_ADDR/24" "$ROUTER_A" a1
	net_host a2 "$A2_ADDR/24" "$ROUTER_A" a2
	net_host b1 "$B1_ADDR/24" "$ROUTER_B" b1
	ip -n "$(ns_of router)" -batch - <<-END
		link add br-a type bridge mcast_snooping 0
		link add br-b type bridge mcast_snooping 0
		addr add $ROUTER_A/24 dev br-a
		addr add $ROUTER_B/24 dev br-b
		link set br-a up
		link set br-b up
		link set a1 master br-a up
		link set a2 master br-a up
		link set b1 master br-b up
	END
	net_forward router
	# Tests provoke ICMP errors in quick succession; the router shall answer each.
	ns_run router sh -c 'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit'
	net_pod a1-pod a1 1
	net_pod b1-pod b1 2
	net_pod a2-pod a2 4
}

# Wait until every wire carries and every bridge port forwards. The kernel tells devices of their
# carrier up to a second late, and what comes before is lost (an ARP request costs a second then).
net_wait()
{
	local ns tries

	while read -r ns; do
		for ((tries = 0; tries < 150; tries++)); do
			! net_is_ready "$ns" || continue 2
			sleep 0.02
		done
		lab_die "a wire in $ns has no carrier: $(ip -n "$ns" -br link | xargs)"
	done <"$LAB_DIR/netns"
}

net_is_ready()
{
	local waiting

	waiting=$(ip -n "$1" -br link | awk '$2 ~ /DOWN/' &&
		bridge -n "$1" link | awk '!/ state forwarding /')
	[[ -z $waiting ]]
}

# n1 with a pod, and n2 straight on the other end of n1's wire.
net_pair()
{
	local node

	for node in $TOPO_PAIR_NODES; do
		ns_add "$node"
	done
	ip link add eth0 netns "$(ns_of n1)" type veth peer name eth0 netns "$(ns_of n2)"
	ip -n "$(ns_of n1)" -batch - <<-END
		addr add 192.168.100.1/24 dev eth0
		link set eth0 up
	END
	ip -n "$(ns_of n2)" -batch - <<-END
		addr add 192.168.100.2/24 dev eth0
		link set eth0 up
	END
	net_pod p1 n1 1
	# n2's kernel shall not answer protocol 4 with "protocol unreachable": on n2 the test speaks.
	ns_run n2 nft -f - <<-END
		table ip lab {
			chain input {
				type filter hook input priority filter;
				ip protocol 4 drop
			}
		}
	END
}

# Second addresses on the pods of a1 and b1, for measurements beside the tunnel: 10.245/16 is
# routed directly by the router, 10.246/16 goes through a kernel VXLAN device.
net_baselines()
{
	baseline_side a1 1 "$A1_ADDR" "$ROUTER_A" "$B1_ADDR" 2
	baseline_side b1 2 "$B1_ADDR" "$ROUTER_B" "$A1_ADDR" 1
	ip -n "$(ns_of router)" -batch - <<-END
		route replace 10.245.1.0/24 via $A1_ADDR
		route replace 10.245.2.0/24 via $B1_ADDR
	END
}

# A pod's own address on such a path is the one that the path's other end can answer.
# net_wire NODE straight|bridged: `straight` takes the router's address in NODE's zone off the
# bridge and gives it to NODE's port, so that super-packets with a tunnel header pass whole (a
# bridge device has no offloads for what is encapsulated; kernel VXLAN loses three quarters of its
# throughput). The zone's other nodes are cut off meanwhile. `bridged` undoes it.
net_wire()
{
	local zone=a address=$ROUTER_A from to routes

	case $1 in
	a1 | a2) ;;
	b1 | k1) zone=b address=$ROUTER_B ;;
	*) lab_die "$1 is wired to no bridge" ;;
	esac
	case $2 in
	straight) from=br-$zone to=$1 ;;
	bridged) from=$1 to=br-$zone ;;
	*) lab_usage_error "a wire is straight or bridged, not $2" ;;
	esac
	routes=$(ip -n "$(ns_of router)" route show dev "$from" | awk '$2 == "via" { print $1, $2, $3 }')
	ip -n "$(ns_of router)" -batch - <<-END
		link set $1 $([[ $2 == straight ]] && echo nomaster || echo "master br-$zone")
		addr del $address/24 dev $from
		addr add $address/24 dev $to
		${routes:+$(sed 's/^/route replace /' <<<"$routes")}
	END
	# The neighbours' MAC address for the router has changed.
	ip -n "$(ns_of "$([[ $1 == k1 ]] && echo router || echo "$1")")" neigh flush all
	net_wait
}

# baseline_side NODE SUBNET ADDR GATEWAY PEER PEER_SUBNET
baseline_side()
{
	ip -n "$(ns_of "$1")" -batch - <<-END
		addr replace 10.245.$2.1/24 dev pod0
		addr replace 10.246.$2.1/24 dev pod0
		route replace 10.245.$6.0/24 via $4
	END
	ip -n "$(ns_of "$1-pod")" -batch - <<-END
		addr replace 10.245.$2.2/24 dev eth0
		addr replace 10.246.$2.2/24 dev eth0
		route replace 10.245.0.0/16 via 10.245.$2.1 src 10.245.$2.2
		route replace 10.246.0.0/16 via 10.246.$2.1 src 10.246.$2.2
	END
	ip -n "$(ns_of "$1")" link show vxlan0 >/dev/null 2>&1 ||
		ip -n "$(ns_of "$1")" link add vxlan0 type vxlan id 46 local "$3" remote "$5" \
			dstport 4789 dev eth0
	ip -n "$(ns_of "$1")" -batch - <<-END
		addr replace 10.246.0.$2/24 dev vxlan0
		link set vxlan0 up
		route replace 10.246.$6.0/24 via 10.246.0.$6
	END
}
