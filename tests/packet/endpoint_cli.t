#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel
#
# culvert endpoint, against a real daemon without a fast path: what works, what is refused and
# how, and that endpoints outlive the daemon and follow their devices.
# shellcheck disable=SC2317 # functions are called by ok
set -u
. "$(dirname "$0")/control.sh"

OFF="off (in force; wanted on): there is no fast path: switched off by --fastpath off"

# shows NAME LINE…: culvert endpoint prints these lines.
shows() {
	local name=$1
	shift
	is "$name" "$(culvert endpoint)" "$(printf '%s\n' "$@")"
}

# /sys is another namespace's.
ifindex() { ip -o link show "$1" | cut -d: -f1; }

# ---- without a daemon ---------------------------------------------------------------

refuses 1 'culvertd is not running' endpoint show
refuses 2 'did you mean bypass?' endpoint add veth0 ip 10.244.1.2 bypas on
for words in "endpoint help" "endpoint add help" "endpoint -h" "e h"; do
	# shellcheck disable=SC2086
	run culvert $words
	is "culvert $words: exit code" "$RC" 0
	ok "culvert $words: usage on standard output" has "$OUT" "Usage: culvert endpoint"
done
refuses 1 'culvertd is not running' endpoint
run "$BUILD/culvertd" --run-dir "$RUN" --fastpath maybe
is "culvertd --fastpath maybe: exit code" "$RC" 2
is "culvertd --fastpath maybe" "$ERR" \
	'culvertd: --fastpath takes auto or off, not maybe; try "culvertd --help"'

# ---- what works -------------------------------------------------------------------------

for i in 0 1 2; do ip link add veth$i type veth peer name pod$i; done
ip tuntap add tap0 mode tap
ip link add br0 type bridge
start_daemon --fastpath off
ok "who switched the fast path off is not told that it is missing" \
	test "$(grep -c 'not available' "$TMP/log")" = 0
run culvert endpoint
is "no endpoints: nothing is printed" "$RC$OUT$ERR" 0
run culvert endpoint add veth0 ip 10.244.1.2
is "add: exit code" "$RC" 0
is "add: silent" "$OUT$ERR" ""
ok "a tap device" culvert e a dev tap0 ip 10.244.1.3 ip 10.244.1.4 bypass on
ok "a bridge" culvert endpoint replace br0 bypass off ip 10.244.1.5
lines=("veth0 ip 10.244.1.2 bypass $OFF" "tap0 ip 10.244.1.3 ip 10.244.1.4 bypass $OFF"
	"br0 ip 10.244.1.5 bypass off")
for words in "endpoint show" "endpoint" "e" "end" "endpoint list" "endpoint lst" "endpoint ls" "e s"; do
	# shellcheck disable=SC2086
	run culvert $words
	is "culvert $words" "$OUT" "$(printf '%s\n' "${lines[@]}")"
done
for words in "endpoint show tap0" "endpoint show dev tap0" "e s ip 10.244.1.4" \
	"endpoint show bypass on"; do
	# shellcheck disable=SC2086
	run culvert $words
	is "culvert $words" "$OUT" "${lines[1]}"
done
run culvert endpoint show ip 10.9.9.9
is "show with a filter that nothing matches prints nothing" "$RC$OUT$ERR" 0
run culvert -s endpoint
ok "-s counts packets between endpoints" has "$OUT" "packets between endpoints: 0"
run culvert -j endpoint show
is "-j" "$(jq -c '.[1]' "$TMP/out")" "{\"dev\":\"tap0\",\"addresses\":[\"10.244.1.3\",\
\"10.244.1.4\"],\"bypass\":\"on\",\"ifindex\":$(ifindex tap0),\"wanted\":true,\
\"in_force\":false,\"reason\":\"there is no fast path: switched off by --fastpath off\"}"
run culvert -j status
is "status -j" "$(jq -c '[.endpoints, .default_bypass, .local_packets, .fastpath]' "$TMP/out")" \
	'[3,"on",0,{"state":"off","reason":"switched off by --fastpath off","underlays":[],"endpoints":3,"bypassed":0}]'
run culvert status
ok "status says how the fast path is" has "$OUT" "
fast path: off: switched off by --fastpath off
endpoints 3, bypass on by default, packets between them 0"

culvert tunnel add tun0 remote 192.168.200.2
run culvert -s tunnel
ok "tunnel show says how the fast path is" has "$OUT" "
    fast path: off: switched off by --fastpath off
    path: fast rx 0 tx 0 (endpoints rx 0 tx 0), engine rx 0 tx 0, handed over in 0 out 0"
run culvert -j tunnel
is "in JSON, too" "$(jq -c '.[0].fastpath' "$TMP/out")" \
	'{"state":"off","reason":"switched off by --fastpath off","underlays":[],"endpoints":3,"bypassed":0}'
