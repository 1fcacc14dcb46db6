#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath long-modes=engine parallel idle
#
# culvert, against a real daemon: iproute2's lines work, and every bad input ends with its
# exit code, one line on standard error that says what to do, and nothing left behind.
# shellcheck disable=SC2317 # functions are called by ok
set -u
. "$(dirname "$0")/control.sh"

# The first line of each tunnel.
tunnel_lines() { culvert tunnel | grep -v '^ '; }

# ---- without a daemon ---------------------------------------------------------------

refuses 1 "culvertd is not running (no socket at $RUN/culvertd.sock); start it with" tunnel show
refuses 1 'culvertd is not running' tunnel add tun0 remote 192.168.200.2
refuses 2 'did you mean remote?' tunnel add tun0 remot 192.168.200.2
refuses 1 'too long a name' --run-dir "/tmp/$(printf 'x%.0s' {1..120})" status
run culvert -j status
is "-j: the error is JSON too" "$(jq -r .error.code "$TMP/out")" not-running
ok "-j: and one line on standard error" one_line
run env CULVERT_RUN_DIR=/nonexistent "$BUILD/culvert" status
ok "CULVERT_RUN_DIR is looked at" has "$ERR" /nonexistent/culvertd.sock
run "$BUILD/culvert" --version
is "--version" "$OUT" "$("$BUILD/culvertd" --version | sed s/culvertd/culvert/)"
for words in help "tunnel help" "tunnel add help" "--help" "tunnel -h" "status help" "metrics --help" \
	"drops help" "import help"; do
	# shellcheck disable=SC2086
	run culvert $words
	is "culvert $words: exit code" "$RC" 0
	ok "culvert $words: usage on standard output" has "$OUT" Usage:
done

# ---- what works -------------------------------------------------------------------------

start_daemon --node a1
run culvert tunnel add tun0 mode ipip remote 192.168.200.2 local 192.168.100.1
is "iproute2's line works: exit code" "$RC" 0
is "iproute2's line works: silent" "$OUT$ERR" ""
ok "ip link set tun0 up" ip link set tun0 up
ok "ip addr add 10.0.0.1/24 dev tun0" ip addr add 10.0.0.1/24 dev tun0
ok "the device is POINTOPOINT, NOARP, MTU 1480" \
	grep -q '<POINTOPOINT,.*NOARP.*mtu 1480' <(ip link show tun0)
# What a tunnel's line is followed by: one that says whether the fast path is on or off, and why.
more=$'\n    fast path: o'
shown() { sed '2s/^\(    fast path: o\).*/\1/' "$TMP/out"; }
line="tun0: ip/ip remote 192.168.200.2 local 192.168.100.1 ttl inherit mtu 1480 up"
for words in "tunnel show" "tunnel" "t" "tun" "tunl" "tunnel show tun0" "tunnel list" \
	"tunnel lst" "tunnel ls" "tunnel s" "tunnel show name tun0" \
	"tunnel show remote 192.168.200.2" "tunnel show mode ipip"; do
	# shellcheck disable=SC2086
	run culvert $words
	is "culvert $words" "${OUT%%$'\n'*}" "$line"
	is "and says how the fast path is, and no more" "$(shown)" "$line$more"
done
run culvert tunnel show remote 192.168.200.9
is "show with a filter that nothing matches prints nothing" "$RC$OUT$ERR" 0
for words in "-s tunnel show" "tunnel -s show" "tunnel show -s" "-stat t" "tunnel --statistics"; do
	# shellcheck disable=SC2086
	run culvert $words
	ok "culvert $words" has "$OUT" "RX: packets 0 bytes 0"
done
for words in "-j tunnel show" "-s -j tunnel show" "tunnel -json" "-js t" "tunnel show tun0 --json"; do
	# shellcheck disable=SC2086
	run culvert $words
	is "culvert $words" "$(jq -r '.[0].remote' "$TMP/out")" 192.168.200.2
done
run culvert -j -s tunnel show tun0
is "every drop reason is in the JSON" "$(jq -c '.[0].counters.drops | keys' "$TMP/out")" \
	"$(culvert -j drops | jq -c '.drops | keys')"
is "every event is in the JSON" "$(jq -c '.[0].counters.events | keys' "$TMP/out")" \
	"$(culvert -j drops | jq -c '.events | keys')"
