# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# k1: a User-mode Linux kernel with its own ipip, on the router's bridge br-b.
#
# It runs in a PID namespace of its own, so that ending its first process ends all of its helper
# processes. Its second network card, k1ctl, is the private wire for `lab exec k1`.

K1_MEMORY=256M
K1_BOOT_LIMIT_S=90

k1_start()
{
	command -v linux.uml >/dev/null ||
		lab_die "k1 needs linux.uml (Debian package user-mode-linux); or use --no-k1"
	ns_add k1ctl
	ip -n "$(ns_of router)" -batch - <<-END
		tuntap add dev k1 mode tap
		link set k1 master br-b up
		tuntap add dev k1ctl mode tap
		link set k1ctl up
	END
	mkdir -p "$LAB_DIR/k1/uml"
	TMPDIR=/dev/shm proc_spawn router k1 "$LAB_DIR/k1/console.log" unshare --pid --fork --kill-child=SIGKILL \
		linux.uml "mem=$K1_MEMORY" umid=k1 "uml_dir=$LAB_DIR/k1/uml/" \
		rootfstype=hostfs rootflags=/ ro "init=$LAB_ROOT/lab/k1/init" \
		con=null con0=null,fd:1 con1=null \
		vec0:transport=tap,ifname=k1,depth=128,gro=1,mac=02:00:c0:a8:c8:03 \
		vec1:transport=tap,ifname=k1ctl,depth=128,gro=1,mac=02:00:a9:fe:07:02 \
		"LAB_ROOT=$LAB_ROOT" "LAB_DIR=$LAB_DIR"
}

# Wait until k1 has come up. Its control wire leaves the router's namespace as soon as
# the UML kernel has opened it (its carrier tells).
k1_wait()
{
	local limit=$((SECONDS + K1_BOOT_LIMIT_S)) ctl

	ctl=$(ns_of k1ctl)
	until [[ $(ip -n "$(ns_of router)" -o link show k1ctl) == *LOWER_UP* ]]; do
		k1_check_boot "$limit"
	done
	ip -n "$(ns_of router)" link set k1ctl netns "$ctl"
	ip -n "$ctl" addr add "$K1_CTL_HOST/30" dev k1ctl
	ip -n "$ctl" link set k1ctl up
	until k1_exec true 2>/dev/null; do
		k1_check_boot "$limit"
	done
}

# Fails the lab if k1 is dead or late; else waits a moment.
k1_check_boot()
{
	if ! proc_recorded "$LAB_DIR/pids/router.k1" >/dev/null; then
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
