/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live tunnels with the real kernel and the real engine:
 *
 *     near (this test): a0 192.0.2.1/24 ---- b0 192.0.2.2 :far
 *                       198.51.100.0/24 via 192.0.2.2
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/link.h"
#include "netns.h"
#include "tunnel/kernel.h"
#include "tunnel/set.h"
#include "tunnel/state.h"

/*
 * The engine's threads, its workers and its prober, have one more each for moments, while they
 * look at devices and paths; on a busy machine for long moments.
 */
#define WORKERS	  2
#define MOMENTARY (WORKERS + 1)

static char dir[] = "/tmp/culvert-set-XXXXXX";
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

/* ---- a daemon's life ---------------------------------------------------------------- */

static int start(void)
{
	const struct cv_tunnel_set_options options = {
		.run_dir = dir, .engine = engine, .nl = nl, .log = keep_log};

	return cv_tunnel_set_create(&options, &set, &error);
}

static void stop(void)
{
	cv_tunnel_set_destroy(set);
	set = NULL;
}

static void restart(void)
{
	stop();
	if (start())
		fail_msg("%s", error.text);
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

#define ADD(name, remote)    make(CV_TUNNEL_ADD, name, remote)
#define CHANGE(name, remote) make(CV_TUNNEL_CHANGE, name, remote)
#define DEL(name)	     make(CV_TUNNEL_DELETE, name, NULL)

static int apply(const struct cv_tunnel_change *changes, size_t count)
{
	return cv_tunnel_set_apply(set, "", changes, count, &at, &error);
}

#define APPLY(...)                                                     \
	apply((const struct cv_tunnel_change[]){__VA_ARGS__},          \
	      sizeof((const struct cv_tunnel_change[]){__VA_ARGS__}) / \
		      sizeof(struct cv_tunnel_change))

static void must(int rc)
{
	if (rc)
		fail_msg("%d: %s", rc, error.text);
}

static struct cv_tunnel_status status_of(const char *name)
{
	struct cv_tunnel_status status = {.ifindex = -1};

	for (size_t i = 0; i < cv_tunnel_set_count(set); i++) {
		if (strcmp(cv_tunnel_set_config(set, i)->name, name))
			continue;
		cv_tunnel_set_status(set, i, &status);
		return status;
	}
	fail_msg("no tunnel %s", name);
	return status;
}

static bool device_exists(const char *name)
{
	struct cv_link link;

	return !cv_link_get(nl, name, &link);
}

static size_t saved(void)
{
	struct cv_tunnel_record *records;
	size_t count;

	must(cv_tunnel_state_load(dir, &records, &count, &error));
	free(records);
	return count;
}

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	cv_pair_create(&pair);
	if (cv_nl_create(&nl) || cv_engine_create(WORKERS, &engine))
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

/* Without those that are open for moments only. */
static int settled_files(void)
{
	int least = open_files();

	for (int i = 0; i < 10; i++) {
		int now;

		usleep(2000);
		now = open_files();
		if (now < least)
			least = now;
	}
	return least;
}

/* Every test begins with no tunnels, and must leave neither tunnel, device nor descriptor. */
static int descriptors = INT_MAX;

static int begin_test(void **state)
{
	int now = settled_files();

	(void)state;
	if (now < descriptors)
		descriptors = now;
	return start();
}

static int end_test(void **state)
{
	(void)state;
	while (cv_tunnel_set_count(set))
		must(APPLY(DEL(cv_tunnel_set_config(set, 0)->name)));
	stop();
	for (int i = 0; i < 100 && settled_files() > descriptors; i++)
		usleep(20000);
	return settled_files() <= descriptors && !saved() ? 0 : -1;
}

/* ---- adding, changing, deleting ------------------------------------------------------- */

static void adds_a_complete_device(void **state)
{
	struct cv_link link;

	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	must(cv_link_get(nl, "tun0", &link));
	assert_int_equal(link.mtu, 1480);
	assert_int_equal(link.flags & (IFF_POINTOPOINT | IFF_NOARP), IFF_POINTOPOINT | IFF_NOARP);
	assert_true(link.tun_persist && link.tun_multi_queue && link.tun_vnet_hdr);
	assert_string_equal(link.alias + strlen("culvert "), dir);
	assert_int_equal(cv_sh_status("ip link show tun0 | grep -q 'qlen 5000'"), 0);
	assert_true(status_of("tun0").active);
	assert_int_equal(saved(), 1);
	/* No router solicitations of IPv6 in a tunnel that carries IPv4. */
	cv_sh("ip link set tun0 up");
	assert_int_equal(cv_sh_status("ip -6 addr show tun0 | grep -q inet6"), 1);
	must(APPLY(DEL("tun0")));
	assert_false(device_exists("tun0"));
	assert_int_equal(saved(), 0);
}

static void refuses_what_is_taken(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	assert_int_equal(APPLY(ADD("tun0", "198.51.100.2")), -EEXIST);
	assert_int_equal(APPLY(ADD("tun1", "198.51.100.1")), -EEXIST);
	assert_int_equal(APPLY(ADD("a0", "198.51.100.2")), -EEXIST);
	assert_non_null(strstr(error.text, "a device a0 exists already and is not ours"));
	cv_sh("ip tuntap add foreign mode tun multi_queue vnet_hdr");
	assert_int_equal(APPLY(ADD("foreign", "198.51.100.2")), -EEXIST);
	assert_true(device_exists("foreign"));
	cv_sh("ip link del foreign");
	cv_sh("ip link property add dev tun0 altname berlin");
	assert_int_equal(APPLY(ADD("berlin", "198.51.100.2")), -EEXIST);
	assert_non_null(strstr(error.text, "a device berlin exists already"));
	assert_int_equal(cv_tunnel_set_count(set), 1);
	assert_int_equal(saved(), 1);
}

static void demands_that_dev_exists(void **state)
{
	struct cv_tunnel_change add = ADD("tun0", "198.51.100.1");

	(void)state;
	strcpy(add.patch.config.dev, "nope0");
	add.patch.given |= CV_TUNNEL_DEV;
	assert_int_equal(apply(&add, 1), -ENODEV);
	assert_non_null(strstr(error.text, "nope0"));
	strcpy(add.patch.config.dev, "a0");
	must(apply(&add, 1));
	assert_int_equal(status_of("tun0").mtu, 1480);
}

static void a_batch_is_all_or_nothing(void **state)
{
	int ifindex;

	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	ifindex = status_of("tun0").ifindex;
	assert_int_equal(APPLY(ADD("tun1", "198.51.100.2"), DEL("tun0"), ADD("a0", "198.51.100.3")),
			 -EEXIST);
	assert_int_equal(at, 2);
	assert_false(device_exists("tun1"));
	assert_int_equal(status_of("tun0").ifindex, ifindex);
	must(APPLY(ADD("tun1", "198.51.100.2"), DEL("tun0"), ADD("tun2", "198.51.100.1")));
	assert_false(device_exists("tun0"));
	assert_true(status_of("tun2").active);
	/* Deleted and added again is changed: the device stays. */
	ifindex = status_of("tun2").ifindex;
	must(APPLY(DEL("tun2"), ADD("tun2", "198.51.100.9")));
	assert_int_equal(status_of("tun2").ifindex, ifindex);
	assert_int_equal(cv_tunnel_set_find(set, "tun2")->remote, cv_addr("198.51.100.9"));
}

/* The engine refuses a pair that is another's for a moment only. */
static void pairs_may_be_swapped_at_once(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1"), ADD("tun1", "198.51.100.2")));
	must(APPLY(CHANGE("tun0", "198.51.100.3"), CHANGE("tun1", "198.51.100.1"),
		   CHANGE("tun0", "198.51.100.2")));
	assert_int_equal(cv_tunnel_set_find(set, "tun0")->remote, cv_addr("198.51.100.2"));
	assert_int_equal(cv_tunnel_set_find(set, "tun1")->remote, cv_addr("198.51.100.1"));
	assert_true(status_of("tun0").active && status_of("tun1").active);
	/* A chain, and a pair that a deleted tunnel had. */
	must(APPLY(CHANGE("tun1", "198.51.100.4"), CHANGE("tun0", "198.51.100.1")));
	must(APPLY(DEL("tun0"), CHANGE("tun1", "198.51.100.1")));
	assert_true(status_of("tun1").active);
}

/* So many descriptors can be had from now on, at least; at most MOMENTARY more. */
static void limit_files(int count, struct rlimit *ret_before)
{
	struct rlimit limit;
	int fds[16];

	assert_in_range(count, 1, 16);
	for (int i = 0; i < count; i++) {
		fds[i] = open("/dev/null", O_RDONLY);
		assert_true(fds[i] >= 0);
	}
	getrlimit(RLIMIT_NOFILE, ret_before);
	limit = *ret_before;
	limit.rlim_cur = (rlim_t)fds[count - 1] + 1;
	for (int i = 0; i < count; i++)
		close(fds[i]);
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* No descriptors left for one of the tunnels: everything before it is undone. */
static void a_failure_in_the_middle_is_undone(void **state)
{
	struct rlimit before;

	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1"), ADD("tun9", "198.51.100.9")));
	/* With two of tun9: from three, enough for tun1, to nine. Five tunnels need ten. */
	limit_files(MOMENTARY + 1, &before);
	assert_int_equal(APPLY(CHANGE("tun0", "198.51.100.5"), DEL("tun9"),
			       ADD("tun1", "198.51.100.2"), ADD("tun2", "198.51.100.3"),
			       ADD("tun3", "198.51.100.4"), ADD("tun4", "198.51.100.6"),
			       ADD("tun5", "198.51.100.7")),
			 -EMFILE);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_in_range(at, 3, 6);
	assert_false(device_exists("tun1"));
	assert_false(device_exists("tun2"));
	assert_false(device_exists("tun5"));
	assert_int_equal(cv_tunnel_set_count(set), 2);
	assert_int_equal(cv_tunnel_set_find(set, "tun0")->remote, cv_addr("198.51.100.1"));
	assert_true(status_of("tun0").active);
	cv_tunnel_set_refresh(set);
	assert_true(status_of("tun9").active);
	assert_int_equal(saved(), 2);
}

/* A limit on file sizes fails a write as a full disk does. */
static void a_full_disk_refuses(void **state)
{
	struct rlimit limit, before;

	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 100;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(APPLY(ADD("tun1", "198.51.100.2")), -EFBIG);
	assert_int_equal(APPLY(CHANGE("tun0", "198.51.100.2")), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_false(device_exists("tun1"));
	assert_int_equal(cv_tunnel_set_find(set, "tun0")->remote, cv_addr("198.51.100.1"));
	cv_tunnel_set_refresh(set);
	assert_int_equal(saved(), 1);
}

/* ---- restarts ------------------------------------------------------------------------- */

static void restarts_keep_devices(void **state)
{
	int ifindex;

	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	cv_sh("ip link set tun0 up && ip addr add 10.0.0.1/24 dev tun0");
	cv_sh("ip route add 10.9.0.0/16 dev tun0");
	ifindex = status_of("tun0").ifindex;
	restart();
	assert_int_equal(status_of("tun0").ifindex, ifindex);
	assert_true(status_of("tun0").active);
	cv_sh("ip addr show tun0 | grep -q 10.0.0.1");
	cv_sh("ip route show | grep -q '10.9.0.0/16 dev tun0'");
}

static void restarts_make_missing_devices(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	stop();
	cv_sh("ip link del tun0");
	must(start());
	assert_true(status_of("tun0").active);
	assert_int_equal(status_of("tun0").mtu, 1480);
}

static void restarts_follow_new_names(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	stop();
	cv_sh("ip link set tun0 name left && ip addr add 10.0.0.1/24 dev left");
	must(start());
	assert_true(status_of("left").active);
	assert_false(device_exists("tun0"));
	cv_sh("ip addr show left | grep -q 10.0.0.1");
}

/* Somebody took the name meanwhile: the tunnel waits until it is free. */
static void foreign_devices_are_left_alone(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	stop();
	cv_sh("ip link del tun0 && ip link add tun0 type veth peer name tun0p");
	must(start());
	assert_false(status_of("tun0").active);
	assert_non_null(strstr(status_of("tun0").reason, "not ours"));
	cv_sh("ip link del tun0");
	cv_tunnel_set_refresh(set);
	assert_true(status_of("tun0").active);
	assert_string_equal(last_log, "tun0: carried");
}

static void unfinished_tunnels_are_taken_back(void **state)
{
	struct cv_tunnel_record record = {.complete = false};

	(void)state;
	stop();
	cv_tunnel_config_init(&record.config);
	strcpy(record.config.name, "tun0");
	must(cv_tunnel_state_save(dir, &record, 1, &error));
	cv_sh("ip tuntap add tun0 mode tun multi_queue vnet_hdr");
	must(start());
	assert_int_equal(cv_tunnel_set_count(set), 0);
	assert_false(device_exists("tun0"));
	assert_int_equal(saved(), 0);
}

/* What another program made meanwhile, or held before, is not an unfinished device of ours. */
static void unfinished_tunnels_take_nothing_else_along(void **state)
{
	static const char *const devices[] = {
		"ip tuntap add tun0 mode tun",
		"ip tuntap add tun0 mode tun multi_queue",
		"ip tuntap add tun0 mode tap multi_queue vnet_hdr",
		"ip tuntap add tun0 mode tun multi_queue vnet_hdr && ip link set tun0 up",
		"ip tuntap add tun0 mode tun multi_queue vnet_hdr && ip link set tun0 alias mine",
		"ip link add tun0 type veth peer name tun0p",
	};
	struct cv_tunnel_record record = {.complete = false};

	(void)state;
	cv_tunnel_config_init(&record.config);
	strcpy(record.config.name, "tun0");
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		stop();
		must(cv_tunnel_state_save(dir, &record, 1, &error));
		cv_sh("%s", devices[i]);
		must(start());
		assert_int_equal(cv_tunnel_set_count(set), 0);
		if (!device_exists("tun0"))
			fail_msg("deleted: %s", devices[i]);
		cv_sh("ip link del tun0");
	}
}

static void orphans_are_deleted(void **state)
{
	(void)state;
	stop();
	cv_sh("ip tuntap add tun0 mode tun multi_queue vnet_hdr");
	cv_sh("ip link set tun0 alias 'culvert %s'", dir);
	cv_sh("ip tuntap add tun1 mode tun multi_queue vnet_hdr");
	cv_sh("ip link set tun1 alias 'culvert %s/other'", dir);
	must(start());
	assert_false(device_exists("tun0"));
	assert_true(device_exists("tun1"));
	cv_sh("ip link del tun1");
}

/* ---- following the network ---------------------------------------------------------------- */

static void mtu_follows_the_route(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1"), ADD("nbma", NULL)));
	cv_sh("ip link set a0 mtu 1400");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("tun0").mtu, 1380);
	assert_int_equal(status_of("nbma").mtu, 1480);
	assert_non_null(strstr(last_log, "tun0: mtu 1380, was 1480"));
	cv_sh("ip route add 198.51.100.1/32 via 192.0.2.2 mtu 1300");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("tun0").mtu, 1280);
	must(APPLY(CHANGE("tun0", "198.51.100.7")));
	assert_int_equal(status_of("tun0").mtu, 1380);
	cv_sh("ip route del 198.51.100.1/32 && ip link set a0 mtu 1500");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("tun0").mtu, 1480);
	assert_false(status_of("tun0").mtu_by_hand);
}

