/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes played on a copy. Invariant, given that it holds for the current tunnels: names
 * are unique, pairs (remote, local) are unique, every configuration passes its check.
 */
#include "tunnel/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct cv_tunnel_config *find(const struct cv_tunnel_plan *plan, const char *name)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (!strcmp(plan->configs[i].name, name))
			return &plan->configs[i];
	}
	return NULL;
}

const struct cv_tunnel_config *cv_tunnel_plan_find(const struct cv_tunnel_plan *plan,
						   const char *name)
{
	return find(plan, name);
}

/* The tunnel that config will be, and self is now, must be possible beside the others. */
static int check(const struct cv_tunnel_plan *plan, const struct cv_tunnel_config *config,
		 const struct cv_tunnel_config *self, struct cv_error *error)
{
	char remote[INET_ADDRSTRLEN], local[INET_ADDRSTRLEN];
	int rc = cv_tunnel_config_check(config, error);

	if (rc)
		return rc;
	for (size_t i = 0; i < plan->count; i++) {
		const struct cv_tunnel_config *other = &plan->configs[i];

		if (other == self || other->remote != config->remote ||
		    other->local != config->local)
			continue;
		return cv_error_set(error, -EEXIST,
				    "tunnel %s has remote %s local %s already; choose others, or "
				    "change that one",
				    other->name, cv_tunnel_format_address(config->remote, remote),
				    cv_tunnel_format_address(config->local, local));
	}
	return 0;
}

static int play_add(struct cv_tunnel_plan *plan, const struct cv_tunnel_patch *patch, size_t max,
		    struct cv_error *error)
{
	struct cv_tunnel_config config;
	int rc;

	if (find(plan, patch->config.name))
		return cv_error_set(error, -EEXIST,
				    "a tunnel %s exists already; use change, or delete it first",
				    patch->config.name);
	if (plan->count >= max)
		return cv_error_set(error, -ENOSPC, "there can be %zu tunnels; delete one first",
				    max);
	cv_tunnel_config_init(&config);
	cv_tunnel_config_apply(&config, patch);
	rc = check(plan, &config, NULL, error);
	if (rc)
		return rc;
	plan->configs[plan->count++] = config;
	return 0;
}

static int missing(const char *name, struct cv_error *error)
{
	return cv_error_set(error, -ENOENT,
			    "there is no tunnel %s; \"culvert tunnel show\" lists them", name);
}

static int play_change(struct cv_tunnel_plan *plan, const struct cv_tunnel_patch *patch,
		       bool from_defaults, struct cv_error *error)
{
	struct cv_tunnel_config *self = find(plan, patch->config.name);
	struct cv_tunnel_config config;
	int rc;

	if (!self)
		return missing(patch->config.name, error);
	config = *self;
	if (from_defaults)
		cv_tunnel_config_init(&config);
	cv_tunnel_config_apply(&config, patch);
	rc = check(plan, &config, self, error);
	if (rc)
		return rc;
	*self = config;
	return 0;
}

static int play_delete(struct cv_tunnel_plan *plan, const struct cv_tunnel_patch *patch,
		       struct cv_error *error)
{
	struct cv_tunnel_config *self = find(plan, patch->config.name);

	if (!self)
		return missing(patch->config.name, error);
	if (!cv_tunnel_config_matches(self, patch))
		return cv_error_set(error, -ENOENT,
				    "tunnel %s is not as you say; give its name alone to delete it",
				    self->name);
	plan->count--;
	memmove(self, self + 1, (size_t)(&plan->configs[plan->count] - self) * sizeof(*self));
	return 0;
}

static int play(struct cv_tunnel_plan *plan, const struct cv_tunnel_change *change, size_t max,
		struct cv_error *error)
{
	const struct cv_tunnel_patch *patch = &change->patch;

	if (!(patch->given & CV_TUNNEL_NAME))
		return cv_error_set(error, -EINVAL, "a tunnel without a name; give one");
	switch (change->verb) {
	case CV_TUNNEL_ADD:
		return play_add(plan, patch, max, error);
	case CV_TUNNEL_CHANGE:
		return play_change(plan, patch, false, error);
	case CV_TUNNEL_REPLACE:
		if (!find(plan, patch->config.name))
			return play_add(plan, patch, max, error);
		return play_change(plan, patch, true, error);
	case CV_TUNNEL_DELETE:
		return play_delete(plan, patch, error);
	}
	return cv_error_set(error, -EINVAL, "no such kind of change");
}

int cv_tunnel_plan_init(struct cv_tunnel_plan *ret_plan, const struct cv_tunnel_config *current,
			size_t current_count, const struct cv_tunnel_change *changes, size_t count,
			size_t max, size_t *ret_index, struct cv_error *error)
{
	struct cv_tunnel_plan plan = {
		.configs = calloc(current_count + count + 1, sizeof(*plan.configs)),
		.count = current_count,
	};

	if (!plan.configs) {
		*ret_index = count;
		return cv_error_set(error, -ENOMEM, "out of memory");
	}
	if (current_count)
		memcpy(plan.configs, current, current_count * sizeof(*current));
	for (size_t i = 0; i < count; i++) {
		int rc = play(&plan, &changes[i], max, error);

		if (rc) {
			cv_tunnel_plan_fini(&plan);
			*ret_index = i;
			return rc;
		}
	}
	*ret_plan = plan;
	return 0;
}

void cv_tunnel_plan_fini(struct cv_tunnel_plan *plan)
{
	free(plan->configs);
	*plan = (struct cv_tunnel_plan){.count = 0};
}
