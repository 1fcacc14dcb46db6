/* SPDX-License-Identifier: Apache-2.0 */
/* BGP as JSON: status and peers. What BIRD says goes through cv_json_text. */
#include "agent/bgp_json.h"

#include <stdlib.h>
#include <string.h>

#include "agent/json_text.h"
#include "agent/node_json.h"

/* ---- sums ---------------------------------------------------------------------------------- */

struct sums {
	size_t count, up, mesh, clients;
	uint64_t imported, refused, exported;
};

static void sum_up(const struct cv_bgp_pair *pairs, size_t count, struct sums *ret)
{
	*ret = (struct sums){.count = count};
	for (size_t i = 0; i < count; i++) {
		const struct cv_bird_session *is = pairs[i].is;
		const struct cv_bgp_session *wanted = pairs[i].wanted;

		ret->mesh += wanted && !wanted->peer;
		ret->clients += wanted && wanted->is_client;
		if (!is)
			continue;
		ret->up += is->is_established;
		ret->imported += is->imported;
		ret->refused += is->filtered;
		ret->exported += is->exported;
	}
}

/* ---- problems ------------------------------------------------------------------------------- */

enum {
	PROBLEMS_MAX = 16 /* told in words; doctor has more */
};

struct list {
	json_t *json;
	size_t more;
};

static void add_problem(bool is_error, const char *text, const char *remedy, void *data)
{
	struct list *list = data;
	(void)is_error;
	(void)remedy;

	if (json_array_size(list->json) < PROBLEMS_MAX)
		json_array_append_new(list->json, cv_json_text(text));
	else
		list->more++;
}

static void add_sessions(const struct cv_bgp_look *look, const struct cv_bgp_pair *pairs,
			 size_t count, struct list *list)
{
	char text[CV_BGP_TEXT_MAX], remedy[CV_BGP_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		if (list->json && json_array_size(list->json) >= PROBLEMS_MAX) {
			list->more += !pairs[i].is || !pairs[i].is->is_established;
			continue;
		}
		if (cv_bgp_diagnose(look, &pairs[i], text, remedy) != CV_BGP_CAUSE_NONE)
			add_problem(true, text, remedy, list);
	}
}

static json_t *problems_to_json(const struct cv_bgp_look *look, const struct cv_bgp_pair *pairs,
				size_t count)
{
	struct list list = {.json = json_array()};
	char text[64];

	cv_bgp_problems(look, add_problem, &list);
	/* Where BIRD itself is down, so are all: it need not be said of each. */
	if (look->state == CV_BIRD_UP && look->view.mode != CV_BGP_OFF)
		add_sessions(look, pairs, count, &list);
	if (list.more) {
		snprintf(text, sizeof(text), "... and %zu problems more: culvert doctor",
			 list.more);
		json_array_append_new(list.json, json_string(text));
	}
	return list.json;
}

/* ---- status ------------------------------------------------------------------------------ */

static const char *state_name(enum cv_bird_state state)
{
	static const char *const names[] = {
		[CV_BIRD_OFF] = "off",
		[CV_BIRD_STARTING] = "starting",
		[CV_BIRD_UP] = "up",
		[CV_BIRD_DOWN] = "down",
	};

	return (unsigned int)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

static json_t *address_to_json(__be32 address)
{
	char text[CV_ADDRESS_TEXT_MAX];

	return address ? json_string(cv_address_format(address, text)) : json_null();
}

/* How old what BIRD has said is; null: it has not said anything yet. */
static json_t *age_to_json(const struct cv_bgp_look *look, int64_t now_us)
{
	if (!look->view.asked_us || now_us < look->view.asked_us)
		return json_null();
	return json_real((double)(now_us - look->view.asked_us) / 1e6);
}

static json_t *daemon_to_json(const struct cv_bgp_look *look, int64_t now_us)
{
	const struct cv_bird_status *status = &look->view.status;
	bool is_up = look->state == CV_BIRD_UP && look->view.has_status;
	const char *user = look->view.mode == CV_BGP_EXTERNAL || !is_up ? NULL
			   : look->is_root				? "root"
									: "bird";

	return json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:s?, s:o, s:o, s:b, s:b, s:I, s:o}", "run",
		cv_bgp_mode_name(look->view.mode), "state", state_name(look->state), "problem",
		cv_json_text_or_null(look->problem), "version",
		cv_json_text_or_null(is_up ? status->version : ""), "pid",
		look->pid ? json_integer(look->pid) : json_null(), "user", user, "last_reboot",
		cv_json_text_or_null(is_up ? status->last_reboot : ""), "last_reconfiguration",
		cv_json_text_or_null(is_up ? status->last_reconfiguration : ""), "recovering",
		(int)(is_up && status->is_recovering), "outdated", (int)look->is_outdated,
		"restarts", (json_int_t)look->restarts, "age_s", age_to_json(look, now_us));
}

