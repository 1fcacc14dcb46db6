#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/run: timeout=1200 needs=build/next
#
# The campaigns of lifecycle.t: 50,000 packets a second on one path at a time and 25,000 on both, starts
# that are killed at more moments, and, beyond the first of LIFECYCLE_ROUNDS (1), what lifecycle.t itself
# does once, each with another seed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
count=0
failed=0
log=/tmp/culvert-long.$$
trap 'rm -f "$log"' EXIT
trap 'exit 1' INT TERM HUP

# run NAME VARIABLE=VALUE... -- TEST [ARGUMENT...]
run() {
	name=$1
	shift
	count=$((count + 1))
	if env "$@" >"$log" 2>&1; then
		echo "ok $count - $name"
	else
		failed=1
		echo "not ok $count - $name"
		# One that has crashed, or bailed out, says why at its end.
		if grep -q '^not ok' "$log"; then
			grep '^not ok' -A 6 "$log" | head -60
		else
			tail -20 "$log"
		fi | sed 's/^/# /'
	fi
	grep -E '^# .*(packets|counted)' "$log" | sed 's/^# /#   /'
}

for round in $(seq "${LIFECYCLE_ROUNDS:-1}"); do
	for path in device endpoint; do
		run "round $round, $path path" LIFECYCLE_RATE=50000 LIFECYCLE_PATHS="$path" \
			"$here/lifecycle.t" not_one
	done
	run "round $round, both paths" LIFECYCLE_RATE=25000 "$here/lifecycle.t" not_one
	run "round $round, killed starts" LIFECYCLE_KILLS=30 LIFECYCLE_SEED="$round" \
		"$here/lifecycle.t" killed
	[ "$round" = 1 ] || run "round $round, switched off and on" "$here/lifecycle.t" switched
done
echo "1..$count"
exit $failed