static void mtu_set_by_hand_stays(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	cv_sh("ip link set tun0 mtu 1200 && ip link set a0 mtu 1400");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("tun0").mtu, 1200);
	assert_true(status_of("tun0").mtu_by_hand);
	restart();
	assert_int_equal(status_of("tun0").mtu, 1200);
	assert_true(status_of("tun0").mtu_by_hand);
	/* Set to what it should be, it is followed again. */
	cv_sh("ip link set tun0 mtu 1380");
	cv_tunnel_set_refresh(set);
	assert_false(status_of("tun0").mtu_by_hand);
	cv_sh("ip link set a0 mtu 1500");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("tun0").mtu, 1480);
}

/* The smallest of all ways there; with dev, that device's. */
static void mtu_is_that_of_the_narrowest_way(void **state)
{
	struct cv_tunnel_change add = ADD("bound", "203.0.113.2");

	(void)state;
	cv_sh("ip link add x0 mtu 1300 type veth peer name x1 && ip link set x0 up");
	cv_sh("ip link set x1 up && ip addr add 192.0.3.1/24 dev x0");
	cv_sh("ip route add 203.0.113.0/24 nexthop via 192.0.2.2 nexthop via 192.0.3.2");
	must(APPLY(ADD("tun0", "203.0.113.1")));
	assert_int_equal(status_of("tun0").mtu, 1280);
	strcpy(add.patch.config.dev, "a0");
	add.patch.given |= CV_TUNNEL_DEV;
	cv_sh("ip route add 203.0.113.2/32 dev a0");
	must(apply(&add, 1));
	assert_int_equal(status_of("bound").mtu, 1480);
	cv_sh("ip link set a0 mtu 1450");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("bound").mtu, 1430);
	cv_sh("ip link set a0 mtu 1500");
	/* The narrow way goes, and with it its limit. */
	cv_sh("ip link del x0");
	cv_sh("ip route replace 203.0.113.0/24 via 192.0.2.2");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("tun0").mtu, 1480);
	cv_sh("ip route del 203.0.113.0/24 && ip route del 203.0.113.2/32");
}