static json_t *programs_to_json(const struct cv_bgp_view *view)
{
	return json_pack("{s:s, s:s, s:o}", "now", cv_programs_name(view->programs_now), "wanted",
			 cv_programs_name(view->programs_wanted), "hand_over",
			 cv_json_text_or_null(view->hand_over));
}

static json_t *refused_to_json(const struct cv_bgp_view *view)
{
	json_t *json;

	if (!view->has_refused)
		return json_null();
	json = json_object();
	for (unsigned int i = CV_BGP_TAKEN + 1; i < CV_BGP_VERDICTS; i++)
		json_object_set_new(json, cv_bgp_verdict_name(i),
				    json_integer((json_int_t)view->refused[i]));
	return json;
}

/* Whether all Nodes speak with each other, or some are asked to (BGPPeer, route reflectors). */
static const char *shape_of(const struct cv_bgp_intent *intent, const struct sums *sums)
{
	if (intent->cluster_id)
		return "reflector";
	return sums->mesh ? "mesh" : sums->count ? "peers" : "none";
}

json_t *cv_bgp_status_to_json(const struct cv_bgp_look *look, int64_t now_us)
{
	const struct cv_bgp_view *view = &look->view;
	const struct cv_bgp_intent *intent = view->intent;
	struct cv_bgp_pair *pairs;
	struct sums sums;
	json_t *json;
	size_t count;

	if (!cv_bgp_is_asked_for(view))
		return json_pack("{s:b}", "wanted", 0);
	if (cv_bgp_pairs(view, &pairs, &count))
		return NULL;
	sum_up(pairs, count, &sums);
	json = json_pack(
		"{s:b, s:o, s:o, s:o, s:o, s:I, s:I, s:s, s:o, s:{s:I, s:I, s:I, s:I}}", "wanted",
		(int)intent->wanted, "programs", programs_to_json(view), "bird",
		daemon_to_json(look, now_us), "node", cv_json_text_or_null(intent->node_name),
		"router_id", address_to_json(intent->router_id), "as_number",
		(json_int_t)intent->as_number, "listen_port", (json_int_t)intent->listen_port,
		"shape", shape_of(intent, &sums), "cluster_id", address_to_json(intent->cluster_id),
		"sessions", "count", (json_int_t)sums.count, "up", (json_int_t)sums.up, "down",
		(json_int_t)(sums.count - sums.up), "clients", (json_int_t)sums.clients);
	json_object_set_new(json, "routes",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "learned",
				      (json_int_t)(view->learned ? view->learned->count : 0),
				      "imported", (json_int_t)sums.imported, "refused",
				      (json_int_t)sums.refused, "exported",
				      (json_int_t)sums.exported, "own",
				      (json_int_t)intent->export_count));
	json_object_set_new(json, "refused", refused_to_json(view));
	json_object_set_new(json, "problems", problems_to_json(look, pairs, count));
	json_object_set_new(json, "warnings", cv_messages_to_json(&intent->warnings));
	free(pairs);
	return json;
}

json_t *cv_bgp_summary_to_json(const struct cv_bgp_look *look)
{
	bool has_version = look->state == CV_BIRD_UP && look->view.has_status;
	struct cv_bgp_pair *pairs;
	struct sums sums;
	json_t *json;
	size_t count;

	if (!cv_bgp_is_asked_for(&look->view))
		return json_null();
	if (cv_bgp_pairs(&look->view, &pairs, &count))
		return NULL;
	sum_up(pairs, count, &sums);
	json = json_pack("{s:o, s:s, s:o, s:{s:I, s:I}, s:o}", "programs",
			 programs_to_json(&look->view), "bird", state_name(look->state), "version",
			 cv_json_text_or_null(has_version ? look->view.status.version : ""),
			 "sessions", "count", (json_int_t)sums.count, "up", (json_int_t)sums.up,
			 "problems", problems_to_json(look, pairs, count));
	free(pairs);
	return json;
}

