/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels that resources make, with the real kernel and the real engine: who may change them, what
 * is kept of them, and whom they let in.
 *
 *     near (this test): a0 192.0.2.1/24 ---- b0 192.0.2.2 :far
 *                       172.16.0.0/24 via 192.0.2.8, a router that is nobody
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/link.h"
#include "net/sysctl.h"
#include "netns.h"
#include "tunnel/set.h"
#include "tunnel/state.h"

#define POOLS CV_TUNNEL_OWNER_POOLS
#define FAR   "192.0.2.2"

static char dir[] = "/tmp/culvert-owner-XXXXXX";
static struct cv_pair pair;
static struct cv_nl *nl;
static struct cv_engine *engine;
static struct cv_tunnel_set *set;
static struct cv_error error;
static size_t at;
static char last_log[1024];

static void keep_log(int priority, const char *text)
{
	(void)priority;
	snprintf(last_log, sizeof(last_log), "%s", text);
}

static void must(int rc)
{
	if (rc)
		fail_msg("%d: %s", rc, error.text);
}

static int start(void)
{
	const struct cv_tunnel_set_options options = {
		.run_dir = dir, .engine = engine, .nl = nl, .log = keep_log};

	return cv_tunnel_set_create(&options, &set, &error);
}

static struct cv_tunnel_change make(enum cv_tunnel_verb verb, const char *name, const char *remote)
{
	struct cv_tunnel_change change = {.verb = verb};

	snprintf(change.patch.config.name, IFNAMSIZ, "%s", name);
	change.patch.given = CV_TUNNEL_NAME;
	if (remote) {
		change.patch.config.remote = cv_addr(remote);
		change.patch.given |= CV_TUNNEL_REMOTE;
	}
	return change;
}

static int ask(const char *owner, enum cv_tunnel_verb verb, const char *name, const char *remote)
{
	const struct cv_tunnel_change change = make(verb, name, remote);

	return cv_tunnel_set_apply(set, owner, &change, 1, &at, &error);
}

/* The pools' device, with a local address and an MTU (0: to follow). */
static int want_device(enum cv_tunnel_verb verb, const char *local, uint32_t mtu)
{
	struct cv_tunnel_change change = make(verb, "pool0", NULL);

	change.patch.config.local = cv_addr(local);
	change.patch.config.mtu = mtu;
	change.patch.given |= CV_TUNNEL_LOCAL | CV_TUNNEL_MTU;
	return cv_tunnel_set_apply(set, POOLS, &change, 1, &at, &error);
}

static struct cv_tunnel_status status_of(const char *name)
{
	struct cv_tunnel_status status = {.ifindex = -1};

	for (size_t i = 0; i < cv_tunnel_set_count(set); i++) {
		if (!strcmp(cv_tunnel_set_config(set, i)->name, name))
			cv_tunnel_set_status(set, i, &status);
	}
	if (status.ifindex < 0)
		fail_msg("no tunnel %s", name);
	return status;
}

static void assert_says(const char *text)
{
	if (!strstr(error.text, text))
		fail_msg("\"%s\" does not say \"%s\"", error.text, text);
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	cv_pair_create(&pair);
	cv_sh("ip route add 172.16.0.0/24 via 192.0.2.8");
	if (cv_nl_create(&nl) || cv_engine_create(2, &engine))
		return -1;
	return 0;
}

static int end(void **state)
{
	char path[PATH_MAX];

	(void)state;
	cv_engine_destroy(engine);
	cv_nl_destroy(nl);
	cv_pair_destroy(&pair);
	snprintf(path, sizeof(path), "%s/%s", dir, CV_TUNNEL_STATE_FILE);
	unlink(path);
	return rmdir(dir);
}

static int begin_test(void **state)
{
	(void)state;
	return start();
}

/* Every owner's tunnels. */
static int end_test(void **state)
{
	(void)state;
	while (cv_tunnel_set_count(set)) {
		const struct cv_tunnel_config *config = cv_tunnel_set_config(set, 0);
		char owner[CV_TUNNEL_OWNER_MAX], name[IFNAMSIZ];

		snprintf(owner, sizeof(owner), "%s", config->owner);
		snprintf(name, sizeof(name), "%s", config->name);
		must(ask(owner, CV_TUNNEL_DELETE, name, NULL));
	}
	cv_tunnel_set_destroy(set);
	set = NULL;
	return 0;
}

static void restart(void)
{
	cv_tunnel_set_destroy(set);
	must(start());
}

/* ---- whose it is ---------------------------------------------------------------------- */

