/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live endpoints with real devices, in a namespace of their own, and a fast path that only
 * takes notes:
 *
 *     e0 10.1.0.1/24 ---- e1      v0 ---- p0      v1 ---- p1
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/link.h"
#include "netns.h"
#include "tunnel/endpoint_set.h"
#include "tunnel/endpoint_state.h"

static char dir[] = "/tmp/culvert-endpoints-XXXXXX";
static struct cv_nl *nl;
static struct cv_endpoint_set *set;
static struct cv_error error;
static char last_log[1024];
static int log_lines;

static void keep_log(int priority, const char *text)
{
	(void)priority;
	snprintf(last_log, sizeof(last_log), "%s", text);
	log_lines++;
}

/* ---- the fast path that takes notes ---------------------------------------------------- */

enum {
	KNOWN_MAX = 16
};

static struct {
	struct cv_fastpath_endpoint known[KNOWN_MAX];
	size_t count;
	int calls;
	int fails;	     /* -errno of every set; 0: it works */
	const char *problem; /* of every endpoint */
} fake;

static struct cv_fastpath_endpoint *fake_find(int ifindex)
{
	for (size_t i = 0; i < fake.count; i++) {
		if (fake.known[i].ifindex == ifindex)
			return &fake.known[i];
	}
	return NULL;
}

static size_t saved(void)
{
	struct cv_endpoint_state state;

	if (cv_endpoint_state_load(dir, &state, &error))
		fail_msg("%s", error.text);
	free(state.records);
	return state.count;
}

static void fake_forget(struct cv_fastpath *fastpath, int ifindex)
{
	struct cv_fastpath_endpoint *known = fake_find(ifindex);

	assert_ptr_equal(fastpath, &fake);
	if (known)
		*known = fake.known[--fake.count];
}

static int fake_set(struct cv_fastpath *fastpath, const struct cv_fastpath_endpoint *endpoint)
{
	struct cv_fastpath_endpoint *known = fake_find(endpoint->ifindex);

	assert_ptr_equal(fastpath, &fake);
	fake.calls++;
	if (fake.fails)
		return fake.fails;
	if (!known)
		known = &fake.known[fake.count++];
	*known = *endpoint;
	/* Never more than a crash would leave in the file. */
	assert_true(fake.count <= saved());
	return 0;
}

static const char *fake_problem(struct cv_fastpath *fastpath, int ifindex)
{
	assert_ptr_equal(fastpath, &fake);
	return fake_find(ifindex) ? fake.problem : "it is not known";
}

static void fake_batch(struct cv_fastpath *fastpath)
{
	(void)fastpath;
}

static const struct cv_endpoint_ops fake_ops = {
	.set = fake_set,
	.forget = fake_forget,
	.problem = fake_problem,
	.begin = fake_batch,
	.end = fake_batch,
};

/* ---- a daemon's life ---------------------------------------------------------------- */

static int start(bool with_fastpath)
{
	const struct cv_endpoint_set_options options = {
		.run_dir = dir,
		.nl = nl,
		.fastpath = with_fastpath ? (struct cv_fastpath *)&fake : NULL,
		.no_fastpath = "the moon is full",
		.ops = &fake_ops,
		.log = keep_log,
	};

	return cv_endpoint_set_create(&options, &set, &error);
}

static void restart(bool with_fastpath)
{
	cv_endpoint_set_destroy(set);
	set = NULL;
	if (start(with_fastpath))
		fail_msg("%s", error.text);
}

static int apply(enum cv_endpoint_verb verb, const char *dev, const char *address_1,
		 const char *address_2)
{
	struct cv_endpoint_change change = {.verb = verb, .patch = {.given = CV_ENDPOINT_DEV}};

	snprintf(change.patch.config.dev, IFNAMSIZ, "%s", dev);
	if (address_1)
		change.patch.config.addresses[change.patch.config.count++] = cv_addr(address_1);
	if (address_2)
		change.patch.config.addresses[change.patch.config.count++] = cv_addr(address_2);
	if (address_1)
		change.patch.given |= CV_ENDPOINT_ADDRESSES;
	return cv_endpoint_set_apply(set, &change, &error);
}