run culvert -j -s tunnel
is "and the paths" "$(jq -c '.[0].paths | keys + (.fast | keys)' "$TMP/out")" \
	"[\"engine\",\"fast\",\"handed_over\",\"rx_bytes\",\"rx_endpoint_packets\",\"rx_packets\",\
\"tx_bytes\",\"tx_endpoint_packets\",\"tx_packets\"]"

culvert endpoint change tap0 bypass off
culvert endpoint chg veth0 ip 10.244.1.6
shows "change keeps what it does not name" "veth0 ip 10.244.1.6 bypass $OFF" \
	"tap0 ip 10.244.1.3 ip 10.244.1.4 bypass off" "${lines[2]}"
culvert endpoint replace tap0 ip 10.244.1.3
run culvert endpoint show tap0
is "replace goes back to the default" "$OUT" "tap0 ip 10.244.1.3 bypass $OFF"
is "the default is on" "$(culvert endpoint default)" "bypass on"
run culvert endpoint default bypass off
is "it is set silently" "$RC$OUT$ERR" 0
is "to off" "$(culvert e def)" "bypass off"
is "-j default" "$(culvert -j endpoint default | jq -c .)" '{"bypass":"off"}'
run culvert endpoint show tap0
is "and holds for those without a word of their own" "$OUT" "tap0 ip 10.244.1.3 bypass off (default)"
culvert endpoint default bypass on
ok "del" culvert endpoint del br0
ok "del, as it is" culvert e d tap0 ip 10.244.1.3
shows "one is left" "veth0 ip 10.244.1.6 bypass $OFF"

# ---- bad input ---------------------------------------------------------------------------

ip addr add 10.1.0.1/24 brd + dev eth0
while IFS='|' read -r code pattern words; do
	# shellcheck disable=SC2086
	[ -z "$code" ] || refuses "$code" "$pattern" $words
done <<'END'
2|unknown object "endpiont"; did you mean endpoint?|endpiont
2|unknown command "shwo"; did you mean show?|endpoint shwo
2|unknown command "frob"; try "culvert endpoint help"|endpoint frob
2|unknown word "bypas"; did you mean bypass?|endpoint add veth1 ip 10.244.1.7 bypas on
2|unknown word "10.244.1.7"; write ip 10.244.1.7|endpoint add veth1 10.244.1.7
2|unknown word "frob" (the device is "veth1")|endpoint add veth1 frob
2|which endpoint? Give its device|endpoint add
2|which endpoint? Give its device|endpoint del ip 10.244.1.6
2|without an address; give one|endpoint add veth1
2|nothing to change|endpoint change veth0
2|ip: its value is missing; write ip ADDRESS|endpoint add veth1 ip
2|bypass: its value is missing|endpoint add veth1 ip 10.244.1.7 bypass
2|bypass: "maybe" is no choice; give on, off or default|endpoint add veth1 ip 10.244.1.7 bypass maybe
2|10.244.1.7 is given twice|endpoint add veth1 ip 10.244.1.7 ip 10.244.1.7
2|one too many; an endpoint has at most 16|endpoint add veth1 ip 10.2.0.1 ip 10.2.0.2 ip 10.2.0.3 ip 10.2.0.4 ip 10.2.0.5 ip 10.2.0.6 ip 10.2.0.7 ip 10.2.0.8 ip 10.2.0.9 ip 10.2.0.10 ip 10.2.0.11 ip 10.2.0.12 ip 10.2.0.13 ip 10.2.0.14 ip 10.2.0.15 ip 10.2.0.16 ip 10.2.0.17
2|is a prefix; give single addresses|endpoint add veth1 ip 10.244.1.0/24
2|IPv4 in IPv4 only|endpoint add veth1 ip 2001:db8::1
2|is not an IPv4 address|endpoint add veth1 ip pod
2|is a loopback address|endpoint add veth1 ip 127.0.0.1
2|is a multicast address|endpoint add veth1 ip 224.0.0.1
2|is the broadcast address|endpoint add veth1 ip 255.255.255.255
2|is a reserved address|endpoint add veth1 ip 0.0.0.0
2|too long|endpoint add a-name-of-sixteen ip 10.244.1.7
2|write default bypass on, or off|endpoint default off
2|its value is missing; write bypass on|endpoint default bypass
2|no choice for the default; give on or off|endpoint default bypass default
2|-f is for tunnel|endpoint -f /dev/null
1|there is no device veth9|endpoint add veth9 ip 10.244.1.7
1|lo is the loopback device|endpoint add lo ip 10.244.1.7
1|tun0 is a tunnel's own device|endpoint add tun0 ip 10.244.1.7
1|an endpoint veth0 exists already; use change|endpoint add veth0 ip 10.244.1.7
1|ip 10.244.1.6 is endpoint veth0's already|endpoint add veth1 ip 10.244.1.6
1|ip 192.168.100.1 is an address of this host itself|endpoint add veth1 ip 192.168.100.1
1|ip 10.1.0.255 is a broadcast address|endpoint add veth1 ip 10.1.0.255
1|there is no endpoint veth1; "culvert endpoint show" lists them|endpoint change veth1 bypass on
1|there is no endpoint veth1|endpoint del veth1
1|there is no such endpoint|endpoint show veth1
1|endpoint veth0 is not as you say|endpoint del veth0 ip 10.244.1.7
END
run culvert -j endpoint add veth0 ip 10.244.1.7
is "-j: a refusal is JSON: code" "$(jq -r .error.code "$TMP/out")" exists

