#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/run: modes=fastpath parallel idle
#
# Resources by culvert, against a real daemon: what is applied is what is got, and got again applies
# unchanged; all or nothing.
# shellcheck disable=SC2317 # functions are called by ok
set -u
. "$(dirname "$0")/control.sh"

mkdir "$TMP/etc"
cat >"$TMP/seed.yaml" <<'END'
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
    name: default-ipv4-ippool
spec:
    cidr: 192.168.0.0/16
    ipipMode: CrossSubnet
    natOutgoing: true
END
digest() { culvert -j status | jq -r .store.digest; }

start_daemon --node a1
none=$(digest)

# ---- a pool alone ---------------------------------------------------------------------

run culvert apply --dry-run -f "$TMP/seed.yaml"
is "--dry-run: what would be" "$OUT" "ippool/default-ipv4-ippool created (dry run)"
is "and nothing is" "$(digest)" "$none"
run culvert apply -f "$TMP/seed.yaml"
is "apply: exit code" "$RC" 0
is "what became of it" "${OUT%%$'\n'*}" "ippool/default-ipv4-ippool created"
ok "and which node this is" has "$OUT" \
	"applied; this node is a1 (192.168.100.1/24, first-found: eth0); no other nodes known; next:"
run culvert apply -f "$TMP/seed.yaml"
is "again: unchanged" "${OUT%%$'\n'*}" "ippool/default-ipv4-ippool unchanged"
run culvert get pool
is "get" "$(sed 1d "$TMP/out")" "default-ipv4-ippool  192.168.0.0/16  CrossSubnet  true  false"
run culvert delete ippool/default-ipv4-ippool
is "delete" "$RC$OUT" "0ippool/default-ipv4-ippool deleted"
is "nothing is left" "$(digest)" "$none"

# ---- the first time, as the manual says it ---------------------------------------------

run culvert plan --pool 10.244.0.0/16 a1=192.168.100.1/24 b1=192.168.200.2/24
cp "$TMP/out" "$TMP/overlay.yaml"
refuses 1 "-:" apply -f - # which is empty here
run culvert apply -f "$TMP/overlay.yaml"
is "a plan applies" "$RC$ERR" 0
ok "and knows the other node" has "$OUT" "1 other node; next: culvert doctor b1"
is "the route is there" "$(ip route show 10.244.2.0/24 | grep -c 'via 192.168.200.2')" 1
for format in yaml json; do
	run culvert get all -o $format
	cp "$TMP/out" "$TMP/got.$format"
	run culvert apply -f "$TMP/got.$format"
	is "get -o $format applies unchanged" \
		"$(grep -c unchanged "$TMP/out") $(grep -c -e created -e configured "$TMP/out")" "5 0"
	run culvert diff -f "$TMP/got.$format"
	is "and differs in nothing" "$RC$OUT$ERR" 0
done
was=$(digest)
sed 's/CrossSubnet/Always/' "$TMP/got.yaml" >"$TMP/always.yaml"
run culvert diff -f "$TMP/always.yaml"
is "diff: what would change" "$(grep '^[-+] ' "$TMP/out" | tr -s ' ')" \
	$'- ipipMode: CrossSubnet\n+ ipipMode: Always'
is "and changes nothing" "$(digest)" "$was"

# ---- what is refused, changes nothing ---------------------------------------------------

{
	cat "$TMP/always.yaml"
	printf -- '---\nkind: IPPool\napiVersion: projectcalico.org/v3\nmetadata: {name: x}\nspec: {cdir: 10.0.0.0/8}\n'
} >"$TMP/bad.yaml"
refuses 1 "$TMP/bad.yaml:*did you mean cidr" apply -f "$TMP/bad.yaml"
refuses 1 'cannot become' apply -f "$TMP/seed.yaml"
refuses 1 'no Node c1' delete node c1
refuses 1 'no Node c1' get node c1
refuses 2 'did you mean' get nodez
is "the digest is what it was" "$(digest)" "$was"

# ---- somebody's own file ---------------------------------------------------------------

cat >"$TMP/etc/own.yaml" <<'END'
apiVersion: projectcalico.org/v3
kind: IPReservation
metadata: {name: mine}
spec: {reservedCIDRs: [10.244.9.0/24]}
END
found() { culvert get reservation mine; }
ok "a file that somebody wrote is read" wait_for 5 found
refuses 1 "own.yaml:1" delete reservation mine
run culvert get reservation mine -o wide
ok "-o wide says where it lives" has "$OUT" "$TMP/etc/own.yaml:1"
echo 'kind: Nonsense' >>"$TMP/etc/own.yaml"
broken() { has "$(culvert status)" "not in force, the last good state is: "; }
ok "a broken edit is told by status" wait_for 5 broken
refuses 1 'own.yaml' apply -f "$TMP/always.yaml"
rm "$TMP/etc/own.yaml"
mended() { ! broken; }
ok "until it is mended" wait_for 5 mended
refuses 1 'there is no Node c1; nothing is deleted; "culvert get Node" lists them' delete node b1 c1
is "delete: all of the names, or none" "$(digest)" "$was"
for option in --dry-run ""; do
	run culvert delete $option node b1
	ok "delete by name $option" has "$OUT" "node/b1 deleted"
	ok "and it is said what that means" has "$ERR" \
		"there is no Node b1, so nobody reaches 10.244.2.0/24; add the Node"
done
for option in --dry-run "" ; do
	echo '{apiVersion: culvert/v1, kind: Workload, metadata: {name: w}, '`
		`'spec: {node: b7, addresses: [10.244.7.7]}}' >"$TMP/w.yaml"
	run culvert apply $option -f "$TMP/w.yaml"
	ok "apply $option: what is wrong with it is said" has "$ERR" "there is no Node b7"
done
sed 's/w}/w2}/; s/b7/b8/; s/7.7/7.8/' "$TMP/w.yaml" >"$TMP/w2.yaml"
run culvert apply -f "$TMP/w2.yaml"
is "of the next one only what is new" "${ERR//*there is/there is}" \
	"there is no Node b8, so nobody reaches 10.244.7.8/32; add the Node"
culvert delete workload w w2
run culvert delete -f "$TMP/overlay.yaml"
is "delete by file" "$RC $(grep -c deleted "$TMP/out")" "0 4"
is "all is gone" "$(digest)" "$none"
finish