/* With remote any and no peers, only dev says something, as in Linux: the device's own MTU. */
static void mtu_of_nbma_is_that_of_its_device(void **state)
{
	struct cv_tunnel_change add = ADD("nbma", NULL);

	(void)state;
	cv_sh("ip link add x0 mtu 1300 type veth peer name x1 && ip link set x0 up");
	strcpy(add.patch.config.dev, "x0");
	add.patch.given |= CV_TUNNEL_DEV;
	must(apply(&add, 1));
	assert_int_equal(status_of("nbma").mtu, 1280);
	cv_sh("ip link set x0 mtu 9000");
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("nbma").mtu, 8980);
	assert_false(status_of("nbma").mtu_by_hand);
	assert_non_null(strstr(last_log, "nbma: mtu 8980, was 1280: that of its underlay changed"));
	/* No longer bound: as if it had been made so. */
	add.verb = CV_TUNNEL_CHANGE;
	memset(add.patch.config.dev, 0, sizeof(add.patch.config.dev));
	must(apply(&add, 1));
	assert_int_equal(status_of("nbma").mtu, 1480);
	cv_sh("ip link del x0");
}

/* What is known of peers comes from a thread of the engine. */
static void until_mtu(const char *name, uint32_t mtu)
{
	for (int i = 0; i < 200 && status_of(name).mtu != mtu; i++) {
		cv_tunnel_set_follow(set);
		usleep(10000);
	}
	assert_int_equal(status_of(name).mtu, mtu);
	assert_false(status_of(name).mtu_by_hand);
}

