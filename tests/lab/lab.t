#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle
# The lab itself, with the kernel alone: it builds the network that topology.sh draws, k1 is a
# usable machine, instances do not meet, and nothing is left of them however they end.

. "$(dirname "$(readlink -f "$0")")/../../lab/lib.sh"
LAB=$LAB_TOP/lab/lab
SCRATCH=$(mktemp -d)
at_exit rm -rf "$SCRATCH"

host_links()
{
	ip -o link | awk -F': ' '{ print $2 }'
}

LINKS_BEFORE=$(host_links)

usage_errors()
{
	local args rc

	while read -r args; do
		rc=0
		# shellcheck disable=SC2086
		"$LAB" $args >/dev/null 2>"$SCRATCH/err" || rc=$?
		is "$rc $(wc -l <"$SCRATCH/err")" "2 1" "usage error, one line: lab $args"
	done <<-END
		frobnicate
		--frobnicate up
		--name ../x up
		--name
		up --shape ring
		up --mode quick
		up --frobnicate
		exec
		exec a1
		down now
		daemon a1
	END
}

network()
{
	ok "status of a lab that is up" "$LAB" status
	ok "a1 reaches b1 through the router" on a1 ping -c 1 -W 1 192.168.200.2
	ok "a1 reaches a2 directly" on a1 ping -c 1 -W 1 -t 1 192.168.100.2
	ok "a1 reaches k1" on a1 ping -c 1 -W 1 192.168.200.3
	ok "a pod reaches its gateway" on b1-pod ping -c 1 -W 1 10.244.2.1
	not_ok "without a tunnel, pods do not reach each other" on a1-pod ping -c 1 -W 1 10.244.2.2
	like "$(on a1 ping -c 1 -W 1 10.244.2.2)" "From 192.168.100.254.*Unreachable" \
		"because the router knows no pod"
	is "$(on a1 ip -6 addr)" "" "no IPv6"
	is "$(host_links)" "$LINKS_BEFORE" "nothing appears among the host's own devices"
	ok "baselines" "$LAB" baselines
	ok "baselines again" "$LAB" baselines
	ok "pod to pod, routed directly" on a1-pod ping -c 1 -W 1 10.245.2.2
	ok "pod to pod, kernel VXLAN" on a1-pod ping -c 1 -W 1 10.246.2.2
	ok "a1 wired straight to the router" "$LAB" wire a1 straight
	ok "the direct path works so, too" on a1-pod ping -c 1 -W 1 10.245.2.2
	not_ok "a2 is cut off" on a2 ping -c 1 -W 1 192.168.200.2
	ok "a1 wired to its bridge again" "$LAB" wire a1 bridged
	ok "the direct path works again" on a1-pod ping -c 1 -W 1 10.245.2.2
	ok "a2 is back" on a2 ping -c 1 -W 1 192.168.200.2
	ok "spawn" "$LAB" spawn a2 sleeper sleep 3000
	like "$("$LAB" status)" "a2.sleeper +runs" "status shows what was spawned"
	not_ok "a label can be used once" "$LAB" spawn a2 sleeper sleep 3000
}

# The contract of exec, the same for a namespace and for k1.
exec_contract()
{
	local node=$1 rc=0

	on "$node" sh -c 'exit 7' || rc=$?
	is "$rc" 7 "$node: exit code"
	rc=0
	on "$node" no-such-command >/dev/null 2>&1 || rc=$?
	is "$rc" 127 "$node: exit code of a command that does not exist"
	is "$(on "$node" printf '%s|' 'a b' '' "c'd" '$e')" "a b||c'd|\$e|" "$node: arguments"
	is "$(on "$node" sh -c 'echo out; echo err >&2' 2>"$SCRATCH/err")" out "$node: output"
	is "$(cat "$SCRATCH/err")" err "$node: errors are apart from output"
	is "$(echo in | on "$node" cat)" in "$node: input"
	is "$(on "$node" cat </dev/null)" "" "$node: no input"
	is "$(X=env on "$node" sh -c 'echo $X')" env "$node: environment"
	head -c 3000000 /dev/urandom >"$SCRATCH/data"
	is "$(on "$node" sha256sum <"$SCRATCH/data")" "$(sha256sum <"$SCRATCH/data")" \
		"$node: 3 MB of input from a file"
	is "$(cat "$SCRATCH/data" | on "$node" cat | sha256sum)" "$(sha256sum <"$SCRATCH/data")" \
		"$node: 3 MB through a pipe, both ways"
	ok "$node: a command that ignores its input" on "$node" true <"$SCRATCH/data"
	rc=0
	timeout -s TERM 0.7 "$LAB" exec "$node" sleep 1000 || rc=$?
	is "$rc" 124 "$node: a signal ends the command"
	not_ok "$node: and it is gone" on "$node" pgrep -fx "sleep 1000"
	like "$(on "$node" sh -c 'echo $PATH')" "^$LAB_TOP/build:" "$node: build/ is first in PATH"
	is "$(on "$node" sh -c 'echo $CULVERT_LAB')" "$CULVERT_LAB" "$node: CULVERT_LAB"
}