#define ADD(dev, address)    apply(CV_ENDPOINT_ADD, dev, address, NULL)
#define CHANGE(dev, address) apply(CV_ENDPOINT_CHANGE, dev, address, NULL)
#define DEL(dev)	     apply(CV_ENDPOINT_DELETE, dev, NULL, NULL)

static int set_bypass(const char *dev, enum cv_endpoint_bypass bypass)
{
	struct cv_endpoint_change change = {.verb = CV_ENDPOINT_CHANGE};

	snprintf(change.patch.config.dev, IFNAMSIZ, "%s", dev);
	change.patch.config.bypass = bypass;
	change.patch.given = CV_ENDPOINT_DEV | CV_ENDPOINT_BYPASS;
	return cv_endpoint_set_apply(set, &change, &error);
}

static void must(int rc)
{
	if (rc)
		fail_msg("%d: %s", rc, error.text);
}

static struct cv_endpoint_status status_of(const char *dev)
{
	struct cv_endpoint_status status = {.ifindex = 0};

	for (size_t i = 0; i < cv_endpoint_set_count(set); i++) {
		cv_endpoint_set_status(set, i, &status);
		if (!strcmp(status.config->dev, dev))
			return status;
	}
	fail_msg("no endpoint %s", dev);
	return status;
}

static int index_of(const char *dev)
{
	struct cv_link link;

	must(cv_link_get(nl, dev, &link));
	return link.index;
}

static struct cv_fastpath_endpoint *known(const char *dev)
{
	return fake_find(index_of(dev));
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	cv_netns_enter_new();
	cv_sh("ip link add e0 type veth peer name e1; ip addr add 10.1.0.1/24 brd + dev e0");
	return cv_nl_create(&nl);
}

static int end(void **state)
{
	char path[PATH_MAX];

	(void)state;
	cv_nl_destroy(nl);
	snprintf(path, sizeof(path), "%s/%s", dir, CV_ENDPOINT_STATE_FILE);
	unlink(path);
	return rmdir(dir);
}

/* Every test begins with no endpoints, and must leave none to the fast path. */
static int begin_test(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	cv_sh("ip link add v0 type veth peer name p0; ip link add v1 type veth peer name p1");
	return start(true);
}

static int end_test(void **state)
{
	(void)state;
	while (cv_endpoint_set_count(set))
		must(DEL(cv_endpoint_set_config(set, 0)->dev));
	must(cv_endpoint_set_default(set, true, &error));
	cv_endpoint_set_destroy(set);
	set = NULL;
	cv_sh("ip link del v0 2>/dev/null; ip link del v1 2>/dev/null; true");
	return fake.count || saved() ? -1 : 0;
}

/* ---- adding, changing, deleting ------------------------------------------------------- */

static void tells_the_fast_path_what_it_keeps(void **state)
{
	(void)state;
	must(apply(CV_ENDPOINT_ADD, "v0", "10.244.1.2", "10.244.1.3"));
	assert_int_equal(known("v0")->count, 2);
	assert_int_equal(known("v0")->addresses[1], cv_addr("10.244.1.3"));
	assert_true(known("v0")->bypass);
	assert_true(status_of("v0").wanted && status_of("v0").in_force);
	must(CHANGE("v0", "10.244.1.4"));
	assert_int_equal(known("v0")->count, 1);
	assert_int_equal(known("v0")->addresses[0], cv_addr("10.244.1.4"));
	must(set_bypass("v0", CV_ENDPOINT_BYPASS_OFF));
	assert_false(known("v0")->bypass);
	assert_false(status_of("v0").wanted);
	assert_string_equal(status_of("v0").reason, "");
	must(apply(CV_ENDPOINT_REPLACE, "v0", "10.244.1.5", NULL));
	assert_true(known("v0")->bypass);
	must(apply(CV_ENDPOINT_REPLACE, "v1", "10.244.1.6", NULL));
	assert_int_equal(saved(), 2);
	must(DEL("v0"));
	assert_null(known("v0"));
	assert_int_equal(saved(), 1);
}

