/* SPDX-License-Identifier: Apache-2.0 */
/* The router's answers from the kernel of this network namespace, by rtnetlink. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/router.h"
#include "net/monitor.h"

struct kernel {
	struct cv_nl *nl;
	int monitor;
};

static int kernel_get(void *context, const struct cv_route_flow *flow, struct cv_route *ret)
{
	struct kernel *kernel = context;

	return cv_route_get(kernel->nl, flow, ret);
}

static int kernel_match(void *context, const struct cv_route_flow *flow, struct cv_route_entry *ret)
{
	struct kernel *kernel = context;

	return cv_route_match(kernel->nl, flow, ret);
}

static int kernel_gateways(void *context, int oif, int (*cb)(__be32 gateway, void *data),
			   void *data)
{
	struct kernel *kernel = context;

	return cv_route_for_each_gateway(kernel->nl, oif, cb, data);
}

static int kernel_addresses(void *context, int (*cb)(const struct cv_address *address, void *data),
			    void *data)
{
	struct kernel *kernel = context;

	return cv_address_for_each(kernel->nl, cb, data);
}

static int kernel_changes(void *context)
{
	const struct kernel *kernel = context;

	return cv_monitor_drain(kernel->monitor);
}

static void kernel_destroy(void *context)
{
	struct kernel *kernel = context;

	if (kernel->monitor >= 0)
		close(kernel->monitor);
	cv_nl_destroy(kernel->nl);
	free(kernel);
}

int cv_router_kernel(struct cv_router_source *ret_source)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));
	int err;

	if (!kernel)
		return -ENOMEM;
	kernel->monitor = cv_monitor_open();
	if (kernel->monitor < 0) {
		err = kernel->monitor;
		goto destroy_kernel;
	}
	err = cv_nl_create(&kernel->nl);
	if (err)
		goto destroy_kernel;
	*ret_source = (struct cv_router_source){
		.context = kernel,
		.get = kernel_get,
		.match = kernel_match,
		.gateways = kernel_gateways,
		.addresses = kernel_addresses,
		.changes = kernel_changes,
		.destroy = kernel_destroy,
	};
	return 0;

destroy_kernel:
	kernel_destroy(kernel);
	return err;
}
