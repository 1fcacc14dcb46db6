#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle early
#
# tests/run itself: each way in which a test can end is counted as what it is, named, and
# reflected in the exit status and in the last line.
set -u

count=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@"; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		sed 's/^/# /' "$dir/output"
	fi
}

# test_file NAME: a test with the script on standard input.
test_file() {
	{ echo '#!/bin/bash'; cat; } >"$dir/$1"
	chmod +x "$dir/$1"
}

# runs EXIT-STATUS LAST-LINE NAME...: what tests/run says about these files.
runs() {
	local status=$1 last=$2 rc
	shift 2
	(cd "$dir" && exec "$OLDPWD/tests/run" --grace 3 --logs "$dir/logs" "$@") >"$dir/output" 2>&1
	rc=$?
	[ "$rc" = "$status" ] && [ "$(tail -n 1 "$dir/output")" = "$last" ]
}

# lists NAMES WORD...: what tests/run would run.
lists() {
	local want=$1
	shift
	tests/run --list "$@" >"$dir/output" 2>&1 && [ "$(paste -sd ' ' "$dir/output")" = "$want" ]
}

says() {
	grep -qF -- "$1" "$dir/output"
}

# A zombie is gone, too: who reaps it is not the runner's affair.
gone() {
	local pid
	pid=$(cat "$1") && [ -n "$pid" ] && ! grep -qs '^State:[[:space:]][^Z]' "/proc/$pid/status"
}

test_file good.t <<'T'
echo 1..3; echo ok 1 - a; echo "ok 2 - b # SKIP not here"; echo ok 3 - c
T
test_file notok.t <<'T'
echo ok 1 - a; echo not ok 2 - the culprit; echo "# and why"; echo ok 3 - c; echo 1..3; exit 1
T
test_file dies.t <<'T'
echo ok 1 - a; kill -KILL $$
T
test_file short.t <<'T'
echo 1..3; echo ok 1 - a
T
test_file silent.t <<'T'
exit 0
T
test_file status.t <<'T'
echo 1..1; echo ok 1 - a; exit 3
T
test_file skipped.t <<'T'
echo "1..0 # SKIP nothing to do"
T
test_file groups.t <<'T'
echo 1..1; echo ok 1 - a; echo "# ok - first group"; echo 1..2; echo ok 1 - b; echo ok 2 - c
T
test_file nested.t <<'T'
echo "    not ok 1 - inside a subtest"; echo ok 1 - outside; echo 1..1
T
test_file todo.t <<'T'
echo "not ok 1 - later # TODO"; echo 1..1
T
test_file noise.t <<'T'
printf 'no newline' >&2; echo ok 1 - a; printf 'nor here' >&2; echo 1..1
T
test_file slow.t <<T
# tests/run: timeout=1
trap 'echo cleaned >$dir/trap; exit 1' TERM
echo 1..1; sleep 60; echo ok 1 - too late
T
test_file stubborn.t <<T
# tests/run: timeout=1
trap '' TERM
echo \$\$ >$dir/stubborn.pid
echo ok 1 - a; echo 1..1; while :; do sleep 1; done
T
test_file leaves.t <<T
sleep 60 & echo \$! >$dir/leaves.pid
echo 1..1; echo ok 1 - a
T
test_file deserter.t <<T
setsid sh -c 'echo \$\$ >$dir/deserter.pid; exec sleep 60' >/dev/null 2>&1 &
echo 1..1; echo ok 1 - a; until [ -s $dir/deserter.pid ]; do sleep 0.01; done
T
test_file modes.t <<'T'
# tests/run: timeout=60 modes=engine,mixed
# tests/run: long-modes=endpoints
echo "ok 1 - in mode $CULVERT_MODE"; echo 1..1
T
test_file modeless.t <<'T'
echo "ok 1 - <${CULVERT_MODE-none}>"; echo 1..1
T
test_file no-mode.t <<'T'
# tests/run: modes=slow
echo 1..1; echo ok 1 - a
T
test_file needs.t <<'T'
# tests/run: needs=build/next,build/asan modes=engine
echo "ok 1 - nothing is built for a FILE"; echo 1..1
T
test_file no-build.t <<'T'
# tests/run: needs=build/cobol
echo 1..1; echo ok 1 - a
T
# Each waits for the other.
for pair in one:other other:one; do
	test_file "${pair%:*}.t" <<T
