# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# For tests of culvert and culvertd: sourced first, it runs the test again in a network and a
# mount namespace of its own, which vanish with it, and a directory of its own. There:
#
#     eth0 192.168.100.1/24 ── eth1 (the same namespace: nobody answers)
#     192.168.200.0/24 via 192.168.100.254
#
# The daemon dies with the test, however that ends. CULVERT_MODE "engine" switches the fast path
# off; any other leaves it on.

if [ -z "${CULVERT_TEST_INSIDE:-}" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "1..0 # SKIP needs root"
		exit 0
	fi
	CULVERT_TEST_INSIDE=1 exec unshare --net --mount --propagation private -- "$0" "$@"
fi

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${CULVERT_BUILD:-$ROOT/build}
TMP=$(mktemp -d /tmp/culvert-control-XXXXXX)
RUN=$TMP/run
MODE_WORDS=()
[ "${CULVERT_MODE:-fastpath}" != engine ] || MODE_WORDS=(--fastpath off)
DAEMON=
COUNT=0
FAILED=0

clean_up() {
	trap - EXIT
	if [ -n "$DAEMON" ]; then
		kill -KILL "$DAEMON" 2>/dev/null
		wait "$DAEMON" 2>/dev/null
	fi
	# What the fast path has pinned outlives the namespace.
	"$BUILD/culvertd" --purge --run-dir "$RUN" >/dev/null 2>&1
	# The carrier holder ends with its socket, which keeps the file system busy.
	rm -rf "$TMP"
	mountpoint -q "$RUN" && wait_for 2 umount "$RUN" && rm -rf "$TMP"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# ok NAME COMMAND…: one assertion: the command succeeds.
ok() {
	local name=$1
	shift
	COUNT=$((COUNT + 1))
	if "$@" >"$TMP/ok" 2>&1; then
		echo "ok $COUNT - ${name//#/no.}"
	else
		FAILED=$((FAILED + 1))
		echo "not ok $COUNT - ${name//#/no.}"
		echo "# $*" | head -c 2000
		echo
		sed 's/^/# /' "$TMP/ok"
	fi
}

# is NAME GOT WANT
is() {
	COUNT=$((COUNT + 1))
	if [ "$2" = "$3" ]; then
		echo "ok $COUNT - ${1//#/no.}"
	else
		FAILED=$((FAILED + 1))
		echo "not ok $COUNT - ${1//#/no.}"
		printf 'got:  %s\nwant: %s\n' "$2" "$3" | sed 's/^/# /'
	fi
}

has() { [[ $1 == *"$2"* ]] || { echo "no \"$2\" in: $1"; return 1; }; }

finish() {
	echo "1..$COUNT"
	[ "$FAILED" -eq 0 ]
	exit
}

# run COMMAND…: RC, OUT and ERR say what came of it.
run() {
	"$@" >"$TMP/out" 2>"$TMP/err" </dev/null
	RC=$?
	OUT=$(<"$TMP/out")
	ERR=$(<"$TMP/err")
}

culvert() { "$BUILD/culvert" --run-dir "$RUN" "$@"; }

# wait_for SECONDS COMMAND…: until it succeeds.
wait_for() {
	local tries=$((${1} * 50))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((tries -= 1)) -gt 0 ] || return 1
		sleep 0.02
	done
}

# need_fastpath [WORD…]: with these words the daemon must have one, or the mode's test would pass on
# the engine alone.
need_fastpath() {
	local state
	[[ " ${MODE_WORDS[*]} $* " != *" --fastpath "* ]] || return 0
	state=$(culvert -j status | jq -r '.fastpath | "\(.state): \(.reason)"')
	[[ $state == "on: "* ]] || {
		echo "Bail out! mode ${CULVERT_MODE:-fastpath}, but the fast path is $state"
		exit 1
	}
}

# start_daemon [WORD…]: start it and wait until it answers. Its log goes to $TMP/log, its resources
# are those of $TMP/etc, never the machine's own.
start_daemon() {
	setpriv --pdeathsig KILL -- "$BUILD/culvertd" --run-dir "$RUN" --config "$TMP/etc" \
		--workers 2 "${MODE_WORDS[@]}" "$@" 2>>"$TMP/log" &
	DAEMON=$!
	wait_for 10 culvert status || {
		echo "# culvertd does not answer:"
		tail -20 "$TMP/log" | sed 's/^/# /'
		echo "Bail out! no culvertd"
		exit 1
	}
	need_fastpath "$@"
}

# stop_daemon [SIGNAL]: its exit code is in RC.
stop_daemon() {
	kill "-${1:-TERM}" "$DAEMON"
	wait "$DAEMON" 2>/dev/null
	RC=$?
	DAEMON=
}

# Everything a refused command could leave behind. state/ is made when culvertd looks at its addresses
# for the first time, which is at some time of its own.
snapshot() {
	ip -o link | sed 's/^[0-9]*: \([^:@]*\).*mtu \([0-9]*\).*/\1 \2/' | sort
	ls -A --ignore=state "$RUN" 2>/dev/null
	cat "$RUN/tunnels.json" "$RUN/endpoints.json" 2>/dev/null
	[ -z "$DAEMON" ] || find "/proc/$DAEMON/fd" -lname /dev/net/tun 2>/dev/null | wc -l
	[ -z "$DAEMON" ] || culvert tunnel save
	[ -z "$DAEMON" ] || culvert endpoint
}

one_line() { [ "$(wc -l <"$TMP/err")" -eq 1 ] && [[ $ERR == "culvert: "* ]]; }

# refuses CODE PATTERN WORD…: culvert does, as it should.
refuses() {
	local code=$1 pattern=$2 before after
	shift 2
	before=$(snapshot)
	run culvert "$@"
	after=$(snapshot)
	COUNT=$((COUNT + 1))
	# shellcheck disable=SC2053 # it is a pattern
	if [ "$RC" -eq "$code" ] && one_line && [ -z "$OUT" ] && [[ $ERR == *$pattern* ]] &&
		[ "$before" = "$after" ]; then
		echo "ok $COUNT - refused with $code: culvert ${*@Q}"
	else
		FAILED=$((FAILED + 1))
		echo "not ok $COUNT - refused with $code: culvert ${*@Q}"
		printf 'exit %s\n%s\n%s\nwanted: %s\n' "$RC" "$OUT" "$ERR" "$pattern" | sed 's/^/# /'
		diff <(echo "$before") <(echo "$after") | sed 's/^/# /'
	fi
}

for program in culvert culvertd; do
	[ -x "$BUILD/$program" ] || {
		echo "Bail out! no $BUILD/$program"
		exit 1
	}
done
ip link set lo up
ip link add eth0 type veth peer name eth1
ip link set eth1 up
ip link set eth0 up
ip addr add 192.168.100.1/24 dev eth0
ip route add 192.168.200.0/24 via 192.168.100.254
