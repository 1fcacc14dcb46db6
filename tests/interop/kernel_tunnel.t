#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: timeout=240 parallel idle
#
# culvertd on a kernel that has ipip and sit (User-mode Linux): a kernel tunnel that takes
# protocol 4 is noticed and refused by name; and iproute2 and culvert, given the same words, make
# the same tunnel and print it in the same way, or refuse both.
#
# This file runs twice: as the test, and as the first process of that kernel, whose
# assertions come back through a file.
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# ---- outside --------------------------------------------------------------------------

outside() {
	BUILD=${CULVERT_BUILD:-$ROOT/build}
	if ! command -v linux.uml >/dev/null || [ "$(id -u)" -ne 0 ]; then
		echo "1..0 # SKIP needs linux.uml and root"
		exit 0
	fi
	TMP=$(mktemp -d /tmp/culvert-kernel-XXXXXX)
	UML=
	trap 'trap - EXIT; [ -z "$UML" ] || { kill -KILL "$UML"; wait "$UML"; } 2>/dev/null; rm -rf "$TMP"' EXIT
	trap 'exit 130' INT TERM HUP
	mkdir "$TMP/programs"
	cp "$BUILD/culvert" "$BUILD/culvertd" "$TMP/programs/"
	: >"$TMP/tap"
	setpriv --pdeathsig KILL unshare --net --pid --fork --kill-child=KILL linux.uml mem=192M \
		umid=test "uml_dir=$TMP/" rootfstype=hostfs rootflags=/ ro "init=$ROOT/tests/interop/kernel_tunnel.t" \
		con=null con0=null,fd:1 con1=null "TMP=$TMP" "ROOT=$ROOT" \
		>"$TMP/console" 2>&1 </dev/null &
	UML=$!
	for _ in {1..1800}; do
		grep -qE '^(1\.\.|Bail out!)' "$TMP/tap" && break
		kill -0 "$UML" 2>/dev/null || break
		sleep 0.1
	done
	cat "$TMP/tap"
	! grep -q '^Bail out!' "$TMP/tap" || exit 1
	if ! grep -q '^1\.\.' "$TMP/tap"; then
		tail -20 "$TMP/console" | sed 's/^/# /'
		echo "Bail out! the kernel ended before the tests did"
		exit 1
	fi
	! grep -q '^not ok' "$TMP/tap"
	exit
}

# ---- inside ----------------------------------------------------------------------------