# tests/run: parallel
touch $dir/${pair%:*}.runs
for i in \$(seq 100); do [ -e $dir/${pair#*:}.runs ] && break; sleep 0.05; done
[ -e $dir/${pair#*:}.runs ] || echo -n "not "
echo ok 1 - beside ${pair#*:}; sleep 0.5; rm $dir/${pair%:*}.runs; echo 1..1
T
done
# Four that wait for each other; a fifth, and one that wants a processor, must not find all of them.
for name in idle1 idle2 idle3 idle4; do
	test_file $name.t <<T
# tests/run: parallel idle
touch $dir/$name.runs
for i in \$(seq 100); do [ "\$(ls $dir/idle?.runs | wc -l)" = 4 ] && break; sleep 0.05; done
[ "\$(ls $dir/idle?.runs | wc -l)" = 4 ] || echo -n "not "
echo ok 1 - beside three others; sleep 1; rm $dir/$name.runs; echo 1..1
T
done
test_file fifth.t <<T
# tests/run: parallel idle
[ "\$(ls $dir/idle?.runs 2>/dev/null | wc -l)" -lt 4 ] || echo -n "not "
echo ok 1 - beside three others at most; echo 1..1
T
test_file busy.t <<T
# tests/run: parallel
[ "\$(ls $dir/idle?.runs 2>/dev/null | wc -l)" -lt 3 ] || echo -n "not "
echo ok 1 - a processor is left; echo 1..1
T
# The first machines wait for each other and a lab, the first lab for the machines.
mkdir "$dir/lab" "$dir/interop"
for name in lab/one lab/third interop/one interop/other interop/third; do
	test_file $name.t <<T
# tests/run: parallel idle
touch $dir/$name.runs
count() { ls $dir/\$1/*.runs 2>/dev/null | wc -l; }
[ "\$(count ${name%/*})" -le $([ "${name%/*}" = lab ] && echo 1 || echo 2) ] || echo -n "not "
echo ok 1 - as many of its kind as may be
met() { [ ${name#*/} = third ] || { [ "\$(count lab)" = 1 ] && [ "\$(count interop)" = 2 ]; }; }
for i in \$(seq 100); do met && break; sleep 0.05; done
met || echo -n "not "
echo ok 2 - beside those of the other kind; sleep 0.5; rm $dir/$name.runs; echo 1..2
T
done
# Beside two that are busy, and with what they leave.
for pair in burn1:burn2 burn2:burn1; do
	test_file "${pair%:*}.t" <<T
# tests/run: parallel
touch $dir/${pair%:*}.runs
for i in \$(seq 100); do [ -e $dir/${pair#*:}.runs ] && [ -e $dir/behind.runs ] && break; sleep 0.05; done
[ -e $dir/${pair#*:}.runs ] && [ -e $dir/behind.runs ] || echo -n "not "
echo ok 1 - beside another and the background; sleep 0.5; rm $dir/${pair%:*}.runs; echo 1..1
T
done
test_file behind.t <<T
# tests/run: background
touch $dir/behind.runs
[ "\$(ps -o ni= -p \$\$ | tr -d ' ')" -ge 12 ] || echo -n "not "
echo ok 1 - it gives way; sleep 1; rm $dir/behind.runs; echo 1..1
T
test_file word.t <<'T'
# tests/run: lazy
echo 1..1; echo ok 1 - a
T
for name in early late; do
	test_file $name.t <<T
$([ $name = late ] || echo '# tests/run: early')
echo $name >>$dir/order; echo ok 1 - a; echo 1..1
T
done
test_file burns.t <<'T'
python3 -c 'from time import process_time as used
while used() < 1.1: pass'
echo ok 1 - a; echo 1..1
T
test_file alone.t <<T
[ -z "\$(ls $dir/*.runs 2>/dev/null)" ] || echo -n "not "
echo ok 1 - alone; sleep 0.2; ls $dir/*.runs >/dev/null 2>&1 && echo -n "not "
echo ok 2 - until its end; echo 1..2
T
# Each fails the first time, and succeeds alone after that.
for name in shy1 shy2 shy3 shy4 shy5 shy6 shy7; do
	test_file $name.t <<T
# tests/run: parallel
[ -e $dir/$name.once ] || echo -n "not "
touch $dir/$name.once; echo ok 1 - not the first time
[ -z "\$(ls $dir/*.runs 2>/dev/null)" ] || echo -n "not "
echo ok 2 - alone; echo 1..2
T
done
test_file company.t <<T
# tests/run: parallel
touch $dir/company.runs; sleep 1; rm $dir/company.runs; echo ok 1 - a; echo 1..1
T
mkdir "$dir/bin"
printf '#!/bin/sh\necho 2\n' >"$dir/bin/nproc"
chmod +x "$dir/bin/nproc"
echo 'not a program' >"$dir/plain.t"

check "good tests pass" runs 0 "2 passed, 0 failed, 1 skipped" good.t
check "the reason of a skip is told" says "not here"
check "not ok fails" runs 1 "2 passed, 1 failed" notok.t
check "and is named" says "not ok 2 - the culprit"
check "with what the test says of it" says "| # and why"
check "with its log" says "$dir/logs/"
check "the log holds what it printed" grep -rqx "not ok 2 - the culprit" "$dir/logs"
check "one that dies fails" runs 1 "1 passed, 1 failed" dies.t
check "and is named" says "dies.t (log:"
check "a broken plan fails" runs 1 "1 passed, 1 failed" short.t
check "printing nothing fails" runs 1 "0 passed, 1 failed" silent.t
check "a bad exit status fails" runs 1 "1 passed, 1 failed" status.t
check "a file that cannot be run fails" runs 1 "0 passed, 1 failed" plain.t
check "a skipped file is skipped" runs 0 "0 passed, 0 failed, 1 skipped" skipped.t
check "several plans add up" runs 0 "3 passed, 0 failed" groups.t
check "indented lines do not count" runs 0 "1 passed, 0 failed" nested.t
check "there is no excuse for a failure" runs 1 "0 passed, 1 failed" todo.t
check "standard error does not cut TAP lines" runs 0 "1 passed, 0 failed" noise.t
check "one that leaves a process fails" runs 1 "1 passed, 1 failed" leaves.t
check "and that process is ended" gone "$dir/leaves.pid"
check "so does one whose process is in a session of its own" \
	runs 1 "1 passed, 1 failed" deserter.t
check "and that is ended, too" gone "$dir/deserter.pid"
check "the time limit fails" runs 1 "0 passed, 1 failed" slow.t
check "the clean-up trap ran" test -s "$dir/trap"
check "SIGTERM ignored: killed in the end" runs 1 "1 passed, 1 failed" stubborn.t
check "and is gone" gone "$dir/stubborn.pid"
check "everything adds up" runs 1 "8 passed, 2 failed, 1 skipped" good.t notok.t dies.t groups.t
CULVERT_TEST_DEADLINE=1 check "nothing runs beyond the deadline" runs 1 "0 passed, 1 failed" good.t
check "and what did not run is named" says "1 not run, the time is up, from ${dir##*/}/good.t on"
check "a script runs once in each of its modes" runs 0 "3 passed, 0 failed" modes.t
check "which are in the name, and in the order that it says" \
	grep -qzP 'modes.t\[engine\] .*\n.*modes.t\[mixed\] .*\n.*modes.t\[endpoints\] ' "$dir/output"
check "each with a log, and its mode in the environment" grep -qx "ok 1 - in mode mixed" \
	"$dir/logs/${dir##*/}/modes.t[mixed].log"
CULVERT_MODE=engine check "one that has no modes is told none" runs 0 "1 passed, 0 failed" modeless.t
check "whatever the caller's is" grep -rqxF "ok 1 - <none>" "$dir/logs"
check "a mode that is none is an error" runs 255 "tests/run: $dir/no-mode.t: there is no mode slow" \
	no-mode.t
check "one that needs a build runs as a file" runs 0 "1 passed, 0 failed" needs.t
check "a build that is none is an error" \
	runs 255 "tests/run: $dir/no-build.t: there is no build build/cobol" no-build.t
check "what is filtered brings the builds that it needs" \
	lists "build/gcc build/next packet/lifecycle.t" --filter 'packet/lifecycle\.t'
check "so does what runs long alone" \
	lists "build/gcc build/next packet/lifecycle.long.t" --long --filter packet/lifecycle
check "each those of its own" \
	lists "build/gcc build/asan packet/sanitized.t" --filter 'packet/sanitized\.t'
check "without /usr/sbin in the caller's PATH make's recipes have it" \
	env PATH=/usr/bin:/bin make -s --eval 'sbin: ; @command -v sysctl' sbin
PATH=$dir/bin:$PATH
check "three that fail beside others, and pass alone, count as passed" \
	runs 0 "7 passed, 0 failed" company.t shy1.t shy2.t shy3.t
check "just before the last line one is told of each" grep -qzP \
	'\nunsteady: .*/shy3.t failed (beside others|at first) \(log kept: .*/shy3.t.first.log\)\n    not ok 1 - not the first time\n((unsteady:|    not ok) .*\n)*7 passed' \
	"$dir/output"
check "its first log is kept" grep -qx "not ok 1 - not the first time" "$dir/logs/${dir##*/}/shy3.t.first.log"
check "and its second" grep -qx "ok 1 - not the first time" "$dir/logs/${dir##*/}/shy3.t.log"
rm "$dir"/*.once
check "of seven none has another chance" \
	runs 1 "11 passed, 7 failed, 1 skipped" alone.t good.t shy1.t shy2.t shy3.t shy4.t shy5.t shy6.t shy7.t
rm "$dir"/*.once
check "nor has what is all there is to run" runs 1 "1 passed, 1 failed" shy1.t
check "one that fails again has failed" runs 1 "4 passed, 1 failed, 1 skipped" good.t notok.t
check "which is told" says "failed again, alone (log: $dir/logs/${dir##*/}/notok.t.log)"
check "parallel ones run beside each other, others alone" \
	runs 0 "4 passed, 0 failed" one.t alone.t other.t
check "in any order" runs 0 "6 passed, 0 failed" alone.t one.t alone.t other.t
check "idle ones count less" \
	runs 0 "6 passed, 0 failed" idle1.t idle2.t idle3.t idle4.t fifth.t busy.t
check "but not as nothing, nor do they run beside what runs alone" \
	runs 0 "8 passed, 0 failed" alone.t idle1.t busy.t idle2.t fifth.t idle3.t idle4.t
check "labs run one at a time, and two machines beside them" runs 0 "10 passed, 0 failed" \
	lab/one.t lab/third.t interop/one.t interop/other.t interop/third.t
check "the background is beside others, however busy" \
	runs 0 "5 passed, 0 failed" burn1.t behind.t burn2.t alone.t
check "a word that is none is an error" runs 255 \
	"tests/run: $dir/word.t says lazy: timeout=, modes=, long-modes=, needs=, parallel, idle, heavy, early or background" word.t
check "early ones start before others" runs 0 "2 passed, 0 failed" late.t early.t
check "whatever their order" [ "$(paste -sd ' ' "$dir/order")" = "early late" ]
check "one that computes for a second, and one that does not" \
	runs 0 "3 passed, 0 failed, 1 skipped" burns.t good.t
check "are told as such" \
	grep -qzP 'burns.t +[\d.]+ s, +[1-9][\d.]* busy.*\n.*good.t +[\d.]+ s, +0\.\d busy' "$dir/output"
echo "1..$count"
