/* SPDX-License-Identifier: Apache-2.0 */
/* `culvert ipam`, `pods` and `migrate` in words: what is printed for what culvertd answers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "printed.h"
#include "cli/ipam_text.h"
#include "cli/migrate_text.h"

static void print_check(const json_t *result)
{
	cv_ipam_text_check(result, false);
}

static void print_fix(const json_t *result)
{
	cv_ipam_text_check(result, true);
}

#define SUMS "\"blocks\": 2, \"assigned\": 5, \"free\": 121, \"holes\": 2, \"borrowed\": 1"

static void shows_pools(void **state)
{
	(void)state;
	prints(cv_ipam_text_show,
	       "{\"node\": \"a1\", \"store\": \"etcd\", \"own\": {" SUMS
	       "}, \"pools\": [{\"name\": "
	       "\"pool\", \"cidr\": \"10.244.0.0/16\", \"block_size\": 26, \"addresses\": 65536, "
	       "\"unclaimed\": 1022, \"disabled\": false, " SUMS "}]}",
	       "node a1, store etcd: blocks 2, assigned 5, free 121\n"
	       "POOL  CIDR           BLOCKS  ASSIGNED  FREE  HOLES  BORROWED  UNCLAIMED\n"
	       "pool  10.244.0.0/16  2       5         121   2      1         1022 blocks of "
	       "/26\n");
}

static void shows_blocks(void **state)
{
	(void)state;
	prints(cv_ipam_text_show,
	       "{\"node\": \"a1\", \"store\": \"file\", \"own\": {" SUMS "}, \"pools\": [], "
	       "\"blocks\": [{\"cidr\": \"10.244.1.0/26\", \"pool\": \"pool\", \"node\": \"a1\", "
	       "\"strict\": true, \"assigned\": 3, \"free\": 60, \"holes\": 1, \"borrowed\": 0}, "
	       "{\"cidr\": \"10.244.2.0/26\", \"pool\": null, \"node\": null, \"strict\": false, "
	       "\"assigned\": 0, \"free\": 64, \"holes\": 0, \"borrowed\": 0}]}",
	       "node a1, store file: blocks 2, assigned 5, free 121\n"
	       "no pools: there is no IPPool\n"
	       "BLOCK          NODE         POOL  ASSIGNED  FREE  HOLES  BORROWED\n"
	       "10.244.1.0/26  a1 (strict)  pool  3         60    1      0\n"
	       "10.244.2.0/26  -            -     0         64    0      0\n"
	       "of this node alone: with files, each node keeps its own addresses\n");
}

static void shows_an_address(void **state)
{
	(void)state;
	prints(cv_ipam_text_show,
	       "{\"address\": {\"address\": \"10.244.1.5\", \"state\": \"assigned\", \"pool\": "
	       "\"pool\", \"block\": \"10.244.1.0/26\", \"block_node\": \"a1\", \"handle\": "
	       "\"net.c0ffee.eth0\", \"attributes\": {\"pod\": \"web\", \"namespace\": "
	       "\"default\"}}}",
	       "10.244.1.5: assigned, in block 10.244.1.0/26 of node a1, pool pool\n"
	       "    handle: net.c0ffee.eth0\n"
	       "    pod: web\n"
	       "    namespace: default\n");
	prints(cv_ipam_text_show,
	       "{\"address\": {\"address\": \"10.244.1.6\", \"state\": \"free\", \"pool\": "
	       "\"pool\", \"block\": \"10.244.1.0/26\", \"block_node\": null, \"reason\": null}}",
	       "10.244.1.6: free, in block 10.244.1.0/26 of nobody, pool pool\n");
	prints(cv_ipam_text_show,
	       "{\"address\": {\"address\": \"10.244.1.1\", \"state\": \"hole\", \"pool\": "
	       "\"pool\", \"block\": null, \"reason\": \"a node's address\"}}",
	       "10.244.1.1: never assigned (a node's address), pool pool\n");
	prints(cv_ipam_text_show,
	       "{\"address\": {\"address\": \"10.244.9.1\", \"state\": \"no-block\", \"pool\": "
	       "\"pool\", \"block\": null, \"reason\": null}}",
	       "10.244.9.1: in no block that is known here, pool pool\n");
	prints(cv_ipam_text_show,
	       "{\"address\": {\"address\": \"192.0.2.1\", \"state\": \"outside\"}}",
	       "192.0.2.1: in no pool\n");
}

#define LEAK(fixable, observations, wait_s, fixed)                                         \
	"{\"code\": \"address-without-container\", \"text\": \"10.244.1.5 is assigned\", " \
	"\"remedy\": \"culvert ipam check --fix\", \"fixable\": " fixable                  \
	", \"observations\": " observations ", \"wait_s\": " wait_s ", \"fixed\": " fixed "}"

static void tells_what_is_wrong(void **state)
{
	(void)state;
	prints(print_check, "{\"findings\": []}", "nothing is wrong\n");
	prints(print_check, "{\"findings\": [" LEAK("true", "1", "10", "false") "]}",
	       "seen    address-without-container: 10.244.1.5 is assigned\n"
	       "        remedy: culvert ipam check --fix\n"
	       "wrong: 1\n"
	       "nothing is mended before it was seen wrong at two looks: culvert ipam check --fix "
	       "again in 10 s\n");
	prints(print_check, "{\"findings\": [" LEAK("true", "2", "0", "false") "]}",
	       "ripe    address-without-container: 10.244.1.5 is assigned\n"
	       "        remedy: culvert ipam check --fix\n"
	       "wrong: 1\n"
	       "culvert ipam check --fix mends what is ripe\n");
	prints(print_fix, "{\"findings\": [" LEAK("true", "2", "0", "true") "]}",
	       "mended  address-without-container: 10.244.1.5 is assigned\n"
	       "wrong: 0, mended: 1\n");
	prints(print_fix, "{\"findings\": [" LEAK("false", "2", "0", "false") "]}",
	       "wrong   address-without-container: 10.244.1.5 is assigned\n"
	       "        remedy: culvert ipam check --fix\n"
	       "wrong: 1, mended: 0\n");
}

static void counts_what_is_left(void **state)
{
	json_t *json = json_loads("{\"findings\": [" LEAK("true", "2", "0", "true") ", " LEAK(
					  "false", "2", "0", "false") "]}",
				  0, NULL);

	(void)state;
	assert_int_equal(cv_ipam_text_wrong(json), 1);
	json_decref(json);
}

static void tells_of_single_addresses(void **state)
{
	(void)state;
	prints(cv_ipam_text_release, "{\"released\": 1}", "released 1 address\n");
	prints(cv_ipam_text_release, "{\"released\": 3}", "released 3 addresses\n");
	prints(cv_ipam_text_reserve,
	       "{\"address\": \"10.244.1.9\", \"block\": \"10.244.1.0/26\", \"handle\": "
	       "\"reserved-10.244.1.9\", \"was_there\": false}",
	       "10.244.1.9 is reserved, in block 10.244.1.0/26; its handle is "
	       "reserved-10.244.1.9\n");
	prints(cv_ipam_text_reserve,
	       "{\"address\": \"10.244.1.9\", \"block\": \"10.244.1.0/26\", \"handle\": "
	       "\"reserved-10.244.1.9\", \"was_there\": true}",
	       "10.244.1.9 was already reserved, in block 10.244.1.0/26; its handle is "
	       "reserved-10.244.1.9\n");
}

static void shows_pods(void **state)
{
	(void)state;
	prints(cv_ipam_text_pods, "{\"pods\": []}",
	       "no pods: nothing was attached by culvert-cni\n");
	prints(cv_ipam_text_pods,
	       "{\"pods\": [{\"network\": \"net\", \"container\": \"0123456789abcdef\", "
	       "\"interface\": \"eth0\", \"pod\": {\"name\": \"web\", \"namespace\": \"default\"}, "
	       "\"device\": \"cv0123456789a\", \"bridge\": null, \"addresses\": ["
	       "\"10.244.1.5/32\"], \"state\": \"attached\", \"bypassed\": true, \"reason\": null},"
	       " {\"network\": \"net\", \"container\": \"c2\", \"interface\": \"eth0\", \"pod\": "
	       "null, \"device\": \"cv1123456789a\", \"bridge\": \"cbr0\", \"addresses\": ["
	       "\"10.244.1.6/26\", \"10.244.1.7/26\"], \"state\": \"attached\", \"bypassed\": "
	       "false, \"reason\": \"a foreign qdisc\"}]}",
	       "POD          CONTAINER     NETWORK  IF    ADDRESSES                    DEVICE      "
	       " "
	       "         STATE     BYPASS\n"
	       "default/web  0123456789ab  net      eth0  10.244.1.5/32                "
	       "cv0123456789a         attached  on\n"
	       "-            c2            net      eth0  10.244.1.6/26,10.244.1.7/26  "
	       "cv1123456789a (cbr0)  attached  off: a foreign qdisc\n");
}

static void sums_up_for_status(void **state)
{
	(void)state;
	prints(cv_ipam_text_summary,
	       "{\"pods\": 3, \"addresses\": {\"store\": \"etcd\", \"blocks\": 2, \"assigned\": 5, "
	       "\"released\": 1, \"failed\": 0, \"problem\": \"etcd is away\", \"migration\": "
	       "null, "
	       "\"registration\": \"no address\"}}",
	       "pods 3; addresses (etcd): blocks 2; assigned 5, released 1, failed 0 since the "
	       "start\n"
	       "addresses: etcd is away\n"
	       "addresses: no address\n");
	/* Who has none is told nothing. */
	prints(cv_ipam_text_summary,
	       "{\"pods\": 0, \"addresses\": {\"store\": \"file\", \"blocks\": 0, \"assigned\": "
	       "0}}",
	       "");
}