/* The smallest of the ways to peers, the gateways of routes through the device. */
static void mtu_of_nbma_is_that_of_its_peers(void **state)
{
	(void)state;
	must(APPLY(ADD("nbma", NULL)));
	assert_int_equal(status_of("nbma").mtu, 1480);
	cv_sh("ip link add x0 mtu 9000 type veth peer name x1 && ip link set x0 up");
	cv_sh("ip link set x1 up && ip addr add 192.0.3.1/24 dev x0 && ip link set nbma up");
	cv_sh("ip route add 10.1.0.0/16 via 192.0.3.2 dev nbma onlink");
	until_mtu("nbma", 8980);
	cv_sh("ip route add 10.2.0.0/16 via 192.0.2.2 dev nbma onlink");
	until_mtu("nbma", 1480);
	cv_sh("ip route add 192.0.3.2/32 dev x0 mtu 1300");
	until_mtu("nbma", 1280);
	/* Peers that cannot be reached say nothing; if no other is left, it stays as it is. */
	cv_sh("ip route del 10.2.0.0/16 && ip route replace unreachable 192.0.3.2/32");
	for (int i = 0; i < 10; i++) {
		cv_tunnel_set_refresh(set);
		usleep(10000);
	}
	assert_int_equal(status_of("nbma").mtu, 1280);
	/* Another daemon finds it so, and leaves it, though its engine has only begun to look. */
	cv_sh("ip route del unreachable 192.0.3.2/32 && ip link set x0 mtu 1400");
	until_mtu("nbma", 1380);
	restart();
	assert_int_equal(status_of("nbma").mtu, 1380);
	assert_null(strstr(last_log, "mtu"));
	cv_sh("ip route del 10.1.0.0/16");
	until_mtu("nbma", 1480);
	cv_sh("ip link del x0");
}

