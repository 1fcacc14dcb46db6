#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine parallel early idle
#
# culvertd: restarts and crashes keep the network as it was, clients that misbehave harm
# nobody, MTUs follow, its own bad input, what systemd sees.
# shellcheck disable=SC2317 # functions are called by ok
set -u
. "$(dirname "$0")/control.sh"

NC=$ROOT/tests/packet/control_client.py

# What a restart must not touch, of tun0 and tun1.
network() {
	ip -o link show tun0 | sed 's/state.*group/group/'
	ip -o addr show tun0
	ip route show dev tun0
	ip -o link show tun1 | sed 's/state.*group/group/'
	ip rule
}

mtu() { ip -o link show "$1" | sed 's/.* mtu \([0-9]*\) .*/\1/'; }
mtu_is() { [ "$(mtu "$1")" = "$2" ]; }
logs() { grep -q -- "$1" "$TMP/log"; }

# ---- restarts ---------------------------------------------------------------------------

start_daemon
culvert tunnel add tun0 mode ipip remote 192.168.200.2 local 192.168.100.1
culvert tunnel add tun1 remote any local 192.168.100.1 nostrict
ip link set tun0 up
ip addr add 10.0.0.1/24 dev tun0
ip addr add 10.0.0.7/32 dev tun0
ip route add 10.244.2.0/24 dev tun0
ip route add 10.244.3.0/24 via 10.0.0.9 dev tun0 metric 7
ip link set tun1 up
before=$(network)
shown=$(culvert -j tunnel show)
for signal in TERM INT KILL KILL; do
	stop_daemon $signal
	case $signal in
	KILL) is "kill -9 ends it" "$RC" 137 ;;
	*) is "SIG$signal: a clean stop" "$RC" 0 ;;
	esac
	[ $signal = KILL ] || ok "SIG$signal: no socket is left" test ! -e "$RUN/culvertd.sock"
	ok "SIG$signal: the device is still there" ip link show tun0
	start_daemon
	is "after SIG$signal: devices, addresses, routes" "$(network)" "$before"
	is "after SIG$signal: tunnels" "$(culvert -j tunnel show)" "$shown"
done
ok "the device has its carrier again" grep -q LOWER_UP <(ip link show tun0)
stop_daemon
ip link del tun0
start_daemon
ok "a missing device is made again" ip link show tun0
is "with its MTU" "$(mtu tun0)" 1480

# A crash at any moment of an addition: either all of it is there after the restart or nothing.
for i in {1..6}; do
	for k in {1..40}; do echo "add c$k remote 10.1.0.$k"; done | culvert tunnel -f - 2>/dev/null &
	client=$!
	sleep "0.0$((i * 13 % 50 + 10))"
	stop_daemon KILL
	wait "$client"
	start_daemon
	count=$(culvert -j tunnel | jq 'map(select(.name | startswith("c"))) | length')
	devices=$(ip -o link | grep -cE ': c[0-9]+[:@]')
	ok "crash $i in a file of 40: all or nothing ($count tunnels, $devices devices)" \
		test "$count $devices" = "0 0" -o "$count $devices" = "40 40"
	culvert tunnel save | sed -n 's/^replace \(c[0-9]*\) .*/del \1/p' | culvert tunnel -f -
done

# ---- the network around it ----------------------------------------------------------------

ip link set eth0 mtu 1400
ok "the MTU follows the underlay down" wait_for 3 mtu_is tun0 1380
is "remote any stays at 1480" "$(mtu tun1)" 1480
ok "and the log says why" logs 'tun0: mtu 1380, was 1480: that of the route to its remote changed'
ip route add 192.168.200.2/32 via 192.168.100.254 mtu 1300
ok "it follows the route's own mtu" wait_for 3 mtu_is tun0 1280
ip route del 192.168.200.2/32
ip link set eth0 mtu 1500
ok "and back" wait_for 3 mtu_is tun0 1480
ip link set tun0 mtu 1200
ip link set eth0 mtu 1400
sleep 0.3
is "an MTU set by hand stays" "$(mtu tun0)" 1200
ok "and show says so" has "$(culvert tunnel show tun0)" "mtu 1200 (set by hand)"
stop_daemon
start_daemon
ok "also after a restart" has "$(culvert tunnel show tun0)" "mtu 1200 (set by hand)"
ip link set tun0 mtu 1380
sleep 0.3
ip link set eth0 mtu 1500
ok "set to what it should be, it is followed again" wait_for 3 mtu_is tun0 1480