prepare() {
	export PATH=$ROOT/lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t tmpfs tmpfs /run
	mount -t tmpfs tmpfs /tmp
	mkdir -p "$TMP" /dev/net
	mount -t hostfs -o "$TMP" none "$TMP"
	# A checkout that lies below what was just covered is shown again.
	case $ROOT in
	/tmp/* | /run/*)
		mkdir -p "$ROOT"
		mount -t hostfs -o "$ROOT" none "$ROOT"
		;;
	esac
	for dir in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
		ln -sfn "/proc/self/${dir#*:}" "/dev/${dir%%:*}"
	done
	RUN=/run/culvert
	COUNT=0
	exec >"$TMP/tap" 2>&1
	lab-modprobe ipip sit tun dummy || bail "lab-modprobe could not load ipip, sit, tun and dummy"
	[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
	ip link set lo up
	ip link add under type dummy
	ip link set under up
	ip addr add 192.168.100.1/24 dev under
	ip route add default via 192.168.100.254
}

power_off() {
	sync
	echo o >/proc/sysrq-trigger
	sleep 60
}

# Without what the tests rest on, "refused by both" would hold for the wrong reason.
bail() {
	[ ! -e /run/log ] || sed 's/^/# /' /run/log
	echo "Bail out! $1"
	power_off
}

ok() {
	local name=$1
	shift
	COUNT=$((COUNT + 1))
	if "$@" >/run/ok 2>&1; then
		echo "ok $COUNT - $name"
	else
		echo "not ok $COUNT - $name"
		{ echo "$*"; cat /run/ok; } | sed 's/^/# /'
	fi
}

is() { ok "$1" test "$2" = "$3"; }
has() { [[ $1 == *"$2"* ]]; }
culvert() { "$TMP/programs/culvert" --run-dir "$RUN" "$@"; }
shows() { has "$(culvert tunnel show "$1")" "$2"; }
logs() { grep -q -- "$1" /run/log; }

wait_for() {
	local tries=$((${1} * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.05
	done
}

start_daemon() {
	"$TMP/programs/culvertd" --run-dir "$RUN" --workers 1 2>>/run/log &
	DAEMON=$!
	wait_for 20 culvert status || bail "culvertd does not start"
}

stop_daemon() {
	kill -TERM "$DAEMON"
	wait "$DAEMON"
}

# refused NAME: an addition is, by the kernel tunnel's name, and nothing is left of it.
refused() {
	local text code
	text=$(culvert tunnel add tun9 remote 192.168.200.9 2>&1)
	code=$?
	is "$1 is up: refused" "$code" 1
	is "$1 is up: by its name, with what to do" "$text" \
		"culvert: $1: a kernel IP-in-IP tunnel is up and takes protocol 4 before culvertd can; \
\`ip link set $1 down\`, or delete it, first"
	ok "$1 is up: no device is left" test ! -e /sys/class/net/tun9
	ok "$1 is up: status says so" has "$(culvert status)" "kernel tunnel $1 is up"
}

taken() {
	ok "$1: taken" culvert tunnel add tun9 remote 192.168.200.9
	culvert tunnel del tun9
}

kernel_tunnels() {
	taken "ipip and sit loaded, all their devices down"
	ip link set tunl0 up
	refused tunl0
	ok "the log says so" wait_for 3 logs 'tunl0: a kernel IP-in-IP tunnel is up'
	ip link set tunl0 down
	taken "tunl0 down again"
	ok "the log says that, too" logs 'tunl0: the kernel.s IP-in-IP tunnel no longer takes'
	ip tunnel add kern0 mode ipip remote 192.168.200.7
	ip link set kern0 up
	refused kern0
	ip link del kern0
	taken "kern0 deleted"
	ip link set sit0 up
	taken "sit0 up, which carries IPv6 only"
	ip link set sit0 down
	ip link add sitx type sit mode any remote 192.168.200.8 local 192.168.100.1
	ip link set sitx up
	refused sitx
	ip link del sitx
	ip link add siti type sit mode ipip remote 192.168.200.8 local 192.168.100.1
	ip link set siti up
	refused siti
	ip link del siti
}

restarts() {
	culvert tunnel add tun0 remote 192.168.200.2 local 192.168.100.1
	ip link set tun0 up
	ip addr add 10.0.0.1/24 dev tun0
	ip link set tunl0 up
	told() { has "$(culvert status)" "kernel tunnel $1"; }
	ok "a kernel tunnel that comes later is told" wait_for 3 told tunl0
	ok "and does not stop a tunnel that is carried" shows tun0 " up"
	stop_daemon
	start_daemon
	ok "after a restart beside it, tunnels are suspended" shows tun0 "suspended: tunl0: a kernel"
	ok "with their devices and addresses" has "$(ip addr show tun0)" 10.0.0.1/24
	ip link set tunl0 down
	carried() { ! shows "$1" suspended; }
	ok "and carried as soon as it is down" wait_for 5 carried tun0
	ok "on the same device" has "$(ip addr show tun0)" 10.0.0.1/24
	culvert tunnel del tun0
}

# same taken|refused WORDS: by both, which are given the same words; their devices stay down.
same() {
	local want=$1 ip_says=taken culvert_says=taken ip_shows culvert_shows
	# shellcheck disable=SC2086
	ip tunnel add ka mode ipip $2 >/dev/null 2>&1 || ip_says=refused
	# shellcheck disable=SC2086
	culvert tunnel add ca mode ipip $2 >/dev/null 2>&1 || culvert_says=refused
	is "$want by both: $2" "ip: $ip_says, culvert: $culvert_says" "ip: $want, culvert: $want"
	if [ "$want" = taken ]; then
		ip_shows=$(ip tunnel show ka)
		culvert_shows=$(culvert tunnel show ca | head -1)
		# ip ends some lines with a space; ours goes on with mtu.
		is "and shown alike: $2" "$(sed 's/^ka: //; s/ *$//' <<<"$ip_shows")" \
			"$(sed 's/^ca: //; s/ mtu .*//' <<<"$culvert_shows")"
	fi
	[ $ip_says = refused ] || ip tunnel del ka
	[ $culvert_says = refused ] || culvert tunnel del ca
}

# What is taken comes last: it shows that neither of them had gone while it refused.
grammar() {
	local words
	for words in "remote 192.168.200.2 ttl 64 nopmtudisc" "remote 192.168.200.2 ttl 256" \
		"remote 192.168.200.2 ttl" "remote 192.168.200.2 tos 0x100" "remote 192.168.200.300" \
		"remote 192.168.200.2 dev nope" "remote 192.168.200.2 key 7" "frob 1" "remote" \
		"remote ::1" "remote 224.0.0.1"; do
		same refused "$words"
	done
	for words in "remote 192.168.200.2 local 192.168.100.1" "remote 192.168.200.2" \
		"local 192.168.100.1" "remote 192.168.200.2 ttl 64" "ttl 0x20 remote 192.168.200.2" \
		"remote 192.168.200.2 ttl inherit tos inherit" "remote 192.168.200.2 hoplimit 9" \
		"remote 192.168.200.2 tos 0x10" "remote 192.168.200.2 tos 10" \
		"remote 192.168.200.2 tclass c" "remote 192.168.200.2 tos AF21" \
		"remote 192.168.200.2 tos EF" "remote 192.168.200.2 tos 1" "remote 192.168.200.2 dsfield 0x4" \
		"remote 192.168.200.2 nopmtudisc" "remote 192.168.200.2 pmtudisc" \
		"remote 192.168.200.2 dev under" "dev under local any remote any nopmtudisc" \
		"remote 192.168.200.2 dev under ttl 7 tos inherit"; do
		same taken "$words"
	done
}

inside() {
	prepare
	start_daemon
	kernel_tunnels
	restarts
	grammar
	stop_daemon
	is "a clean stop" "$?" 0
	echo "1..$COUNT"
	power_off
}

if [ $$ -eq 1 ] && [ -n "${TMP:-}" ]; then
	inside
else
	outside
fi