static void only_the_owner_may(void **state)
{
	(void)state;
	must(want_device(CV_TUNNEL_ADD, "192.0.2.1", 0));
	assert_int_equal(ask("", CV_TUNNEL_CHANGE, "pool0", FAR), -EPERM);
	assert_says("tunnel pool0 belongs to the pools of the store; change the resources there");
	assert_int_equal(ask("", CV_TUNNEL_REPLACE, "pool0", FAR), -EPERM);
	assert_int_equal(ask("", CV_TUNNEL_DELETE, "pool0", NULL), -EPERM);
	assert_int_equal(ask("", CV_TUNNEL_ADD, "pool0", FAR), -EEXIST);
	assert_says("belongs to the pools of the store");
	assert_int_equal(ask("Tunnel pool0", CV_TUNNEL_REPLACE, "pool0", FAR), -EEXIST);
	assert_says("choose another name");
	assert_int_equal(ask("Tunnel pool0", CV_TUNNEL_DELETE, "pool0", NULL), -EPERM);
	assert_string_equal(status_of("pool0").config->owner, POOLS);
	assert_int_equal(status_of("pool0").config->remote, 0);
	must(ask(POOLS, CV_TUNNEL_REPLACE, "pool0", NULL));
	assert_string_equal(status_of("pool0").config->owner, POOLS);
	must(ask(POOLS, CV_TUNNEL_DELETE, "pool0", NULL));
	must(ask("", CV_TUNNEL_ADD, "pool0", FAR));
	assert_string_equal(status_of("pool0").config->owner, "");
}

static void resources_take_no_persons_tunnel(void **state)
{
	(void)state;
	must(ask("", CV_TUNNEL_ADD, "tun0", FAR));
	assert_int_equal(ask("Tunnel tun0", CV_TUNNEL_ADD, "tun0", FAR), -EEXIST);
	assert_says("`culvert tunnel del tun0` first, or choose another name");
	assert_int_equal(ask("Tunnel tun0", CV_TUNNEL_REPLACE, "tun0", FAR), -EEXIST);
	assert_int_equal(ask("Tunnel tun0", CV_TUNNEL_CHANGE, "tun0", FAR), -EPERM);
	assert_int_equal(ask(POOLS, CV_TUNNEL_DELETE, "tun0", NULL), -EPERM);
	assert_true(status_of("tun0").active);
	must(ask("", CV_TUNNEL_DELETE, "tun0", NULL));
	must(ask("Tunnel tun0", CV_TUNNEL_ADD, "tun0", FAR));
	assert_int_equal(ask("", CV_TUNNEL_CHANGE, "tun0", "192.0.2.3"), -EPERM);
	assert_says("tunnel tun0 belongs to Tunnel tun0 of the store");
}

/* What one owner may not, spoils what the others of a batch may. */
static void a_batch_with_anothers_tunnel_does_nothing(void **state)
{
	const struct cv_tunnel_change changes[] = {
		make(CV_TUNNEL_ADD, "tun0", FAR),
		make(CV_TUNNEL_DELETE, "pool0", NULL),
	};

	(void)state;
	must(want_device(CV_TUNNEL_ADD, "192.0.2.1", 0));
	assert_int_equal(cv_tunnel_set_apply(set, "", changes, 2, &at, &error), -EPERM);
	assert_int_equal(at, 1);
	assert_int_equal(cv_tunnel_set_count(set), 1);
}

static void owners_are_found(void **state)
{
	size_t from = 0;

	(void)state;
	must(ask("", CV_TUNNEL_ADD, "tun0", "192.0.2.3"));
	must(ask("Tunnel tun1", CV_TUNNEL_ADD, "tun1", "192.0.2.4"));
	must(want_device(CV_TUNNEL_ADD, "192.0.2.1", 0));
	assert_string_equal(cv_tunnel_set_find_owned(set, POOLS, &from)->name, "pool0");
	assert_int_equal(from, 2);
	from++;
	assert_null(cv_tunnel_set_find_owned(set, POOLS, &from));
	from = 0;
	assert_string_equal(cv_tunnel_set_find_owned(set, "Tunnel tun1", &from)->name, "tun1");
	assert_int_equal(cv_tunnel_set_ifindex(set, "pool0"), status_of("pool0").ifindex);
	assert_int_equal(cv_tunnel_set_ifindex(set, "tun7"), 0);
}