for i in {1..5}; do
	ip link del tun1
	ok "a name is free as soon as its device is deleted, $i" \
		culvert tunnel add tun1 remote any local 192.168.100.1 nostrict
	ip link set tun1 name "pool$i"
	ok "a tunnel has its new name as soon as its device has, $i" culvert tunnel show "pool$i"
	ip link set "pool$i" name tun1
	ok "and may be changed by it, $i" culvert tunnel change tun1 ttl $((i + 1))
done
ip link set tun1 name pool
ok "a renamed device renames the tunnel" wait_for 3 culvert tunnel show pool
ip link del pool
gone() { ! culvert tunnel show "$1"; }
ok "a deleted device deletes the tunnel" wait_for 3 gone pool
ok "and the log says why" logs 'pool: deleted, as somebody deleted its device'

# ---- clients ------------------------------------------------------------------------------

memory() { awk '/VmRSS/ { print $2 }' "/proc/$DAEMON/status"; }
# The database of addresses is opened when it is first looked at, which may be at any time.
files() { find "/proc/$DAEMON/fd" -mindepth 1 -not -lname "$RUN/state/addresses.db*" | wc -l; }
works() { culvert status; }
# client WORD…: one that misbehaves; what it was told, and how the connection ended.
client() { /usr/bin/python3 "$NC" "$RUN/culvertd.sock" "$@"; }

is "the socket is root's alone" "$(stat -c '%a %u' "$RUN/culvertd.sock")" "600 0"
was=$(files)
for what in 'not json' '{}' '[]' '{"version":1}' 'GET / HTTP/1.0' '{"version":1,"version":1}' \
	$'\xff\xfe'; do
	is "malformed is told, then cut: ${what@Q}" "$(client line "$what")" "malformed closed"
done
is "an unknown command is told" \
	"$(client line '{"version":1,"id":"x","command":"reboot"}')" "unknown-command open"
is "another version is told" "$(client line '{"version":2,"command":"status"}')" "version open"
is "an unknown member is told" \
	"$(client line '{"version":1,"command":"status","x":1}')" "invalid open"
is "a binary flood is cut off" "$(client zeros)" "too-long closed"
is "a line beyond 64 MiB is cut off" "$(client long)" "too-long closed"
is "long lines are understood, and what is behind them" "$(client rather-long)" \
	"0:unknown-command 1:ok 2:unknown-command 3:ok"
is "one at a time" "$(client two-long)" $'busy closed\nunknown-command open'
is "deep nesting is malformed" "$(client nested)" "malformed closed"
is "half a request and an end is cut" "$(client half)" "nothing closed"
is "many requests at once are all answered, in order" "$(client pipeline 200)" "200 in order"
is "an answer comes although the client has ended its side" "$(client ended)" "ok closed"
client slow >"$TMP/slow" &
slow=$!
ok "beside a slow request" works
client stubborn 8 &
stubborn=$!
client idle 16 &
idle=$!
sleep 0.3
ok "and some that do not read, and some that say nothing" works
wait "$slow"
is "the slow request is told and cut" "$(<"$TMP/slow")" "too-slow closed"
wait "$stubborn" "$idle"
client stubborn 40 &
stubborn=$!
client idle 100 &
idle=$!
sleep 0.5
for i in {1..5}; do ok "beside 40 that do not read and 100 that say nothing, $i" works; done
ok "changes work beside them" culvert tunnel change tun0 ttl 9
wait "$stubborn" "$idle"
few() { [ "$(files)" -le "$was" ]; }
ok "all their descriptors are gone" wait_for 5 few
ok "and it is not large (ASan apart)" test "$(memory)" -lt 300000
client drop 300
ok "after 300 that came and went" wait_for 5 few
ok "it works" works
chmod 666 "$RUN/culvertd.sock"
is "another user is refused whatever the socket's mode" \
	"$(client as-nobody)" "not-permitted closed"
chmod 600 "$RUN/culvertd.sock"

# ---- its own bad input -------------------------------------------------------------------