#define MIGRATION                                                                             \
	"\"resources\": 4, \"blocks\": 2, \"affinities\": 2, \"handles\": 3, \"total\": 11, " \
	"\"equal\": 1, \"written\": 10, "

static void tells_of_migrations(void **state)
{
	(void)state;
	prints(cv_migrate_text,
	       "{\"from\": \"files\", \"dry_run\": false, " MIGRATION "\"skipped\": [], "
	       "\"conflicts\": [], \"problem\": null, \"installed\": "
	       "\"/etc/culvert/datastore.cfg\"}",
	       "from the files of this node: resources 4, blocks 2, affinities 2, handles 3\n"
	       "written 10, already there 1\n"
	       "/etc/culvert/datastore.cfg is in place; restart culvertd now: until then no pod "
	       "gets an address, and no packet is lost (systemctl restart culvertd)\n");
	prints(cv_migrate_text,
	       "{\"from\": \"calico\", \"dry_run\": true, " MIGRATION "\"skipped\": ["
	       "\"profiles: 2\"], \"conflicts\": [], \"problem\": null, \"installed\": null}",
	       "from Calico: resources 4, blocks 2, affinities 2, handles 3\n"
	       "passed over: profiles: 2\n"
	       "to be written 10, already there 1\n");
	prints(cv_migrate_text,
	       "{\"from\": \"files\", \"dry_run\": false, " MIGRATION "\"skipped\": [], "
	       "\"conflicts\": [\"x is there, and differs\"], \"problem\": null}",
	       "from the files of this node: resources 4, blocks 2, affinities 2, handles 3\n"
	       "in the way: x is there, and differs\n"
	       "nothing was written\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_pools),	       cmocka_unit_test(shows_blocks),
		cmocka_unit_test(shows_an_address),    cmocka_unit_test(tells_what_is_wrong),
		cmocka_unit_test(counts_what_is_left), cmocka_unit_test(tells_of_single_addresses),
		cmocka_unit_test(shows_pods),	       cmocka_unit_test(sums_up_for_status),
		cmocka_unit_test(tells_of_migrations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
