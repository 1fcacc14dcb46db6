# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# k1: a User-mode Linux kernel with its own ipip, on the router's bridge br-b.
#
#     router                     k1ctl (the namespace around k1)           k1 (the UML kernel)
#     br-b ── k1 (veth) ──────── eth0 ── bridge wire ── k1 (TAP) ───────── eth0
#                                                       ctl (TAP) ──────── for `lab exec k1`
#
# The TAPs stay out of the router, which then looks like any router, and whose bridge can offload
# what veths can. k1 runs in a PID namespace of its own, so that ending its first process ends all
# of its helpers.

K1_MEMORY=256M
K1_BOOT_LIMIT_S=90

k1_start()
{
	command -v linux.uml >/dev/null ||
		lab_die "k1 needs linux.uml (Debian package user-mode-linux); or use --no-k1"
	ns_add k1ctl
	ip link add eth0 netns "$(ns_of k1ctl)" type veth peer name k1 netns "$(ns_of router)"
	ip -n "$(ns_of router)" link set k1 master br-b up
	ip -n "$(ns_of k1ctl)" -batch - <<-END
		link add wire type bridge mcast_snooping 0
		tuntap add dev k1 mode tap
		tuntap add dev ctl mode tap
		link set eth0 master wire up
		link set k1 master wire up
		link set wire up
		addr add $K1_CTL_HOST/30 dev ctl
		link set ctl up
	END
	mkdir -p "$LAB_DIR/k1/uml"
	# gro=1 makes k1 take super-packets; without it, it drops what is larger than its MTU.
	proc_spawn k1ctl k1 "$LAB_DIR/k1/console.log" unshare --pid --fork --kill-child=SIGKILL \
		linux.uml "mem=$K1_MEMORY" umid=k1 "uml_dir=$LAB_DIR/k1/uml/" \
		rootfstype=hostfs rootflags=/ ro "init=$LAB_ROOT/lab/k1/init" \
		con=null con0=null,fd:1 con1=null \
		vec0:transport=tap,ifname=k1,depth=128,gro=1,mac=02:00:c0:a8:c8:03 \
		vec1:transport=tap,ifname=ctl,depth=128,gro=1,mac=02:00:a9:fe:07:02 \
		"LAB_ROOT=$LAB_ROOT" "LAB_DIR=$LAB_DIR"
}

# Wait until k1 takes commands.
k1_wait()
{
	local limit=$((SECONDS + K1_BOOT_LIMIT_S))

	until k1_exec true 2>/dev/null; do
		k1_check_boot "$limit"
	done
}

# End the UML kernel itself; unshare then reaps it and ends, too.
k1_stop()
{
	local pid

	pid=$(proc_recorded "$LAB_DIR/pids/k1ctl.k1") || return 0
	# shellcheck disable=SC2046
	kill -KILL $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null || return 0
	for _ in {1..50}; do
		proc_recorded "$LAB_DIR/pids/k1ctl.k1" >/dev/null || break
		sleep 0.02
	done
}

# Fails the lab if k1 is dead or late; else waits a moment.
k1_check_boot()
{
	if ! proc_recorded "$LAB_DIR/pids/k1ctl.k1" >/dev/null; then
		tail -n 15 "$LAB_DIR/k1/console.log" >&2
		lab_die "k1's kernel has ended while booting; its last words are above"
	fi
	if ((SECONDS >= $1)); then
		tail -n 15 "$LAB_DIR/k1/console.log" >&2
		lab_die "k1 has not booted in $K1_BOOT_LIMIT_S s; its last words are above"
	fi
	sleep 0.05
}

# k1_exec CMD…: run CMD inside k1; its exit code, its input and output.
k1_exec()
{
	ns_run k1ctl /usr/bin/python3 "$LAB_ROOT/lab/k1/link" run "$K1_CTL_ADDR" "$K1_CTL_PORT" "$@"
}
