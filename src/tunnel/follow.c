/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tunnel's device gets the MTU that it should have.
 *
 * It is ours to change as long as it is what we gave it last. Who sets it to what it should be
 * anyway lets it be followed again.
 */
#include "tunnel/follow.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

__attribute__((format(printf, 3, 4))) static void say(void (*log)(int priority, const char *text),
						      int priority, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log(priority, text);
}

static const char *why(const struct cv_tunnel_config *config)
{
	if (config->mtu)
		return ", as configured";
	return config->remote ? ": that of the route to its remote changed"
			      : ": that of its underlay changed";
}

bool cv_tunnel_follow_mtu(struct cv_tunnel *tunnel, const struct cv_tunnel_mtu_host *host,
			  void (*log)(int priority, const char *text))
{
	const struct cv_tunnel_mtu_device device = {tunnel->ifindex, tunnel->mtu};
	const char *name = tunnel->config.name;
	uint32_t wanted = cv_tunnel_mtu_wanted(host, &tunnel->config, &device);
	uint32_t before = tunnel->mtu, mtu;
	int rc;

	if (!wanted || cv_link_get_mtu(host->nl, tunnel->ifindex, &mtu) ||
	    (mtu != before && mtu != wanted))
		return false;
	rc = mtu == wanted ? 0 : cv_link_set_mtu(host->nl, tunnel->ifindex, wanted);
	if (rc) {
		say(log, LOG_WARNING, "%s: cannot set mtu %u: %s", name, wanted, strerror(-rc));
		return false;
	}
	if (mtu != wanted)
		say(log, LOG_INFO, "%s: mtu %u, was %u%s", name, wanted, before,
		    why(&tunnel->config));
	tunnel->mtu = wanted;
	return wanted != before;
}
