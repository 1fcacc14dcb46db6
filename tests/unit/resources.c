/* SPDX-License-Identifier: Apache-2.0 */
/* Resources made by hand. All strings are allocated one by one, as cv_resource_put frees them. */
#include "resources.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static char *copy(const char *text)
{
	char *copied = strdup(text);

	assert_non_null(copied);
	return copied;
}

struct cv_prefix cv_test_prefix(const char *text)
{
	struct cv_prefix prefix;
	int rc = cv_prefix_parse(text, &prefix);

	if (rc && rc != -ENODATA && rc != -ERANGE)
		fail_msg("\"%s\" is no prefix", text);
	return prefix;
}

__be32 cv_test_address(const char *text)
{
	struct cv_prefix prefix;

	if (cv_prefix_parse(text, &prefix) != -ENODATA)
		fail_msg("\"%s\" is no address", text);
	return prefix.address;
}

static struct cv_resource *make(enum cv_kind kind, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* format: of what the text says beside kind and name. */
static struct cv_resource *make(enum cv_kind kind, const char *name, const char *format, ...)
{
	static unsigned int made;
	struct cv_resource *resource = calloc(1, sizeof(*resource));
	char *spec;
	va_list arguments;

	assert_non_null(resource);
	va_start(arguments, format);
	assert_true(vasprintf(&spec, format, arguments) >= 0);
	va_end(arguments);
	assert_true(asprintf(&resource->text,
			     "{\"kind\":\"%s\",\"metadata\":{\"name\":\"%s\"},\"spec\":\"%s\"}",
			     cv_kind_name(kind), name, spec) >= 0);
	free(spec);
	resource->kind = kind;
	resource->references = 1;
	resource->name = copy(name);
	resource->origin = (struct cv_origin){copy("test.yaml"), ++made, 1};
	return resource;
}

/* NULL for an empty list. */
static struct cv_prefix *read_list(const char *text, size_t *ret_count)
{
	struct cv_prefix *prefixes = NULL;
	char *words = copy(text), *rest, *word;
	size_t count = 0;

	for (word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		prefixes = reallocarray(prefixes, count + 1, sizeof(*prefixes));
		assert_non_null(prefixes);
		prefixes[count++] = cv_test_prefix(word);
	}
	free(words);
	*ret_count = count;
	return prefixes;
}

struct cv_resource *cv_test_pool(const char *name, const char *cidr, enum cv_ipip_mode mode)
{
	struct cv_resource *resource = make(CV_KIND_IP_POOL, name, "%s mode %d", cidr, (int)mode);

	resource->pool = (struct cv_ip_pool){
		.cidr = cv_test_prefix(cidr),
		.ipip_mode = mode,
		.block_size = 26,
		.allowed_uses = CV_USE_WORKLOAD | CV_USE_TUNNEL,
		.node_selector = copy("all()"),
	};
	return resource;
}

struct cv_resource *cv_test_node(const char *name, const char *address, const char *tunnel_address)
{
	struct cv_resource *resource =
		make(CV_KIND_NODE, name, "%s tunnel %s", address ? address : "",
		     tunnel_address ? tunnel_address : "");
	struct cv_prefix prefix;
	int rc;

	if (address) {
		rc = cv_prefix_parse(address, &prefix);
		assert_int_not_equal(rc, -EINVAL);
		resource->node.address = prefix.address;
		resource->node.prefix_length = prefix.length;
		resource->node.has_prefix = rc != -ENODATA;
	}
	if (tunnel_address)
		resource->node.tunnel_address = cv_test_address(tunnel_address);
	return resource;
}

struct cv_resource *cv_test_affinity(const char *node, const char *cidr)
{
	struct cv_resource *resource;
	char *name;

	assert_true(asprintf(&name, "%s-%s", node, cidr) >= 0);
	for (char *p = name + strlen(node); *p; p++) {
		if (*p == '.' || *p == '/')
			*p = '-';
	}
	resource = make(CV_KIND_BLOCK_AFFINITY, name, "%s of %s", cidr, node);
	free(name);
	resource->affinity.cidr = cv_test_prefix(cidr);
	resource->affinity.node = copy(node);
	return resource;
}

struct cv_resource *cv_test_workload(const char *name, const char *node, const char *device,
				     const char *prefixes)
{
	struct cv_resource *resource =
		make(CV_KIND_WORKLOAD, name, "%s of %s at %s", prefixes, node, device);

	resource->workload.node = copy(node);
	snprintf(resource->workload.device, sizeof(resource->workload.device), "%s", device);
	resource->workload.addresses = read_list(prefixes, &resource->workload.count);
	return resource;
}

struct cv_resource *cv_test_reservation(const char *name, const char *prefixes)
{
	struct cv_resource *resource = make(CV_KIND_IP_RESERVATION, name, "%s", prefixes);

	resource->reservation.cidrs = read_list(prefixes, &resource->reservation.count);
	return resource;
}

struct cv_resource *cv_test_felix(const char *name, const char *externals)
{
	struct cv_resource *resource =
		make(CV_KIND_FELIX_CONFIGURATION, name, "%s", externals ? externals : "");
	struct cv_felix_configuration *felix = calloc(1, sizeof(*felix));

	assert_non_null(felix);
	resource->felix = felix;
	if (externals) {
		felix->has_external_nodes = true;
		felix->external_nodes = read_list(externals, &felix->external_count);
	}
	return resource;
}

struct cv_resource *cv_test_tunnel(const char *name, const char *local, const char *remote)
{
	struct cv_resource *resource = make(CV_KIND_TUNNEL, name, "%s %s", local, remote);
	struct cv_tunnel_resource *tunnel = calloc(1, sizeof(*tunnel));

	assert_non_null(tunnel);
	resource->tunnel = tunnel;
	cv_tunnel_config_init(&tunnel->config);
	snprintf(tunnel->config.name, sizeof(tunnel->config.name), "%s", name);
	tunnel->config.local = cv_test_address(local);
	tunnel->config.remote = cv_test_address(remote);
	tunnel->up = true;
	return resource;
}

void cv_test_label(struct cv_resource *resource, const char *name, const char *value)
{
	size_t i = resource->label_count++;

	resource->labels =
		reallocarray(resource->labels, resource->label_count, sizeof(*resource->labels));
	assert_non_null(resource->labels);
	for (; i > 0 && strcmp(resource->labels[i - 1].name, name) > 0; i--)
		resource->labels[i] = resource->labels[i - 1];
	resource->labels[i] = (struct cv_label){copy(name), copy(value)};
}

void cv_test_place(struct cv_resource *resource, const char *file, unsigned int line)
{
	union {
		const char *text;
		char *owned;
	} old = {resource->origin.file};

	free(old.owned);
	resource->origin = (struct cv_origin){copy(file), line, 1};
}

void cv_test_put_all(struct cv_resource **resources, size_t count)
{
	for (size_t i = 0; i < count; i++)
		cv_resource_put(resources[i]);
}

double cv_test_cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}
