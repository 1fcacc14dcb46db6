/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes played on a copy. Invariant, given that it holds for the current tunnels: names
 * are unique, pairs (remote, local) are unique, every configuration passes its check.
 */
#include "tunnel/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
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

/* May this owner touch the tunnel? Who adds wants its name alone. 0, -EPERM or -EEXIST. */
static int check_owner(const struct cv_tunnel_config *self, const char *owner,
		       enum cv_tunnel_verb verb, struct cv_error *error)
{
	bool adds = verb == CV_TUNNEL_ADD || (verb == CV_TUNNEL_REPLACE && *owner);
	char text[CV_TUNNEL_OWNER_TEXT_MAX];

	if (!strcmp(self->owner, owner))
		return 0;
	if (self->owner[0])
		return cv_error_set(error, adds ? -EEXIST : -EPERM,
				    "tunnel %s belongs to %s; change the resources there, or %s",
				    self->name, cv_tunnel_format_owner(self->owner, text),
				    adds ? "choose another name" : "use a tunnel of another name");
	return cv_error_set(error, adds ? -EEXIST : -EPERM,
			    "tunnel %s was made by a command and is no resource's; `culvert tunnel "
			    "del %s` first, or choose another name",
			    self->name, self->name);
}

static int play_add(struct cv_tunnel_plan *plan, const struct cv_tunnel_patch *patch,
		    const char *owner, size_t max, struct cv_error *error)
{
	const struct cv_tunnel_config *same = find(plan, patch->config.name);
	struct cv_tunnel_config config;
	int rc = same ? check_owner(same, owner, CV_TUNNEL_ADD, error) : 0;

	if (rc)
		return rc;
	if (same)
		return cv_error_set(error, -EEXIST,
				    "a tunnel %s exists already; use change, or delete it first",
				    patch->config.name);
	if (plan->count >= max)
		return cv_error_set(error, -ENOSPC, "there can be %zu tunnels; delete one first",
				    max);
	cv_tunnel_config_init(&config);
	cv_tunnel_config_apply(&config, patch);
	snprintf(config.owner, sizeof(config.owner), "%s", owner);
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
		       const char *owner, enum cv_tunnel_verb verb, struct cv_error *error)
{
	struct cv_tunnel_config *self = find(plan, patch->config.name);
	struct cv_tunnel_config config;
	int rc;

	if (!self)
		return missing(patch->config.name, error);
	rc = check_owner(self, owner, verb, error);
	if (rc)
		return rc;
	config = *self;
	if (verb == CV_TUNNEL_REPLACE)
		cv_tunnel_config_init(&config);
	cv_tunnel_config_apply(&config, patch);
	memcpy(config.owner, self->owner, sizeof(config.owner));
	rc = check(plan, &config, self, error);
	if (rc)
		return rc;
	*self = config;
	return 0;
}

static int play_delete(struct cv_tunnel_plan *plan, const struct cv_tunnel_patch *patch,
		       const char *owner, struct cv_error *error)
{
	struct cv_tunnel_config *self = find(plan, patch->config.name);
	int rc;

	if (!self)
		return missing(patch->config.name, error);
	rc = check_owner(self, owner, CV_TUNNEL_DELETE, error);
	if (rc)
		return rc;
	if (!cv_tunnel_config_matches(self, patch))
		return cv_error_set(error, -ENOENT,
				    "tunnel %s is not as you say; give its name alone to delete it",
				    self->name);
	plan->count--;
	memmove(self, self + 1, (size_t)(&plan->configs[plan->count] - self) * sizeof(*self));
	return 0;
}

static int play(struct cv_tunnel_plan *plan, const struct cv_tunnel_change *change,
		const char *owner, size_t max, struct cv_error *error)
{
	const struct cv_tunnel_patch *patch = &change->patch;

	if (!(patch->given & CV_TUNNEL_NAME))
		return cv_error_set(error, -EINVAL, "a tunnel without a name; give one");
	switch (change->verb) {
	case CV_TUNNEL_ADD:
		return play_add(plan, patch, owner, max, error);
	case CV_TUNNEL_CHANGE:
		return play_change(plan, patch, owner, change->verb, error);
	case CV_TUNNEL_REPLACE:
		if (!find(plan, patch->config.name))
			return play_add(plan, patch, owner, max, error);
		return play_change(plan, patch, owner, change->verb, error);
	case CV_TUNNEL_DELETE:
		return play_delete(plan, patch, owner, error);
	}
	return cv_error_set(error, -EINVAL, "no such kind of change");
}

int cv_tunnel_plan_init(struct cv_tunnel_plan *ret_plan, const struct cv_tunnel_config *current,
			size_t current_count, const char *owner,
			const struct cv_tunnel_change *changes, size_t count, size_t max,
			size_t *ret_index, struct cv_error *error)
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
		int rc = play(&plan, &changes[i], owner, max, error);

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
