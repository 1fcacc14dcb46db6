#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=endpoints,mixed parallel idle
# `make lab` keeps its promises: it ends well, says so, is quick, leaves a lab to look around in;
# and it leaves nothing when it is interrupted or when a check fails.

. "$(dirname "$(readlink -f "$0")")/../../lab/lib.sh"
LAB=$LAB_TOP/lab/lab
SCRATCH=$(mktemp -d)
# What the throughput is does not matter here.
export DEMO_ROUNDS=1
at_exit rm -rf "$SCRATCH"

# demo BUILD: run the demo with the programs of BUILD; its output is in $SCRATCH/out.
demo()
{
	CULVERT_BUILD=$1 timeout -s TERM -k 20 150 "$LAB_TOP/lab/demo" >"$SCRATCH/out" 2>&1
}

ends_well()
{
	local start=$SECONDS rc=0 out

	SUDO_UID=0 demo "$LAB_TOP/build" || rc=$?
	is "$rc" 0 "the demo ends well"
	[[ $rc == 0 ]] || note "$(cat "$SCRATCH/out")"
	is "$((SECONDS - start < 120))" 1 "in less than two minutes"
	out=$(cat "$SCRATCH/out")
	like "$(tail -n 1 "$SCRATCH/out")" "^lab: all [0-9]+ checks passed$" "its last line says so"
	like "$out" "192.168.100.1 > 192.168.200.2: IP 10.244.1.2 > 10.244.2.2: ICMP" \
		"it shows the packet on the router"
	like "$out" "100 MB with the right SHA-256" "it shows a download"
	for path in "direct routing, no tunnel" "kernel VXLAN" "Culvert, IP in IP"; do
		like "$out" "$path +[0-9]*[.][0-9]+ +[0-9]" "it shows a throughput: $path"
	done
	like "$out" "sudo lab/lab --name $CULVERT_LAB down" "it says how to stop, to who came by sudo"
	like "$out" $'\n    tun0: ' "the counters are indented as all that commands print"
	ok "the lab is up to look around in" "$LAB" status
	ok "with its tunnel" on a1-pod ping -c 1 -W 1 10.244.2.2
	ok "and its web server" on a1-pod curl -sfo /dev/null -r 0-99 http://10.244.2.2/data
}

# A second demo takes the place of the first; this one is interrupted.
interrupted()
{
	local rc=0 pid

	# What the first one said must not be taken for the second one's.
	: >"$SCRATCH/out"
	env --default-signal=INT setsid "$LAB_TOP/lab/demo" >"$SCRATCH/out" 2>&1 &
	pid=$!
	ok "the second demo sets up tunnels" wait_for 60 grep -q "b1# culvert tunnel" "$SCRATCH/out"
	like "$(cat "$SCRATCH/out")" "^lab: removing the lab that is up" "it says that it ends the first"
	kill -INT "$pid"
	wait "$pid" || rc=$?
	is "$rc" 130 "interrupted: exit code"
	like "$(tail -n 1 "$SCRATCH/out")" "interrupted; the lab is removed" "it says so"
	is "$(lab_traces "$CULVERT_LAB")" "" "nothing is left"
}

# A culvert that makes tunnels to the wrong end: the demo must notice.
notices_failure()
{
	local rc=0

	mkdir "$SCRATCH/build"
	ln -s "$LAB_TOP/build/culvertd" "$SCRATCH/build/culvertd"
	cat >"$SCRATCH/build/culvert" <<-END
		#!/bin/bash
		exec "$LAB_TOP/build/culvert" "\${@//192.168.200.2/192.168.200.77}"
	END
	chmod +x "$SCRATCH/build/culvert"
	demo "$SCRATCH/build" || rc=$?
	is "$rc" 1 "tunnels that do not work: exit code"
	like "$(tail -n 1 "$SCRATCH/out")" "checks failed; the lab is removed, its logs are in" \
		"the last line says so"
	like "$(cat "$SCRATCH/out")" "failed: a1's pod to b1's pod" "and what failed"
	ok "the daemon's log is kept" test -s "$SCRATCH/build/lab-logs/a1-culvertd.log"
	is "$(lab_traces "$CULVERT_LAB")" "" "nothing else is left"
}

if [[ ! -x $LAB_TOP/build/culvertd || ! -x $LAB_TOP/build/culvert ]]; then
	bail "build/culvertd and build/culvert are missing: run make"
fi
ends_well
interrupted
notices_failure
done_testing
