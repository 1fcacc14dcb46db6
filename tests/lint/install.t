#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel needs=build/gcc
#
# `make install` into an empty directory: the programs, the manuals and the systemd unit
# land where PREFIX says, and systemd accepts the unit; `make uninstall` removes just these.
set -u

count=0
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
trap 'exit 1' INT TERM

check() {
	local name=$1
	shift
	count=$((count + 1))
	if "$@" >&2; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
	fi
}

verify_unit() {
	# Only the unit is in question, not whether its program is installed on this machine.
	sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$unit" >"$dest/culvertd.service"
	[ -z "$(systemd-analyze verify --man=no "$dest/culvertd.service" 2>&1 | tee /dev/stderr |
		grep culvertd)" ]
}

none_but_other() {
	[ -z "$(find "$dest/opt" ! -type d ! -name other | tee /dev/stderr)" ]
}

unit=$dest/opt/c/lib/systemd/system/culvertd.service
check "make install" make -s install DESTDIR="$dest" PREFIX=/opt/c
check "the daemon is in sbin" test -x "$dest/opt/c/sbin/culvertd"
check "the command is in bin" test -x "$dest/opt/c/bin/culvert"
for page in doc/*.[58]; do
	section=man${page##*.}
	check "${page#doc/} is in $section" test -r "$dest/opt/c/share/man/$section/${page#doc/}"
done
check "the unit starts what was installed" grep -q '^ExecStart=/opt/c/sbin/culvertd ' "$unit"
if command -v systemd-analyze >/dev/null; then
	check "systemd accepts the unit" verify_unit
else
	count=$((count + 1))
	echo "ok $count - systemd accepts the unit # SKIP no systemd-analyze here"
fi
# Another package's file in each of the directories.
find "$dest/opt" -type d -exec touch {}/other \;
check "make uninstall" make -s uninstall DESTDIR="$dest" PREFIX=/opt/c
check "all that was installed is gone" none_but_other
check "and nothing else" test -e "$dest/opt/c/bin/other" -a -e "$dest/opt/c/sbin/other" \
	-a -e "$dest/opt/c/share/man/man8/other" -a -e "$dest/opt/c/share/man/man5/other" -a -e "${unit%/*}/other"
check "make uninstall where nothing is installed" make -s uninstall DESTDIR="$dest" PREFIX=/opt/c
echo "1..$count"
