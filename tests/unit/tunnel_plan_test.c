/* SPDX-License-Identifier: Apache-2.0 */
/* Changes played on paper: single steps, whole lists, and random lists against invariants. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tunnel/plan.h"

enum {
	MAX = 4
};

static struct cv_error error;
static struct cv_tunnel_plan plan;
static size_t at;

static struct cv_tunnel_change make(enum cv_tunnel_verb verb, const char *name, const char *remote)
{
	struct cv_tunnel_change change = {.verb = verb};

	snprintf(change.patch.config.name, IFNAMSIZ, "%s", name);
	change.patch.given = CV_TUNNEL_NAME;
	if (remote) {
		change.patch.config.remote = inet_addr(remote);
		change.patch.given |= CV_TUNNEL_REMOTE;
	}
	return change;
}

#define ADD(name, remote)     make(CV_TUNNEL_ADD, name, remote)
#define CHANGE(name, remote)  make(CV_TUNNEL_CHANGE, name, remote)
#define REPLACE(name, remote) make(CV_TUNNEL_REPLACE, name, remote)
#define DEL(name)	      make(CV_TUNNEL_DELETE, name, NULL)

static int play(const struct cv_tunnel_change *changes, size_t count)
{
	at = 99;
	return cv_tunnel_plan_init(&plan, NULL, 0, "", changes, count, MAX, &at, &error);
}

#define PLAY(...)                                                     \
	play((const struct cv_tunnel_change[]){__VA_ARGS__},          \
	     sizeof((const struct cv_tunnel_change[]){__VA_ARGS__}) / \
		     sizeof(struct cv_tunnel_change))

static void adds_in_order(void **state)
{
	(void)state;
	assert_int_equal(PLAY(ADD("b", "192.0.2.1"), ADD("a", "192.0.2.2")), 0);
	assert_int_equal(plan.count, 2);
	assert_string_equal(plan.configs[0].name, "b");
	assert_string_equal(plan.configs[1].name, "a");
	assert_true(plan.configs[0].strict);
	assert_true(plan.configs[0].ipip.pmtudisc);
	cv_tunnel_plan_fini(&plan);
}

static void refuses_and_says_which(void **state)
{
	(void)state;
	assert_int_equal(PLAY(ADD("a", "192.0.2.1"), ADD("a", "192.0.2.2")), -EEXIST);
	assert_int_equal(at, 1);
	assert_non_null(strstr(error.text, "tunnel a exists already"));
	assert_int_equal(PLAY(ADD("a", "192.0.2.1"), ADD("b", "192.0.2.1")), -EEXIST);
	assert_int_equal(at, 1);
	assert_non_null(strstr(error.text, "tunnel a has remote 192.0.2.1 local any"));
	assert_int_equal(PLAY(ADD("a", NULL), ADD("b", NULL)), -EEXIST);
	assert_int_equal(PLAY(CHANGE("a", "192.0.2.1")), -ENOENT);
	assert_int_equal(at, 0);
	assert_int_equal(PLAY(DEL("a")), -ENOENT);
	assert_int_equal(PLAY(ADD("a", "192.0.2.1"), DEL("a"), DEL("a")), -ENOENT);
	assert_int_equal(at, 2);
	assert_int_equal(PLAY(ADD("a", "224.0.0.1")), -EINVAL);
	assert_int_equal(
		PLAY(ADD("a", "192.0.2.1"), ADD("b", "192.0.2.2"), CHANGE("b", "192.0.2.1")),
		-EEXIST);
	assert_int_equal(at, 2);
}

static void a_pair_is_free_after_its_tunnel(void **state)
{
	(void)state;
	assert_int_equal(PLAY(ADD("a", "192.0.2.1"), DEL("a"), ADD("b", "192.0.2.1")), 0);
	assert_int_equal(plan.count, 1);
	assert_non_null(cv_tunnel_plan_find(&plan, "b"));
	assert_null(cv_tunnel_plan_find(&plan, "a"));
	cv_tunnel_plan_fini(&plan);
	assert_int_equal(
		PLAY(ADD("a", "192.0.2.1"), CHANGE("a", "192.0.2.3"), ADD("b", "192.0.2.1")), 0);
	cv_tunnel_plan_fini(&plan);
}

/* A change keeps what it does not give, a replacement goes back to the defaults. */
static void change_keeps_replace_resets(void **state)
{
	struct cv_tunnel_change add = ADD("a", "192.0.2.1");

	(void)state;
	add.patch.config.ipip.ttl = 9;
	add.patch.given |= CV_TUNNEL_TTL;
	assert_int_equal(PLAY(add, CHANGE("a", "192.0.2.2")), 0);
	assert_int_equal(plan.configs[0].ipip.ttl, 9);
	cv_tunnel_plan_fini(&plan);
	assert_int_equal(PLAY(add, REPLACE("a", "192.0.2.2")), 0);
	assert_int_equal(plan.configs[0].ipip.ttl, 0);
	assert_int_equal(plan.count, 1);
	cv_tunnel_plan_fini(&plan);
	assert_int_equal(PLAY(REPLACE("a", "192.0.2.2")), 0);
	assert_int_equal(plan.count, 1);
	cv_tunnel_plan_fini(&plan);
}

