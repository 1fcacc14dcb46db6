# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Processes of a lab instance: start, record, find, end.
#
# Invariant: a process is only ever signalled if (a) its pid and start time are those that this
# instance wrote down when it started it, or (b) it lives in a network namespace of this instance,
# which it can only have entered through the lab. Both are checked right before the signal.

# Prints the start time of process $1 in clock ticks since boot; fails if there is none. A zombie
# counts as none once its threads are gone, too: until then they keep its files and locks.
proc_start_time()
{
	local stat
	local -a field tasks

	# The command name may hold blanks and parentheses: count from the last one.
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	read -ra field <<<"${stat##*) }"
	if [[ ${field[0]} == Z ]]; then
		tasks=("/proc/$1/task"/*)
		[[ ${#tasks[@]} -gt 1 ]] || return 1
	fi
	echo "${field[19]}"
}

# proc_record FILE PID: write down who PID is.
proc_record()
{
	local start

	start=$(proc_start_time "$2") || return 1
	echo "$2 $start" >"$1"
}

# proc_recorded FILE: prints the pid in FILE if that very process is still alive.
proc_recorded()
{
	local pid start

	[[ -s $1 ]] && read -r pid start <"$1" || return 1
	[[ $(proc_start_time "$pid") == "$start" ]] && echo "$pid"
}

# proc_end FILE [SIGNAL…]: end the process in FILE, one signal after the other with up to 3 s
# between them, and forget it. SIGKILL comes last in any case.
proc_end()
{
	local file=$1 pid signal tries
	shift

	for signal in "${@:-TERM}" KILL; do
		pid=$(proc_recorded "$file") || break
		kill -s "$signal" "$pid" 2>/dev/null || break
		for ((tries = 0; tries < 150; tries++)); do
			proc_recorded "$file" >/dev/null || break 2
			sleep 0.02
		done
	done
	rm -f "$file"
}

# proc_spawn NODE LABEL LOG CMD…: start CMD on NODE in the background, in a session of its own,
# with its output in the file LOG and its pid in pids/NODE.LABEL.
proc_spawn()
{
	local node=$1 label=$2 log=$3
	shift 3

	mkdir -p "$LAB_DIR/pids"
	setsid nsenter --net="/run/netns/$(ns_of "$node")" -- "$@" </dev/null >>"$log" 2>&1 &
	proc_record "$LAB_DIR/pids/$node.$label" $! ||
		lab_die "$label on $node ended at once; see $log"
	# On record: the shell need not report its end.
	disown $!
}

# Prints the pids of all processes in this instance's namespaces, save this script's ancestors.
proc_in_namespaces()
{
	local ns inode path pid parent=$BASHPID skip=" "
	local -A ours=()

	while read -r ns; do
		inode=$(stat -Lc %i "/run/netns/$ns" 2>/dev/null) && ours[$inode]=1
	done <"$LAB_DIR/netns"
	[[ ${#ours[@]} -gt 0 ]] || return 0
	while [[ $parent -gt 1 ]]; do
		skip+="$parent "
		parent=$(sed -n 's/^PPid:\t//p' "/proc/$parent/status" 2>/dev/null) || break
	done
	while read -r inode path; do
		pid=${path#/proc/}
		pid=${pid%/ns/net}
		[[ -n ${ours[$inode]:-} && $skip != *" $pid "* ]] && echo "$pid"
	done < <(stat -Lc '%i %n' /proc/[0-9]*/ns/net 2>/dev/null)
	return 0
}

# End whatever is left in the namespaces: what `lab exec` put into the background, and what the
# daemons left behind, their carrier holders (culvertd-hold) above all. First politely, then not.
proc_end_strays()
{
	local signal tries
	local -a pids

	[[ -f $LAB_DIR/netns ]] || return 0
	for signal in TERM KILL; do
		mapfile -t pids < <(proc_in_namespaces)
		[[ ${#pids[@]} -gt 0 ]] || return 0
		kill -s "$signal" "${pids[@]}" 2>/dev/null || :
		for ((tries = 0; tries < 20; tries++)); do
			sleep 0.05
			mapfile -t pids < <(proc_in_namespaces)
			[[ ${#pids[@]} -gt 0 ]] || return 0
		done
	done
	echo "lab: processes ${pids[*]} in namespaces of $LAB_NAME cannot be ended" >&2
}