run culvert -j status
is "status -j" "$(jq -r '"\(.tunnels) \(.workers) \(.run_dir)"' "$TMP/out")" "1 2 $RUN"
run culvert drops
ok "drops explains" has "$OUT" "no tunnel has these outer addresses"
run culvert tunnel c tun0 mode ipip ttl 64 tos AF21
run culvert tunnel show
is "change keeps what it does not name" "$(shown)" "${line/ttl inherit/ttl 64 tos AF21}$more"
run culvert tunnel replace tun0 remote 192.168.200.2 local 192.168.100.1
run culvert tunnel show
is "replace goes back to the defaults" "$(shown)" "$line$more"
culvert tunnel a tun1 remote 192.168.200.3 dev eth0 nopmtudisc nostrict ecn compat tos inherit mssclamp 1300
run culvert tunnel save
is "save prints commands" "$OUT" "replace tun0 mode ipip remote 192.168.200.2 local 192.168.100.1 \
ttl inherit
replace tun1 mode ipip remote 192.168.200.3 local any dev eth0 ttl inherit tos inherit nopmtudisc \
nostrict ecn compat mssclamp 1300"
run culvert -j tunnel save
is "save -j prints what a batch takes" "$(jq -c 'map([.verb, .tunnel.name, .tunnel.remote])' "$TMP/out")" \
	'[["replace","tun0","192.168.200.2"],["replace","tun1","192.168.200.3"]]'
is "and it is taken" "$(jq -c '{version: 1, command: "tunnel.batch", changes: .}' "$TMP/out" |
	/usr/bin/python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
print(s.makefile().readline(), end="")' "$RUN/culvertd.sock")" \
	'{"version":1,"id":null,"ok":true,"result":{}}'
culvert tunnel save >"$TMP/saved"
culvert tunnel d tun0
culvert tunnel delete name tun1
ok "del deletes the device" test ! -e /sys/class/net/tun0 -o "$(ip -o link | grep -c tun0)" = 0
is "and the tunnel" "$(culvert tunnel)" ""
ok "what save prints, -f reads" culvert tunnel -f "$TMP/saved"
is "to the same tunnels" "$(culvert tunnel save)" "$(<"$TMP/saved")"
culvert tunnel del tun1

# ---- bad input ---------------------------------------------------------------------------

ip link add foreign type veth peer name foreign1
while IFS='|' read -r code pattern words; do
	# shellcheck disable=SC2086
	[ -z "$code" ] || refuses "$code" "$pattern" $words