# dies CODE PATTERN WORD…: a second culvertd does, with one line.
dies() {
	local code=$1 pattern=$2
	shift 2
	run timeout 10 "$BUILD/culvertd" "$@"
	COUNT=$((COUNT + 1))
	# shellcheck disable=SC2053 # it is a pattern
	if [ "$RC" -eq "$code" ] && [ -z "$OUT" ] && [ "$(wc -l <"$TMP/err")" -eq 1 ] &&
		[[ $ERR == "culvertd: "*$pattern* ]]; then
		echo "ok $COUNT - ends with $code: culvertd ${*@Q}"
	else
		FAILED=$((FAILED + 1))
		echo "not ok $COUNT - ends with $code: culvertd ${*@Q}"
		printf 'exit %s\n%s\n%s\n' "$RC" "$OUT" "$ERR" | sed 's/^/# /'
	fi
}
dies 1 "another culvertd (process $DAEMON) runs in $RUN" --run-dir "$RUN"
dies 1 'cannot make run directory' --run-dir /nonexistent/deep/run
dies 1 'is not a directory' --run-dir /dev/null
dies 1 'too long a name' --run-dir "$TMP/$(printf 'x%.0s' {1..100})"
rmdir "$TMP"/xxx*
mkdir -m 777 "$TMP/open"
dies 1 'open to other users; `chown root' --run-dir "$TMP/open"
dies 1 'is not a directory' --run-dir "$TMP/a" --config /dev/null
ok "nothing was made for them" test ! -e "$TMP/a"
dies 2 '--workers takes a number' --workers 99
dies 2 '--workers takes a number' --workers x
dies 2 'unknown option --frob' --frob
dies 2 'a value is missing' --run-dir
dies 2 'unknown word now' now
mkdir "$TMP/damaged"
echo '{"version":1,"tunnels":[{' >"$TMP/damaged/tunnels.json"
dies 1 'tunnels.json is damaged: *move it away' --run-dir "$TMP/damaged"
is "a damaged state file is not touched" "$(<"$TMP/damaged/tunnels.json")" \
	'{"version":1,"tunnels":[{'

mkdir -p "$TMP/occupied/culvertd.sock"
dies 1 'cannot listen at *Is a directory; remove what is there' --run-dir "$TMP/occupied"
run prlimit --nofile=24:24 "$BUILD/culvertd" --run-dir "$TMP/files" --workers 8
is "without room for its workers' descriptors it ends" "$RC" 1
is "and says what to do" "$ERR" \
	"culvertd: error: cannot start the engine: Too many open files; raise culvertd's limit (LimitNOFILE=)"

# Without standard descriptors, their numbers are taken by nothing that a log could harm.
(exec 0<&- 1>&- 2>&- && exec setpriv --pdeathsig KILL "$BUILD/culvertd" --run-dir "$TMP/mute") &
mute=$!
ok "without standard descriptors it starts" \
	wait_for 5 "$BUILD/culvert" --run-dir "$TMP/mute" status
is "which then are /dev/null" "$(readlink "/proc/$mute/fd/"{0,1,2} | tr '\n' ' ')" \
	"/dev/null /dev/null /dev/null "
kill "$mute"
wait "$mute"
is "and its log is not in the lock" "$(<"$TMP/mute/lock")" "$mute"

# ---- a full disk ----------------------------------------------------------------------------

stop_daemon
mount -t tmpfs -o size=16k,mode=755 none "$RUN"
start_daemon
culvert tunnel add f1 remote 192.168.200.21
dd if=/dev/zero of="$RUN/filler" bs=1k 2>/dev/null
run culvert tunnel add f2 remote 192.168.200.22
is "a full disk refuses an addition" "$RC" 1
ok "and says what to do" has "$ERR" "No space left on device; make room"
ok "no device is left" test "$(ip -o link | grep -c ': f2')" = 0
is "no tunnel is left" "$(culvert tunnel save | cut -d' ' -f2)" f1
# The daemon may be trying again, for another reason.
ok "no temporary file is left" wait_for 3 test ! -e "$RUN/tunnels.json.new"
rm "$RUN/filler"
ok "with room it works" culvert tunnel add f2 remote 192.168.200.22
printf 'del f1\ndel f2\n' | culvert tunnel -f -
culvert tunnel add f3 remote 192.168.200.23
stop_daemon
rm "$RUN/lock"
dd if=/dev/zero of="$RUN/filler" bs=1k 2>/dev/null
: >"$RUN/lock"
dd if=/dev/zero of="$RUN/filler2" bs=1k 2>/dev/null
start_daemon
is "on a full disk it starts and carries" \
	"$(culvert -j tunnel | jq -r '.[0] | "\(.name) \(.state)"')" "f3 active"