/* Without a route, or with one into a tunnel of ours, the MTU stays as it is. */
static void mtu_stays_where_it_cannot_be_told(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "203.0.113.1")));
	assert_int_equal(status_of("tun0").mtu, 1480);
	cv_sh("ip link set tun0 up && ip route add 203.0.113.0/24 dev tun0");
	for (int i = 0; i < 3; i++)
		cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("tun0").mtu, 1480);
}

static void deleted_devices_take_their_tunnels_along(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1"), ADD("tun1", "198.51.100.2")));
	cv_sh("ip link del tun0");
	cv_tunnel_set_refresh(set);
	assert_int_equal(cv_tunnel_set_count(set), 1);
	assert_null(cv_tunnel_set_find(set, "tun0"));
	assert_int_equal(saved(), 1);
	must(APPLY(ADD("tun0", "198.51.100.1")));
	assert_true(status_of("tun0").active);
}

static void renamed_devices_rename_their_tunnels(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	cv_sh("ip link set tun0 name left");
	cv_tunnel_set_refresh(set);
	assert_true(status_of("left").active);
	must(APPLY(CHANGE("left", "198.51.100.2")));
	must(APPLY(DEL("left")));
	assert_false(device_exists("left"));
}

/* Every name goes to another tunnel's device, seen at once, while running and over a restart. */
static void exchanged_names_are_followed(void **state)
{
	static const char round[] = "ip link set tun0 name x && ip link set tun1 name tun0 && "
				    "ip link set tun2 name tun1 && ip link set x name tun2";
	int index[3];

	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1"), ADD("tun1", "198.51.100.2"),
		   ADD("tun2", "198.51.100.3")));
	index[0] = status_of("tun0").ifindex;
	index[1] = status_of("tun1").ifindex;
	index[2] = status_of("tun2").ifindex;
	cv_sh("%s", round);
	cv_tunnel_set_refresh(set);
	assert_int_equal(status_of("tun2").ifindex, index[0]);
	assert_int_equal(status_of("tun0").ifindex, index[1]);
	assert_int_equal(status_of("tun1").ifindex, index[2]);
	assert_int_equal(status_of("tun2").config->remote, cv_addr("198.51.100.1"));
	stop();
	cv_sh("%s", round);
	must(start());
	assert_int_equal(status_of("tun1").ifindex, index[0]);
	assert_int_equal(status_of("tun2").ifindex, index[1]);
	assert_int_equal(status_of("tun0").ifindex, index[2]);
	assert_int_equal(status_of("tun1").config->remote, cv_addr("198.51.100.1"));
	for (size_t i = 0; i < 3; i++)
		assert_true(status_of(i == 0 ? "tun0" : i == 1 ? "tun1" : "tun2").active);
	/* A name that a deleted device had is another's at once. */
	cv_sh("ip link del tun2 && ip link set tun0 name tun2");
	cv_tunnel_set_refresh(set);
	assert_int_equal(cv_tunnel_set_count(set), 2);
	assert_int_equal(status_of("tun2").ifindex, index[2]);
	assert_int_equal(status_of("tun1").ifindex, index[0]);
}

