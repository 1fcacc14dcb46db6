#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: needs=build/asan parallel early idle
#
# culvert and culvertd as built with ASan and UBSan go through cli.t again (or the tests that are
# named; sanitized.long.t: daemon.t and carrier.t): a leak or an error makes their exit codes wrong.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${CULVERT_ASAN_BUILD:-$here/../../build/asan}

if [ ! -x "$build/culvertd" ]; then
	echo "1..0 # SKIP no $build/culvertd (make asan)"
	exit 0
fi
# Freed memory that ASan keeps (256 MB by default) is not the daemon's, whose size daemon.t bounds.
export ASAN_OPTIONS="quarantine_size_mb=64:${ASAN_OPTIONS:-}"
count=0
failed=0
[ $# -gt 0 ] || set -- cli
for test; do
	count=$((count + 1))
	if CULVERT_BUILD=$build "$here/$test.t" >/tmp/culvert-sanitized.$$ 2>&1; then
		echo "ok $count - $test.t with sanitizers"
	else
		failed=1
		echo "not ok $count - $test.t with sanitizers"
		grep -v '^ok ' /tmp/culvert-sanitized.$$ | head -100 | sed 's/^/# /'
	fi
done
rm -f /tmp/culvert-sanitized.$$
echo "1..$count"
exit $failed
