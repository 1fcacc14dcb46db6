# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# For tests in bash: a lab of one's own, and TAP. Source it first:
#
#     . "$(dirname "$(readlink -f "$0")")/../../lab/lib.sh"
#     lab_up --shape pair              # or --no-k1, --no-culvert …; removed when the test ends
#     ok "n1 reaches its peer" on n1 ping -c 1 -W 1 192.168.100.2
#     is "$(on n1 cat /proc/sys/net/ipv4/ip_forward)" 1 "n1 forwards"
#     done_testing
#
#   lab_up OPTION…             as lab/lab up, under the name $CULVERT_LAB, which is unique to
#                              this process; the lab goes when the shell ends or is interrupted
#   lab_down                   remove it now
#   at_exit CMD…               run CMD before the lab goes (last registered, first run)
#   on NODE CMD…               run CMD on a node; its exit code, its input and output
#   on_background NODE CMD…    the same in the background; its pid is $!; it ends with the lab
#   wait_for SECONDS CMD…      run CMD until it succeeds; fails when the time is over
#   ok NAME CMD…               one test: CMD succeeds (its output becomes a diagnosis if not)
#   not_ok NAME CMD…           one test: CMD fails
#   is GOT WANT NAME           one test: the strings are equal
#   like GOT REGEX NAME        one test: GOT matches the extended regular expression
#   skip NAME WHY              one test that cannot run here
#   lab_traces NAME            print whatever is left of the lab NAME on this machine
#   note TEXT…                 a line of diagnosis
#   bail TEXT…                 give up: nothing further makes sense
#   done_testing               the plan; call it last. Ends the shell, 1 if a test failed

LAB_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CULVERT_LAB=t$$
TAP_RUN=0
TAP_FAILED=0
LAB_AT_EXIT=()

if [[ $(id -u) != 0 ]]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi

lab_up()
{
	"$LAB_TOP/lab/lab" up "$@" >/dev/null || bail "the lab did not come up"
}

lab_down()
{
	"$LAB_TOP/lab/lab" down >/dev/null
}

lab_traces()
{
	local name=$1

	ls -d "/run/culvert-lab/$name" 2>/dev/null
	ls /run/netns 2>/dev/null | grep "^cv-$name-"
	grep " /run/netns/cv-$name-" /proc/self/mounts
	# The brackets keep grep from finding itself. A test may plant the marker in a command line.
	grep -lsa -e "/run/culvert-lab/$name[/]" -e "$name-marke[r]" /proc/[0-9]*/cmdline
	return 0
}

at_exit()
{
	LAB_AT_EXIT=("$(printf '%q ' "$@")" "${LAB_AT_EXIT[@]}")
}

lab_end()
{
	local rc=$? command

	trap '' INT TERM HUP
	trap - EXIT
	for command in "${LAB_AT_EXIT[@]}"; do
		eval "$command"
	done
	lab_down
	exit "$rc"
}

trap lab_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

on()
{
	"$LAB_TOP/lab/lab" exec "$@"
}

on_background()
{
	"$LAB_TOP/lab/lab" exec "$@" </dev/null &
}

wait_for()
{
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift

	until "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/[.,]/} < end)) || return 1
		sleep 0.05
	done
}

note()
{
	sed 's/^/# /' <<<"$*"
}

bail()
{
	echo "Bail out! $*"
	exit 1
}

# tap_result RC NAME
tap_result()
{
	TAP_RUN=$((TAP_RUN + 1))
	if [[ $1 == 0 ]]; then
		echo "ok $TAP_RUN - $2"
		return
	fi
	TAP_FAILED=$((TAP_FAILED + 1))
	echo "not ok $TAP_RUN - $2"
}

ok()
{
	local name=$1 output rc=0
	shift

	output=$("$@" 2>&1) || rc=$?
	tap_result "$rc" "$name"
	[[ $rc == 0 ]] || note "exit code $rc of: $*"$'\n'"$output"
}

not_ok()
{
	local name=$1 output rc=0
	shift

	if output=$("$@" 2>&1); then
		rc=1
	fi
	tap_result "$rc" "$name"
	[[ $rc == 0 ]] || note "succeeded: $*"$'\n'"$output"
}

is()
{
	if [[ $1 == "$2" ]]; then
		tap_result 0 "$3"
	else
		tap_result 1 "$3"
		note "got:    $1"
		note "wanted: $2"
	fi
}

like()
{
	if [[ $1 =~ $2 ]]; then
		tap_result 0 "$3"
	else
		tap_result 1 "$3"
		note "got: $1"
		note "wanted something like: $2"
	fi
}

skip()
{
	TAP_RUN=$((TAP_RUN + 1))
	echo "ok $TAP_RUN - $1 # SKIP $2"
}

done_testing()
{
	echo "1..$TAP_RUN"
	[[ $TAP_FAILED == 0 ]] || exit 1
	exit 0
}
