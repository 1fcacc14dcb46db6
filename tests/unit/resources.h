/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources made by hand, for tests of what works with resources. Each has one reference, Calico's
 * defaults, an origin ("test.yaml", the number of resources made so far as its line) and a
 * canonical text that is as good as the real one for digests. What a test wants otherwise it sets
 * before it hands the resource on. Bad arguments fail the test.
 */
#ifndef CV_TEST_RESOURCES_H
#define CV_TEST_RESOURCES_H

#include "model/resource.h"

/* "192.168.100.1" -> address; "10.0.0.0/8" -> prefix; a single address is /32, and
 * "10.0.0.1/8" keeps its last bits. */
__be32 cv_test_address(const char *text);
struct cv_prefix cv_test_prefix(const char *text);

struct cv_resource *cv_test_pool(const char *name, const char *cidr, enum cv_ipip_mode mode);

/* address: "192.168.100.1/24", without a length, or NULL; tunnel_address: NULL: none. */
struct cv_resource *cv_test_node(const char *name, const char *address, const char *tunnel_address);

/* Named as Calico names them: NODE-10-244-1-0-24. */
struct cv_resource *cv_test_affinity(const char *node, const char *cidr);

/* prefixes: with spaces between them. */
struct cv_resource *cv_test_workload(const char *name, const char *node, const char *device,
				     const char *prefixes);
struct cv_resource *cv_test_reservation(const char *name, const char *prefixes);

/* externals: externalNodesList, with spaces between them; NULL: not given. */
struct cv_resource *cv_test_felix(const char *name, const char *externals);
struct cv_resource *cv_test_tunnel(const char *name, const char *local, const char *remote);

/* Add a label; they stay sorted. */
void cv_test_label(struct cv_resource *resource, const char *name, const char *value);

/* Say where it stands. */
void cv_test_place(struct cv_resource *resource, const char *file, unsigned int line);

/* What this process has taken of the CPU: for tests of many. */
double cv_test_cpu_ms(void);

/* Give back all of a list. */
void cv_test_put_all(struct cv_resource **resources, size_t count);

#endif