done <<'END'
2|unknown word "remot"; did you mean remote?|tunnel add tun9 remot 192.168.200.9
2|unknown word "frob"|tunnel add tun9 remote 192.168.200.9 frob
2|unknown word "1"*did you mean ttl?|tunnel add tl 1
2|unknown command "shwo"; did you mean show?|tunnel shwo
2|unknown command "frob"|tunnel frob tun0
2|unknown object "tunel"; did you mean tunnel?|tunel show
2|unknown object "frob"; try|frob
2|unknown option "-x"|-x tunnel show
2|unknown option "--jsn"; did you mean --json?|--jsn tunnel
2|what is to be done?|-s
2|status: unknown word "now"|status now
2|mssclamp: "40" is not a limit; give a number from 88 to 65495, auto or off|tunnel add tun9 mssclamp 40
2|which tunnel?|tunnel add
2|which tunnel?|tunnel add remote 192.168.200.9
2|which tunnel?|tunnel del
2|which tunnel?|tunnel change ttl 9
2|remote: its value is missing; write remote ADDRESS|tunnel add tun9 remote
2|its value is missing|tunnel add tun9 remote 192.168.200.9 ttl
2|its value is missing|tunnel -f
2|is not an IPv4 address|tunnel add tun9 remote 192.168.200.256
2|is not an IPv4 address|tunnel add tun9 remote 192.168.200.9 local nowhere
2|IPv4 in IPv4 only|tunnel add tun9 remote 2001:db8::1
2|multicast|tunnel add tun9 remote 224.0.0.1
2|broadcast|tunnel add tun9 remote 255.255.255.255
2|loopback|tunnel add tun9 remote 127.0.0.1
2|remote and local are both|tunnel add tun9 remote 192.168.100.1 local 192.168.100.1
2|ttl: "300" is not a TTL|tunnel add tun9 remote 192.168.200.9 ttl 300
2|tos: "0x100" is not a TOS|tunnel add tun9 remote 192.168.200.9 tos 0x100
2|ttl 64 and nopmtudisc are incompatible|tunnel add tun9 remote 192.168.200.9 ttl 64 nopmtudisc
2|mode gre: Culvert carries IPv4 in IPv4 only|tunnel add tun9 mode gre remote 192.168.200.9
2|mode any: Culvert carries|tunnel add tun9 mode any remote 192.168.200.9
2|unknown mode "foo"|tunnel add tun9 mode foo remote 192.168.200.9
2|say mode ipip|tunnel add gre9 remote 192.168.200.9
2|key belongs to GRE|tunnel add tun9 remote 192.168.200.9 key 5
2|given twice|tunnel add tun9 remote 192.168.200.9 remote 192.168.200.8
2|too long|tunnel add a-name-of-sixteen remote 192.168.200.9
2|has a character|tunnel add a/b remote 192.168.200.9
2|prl is for IPv6 in IPv4|tunnel prl
2|beside -f|tunnel -f /dev/null show
2|-f is for tunnel|status -f /dev/null
1|a tunnel tun0 exists already; use change|tunnel add tun0 remote 192.168.200.9
1|tunnel tun0 has remote 192.168.200.2 local 192.168.100.1 already|tunnel add tun9 remote 192.168.200.2 local 192.168.100.1
1|a device eth0 exists already and is not ours; choose another name|tunnel add eth0 remote 192.168.200.9
1|a device foreign exists already and is not ours|tunnel add foreign remote 192.168.200.9
1|dev nope0: there is no such device|tunnel add tun9 remote 192.168.200.9 dev nope0
1|there is no tunnel tun9|tunnel del tun9
1|there is no tunnel tun9|tunnel change tun9 ttl 9
1|there is no such tunnel as tun9|tunnel show tun9
1|there is no tunnel eth0|tunnel del eth0
1|tunnel tun0 is not as you say|tunnel del tun0 remote 192.168.200.9
1|ttl 64 and nopmtudisc are incompatible|tunnel change tun0 ttl 64 nopmtudisc
1|remote and local are both|tunnel change tun0 remote 192.168.100.1
1|cannot read /nonexistent: No such file|tunnel -f /nonexistent
1|/proc: cannot read it|tunnel -f /proc
1|/dev/zero: larger than 1 MiB|tunnel -f /dev/zero
END
refuses 2 'unknown object ""' ""
refuses 2 'has a character' tunnel add $'a\nb\e[2J' remote 192.168.200.9

run culvert -j tunnel add tun0 remote 192.168.200.9
is "-j: a refusal is JSON: code" "$(jq -r .error.code "$TMP/out")" exists
is "-j: and message" "culvert: $(jq -r .error.message "$TMP/out")" "$ERR"
run culvert -j tunnel add tun9 remot 1
is "-j: wrong usage is JSON too" "$(jq -r .error.code "$TMP/out") $RC" "usage 2"
run bash -c '"$0" --run-dir "$1" tunnel show >/dev/full' "$BUILD/culvert" "$RUN"
is "a full disk behind standard output fails" "$RC" 1

# ---- files -------------------------------------------------------------------------------

# file_refused NAME LINE PATTERN TEXT
file_refused() {
	printf '%b' "$4" >"$TMP/$1"
	refuses 1 "$TMP/$1:$2: *$3" tunnel -f "$TMP/$1"
}
file_refused word 2 'did you mean remote?' 'add t1 remote 192.168.200.11\nadd t2 remot 192.168.200.12\n'
file_refused missing 3 'there is no tunnel tun9' '# x\n\ndel tun9\nadd t1 remote 192.168.200.11\n'
file_refused late 4 'there is no tunnel tun9' \
	'add t1 remote 192.168.200.11\nadd t2 remote 192.168.200.12\ndel tun0\ndel tun9\n'
file_refused taken 2 'a device eth0 exists' 'add t1 remote 192.168.200.11\nadd eth0 remote 192.168.200.12\n'
file_refused pair 2 'tunnel t1 has remote' 'add t1 remote 192.168.200.11\nadd t2 remote 192.168.200.11\n'
file_refused verb 1 'has no place in a file' 'show\n'
file_refused nul 1 'no text file' 'add t1\0 remote 192.168.200.11\n'
file_refused words 1 'too many words' "add $(printf 'x %.0s' {1..100})\n"
file_refused unknown 1 'unknown command' 'frob tun0\n'
culvert tunnel -f - <<'END'
# two new ones, one goes, one changes
add t1 remote 192.168.200.11   # the first

	tunnel add t2 mode ipip remote 192.168.200.12