static void refuses_what_cannot_be(void **state)
{
	static const struct {
		enum cv_endpoint_verb verb;
		const char *dev, *address;
		int err;
		const char *words;
	} cases[] = {
		{CV_ENDPOINT_ADD, "nope0", "10.0.0.1", -ENODEV, "there is no device nope0"},
		{CV_ENDPOINT_ADD, "lo", "10.0.0.1", -EINVAL, "lo is the loopback device"},
		{CV_ENDPOINT_ADD, "v0", "10.0.0.1", -EEXIST, "an endpoint v0 exists already"},
		{CV_ENDPOINT_ADD, "berlin", "10.0.0.1", -EEXIST, "an endpoint v0 exists"},
		{CV_ENDPOINT_ADD, "v1", "10.244.1.2", -EEXIST, "is endpoint v0's already"},
		{CV_ENDPOINT_ADD, "v1", "10.1.0.1", -EEXIST, "an address of this host itself"},
		{CV_ENDPOINT_ADD, "v1", "10.1.0.255", -EINVAL, "a broadcast address"},
		{CV_ENDPOINT_ADD, "v1", NULL, -EINVAL, "without an address"},
		{CV_ENDPOINT_CHANGE, "v0", "10.1.0.1", -EEXIST, "an address of this host itself"},
		{CV_ENDPOINT_REPLACE, "v0", NULL, -EINVAL, "without an address"},
		{CV_ENDPOINT_CHANGE, "v1", "10.0.0.1", -ENOENT, "there is no endpoint v1"},
		{CV_ENDPOINT_DELETE, "v1", NULL, -ENOENT, "there is no endpoint v1"},
		{CV_ENDPOINT_DELETE, "v0", "10.0.0.9", -ENOENT, "endpoint v0 is not as you say"},
	};

	(void)state;
	must(ADD("v0", "10.244.1.2"));
	cv_sh("ip link property add dev v0 altname berlin");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = apply(cases[i].verb, cases[i].dev, cases[i].address, NULL);

		if (rc != cases[i].err || !strstr(error.text, cases[i].words))
			fail_msg("%zu: %d %s", i, rc, error.text);
		assert_int_equal(cv_endpoint_set_count(set), 1);
		assert_int_equal(fake.calls, 1);
		assert_int_equal(saved(), 1);
	}
	must(CHANGE("berlin", "10.244.1.3"));
	must(DEL("berlin"));
}

static void a_tunnels_device_is_no_endpoint(void **state)
{
	const struct cv_tunnel_change add = {
		.verb = CV_TUNNEL_ADD,
		.patch = {.config = {.name = "tun0", .remote = cv_addr("192.0.2.1")},
			  .given = CV_TUNNEL_NAME | CV_TUNNEL_REMOTE}};
	struct cv_tunnel_set_options tunnel_options = {.run_dir = dir, .nl = nl, .log = keep_log};
	struct cv_endpoint_set_options options = {
		.run_dir = dir, .nl = nl, .ops = &fake_ops, .log = keep_log};
	struct cv_endpoint_set *kept = set;
	struct cv_tunnel_set *tunnels;
	size_t at;

	(void)state;
	must(cv_engine_create(1, &tunnel_options.engine));
	must(cv_tunnel_set_create(&tunnel_options, &tunnels, &error));
	must(cv_tunnel_set_apply(tunnels, "", &add, 1, &at, &error));
	options.tunnels = tunnels;
	must(cv_endpoint_set_create(&options, &set, &error));
	assert_int_equal(ADD("tun0", "10.244.1.2"), -EINVAL);
	assert_non_null(strstr(error.text, "a tunnel's own device"));
	cv_endpoint_set_destroy(set);
	set = kept;
	cv_tunnel_set_destroy(tunnels);
	cv_engine_destroy(tunnel_options.engine);
	cv_sh("ip link del tun0; rm %s/tunnels.json", dir);
}

static void the_default_is_for_those_that_leave_it_to_it(void **state)
{
	(void)state;
	must(ADD("v0", "10.244.1.2"));
	must(ADD("v1", "10.244.1.3"));
	must(set_bypass("v1", CV_ENDPOINT_BYPASS_ON));
	must(cv_endpoint_set_default(set, false, &error));
	assert_false(known("v0")->bypass);
	assert_true(known("v1")->bypass);
	restart(true);
	assert_false(cv_endpoint_set_default_bypass(set));
	assert_false(known("v0")->bypass);
	must(cv_endpoint_set_default(set, true, &error));
	assert_true(known("v0")->bypass);
}

/* A limit on file sizes fails a write as a full disk does. Returns what it was before. */
static struct rlimit fill_disk(void)
{
	struct rlimit limit, before;

	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 50;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	return before;
}

