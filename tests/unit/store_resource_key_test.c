/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of resources in etcd, there and back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "store/resource_key.h"

static void is_calicos(void **state)
{
	char buffer[CV_RESOURCE_KEY_MAX];

	(void)state;
	assert_string_equal(cv_resource_key(CV_KIND_IP_POOL, "default-ipv4-ippool", buffer),
			    "resources/v3/projectcalico.org/ippools/default-ipv4-ippool");
	assert_string_equal(cv_resource_key(CV_KIND_NODE, "a1", buffer),
			    "resources/v3/projectcalico.org/nodes/a1");
	assert_string_equal(cv_resource_key(CV_KIND_FELIX_CONFIGURATION, "node.a1", buffer),
			    "resources/v3/projectcalico.org/felixconfigurations/node.a1");
	assert_string_equal(cv_resource_key(CV_KIND_TUNNEL, "t", buffer),
			    "resources/v3/culvert/tunnels/t");
}

static void goes_there_and_back(void **state)
{
	(void)state;
	for (enum cv_kind kind = 0; kind < CV_KIND_MAX; kind++) {
		char buffer[CV_RESOURCE_KEY_MAX];
		enum cv_kind parsed;
		const char *name;

		cv_resource_key(kind, "some.name", buffer);
		assert_int_equal(cv_resource_key_parse(buffer, &parsed, &name), 0);
		assert_int_equal(parsed, kind);
		assert_string_equal(name, "some.name");
	}
}

static void knows_what_is_none(void **state)
{
	static const struct {
		const char *key;
		int rc;
	} none[] = {
		{"resources/v3/projectcalico.org/networkpolicies/default/x", -ENOENT},
		{"resources/v3/projectcalico.org/profiles/x", -ENOENT},
		{"resources/v3/projectcalico.org/nodes/a/b", -ENOENT},
		{"resources/v3/culvert/nodes/a", -ENOENT},
		{"resources/v3/projectcalico.org/nodes/", -EINVAL},
		{"resources/v3/projectcalico.org/nodes", -EINVAL},
		{"resources/v3/", -EINVAL},
		{"ipam/v2/config", -EINVAL},
		{"", -EINVAL},
	};
	enum cv_kind kind;
	const char *name;

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(cv_resource_key_parse(none[i].key, &kind, &name), none[i].rc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_calicos),
		cmocka_unit_test(goes_there_and_back),
		cmocka_unit_test(knows_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