static void deletes_only_what_is_as_said(void **state)
{
	struct cv_tunnel_change other = make(CV_TUNNEL_DELETE, "a", "192.0.2.9");
	struct cv_tunnel_change same = make(CV_TUNNEL_DELETE, "a", "192.0.2.1");

	(void)state;
	assert_int_equal(PLAY(ADD("a", "192.0.2.1"), other), -ENOENT);
	assert_int_equal(PLAY(ADD("a", "192.0.2.1"), same), 0);
	assert_int_equal(plan.count, 0);
	cv_tunnel_plan_fini(&plan);
}

/* Who asks owns what it adds, and touches nothing else. */
static void owners_are_kept_apart(void **state)
{
	static const char *const owners[] = {"", "pools", "Tunnel a"};
	/* By verb, of another's tunnel: asked by nobody, by a resource. */
	static const int refusals[][2] = {
		[CV_TUNNEL_ADD] = {-EEXIST, -EEXIST},
		[CV_TUNNEL_CHANGE] = {-EPERM, -EPERM},
		[CV_TUNNEL_REPLACE] = {-EPERM, -EEXIST},
		[CV_TUNNEL_DELETE] = {-EPERM, -EPERM},
	};
	struct cv_tunnel_config current;

	(void)state;
	for (size_t whose = 0; whose < 3; whose++) {
		const struct cv_tunnel_change add = ADD("a", "192.0.2.1");

		assert_int_equal(cv_tunnel_plan_init(&plan, NULL, 0, owners[whose], &add, 1, MAX,
						     &at, &error),
				 0);
		current = plan.configs[0];
		cv_tunnel_plan_fini(&plan);
		assert_string_equal(current.owner, owners[whose]);
		for (size_t i = 0; i < 3 * 4; i++) {
			const char *asker = owners[i / 4];
			const struct cv_tunnel_change change =
				make(i % 4, "a", i % 4 == CV_TUNNEL_DELETE ? NULL : "192.0.2.2");
			int rc = cv_tunnel_plan_init(&plan, &current, 1, asker, &change, 1, MAX,
						     &at, &error);

			if (i / 4 != whose) {
				assert_int_equal(rc, refusals[i % 4][*asker != 0]);
				continue;
			}
			assert_int_equal(rc, i % 4 == CV_TUNNEL_ADD ? -EEXIST : 0);
			if (rc)
				continue;
			if (plan.count)
				assert_string_equal(plan.configs[0].owner, owners[whose]);
			cv_tunnel_plan_fini(&plan);
		}
	}
}

static void there_is_a_limit(void **state)
{
	(void)state;
	assert_int_equal(PLAY(ADD("a", "192.0.2.1"), ADD("b", "192.0.2.2"), ADD("c", "192.0.2.3"),
			      ADD("d", "192.0.2.4"), ADD("e", "192.0.2.5")),
			 -ENOSPC);
	assert_int_equal(at, 4);
}

static void nothing_stays_nothing(void **state)
{
	(void)state;
	assert_int_equal(play(NULL, 0), 0);
	assert_int_equal(plan.count, 0);
	cv_tunnel_plan_fini(&plan);
}

/* Whatever is asked: names and pairs stay unique, and what was there is not written to. */
static void random_lists_keep_the_invariants(void **state)
{
	struct cv_tunnel_config current[MAX], before[MAX];
	size_t count = 0;
	uint32_t seed = 7;
	unsigned int taken = 0;

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		struct cv_tunnel_change changes[3];

		for (size_t i = 0; i < 3; i++) {
			char name[2] = {0}, remote[16];

			seed = seed * 1664525 + 1013904223;
			name[0] = (char)('a' + (seed >> 10) % 5);
			snprintf(remote, sizeof(remote), "192.0.2.%u", (seed >> 16) % 5 + 1);
			changes[i] = make((seed >> 24) % 4, name,
					  (seed >> 24) % 4 == CV_TUNNEL_DELETE ? NULL : remote);
		}
		memcpy(before, current, sizeof(before));
		if (cv_tunnel_plan_init(&plan, current, count, "", changes, 3, MAX, &at, &error)) {
			assert_in_range(at, 0, 2);
			continue;
		}
		assert_memory_equal(before, current, count * sizeof(*current));
		assert_in_range(plan.count, 0, MAX);
		for (size_t i = 0; i < plan.count; i++) {
			for (size_t k = 0; k < i; k++) {
				assert_string_not_equal(plan.configs[i].name, plan.configs[k].name);
				assert_int_not_equal(plan.configs[i].remote,
						     plan.configs[k].remote);
			}
		}
		count = plan.count;
		memcpy(current, plan.configs, count * sizeof(*current));
		cv_tunnel_plan_fini(&plan);
		taken++;
	}
	assert_true(taken > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_in_order),
		cmocka_unit_test(refuses_and_says_which),
		cmocka_unit_test(a_pair_is_free_after_its_tunnel),
		cmocka_unit_test(change_keeps_replace_resets),
		cmocka_unit_test(deletes_only_what_is_as_said),
		cmocka_unit_test(owners_are_kept_apart),
		cmocka_unit_test(there_is_a_limit),
		cmocka_unit_test(nothing_stays_nothing),
		cmocka_unit_test(random_lists_keep_the_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