static void restarts_keep_owners(void **state)
{
	int ifindex;

	(void)state;
	must(want_device(CV_TUNNEL_ADD, "192.0.2.1", 1400));
	must(ask("Tunnel tun1", CV_TUNNEL_ADD, "tun1", "192.0.2.4"));
	ifindex = status_of("pool0").ifindex;
	restart();
	assert_int_equal(status_of("pool0").ifindex, ifindex);
	assert_string_equal(status_of("pool0").config->owner, POOLS);
	assert_int_equal(status_of("pool0").config->mtu, 1400);
	assert_int_equal(status_of("pool0").mtu, 1400);
	assert_string_equal(status_of("tun1").config->owner, "Tunnel tun1");
	assert_int_equal(ask("", CV_TUNNEL_DELETE, "pool0", NULL), -EPERM);
}

/* ---- its device ------------------------------------------------------------------------- */

static void mtu_is_as_wanted(void **state)
{
	(void)state;
	must(want_device(CV_TUNNEL_ADD, "192.0.2.1", 1400));
	assert_int_equal(status_of("pool0").mtu, 1400);
	assert_false(status_of("pool0").mtu_by_hand);
	must(want_device(CV_TUNNEL_CHANGE, "192.0.2.1", 1450));
	assert_int_equal(status_of("pool0").mtu, 1450);
	assert_string_equal(last_log, "pool0: mtu 1450, was 1400, as configured");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("pool0").mtu, 1450);
	must(want_device(CV_TUNNEL_CHANGE, "192.0.2.1", 0));
	assert_int_equal(status_of("pool0").mtu, 1480);
	assert_int_equal(want_device(CV_TUNNEL_CHANGE, "192.0.2.1", 67), -EINVAL);
	assert_int_equal(want_device(CV_TUNNEL_CHANGE, "192.0.2.1", 65516), -EINVAL);
	assert_says("from 68 to 65515");
}

/* An owned tunnel's device is made again at once, and a command's tunnel can be. */
static void deleted_devices_come_again(void **state)
{
	int ifindex;

	(void)state;
	must(want_device(CV_TUNNEL_ADD, "192.0.2.1", 1400));
	ifindex = status_of("pool0").ifindex;
	cv_sh("ip link del pool0");
	cv_tunnel_set_refresh(set);
	assert_true(status_of("pool0").active);
	assert_int_not_equal(cv_tunnel_set_ifindex(set, "pool0"), ifindex);
	assert_int_equal(status_of("pool0").mtu, 1400);
	/* Nobody has looked yet. */
	cv_sh("ip link del pool0");
	must(want_device(CV_TUNNEL_CHANGE, "192.0.2.1", 1300));
	assert_true(status_of("pool0").active);
	assert_int_equal(status_of("pool0").mtu, 1300);
	must(ask("", CV_TUNNEL_ADD, "tun0", FAR));
	cv_sh("ip link del tun0");
	must(ask("", CV_TUNNEL_ADD, "tun0", FAR));
	assert_true(status_of("tun0").active);
	/* Where something else has its name meanwhile, it waits. */
	cv_sh("ip link del pool0 && ip link add pool0 type veth peer name pool0p");
	cv_tunnel_set_refresh(set);
	assert_false(status_of("pool0").active);
	assert_non_null(strstr(status_of("pool0").reason, "not ours"));
	cv_sh("ip link del pool0");
	cv_tunnel_set_refresh(set);
	assert_true(status_of("pool0").active);
}

/* ---- whom it lets in -------------------------------------------------------------------- */

/* From far, of an inner 172.16.0.5. */
static void send_from_far(void)
{
	unsigned char packet[48] = {0};

	cv_put_ipv4(packet, IPPROTO_IPIP, cv_addr(FAR), cv_addr("192.0.2.1"), 28);
	cv_put_ipv4(packet + 20, IPPROTO_UDP, cv_addr("172.16.0.5"), cv_addr("192.0.2.1"), 8);
	packet[45] = 8; /* UDP's length */
	cv_pair_send(&pair, cv_pair_near_mac, packet, sizeof(packet));
}

/* Wait until one more packet has been received, or dropped for this reason. */
static void assert_comes_to(enum cv_drop reason)
{
	const struct timespec a_moment = {.tv_nsec = 5 * 1000 * 1000};
	int ifindex = cv_tunnel_set_ifindex(set, "pool0");
	struct cv_counters before, now;

	cv_sh("ip link set pool0 up");
	must(cv_engine_tunnel_counters(engine, ifindex, &before));
	send_from_far();
	for (int i = 0; i < 400; i++) {
		must(cv_engine_tunnel_counters(engine, ifindex, &now));
		if (reason ? now.drops[reason] == before.drops[reason] + 1
			   : now.rx_packets == before.rx_packets + 1)
			return;
		nanosleep(&a_moment, NULL);
	}
	fail_msg("not %s", cv_drop_name(reason));
}