change t1 ttl 9
del tun0
END
is "a file with everything: exit code" "$?" 0
is "a file with everything: tunnels" "$(tunnel_lines | cut -d' ' -f1-8 | tr '\n' ';')" \
	"t1: ip/ip remote 192.168.200.11 local any ttl 9;t2: ip/ip remote 192.168.200.12 local any ttl inherit;"
ok "a file with everything: devices" test "$(ip -o link | grep -cE ': (t1|t2|tun0)[:@]')" = 2
for i in {1..300}; do echo "add n$i remote 10.1.$((i / 250)).$((i % 250 + 1))"; done >"$TMP/many"
ok "300 tunnels in one file" culvert tunnel -f "$TMP/many"
is "and they are there" "$(culvert -j -s tunnel | jq 'map(select(.state == "active")) | length')" 302
sed -i 's/^add \([^ ]*\) .*/del \1/' "$TMP/many"
ok "and go" culvert tunnel -f "$TMP/many"

# ---- the manual -----------------------------------------------------------------------------

is "culvert(8) explains every drop reason and event as the program does" \
	"$(sed -n '/^.Sh DROP/,/^.Sh ENV/ { /^.It Cm/ { s/.It Cm //; N; s/\n/ /p } }' "$ROOT/doc/culvert.8")" \
	"$(culvert -j drops | jq -r '.drops + .events | to_entries[] | "\(.key) \(.value)"')"
culvert tunnel save | sed -n 's/^replace \([^ ]*\) .*/del \1/p' | culvert tunnel -f -
# Example NUMBER of culvert(8), as it stands there.
example() {
	awk -v n="$1" '/^.Bd -literal/ { inside = ++count == n; next } /^.Ed/ { inside = 0 } inside' \
		"$ROOT/doc/culvert.8"
}
# A capture goes on until it is told to stop, and what shows it needs no window here. Told once: a second
# signal, as `timeout` sends it to its process group, sometimes stops LeakSanitizer's search for ever.
example_culvert() {
	if [ "$1" = capture ]; then
		timeout --foreground --preserve-status --signal INT 1 "$BUILD/culvert" --run-dir "$RUN" "$@"
	elif [ "$1" = doctor ]; then
		# Nobody answers here; that this is found is what it is for.
		culvert "$@" | tee /dev/stderr | grep '^errors: [1-9]'
	else
		culvert "$@"
	fi
}
export -f example_culvert culvert
for i in {1..10}; do
	# The pools' device, and then tun0, would have the addresses of the next one.
	[ "$i" != 6 ] || ok "the nodes go" culvert delete -f "$TMP/overlay.yaml"
	[ "$i" != 7 ] || culvert tunnel del tun0
	example "$i" | sed 's/^culvert /example_culvert /; s/wireshark -k -i -/tshark -r -/' \
		>"$TMP/example"
	ok "example $i of culvert(8) is there" test -s "$TMP/example"
	ok "and works" env BUILD="$BUILD" RUN="$RUN" bash -ec "cd '$TMP'; $(<"$TMP/example")"
done

# ---- without privilege, without /dev/net/tun ----------------------------------------------

nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
chmod 755 "$TMP"
run nobody "$BUILD/culvert" --run-dir "$RUN" tunnel add t9 remote 192.168.200.9
is "no privilege: exit code" "$RC" 1
is "no privilege: what to do" "$ERR" \
	"culvert: no permission to use $RUN/culvertd.sock; run culvert as root"
run nobody "$BUILD/culvertd" --run-dir "$TMP/other"
is "culvertd without privilege: exit code" "$RC" 1
ok "culvertd without privilege: what to do" has "$ERR" "run culvertd as root"
is "culvertd without privilege: one line" "$(wc -l <"$TMP/err")" 1
ok "culvertd without privilege: no directory" test ! -e "$TMP/other"

mount -t tmpfs none /dev/net
refuses 1 'there is no /dev/net/tun; `modprobe tun`' tunnel add t9 remote 192.168.200.9
run "$BUILD/culvertd" --run-dir "$TMP/other"
is "culvertd without /dev/net/tun: exit code" "$RC" 1
ok "culvertd without /dev/net/tun: what to do" has "$ERR" "modprobe tun"
is "culvertd without /dev/net/tun: one line" "$(wc -l <"$TMP/err")" 1
umount /dev/net
ok "with it again, the same line works" culvert tunnel add t9 remote 192.168.200.9

stop_daemon KILL
refuses 1 "culvertd is not running (nobody listens at $RUN/culvertd.sock)" tunnel show
finish