# ---- restarts and devices ------------------------------------------------------------------

culvert endpoint add veth1 ip 10.244.1.7 bypass off
culvert endpoint add veth2 ip 10.244.1.8 bypass off
culvert endpoint default bypass off
stop_daemon KILL
ip link set veth1 name renamed1
ip link del veth2
start_daemon --fastpath off
shows "after kill -9: kept, renamed, gone with its device" "veth0 ip 10.244.1.6 bypass off (default)" \
	"renamed1 ip 10.244.1.7 bypass off"
ok "the log says so" grep -q "veth2: endpoint deleted, as its device is gone" "$TMP/log"
ok "the log names the new name" \
	grep -q "veth1: its device was renamed, the endpoint is renamed1 now" "$TMP/log"
is "the default is kept, too" "$(culvert endpoint default)" "bypass off"
ip link set renamed1 name veth1
run culvert endpoint show veth1
is "a name counts as soon as the device has it" "$OUT" "veth1 ip 10.244.1.7 bypass off"
ip link del veth1
run culvert endpoint show veth1
is "a device takes its endpoint along" "$ERR" \
	'culvert: there is no such endpoint as veth1; "culvert endpoint show" lists them'
ip addr add 10.244.1.6/32 dev eth0
culvert endpoint change veth0 bypass on 2>/dev/null
ok "an address that the host takes is told" \
	grep -q "veth0: endpoint not bypassed: ip 10.244.1.6 is an address of this host" "$TMP/log"
ip addr del 10.244.1.6/32 dev eth0

stop_daemon
is "a stop keeps them" "$RC" 0
echo '{' >"$RUN/endpoints.json"
run "$BUILD/culvertd" --run-dir "$RUN" --fastpath off
is "a damaged file: no start" "$RC" 1
ok "and what to do" has "$ERR" "$RUN/endpoints.json is damaged"
ok "in words" has "$ERR" "move it away to start without endpoints"
rm "$RUN/endpoints.json"
start_daemon --fastpath auto
is "without the file there are none" "$(culvert endpoint)" ""
ok "and tunnels are as they were" has "$(culvert tunnel)" "tun0: ip/ip remote 192.168.200.2"

# ---- with a fast path, if this kernel has one ------------------------------------------------

if [ "$(culvert -j status | jq -r .fastpath.state)" = on ]; then
	culvert endpoint add veth0 ip 10.244.1.2
	shows "in force as wanted" "veth0 ip 10.244.1.2 bypass on (default)"
	ok "tunnel show says so" has "$(culvert tunnel)" \
		"    fast path: on; network cards eth0; bypass in force for 1 of 1 endpoints"
	ip link add veth3 type veth peer name pod3
	tc qdisc add dev veth3 ingress
	culvert endpoint add veth3 ip 10.244.1.3
	run culvert endpoint show veth3
	ok "a foreign qdisc keeps an endpoint from it" \
		has "$OUT" "bypass off (in force; wanted on): the device has a foreign qdisc (ingress)"
	ok "tunnel show counts it" has "$(culvert tunnel)" "; bypass in force for 1 of 2 endpoints"
	tc qdisc del dev veth3 ingress
	run culvert endpoint show veth3
	is "and no longer, as soon as it is gone" "$OUT" "veth3 ip 10.244.1.3 bypass on (default)"
	culvert endpoint default bypass off
	shows "the default turns all of them" "veth0 ip 10.244.1.2 bypass off (default)" \
		"veth3 ip 10.244.1.3 bypass off (default)"
	is "tunnel show says so, in JSON" "$(culvert -j tunnel | jq -c '.[0].fastpath')" \
		'{"state":"on","reason":null,"underlays":["eth0"],"endpoints":2,"bypassed":0}'
	culvert endpoint default bypass on
	culvert endpoint del veth0
	culvert endpoint del veth3
fi

# ---- the manual -----------------------------------------------------------------------------

sed -n '/^A pod.s veth as an endpoint/,/^\.Ed/ { /^\.\|^A pod/!p }' "$ROOT/doc/culvert.8" >"$TMP/example"
ok "the example of culvert(8) is there" test -s "$TMP/example"
export -f culvert
ok "and works" env BUILD="$BUILD" RUN="$RUN" bash -ec "$(<"$TMP/example")"
finish