/* Without its alias, the next start would take the device for somebody else's. */
static void aliases_are_put_back(void **state)
{
	(void)state;
	must(APPLY(ADD("tun0", "198.51.100.1")));
	cv_sh("ip link set tun0 alias 'to Berlin'");
	cv_tunnel_set_refresh(set);
	assert_non_null(strstr(last_log, "tun0: its alias was put back"));
	cv_sh("ip link show tun0 | grep -q 'alias culvert %s'", dir);
	cv_sh("ip link set tun0 alias ''");
	restart();
	assert_true(status_of("tun0").active);
	must(APPLY(DEL("tun0")));
	assert_false(device_exists("tun0"));
}

/* ---- the kernel's own tunnels ---------------------------------------------------------------- */

/* No module for any on the build machine: judged on what the kernel would say of them. */
static void kernel_tunnels_are_known(void **state)
{
	static const struct {
		struct cv_link link;
		bool takes;
	} cases[] = {
		{{.kind = "ipip", .flags = IFF_UP}, true},
		{{.kind = "ipip"}, false},
		{{.kind = "ipip", .flags = IFF_UP, .tunnel_protocol = 4}, true},
		{{.kind = "ipip", .flags = IFF_UP, .tunnel_protocol = 137}, false},
		{{.kind = "sit", .flags = IFF_UP}, true},
		{{.kind = "sit", .flags = IFF_UP, .tunnel_protocol = 4}, true},
		{{.kind = "sit", .flags = IFF_UP, .tunnel_protocol = 41}, false},
		{{.kind = "gre", .flags = IFF_UP}, false},
		{{.kind = "tun", .flags = IFF_UP}, false},
		{{.kind = "", .flags = IFF_UP}, false},
	};
	char name[IFNAMSIZ] = "untouched";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(cv_kernel_tunnel_is(&cases[i].link), cases[i].takes);
	assert_int_equal(cv_kernel_tunnel_find(nl, name), 0);
	assert_string_equal(name, "untouched");
	assert_string_equal(cv_tunnel_set_kernel_tunnel(set), "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(adds_a_complete_device),
		TEST(refuses_what_is_taken),
		TEST(demands_that_dev_exists),
		TEST(a_batch_is_all_or_nothing),
		TEST(pairs_may_be_swapped_at_once),
		TEST(a_failure_in_the_middle_is_undone),
		TEST(a_full_disk_refuses),
		TEST(restarts_keep_devices),
		TEST(restarts_make_missing_devices),
		TEST(restarts_follow_new_names),
		TEST(foreign_devices_are_left_alone),
		TEST(unfinished_tunnels_are_taken_back),
		TEST(unfinished_tunnels_take_nothing_else_along),
		TEST(orphans_are_deleted),
		TEST(mtu_follows_the_route),
		TEST(mtu_set_by_hand_stays),
		TEST(mtu_is_that_of_the_narrowest_way),
		TEST(mtu_of_nbma_is_that_of_its_device),
		TEST(mtu_of_nbma_is_that_of_its_peers),
		TEST(mtu_stays_where_it_cannot_be_told),
		TEST(deleted_devices_take_their_tunnels_along),
		TEST(renamed_devices_rename_their_tunnels),
		TEST(exchanged_names_are_followed),
		TEST(aliases_are_put_back),
		TEST(kernel_tunnels_are_known),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, begin, end);
}
