/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of BIRD, of its sessions and of their secrets. A hundred sessions that are down for one
 * reason are told of in some lines, and a number.
 */
#include "agent/doctor_bgp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	LINES_MAX = 5, /* of one cause */
	WARNINGS_MAX = 20,
};

/* ---- sessions ------------------------------------------------------------------------------- */

/* What ends by itself in a moment is no error. */
static enum cv_finding_level level_of(enum cv_bgp_cause cause)
{
	return cause == CV_BGP_CAUSE_NEW || cause == CV_BGP_CAUSE_NOT_MADE ? CV_FINDING_WARNING
									   : CV_FINDING_ERROR;
}

/* counts: how many there were of each cause so far. */
static void check_session(const struct cv_bgp_look *look, const struct cv_bgp_pair *pair,
			  size_t counts[CV_BGP_CAUSES], struct cv_findings *findings)
{
	char text[CV_BGP_TEXT_MAX], remedy[CV_BGP_TEXT_MAX];
	enum cv_bgp_cause cause = cv_bgp_diagnose(look, pair, text, remedy);

	if (counts[cause]++ >= LINES_MAX || cause == CV_BGP_CAUSE_NONE)
		return;
	cv_finding_add(findings, level_of(cause), *remedy ? remedy : NULL, "BGP session down: %s",
		       text);
}

static void check_sessions(const struct cv_bgp_look *look, struct cv_findings *findings)
{
	size_t counts[CV_BGP_CAUSES] = {0}, count;
	struct cv_bgp_pair *pairs;

	if (cv_bgp_pairs(&look->view, &pairs, &count))
		return;
	for (size_t i = 0; i < count; i++)
		check_session(look, &pairs[i], counts, findings);
	free(pairs);
	for (unsigned int i = CV_BGP_CAUSE_NONE + 1; i < CV_BGP_CAUSES; i++) {
		if (counts[i] > LINES_MAX)
			cv_finding_add(findings, level_of(i), "culvert bgp peers",
				       "... and %zu BGP sessions more are down like these (%s)",
				       counts[i] - LINES_MAX, cv_bgp_cause_name(i));
	}
	if (!count)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "add the other Nodes, or a BGPPeer for this one",
			       "there is BGP, and nobody to speak with");
	else if (counts[CV_BGP_CAUSE_NONE] == count)
		cv_finding_add(findings, CV_FINDING_OK, NULL,
			       "BIRD %s; %zu BGP session%s up; %s programs the routes to other "
			       "nodes",
			       look->view.status.version, count, count == 1 ? " is" : "s are",
			       look->view.programs_now == CV_PROGRAMS_BIRD ? "BIRD" : "the agent");
}

/* ---- secrets ----------------------------------------------------------------------------- */

/* Whose password a session's is. */
static const struct cv_bgp_secret *secret_of(const struct cv_bgp_session *session,
					     const struct cv_bgp_configuration *configuration)
{
	const struct cv_bgp_secret *secret =
		session->peer ? &session->peer->bgp_peer->password : &configuration->mesh_password;

	return secret->name && secret->key ? secret : NULL;
}

static void check_secret(const char *path, struct cv_findings *findings)
{
	char remedy[CV_REMEDY_MAX];
	struct stat st;

	if (stat(path, &st)) {
		cv_finding_add(findings, CV_FINDING_ERROR,
			       cv_remedy(remedy, "umask 077; printf %%s PASSWORD >%s", path),
			       "a BGP password is to be read from %s: %s", path, strerror(errno));
		return;
	}
	if (st.st_mode & S_IROTH)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       cv_remedy(remedy, "chmod o-rwx %s", path),
			       "everybody on this host can read the BGP password in %s", path);
}

void cv_doctor_check_secrets(const struct cv_bgp_intent *bgp, const char *directory,
			     struct cv_findings *findings)
{
	struct cv_bgp_configuration configuration;
	char path[4096], former[4096] = "";

	cv_snapshot_bgp(bgp->snapshot, bgp->node_name, &configuration);
	for (size_t i = 0; i < bgp->session_count; i++) {
		const struct cv_bgp_secret *secret = secret_of(&bgp->sessions[i], &configuration);

		if (!secret)
			continue;
		snprintf(path, sizeof(path), "%s/secrets/%s/%s", directory, secret->name,
			 secret->key);
		/* Sessions of the mesh, and those of one BGPPeer, lie side by side. */
		if (strcmp(path, former) != 0)
			check_secret(path, findings);
		memcpy(former, path, sizeof(path));
	}
}

/* ---- all --------------------------------------------------------------------------------- */

static void check_warnings(const struct cv_messages *warnings, struct cv_findings *findings)
{
	for (size_t i = 0; i < warnings->count && i < WARNINGS_MAX; i++)
		cv_finding_add(findings, CV_FINDING_WARNING, NULL, "%s", warnings->texts[i]);
	if (warnings->count > WARNINGS_MAX)
		cv_finding_add(findings, CV_FINDING_WARNING, "culvert -s status",
			       "... and %zu more warnings like these",
			       warnings->count - WARNINGS_MAX);
}

static void add_problem(bool is_error, const char *text, const char *remedy, void *data)
{
	cv_finding_add(data, is_error ? CV_FINDING_ERROR : CV_FINDING_WARNING,
		       *remedy ? remedy : NULL, "%s", text);
}

void cv_doctor_check_bgp(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	const struct cv_bgp_look *look = input->bgp;

	if (!look || !cv_bgp_is_asked_for(&look->view))
		return;
	cv_bgp_problems(look, add_problem, findings);
	if (!look->view.intent->wanted || look->view.mode == CV_BGP_OFF)
		return;
	check_warnings(&look->view.intent->warnings, findings);
	if (input->config_dir)
		cv_doctor_check_secrets(look->view.intent, input->config_dir, findings);
	/* Where BIRD itself is down, so are all. */
	if (look->state == CV_BIRD_UP)
		check_sessions(look, findings);
}