/* 172.16.0.0/24 is this one's. */
static int declare(const char *name, const char *owner)
{
	const struct cv_owned_prefix prefix = {
		.first = 0xac100000,
		.last = 0xac1000ff,
		.length = 24,
		.owner = cv_addr(owner),
	};
	const __be32 peers[] = {cv_addr(FAR), cv_addr("192.0.2.9")};
	struct cv_owners owners;
	int rc;

	must(cv_owners_make(&prefix, 1, peers, 2, &owners));
	rc = cv_tunnel_set_owners(set, name, &owners);
	cv_owners_fini(&owners);
	return rc;
}

static void owners_outlive_devices(void **state)
{
	(void)state;
	must(want_device(CV_TUNNEL_ADD, "192.0.2.1", 0));
	assert_comes_to(CV_DROP_NOT_A_PEER);
	must(declare("pool0", FAR));
	assert_comes_to(CV_DROP_NONE);
	must(declare("pool0", FAR));
	cv_sh("ip link del pool0");
	cv_tunnel_set_refresh(set);
	assert_comes_to(CV_DROP_NONE);
	/* Stopped for a moment, and declared anew meanwhile. */
	cv_sh("ip link del pool0 && ip link add pool0 type veth peer name pool0p");
	cv_tunnel_set_refresh(set);
	must(declare("pool0", "192.0.2.9"));
	cv_sh("ip link del pool0");
	cv_tunnel_set_refresh(set);
	assert_comes_to(CV_DROP_SOURCE_NOT_ROUTED_BACK);
	must(cv_tunnel_set_owners(set, "pool0", NULL));
	assert_comes_to(CV_DROP_NOT_A_PEER);
	assert_int_equal(declare("tun7", FAR), -ENOENT);
	/* Who declares them says so again after a restart. */
	must(declare("pool0", FAR));
	restart();
	assert_comes_to(CV_DROP_NOT_A_PEER);
}

/* Another address of this node: the same device, carrying on. */
static void local_changes_on_the_living_tunnel(void **state)
{
	int ifindex;

	(void)state;
	must(want_device(CV_TUNNEL_ADD, "192.0.2.7", 0));
	must(declare("pool0", FAR));
	ifindex = status_of("pool0").ifindex;
	cv_sh("ip link set pool0 up && ip addr add 172.31.0.1/32 dev pool0 && "
	      "ip route add 172.30.0.0/24 via %s dev pool0 onlink",
	      FAR);
	must(want_device(CV_TUNNEL_CHANGE, "192.0.2.1", 0));
	assert_int_equal(status_of("pool0").ifindex, ifindex);
	assert_true(status_of("pool0").active);
	assert_true(status_of("pool0").up);
	assert_int_equal(cv_sh_status("ip route show 172.30.0.0/24 | grep -q pool0"), 0);
	assert_comes_to(CV_DROP_NONE);
}

/* The kernel must not drop what has been let in, as its answer goes another way. */
static void rp_filter_lets_it_in(void **state)
{
	(void)state;
	assert_int_equal(cv_sysctl_write_ipv4("default", "rp_filter", 1), 0);
	must(want_device(CV_TUNNEL_ADD, "192.0.2.1", 0));
	assert_int_equal(cv_sysctl_read_ipv4("pool0", "rp_filter"), 1);
	must(declare("pool0", FAR));
	assert_int_equal(cv_sysctl_read_ipv4("pool0", "rp_filter"), 0);
	assert_int_equal(cv_sysctl_write_ipv4("all", "rp_filter", 1), 0);
	cv_tunnel_set_refresh(set);
	assert_int_equal(cv_sysctl_read_ipv4("pool0", "rp_filter"), 2);
	cv_sh("ip link del pool0");
	cv_tunnel_set_refresh(set);
	assert_int_equal(cv_sysctl_read_ipv4("pool0", "rp_filter"), 2);
	/* Of no other tunnel. */
	must(ask("", CV_TUNNEL_ADD, "tun0", FAR));
	assert_int_equal(cv_sysctl_read_ipv4("tun0", "rp_filter"), 1);
	assert_int_equal(cv_sysctl_write_ipv4("all", "rp_filter", 0), 0);
	assert_int_equal(cv_sysctl_write_ipv4("default", "rp_filter", 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_the_owner_may),
		TEST(resources_take_no_persons_tunnel),
		TEST(a_batch_with_anothers_tunnel_does_nothing),
		TEST(owners_are_found),
		TEST(restarts_keep_owners),
		TEST(mtu_is_as_wanted),
		TEST(deleted_devices_come_again),
		TEST(owners_outlive_devices),
		TEST(local_changes_on_the_living_tunnel),
		TEST(rp_filter_lets_it_in),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, begin, end);
}
