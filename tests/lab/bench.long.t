#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel heavy
#
# The benchmark still works: one short round, every file written, every value there. What the
# figures are does not matter here, other tests run at the same time.

root=$(cd "$(dirname "$0")/../.." && pwd)
out=$(mktemp -d /tmp/culvert-bench-test.XXXXXX)
count=0 failed=0 child=

clean_up()
{
	[[ -z $child ]] || { kill "$child" 2>/dev/null && wait "$child"; }
	rm -rf "$out"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# check NAME CMD…: one assertion.
check()
{
	local name=$1
	shift
	count=$((count + 1))
	if "$@" >"$out/said" 2>&1; then
		echo "ok $count - $name"
	else
		failed=$((failed + 1))
		echo "not ok $count - $name"
		sed 's/^/# /' "$out/said"
	fi
}

if [[ $(id -u) != 0 ]]; then
	echo "1..0 # SKIP needs root: it makes network namespaces"
	exit 0
fi

run_benchmark()
{
	BENCH_OUT=$out/results BENCH_ROUNDS=1 BENCH_SECONDS=1 BENCH_STRICT=0 \
		"$root/tests/bench/run" >"$out/printed" 2>&1 &
	child=$!
	echo "$child" >"$out/pid"
	wait "$child"
	local code=$?
	child=
	cat "$out/printed"
	return "$code"
}

# All of peer x offloads x path x metric has a positive value.
all_values()
{
	awk -F, '
		NR > 1 && $7 > 0 { seen[$2, $3, $5, $6]++ }
		END {
			for (offloads = 0; offloads < 2; offloads++) {
				o = offloads ? "on" : "off"
				n = split("direct vxlan endpoint device engine", paths, " ")
				m = split("tcp pps p50 p99", metrics, " ")
				for (i = 1; i <= n; i++)
					for (j = 1; j <= m; j++)
						missing += want("engine", o, paths[i], metrics[j])
				m = split("tcp tcp-back pps p50 p99", metrics, " ")
				for (j = 1; j <= m; j++) {
					missing += want("kernel", o, "direct", metrics[j])
					missing += want("kernel", o, "culvert", metrics[j])
				}
			}
			exit missing != 0
		}
		function want(peer, offloads, path, metric) {
			if (seen[peer, offloads, path, metric] == 1)
				return 0
			print "no value, or more than one: " peer, offloads, path, metric
			return 1
		}' "$out/results/results.csv"
}

# A plot for each peer and state of the offloads, as XML that a parser takes.
plots_drawn()
{
	local file

	for file in "$out"/results/{engine,kernel}-offloads-{on,off}.svg; do
		/usr/bin/python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$file" || return 1
	done
}

# All targets are judged in words: two of the engine, five ratios of the fast path, the round trip.
targets_judged()
{
	[[ $(grep -cE '^target (met|MISSED): ' "$out/results/table.txt") == 8 ]]
}

# Of every program there is a figure.
costs_told()
{
	local program

	for program in cv_underlay_in cv_endpoint_in cv_tunnel_out fib_lookup; do
		grep -Eq "^ *[0-9]+ ns  $program" "$out/results/cost.txt" || return 1
	done
}

# The summary agrees with the one round.
summary_agrees()
{
	local rate

	rate=$(awk -F, '$2 == "engine" && $3 == "on" && $5 == "endpoint" && $6 == "tcp" { print $7 }' \
		"$out/results/results.csv")
	[[ -n $rate ]] && grep -q "^[^,]*,engine,on,endpoint,tcp,$rate,$rate,$rate,1," \
		"$out/results/summary.csv"
}

check "a short run ends with success" run_benchmark
check "every measurement has its value in results.csv" all_values
check "summary.csv agrees with results.csv" summary_agrees
check "the targets are judged" targets_judged
check "what programs cost is told" costs_told
check "the plots are drawn" plots_drawn
check "it says on which machine and commit" grep -q 'commit .* Linux .* CPUs' "$out/results/machine.txt"
no_lab_left()
{
	! ip netns | grep "^cv-bench$(cat "$out/pid")-"
}

check "no lab is left" no_lab_left
echo "1..$count"
exit $((failed != 0))