static void a_full_disk_refuses(void **state)
{
	struct rlimit before;

	(void)state;
	must(ADD("v0", "10.244.1.2"));
	before = fill_disk();
	assert_int_equal(ADD("v1", "10.244.1.3"), -EFBIG);
	assert_int_equal(CHANGE("v0", "10.244.1.4"), -EFBIG);
	assert_int_equal(DEL("v0"), -EFBIG);
	assert_int_equal(cv_endpoint_set_default(set, false, &error), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(cv_endpoint_set_count(set), 1);
	assert_true(cv_endpoint_set_default_bypass(set));
	assert_int_equal(fake.count, 1);
	assert_int_equal(known("v0")->addresses[0], cv_addr("10.244.1.2"));
	assert_int_equal(cv_endpoint_set_config(set, 0)->addresses[0], cv_addr("10.244.1.2"));
	assert_int_equal(saved(), 1);
}

static void what_could_not_be_saved_is_saved_with_the_next_change(void **state)
{
	struct rlimit before;
	int lines;

	(void)state;
	must(ADD("v0", "10.244.1.2"));
	before = fill_disk();
	cv_sh("ip link set v0 name w0");
	cv_endpoint_set_refresh(set);
	assert_non_null(strstr(last_log, "(will be tried again)"));
	lines = log_lines;
	cv_endpoint_set_refresh(set);
	assert_int_equal(log_lines, lines);
	setrlimit(RLIMIT_FSIZE, &before);
	must(CHANGE("w0", "10.244.1.3"));
	assert_string_equal(last_log, "the endpoints are saved now");
	lines = log_lines;
	cv_endpoint_set_refresh(set);
	assert_int_equal(log_lines, lines);
	must(DEL("w0"));
	cv_sh("ip link del w0");
}

/* ---- restarts, and what happens to devices ---------------------------------------------- */

static void endpoints_survive_a_restart(void **state)
{
	(void)state;
	must(ADD("v0", "10.244.1.2"));
	must(ADD("v1", "10.244.1.3"));
	/* The new daemon's fast path may have to be told everything. */
	memset(&fake, 0, sizeof(fake));
	cv_endpoint_set_destroy(set);
	cv_sh("ip link del v1; ip link set v0 name w0");
	must(start(true));
	assert_int_equal(cv_endpoint_set_count(set), 1);
	assert_string_equal(cv_endpoint_set_config(set, 0)->dev, "w0");
	assert_int_equal(known("w0")->addresses[0], cv_addr("10.244.1.2"));
	assert_int_equal(saved(), 1);
	/* A device that is made again is another one. */
	cv_endpoint_set_destroy(set);
	cv_sh("ip link del w0; ip link add w0 type veth peer name p0");
	must(start(true));
	assert_int_equal(cv_endpoint_set_count(set), 0);
	cv_sh("ip link del w0");
}

/* Their indexes name other devices there. */
static void endpoints_stay_in_their_namespace(void **state)
{
	struct cv_endpoint_state kept;

	(void)state;
	must(ADD("v0", "10.244.1.2"));
	must(cv_endpoint_state_load(dir, &kept, &error));
	assert_true(kept.namespace_id[0]);
	kept.namespace_id[0] = '?';
	must(cv_endpoint_state_save(dir, &kept, &error));
	free(kept.records);
	memset(&fake, 0, sizeof(fake));
	restart(true);
	assert_int_equal(cv_endpoint_set_count(set), 0);
	assert_int_equal(fake.calls, 0);
	assert_non_null(strstr(last_log, "v0: endpoint deleted, as it was in another network"));
	assert_int_equal(saved(), 0);
}

static void follows_devices(void **state)
{
	(void)state;
	must(ADD("v0", "10.244.1.2"));
	must(ADD("v1", "10.244.1.3"));
	cv_sh("ip link set v0 name x0; ip link set v1 name v0; ip link set x0 name v1");
	cv_endpoint_set_refresh(set);
	assert_int_equal(cv_endpoint_set_find(set, "v1")->addresses[0], cv_addr("10.244.1.2"));
	assert_int_equal(cv_endpoint_set_find(set, "v0")->addresses[0], cv_addr("10.244.1.3"));
	cv_sh("ip link del v0");
	cv_endpoint_set_refresh(set);
	assert_string_equal(last_log, "v0: endpoint deleted, as its device is gone");
	assert_int_equal(cv_endpoint_set_count(set), 1);
	assert_int_equal(fake.count, 1);
	assert_int_equal(saved(), 1);
}

/* Two renames, and only the first was seen before the daemon ended. */
static void a_name_that_is_saved_twice_is_mended(void **state)
{
	struct cv_endpoint_state kept;

	(void)state;
	must(ADD("v0", "10.244.1.2"));
	must(ADD("v1", "10.244.1.3"));
	must(cv_endpoint_state_load(dir, &kept, &error));
	memcpy(kept.records[1].config.dev, "v0", sizeof("v0"));
	must(cv_endpoint_state_save(dir, &kept, &error));
	free(kept.records);
	restart(true);
	assert_int_equal(cv_endpoint_set_count(set), 2);
	assert_int_equal(cv_endpoint_set_find(set, "v0")->addresses[0], cv_addr("10.244.1.2"));
	assert_int_equal(cv_endpoint_set_find(set, "v1")->addresses[0], cv_addr("10.244.1.3"));
}

/* ---- without bypass --------------------------------------------------------------------- */

static void works_without_a_fast_path(void **state)
{
	(void)state;
	restart(false);
	must(ADD("v0", "10.244.1.2"));
	cv_endpoint_set_refresh(set);
	assert_int_equal(fake.calls, 0);
	assert_true(status_of("v0").wanted);
	assert_false(status_of("v0").in_force);
	assert_string_equal(status_of("v0").reason, "there is no fast path: the moon is full");
	restart(true);
	assert_true(status_of("v0").in_force);
}

static void says_why_bypass_is_not_in_force(void **state)
{
	int lines;

	(void)state;
	must(ADD("v0", "10.244.1.2"));
	fake.problem = "the device has a foreign qdisc (tbf)";
	assert_false(status_of("v0").in_force);
	assert_string_equal(status_of("v0").reason, fake.problem);
	fake.problem = NULL;
	/* What the fast path refuses is told once, tried again, and no failure. */
	fake.fails = -ENOSPC;
	must(ADD("v1", "10.244.1.3"));
	assert_non_null(strstr(last_log, "v1: endpoint not bypassed: the fast path does not"));
	lines = log_lines;
	cv_endpoint_set_refresh(set);
	assert_int_equal(log_lines, lines);
	assert_non_null(strstr(status_of("v1").reason, "No space left"));
	/* It must not stay as it was. */
	must(CHANGE("v0", "10.244.1.4"));
	assert_null(known("v0"));
	fake.fails = 0;
	cv_endpoint_set_refresh(set);
	assert_true(status_of("v0").in_force && status_of("v1").in_force);
	assert_int_equal(known("v0")->addresses[0], cv_addr("10.244.1.4"));
}

static void an_address_that_the_host_takes_is_not_bypassed(void **state)
{
	(void)state;
	must(ADD("v0", "10.244.1.2"));
	cv_sh("ip addr add 10.244.1.2/32 dev e0");
	cv_endpoint_set_refresh(set);
	assert_false(known("v0")->bypass);
	assert_false(status_of("v0").in_force);
	assert_non_null(strstr(status_of("v0").reason, "10.244.1.2 is an address of this host"));
	cv_sh("ip addr del 10.244.1.2/32 dev e0");
	cv_endpoint_set_refresh(set);
	assert_true(known("v0")->bypass);
	assert_true(status_of("v0").in_force);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_test, end_test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tells_the_fast_path_what_it_keeps),
		TEST(refuses_what_cannot_be),
		TEST(a_tunnels_device_is_no_endpoint),
		TEST(the_default_is_for_those_that_leave_it_to_it),
		TEST(a_full_disk_refuses),
		TEST(what_could_not_be_saved_is_saved_with_the_next_change),
		TEST(endpoints_survive_a_restart),
		TEST(endpoints_stay_in_their_namespace),
		TEST(follows_devices),
		TEST(a_name_that_is_saved_twice_is_mended),
		TEST(works_without_a_fast_path),
		TEST(says_why_bypass_is_not_in_force),
		TEST(an_address_that_the_host_takes_is_not_bypassed),
	};

	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, begin, end);
}