exec_refusals()
{
	local rc=0

	on nowhere true 2>"$SCRATCH/err" || rc=$?
	is "$rc" 1 "a node that does not exist"
	like "$(cat "$SCRATCH/err")" "no node nowhere" "is called by its name"
	is "$(on b1 sh -c 'echo $CULVERT_RUN_DIR')" "/run/culvert-lab/$CULVERT_LAB/b1" \
		"CULVERT_RUN_DIR is the node's"
}

# Runs $2… on k1 and prints what a capture on k1's wire shows of protocol 4 meanwhile.
capture_k1_wire()
{
	local pid

	on_background router tcpdump -ni k1 -c 1 -l "ip proto 4" >"$SCRATCH/wire" 2>"$SCRATCH/err"
	pid=$!
	wait_for 5 grep -q "listening on" "$SCRATCH/err"
	on k1 "$@" >/dev/null
	wait_for 3 test -s "$SCRATCH/wire"
	kill "$pid" 2>/dev/null
	cat "$SCRATCH/wire"
}

k1_machine()
{
	like "$(on k1 uname -r)" "^6\." "k1 runs a kernel"
	not_ok "which is not the host's" test "$(on k1 uname -r)" = "$(uname -r)"
	like "$(on k1 ip tunnel show ipip0)" "ip/ip remote 192.168.100.1 local 192.168.200.3" \
		"k1 has an ipip device towards a1"
	like "$(on k1 ip -br addr show dummy0)" "10.244.3.1/24" "k1 has its inner address"
	is "$(on k1 ip route get 10.244.1.2 | head -1 | awk '{ print $3, $5 }')" "ipip0 10.244.3.1" \
		"k1 sends to a1's pods through the tunnel"
	like "$(capture_k1_wire ping -c 1 -W 0.3 10.244.1.2)" \
		"192.168.200.3 > 192.168.100.1: IP 10.244.3.1 > 10.244.1.2" \
		"what it sends is IP in IP"
	ok "ipip parameters can be changed" on k1 ip tunnel change ipip0 mode ipip ttl 17
	like "$(on k1 ip tunnel show ipip0)" "ttl 17" "and take effect"
	on k1 ip tunnel change ipip0 mode ipip ttl inherit
	is "$(on k1 bash -ic 'echo "$HOME"' 2>/dev/null)" /tmp "the host's ~ is not k1's"
	ok "lab-modprobe fou" on k1 lab-modprobe fou
	ok "and what it needs" on k1 grep -q "^udp_tunnel " /proc/modules
	ok "lab-modprobe of a loaded module" on k1 lab-modprobe fou
	not_ok "lab-modprobe of no module" on k1 lab-modprobe frobnicate
	ok "lab-modprobe tun" on k1 lab-modprobe tun
	ok "gives /dev/net/tun" on k1 test -c /dev/net/tun
	ok "python3 in k1" on k1 /usr/bin/python3 -c 'import os; os.getrandom(16)'
	is "$(($(on k1 date +%s) - $(date +%s) < 3))" 1 "k1's clock is right"
	not_ok "k1 cannot write to the host's files" on k1 touch "$LAB_TOP/frobnicate"
	ok "except to the instance's directory" on k1 touch "/run/culvert-lab/$CULVERT_LAB/k1/x"
	ok "which both see" test -f "/run/culvert-lab/$CULVERT_LAB/k1/x"
}

k1_commands_at_once()
{
	local i pid rc=0 dir=/run/culvert-lab/$CULVERT_LAB/k1/at-once

	mkdir "$dir"
	# Each of the four waits for what only a fifth brings.
	for i in 1 2 3 4; do
		on_background k1 sh -c "touch $dir/$i
			for _ in \$(seq 600); do [ ! -e $dir/5 ] || exit 0; sleep 0.1; done; exit 1"
		pid+=" $!"
	done
	ok "k1: four commands run side by side, not in turn" \
		wait_for 60 test -e "$dir/1" -a -e "$dir/2" -a -e "$dir/3" -a -e "$dir/4"
	is "$(on k1 sh -c "touch $dir/5; echo five")" five "k1: a command while others run"
	for i in $pid; do
		wait "$i" || rc=$?
	done
	is "$rc" 0 "k1: and they go on"
	on_background k1 sleep 2000
	pid=$!
	ok "k1: a command is there" wait_for 30 on k1 pgrep -fx "sleep 2000"
	kill -KILL "$pid"
	ok "k1: it ends when its caller is killed" \
		wait_for 30 on k1 sh -c '! pgrep -fx "sleep 2000"'
	ok "k1: a background process does not hold its caller" \
		timeout 5 "$LAB" exec k1 sh -c 'sleep 3 &'
}