/* ---- peers ------------------------------------------------------------------------------- */

static json_t *number_or_null(bool is_known, uint64_t number)
{
	return is_known ? json_integer((json_int_t)number) : json_null();
}

static void add_counts(json_t *peer, const struct cv_bird_session *is)
{
	bool is_up = is && is->is_established;

	json_object_set_new(peer, "imported", number_or_null(is_up, is ? is->imported : 0));
	json_object_set_new(peer, "refused", number_or_null(is_up, is ? is->filtered : 0));
	json_object_set_new(peer, "exported", number_or_null(is_up, is ? is->exported : 0));
	json_object_set_new(peer, "preferred", number_or_null(is_up, is ? is->preferred : 0));
	json_object_set_new(peer, "hold_s", number_or_null(is_up, is ? is->hold_s : 0));
	json_object_set_new(peer, "keepalive_s", number_or_null(is_up, is ? is->keepalive_s : 0));
}

static json_t *resource_to_json(const struct cv_resource *resource)
{
	return resource ? json_string(resource->name) : json_null();
}

/* What resources say of it, or where they say nothing any more, BIRD. */
static json_t *wanted_to_json(const struct cv_bgp_session *wanted)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I, s:b}", "name", wanted->name, "peer",
			 resource_to_json(wanted->peer), "node", resource_to_json(wanted->node),
			 "address", address_to_json(wanted->address), "port",
			 (json_int_t)wanted->port, "as_number", (json_int_t)wanted->as_number,
			 "client", (int)wanted->is_client);
}

static json_t *unwanted_to_json(const struct cv_bird_session *is)
{
	return json_pack("{s:o, s:n, s:n, s:o, s:i, s:I, s:b}", "name", cv_json_text(is->name),
			 "peer", "node", "address", address_to_json(is->address), "port", 0,
			 "as_number", (json_int_t)is->as_number, "client", 0);
}

static json_t *pair_to_json(const struct cv_bgp_look *look, const struct cv_bgp_pair *pair)
{
	const struct cv_bird_session *is = pair->is;
	char text[CV_BGP_TEXT_MAX], remedy[CV_BGP_TEXT_MAX];
	enum cv_bgp_cause cause = cv_bgp_diagnose(look, pair, text, remedy);
	json_t *json = pair->wanted ? wanted_to_json(pair->wanted) : unwanted_to_json(pair->is);

	json_object_set_new(json, "state", cv_json_text_or_null(is ? is->state : ""));
	json_object_set_new(json, "since", cv_json_text_or_null(is ? is->since : ""));
	json_object_set_new(json, "established", json_boolean(is && is->is_established));
	json_object_set_new(json, "restarting", json_boolean(is && is->is_restarting));
	add_counts(json, is);
	json_object_set_new(json, "last_error", cv_json_text_or_null(is ? is->last_error : ""));
	json_object_set_new(json, "cause",
			    cause ? json_string(cv_bgp_cause_name(cause)) : json_null());
	json_object_set_new(json, "problem", cv_json_text_or_null(text));
	json_object_set_new(json, "remedy", cv_json_text_or_null(remedy));
	return json;
}

json_t *cv_bgp_peers_to_json(const struct cv_bgp_look *look, int64_t now_us)
{
	struct cv_bgp_pair *pairs;
	json_t *list = json_array();
	size_t count;

	if (cv_bgp_pairs(&look->view, &pairs, &count)) {
		json_decref(list);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, pair_to_json(look, &pairs[i]));
	free(pairs);
	return json_pack("{s:b, s:s, s:o, s:o}", "wanted", (int)cv_bgp_is_asked_for(&look->view),
			 "bird", state_name(look->state), "age_s", age_to_json(look, now_us),
			 "peers", list);
}