ok "and says so" logs 'cannot write .*No space left on device; make room'
run "$BUILD/culvertd" --run-dir "$RUN"
ok "and is still the only one" has "$ERR" "another culvertd (process unknown) runs in $RUN"
rm "$RUN"/filler*
ok "with room again, it can be changed" culvert tunnel del f3
stop_daemon
umount "$RUN"

# ---- log, systemd ------------------------------------------------------------------------------

: >"$TMP/log"
JOURNAL_STREAM=$(stat -c %d:%i "$TMP/log") start_daemon
culvert tunnel del tun0
ok "with the journal, lines have its levels" grep -q '^<6>tun0: deleted, as process' "$TMP/log"
stop_daemon
: >"$TMP/log"
JOURNAL_STREAM=1:1 start_daemon
ok "with another's journal, they do not" logs '^culvertd: version'
kill -HUP "$DAEMON"
ok "SIGHUP says what it does" wait_for 2 logs 'SIGHUP: looking at the store again'
is "no line is said twice" "$(sort "$TMP/log" | uniq -d)" ""
stop_daemon
/usr/bin/python3 "$NC" "$TMP/notify" notify >"$TMP/notified" &
notify=$!
wait_for 3 test -S "$TMP/notify"
NOTIFY_SOCKET=$TMP/notify WATCHDOG_USEC=200000 start_daemon
sleep 0.5
stop_daemon
wait "$notify"
is "sd_notify: ready, alive, stopping" "$(uniq "$TMP/notified" | tr '\n' ' ')" \
	"READY=1 WATCHDOG=1 STOPPING=1 "

# As the unit has it: root with these two capabilities alone.
setpriv --pdeathsig KILL --bounding-set=-all,+net_admin,+net_raw -- \
	"$BUILD/culvertd" --run-dir "$TMP/few" 2>"$TMP/log4" &
DAEMON=$!
ok "with CAP_NET_ADMIN and CAP_NET_RAW alone it starts" \
	wait_for 5 "$BUILD/culvert" --run-dir "$TMP/few" status
ok "and makes tunnels" "$BUILD/culvert" --run-dir "$TMP/few" tunnel add few0 remote 192.168.200.40
ok "and deletes them" "$BUILD/culvert" --run-dir "$TMP/few" tunnel del few0
stop_daemon
is "and ends cleanly" "$RC" 0

# ---- two on one machine ---------------------------------------------------------------------------

start_daemon
culvert tunnel add tun0 remote 192.168.200.2
# Beside it, in a network namespace of its own.
other() { nsenter --net="/proc/$HOLDER/ns/net" "$@"; }
setpriv --pdeathsig KILL unshare --net sleep 60 &
HOLDER=$!
wait_for 2 test "$(readlink /proc/self/ns/net)" != "$(readlink "/proc/$HOLDER/ns/net")"
nsenter --net="/proc/$HOLDER/ns/net" setpriv --pdeathsig KILL \
	"$BUILD/culvertd" --run-dir "$TMP/run2" 2>"$TMP/log2" &
second=$!
ok "a second one in another namespace" \
	wait_for 5 other "$BUILD/culvert" --run-dir "$TMP/run2" status
ok "has a tun0 of its own" \
	other "$BUILD/culvert" --run-dir "$TMP/run2" tunnel add tun0 remote 192.168.200.2
kill -TERM "$second"
wait "$second"
is "ends cleanly" "$?" 0
ok "the first one does not mind" culvert tunnel show tun0
kill "$HOLDER"

# Two in one namespace: neither touches the other's devices.
setpriv --pdeathsig KILL "$BUILD/culvertd" --run-dir "$TMP/run3" 2>"$TMP/log3" &
second=$!
ok "a second one in the same namespace" wait_for 5 "$BUILD/culvert" --run-dir "$TMP/run3" status
run "$BUILD/culvert" --run-dir "$TMP/run3" tunnel add tun0 remote 192.168.200.3
ok "may not have the first one's device" has "$ERR" "exists already and is not ours"
kill -TERM "$second"
wait "$second"

stop_daemon
is "and a last clean stop" "$RC" 0
ok "no sanitizer said anything" test -z "$(grep -hE 'Sanitizer|runtime error' "$TMP"/log*)"
finish