two_at_once()
{
	local other=$CULVERT_LAB-b

	ok "a second lab beside the first" "$LAB" --name "$other" up --no-culvert --no-k1
	ok "the second works" "$LAB" --name "$other" exec a1 ping -c 1 -W 1 192.168.200.2
	ok "the first still works" on a1 ping -c 1 -W 1 192.168.200.2
	not_ok "they do not share a process" test "$(pgrep -f "/run/culvert-lab/$other/" | wc -l)" -gt 0
	not_ok "a name can be used once" "$LAB" --name "$other" up --no-culvert --no-k1
	ok "which does not hurt its owner" "$LAB" --name "$other" exec a1 ping -c 1 -W 1 192.168.100.2
	ok "remove the second" "$LAB" --name "$other" down
	is "$(lab_traces "$other")" "" "nothing of it is left"
	ok "the first works without it" on a1 ping -c 1 -W 1 192.168.200.2
	ok "and so does its k1" on k1 true
}

going_down()
{
	local rc=0

	on a1 sh -c "setsid sh -c 'trap \"\" TERM; : $CULVERT_LAB-marker; sleep 1001; :' \
		>/dev/null 2>&1 &"
	on b1-pod sh -c 'iperf3 -s -D'
	ok "down, with stubborn and background processes" "$LAB" down
	is "$(lab_traces "$CULVERT_LAB")" "" "nothing is left: directory, namespaces, mounts, processes"
	is "$(host_links)" "$LINKS_BEFORE" "the host's own devices are as before"
	ok "down again" "$LAB" down
	"$LAB" status >/dev/null || rc=$?
	is "$rc" 1 "status of a lab that is not up"
}

# interrupted SIGNAL EXIT_CODE DELAY: `up` gets SIGNAL after DELAY seconds.
interrupted()
{
	local signal=$1 want=$2 delay=$3 name=$CULVERT_LAB-i pid rc=0

	# A shell starts background commands with SIGINT ignored.
	env --default-signal=INT,TERM,HUP setsid "$LAB" --name "$name" up --no-culvert \
		>"$SCRATCH/out" 2>&1 &
	pid=$!
	sleep "$delay"
	kill -s "$signal" "$pid" 2>/dev/null
	wait "$pid" || rc=$?
	is "$rc" "$want" "SIG$signal $delay s into up: exit code"
	[[ $rc == "$want" ]] || note "$(cat "$SCRATCH/out")"
	[[ $signal != KILL ]] || ok "down after SIGKILL" "$LAB" --name "$name" down
	is "$(lab_traces "$name")" "" "SIG$signal $delay s into up: nothing is left"
}

removed_while_coming_up()
{
	local name=$CULVERT_LAB-i pid rc=0

	"$LAB" --name "$name" up --no-culvert >/dev/null 2>&1 &
	pid=$!
	sleep 0.5
	ok "down while up is at work" "$LAB" --name "$name" down
	wait "$pid" || rc=$?
	is "$rc" 143 "up gives way"
	is "$(lab_traces "$name")" "" "nothing is left"
}

failing_up()
{
	local name=$CULVERT_LAB-i rc=0 dir=$SCRATCH/no-build

	mkdir "$dir"
	printf '#!/bin/sh\necho no tun device >&2\nexit 1\n' >"$dir/culvertd"
	chmod +x "$dir/culvertd"
	CULVERT_BUILD=$dir "$LAB" --name "$name" up --shape pair >"$SCRATCH/out" 2>&1 || rc=$?
	is "$rc" 1 "a daemon that does not start fails up"
	like "$(cat "$SCRATCH/out")" "culvertd" "which says so"
	is "$(lab_traces "$name")" "" "nothing is left"
	rc=0
	CULVERT_BUILD=/nonexistent "$LAB" --name "$name" up 2>"$SCRATCH/out" || rc=$?
	like "$rc $(cat "$SCRATCH/out")" "^1 .*run make" "no culvertd built: a hint"
}

pair_shape()
{
	local start=${EPOCHREALTIME/[.,]/}

	ok "pair shape" "$LAB" up --shape pair --no-culvert
	is "$((${EPOCHREALTIME/[.,]/} - start < 5000000))" 1 "in less than 5 seconds, without a boot to wait for"
	ok "n1 reaches n2" on n1 ping -c 1 -W 1 192.168.100.2
	ok "the pod reaches n1" on p1 ping -c 1 -W 1 192.168.100.1
	"$LAB" down >/dev/null
	is "$(lab_traces "$CULVERT_LAB")" "" "nothing is left"
}

# modes: how culvertd is started, and started again.
modes()
{
	local mode want shown

	while read -r mode want; do
		CULVERT_MODE=$mode "$LAB" up --shape pair >/dev/null
		"$LAB" daemon n1 restart
		shown=$(on n1 culvert -j status | jq -r '"\(.fastpath.state) \(.endpoints)"')
		is "$shown" "$want" "mode $mode: the fast path, and how many endpoints"
		"$LAB" down >/dev/null
	done <<-END
		engine off 0
		fastpath on 0
		endpoints on 1
	END
}

usage_errors
modes
lab_up --no-culvert
network
exec_contract a1
exec_contract k1
exec_refusals
k1_machine
k1_commands_at_once
two_at_once
going_down
pair_shape
interrupted INT 130 0.05
interrupted TERM 143 0.3
interrupted INT 130 1.5
interrupted HUP 129 0.7
interrupted KILL 137 1
removed_while_coming_up
failing_up
is "$(host_links)" "$LINKS_BEFORE" "the host's own devices are as before"
done_testing
