/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With whom BIRD speaks: the mesh of nodes that are no route reflectors, and BGPPeers, as Calico
 * makes them. A BGPPeer whose other end is a Node makes a session at both ends: that Node has the
 * reverse of it, unless it has one of its own. One address has one session; of several that want
 * it, BGPPeers of all nodes come first, as with Calico, then those of some, then reverse ones, and
 * the mesh is last.
 */
#include "routing/bgp_sessions.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/selector.h"
#include "net/vector.h"
#include "wire/types.h"

enum {
	KEEPALIVE_S = CV_BGP_HOLD_TIME_S / 3
};

/* Who wants a session with an address, in the order of precedence. */
enum rank {
	RANK_GLOBAL,
	RANK_SELECTED,
	RANK_REVERSE,
	RANK_MESH,
};

struct want {
	__be32 address;
	enum rank rank;
	const struct cv_resource *peer; /* BGPPeer; NULL: of the mesh */
	const struct cv_resource *node; /* at the other end; NULL: a router that is none */
};

struct secret {
	const struct cv_bgp_secret *of;
	char *text; /* owned; NULL: it cannot be read */
};

struct build {
	const struct cv_bgp_input *input;
	const struct cv_bgp_configuration *own;
	struct cv_bgp_intent *bgp;
	struct cv_vector wants;	  /* struct want */
	struct cv_vector secrets; /* struct secret: each is read once */
};

/* ---- whom ---------------------------------------------------------------------------- */

static int add_want(struct build *build, enum rank rank, const struct cv_resource *peer,
		    const struct cv_resource *node, __be32 address)
{
	const struct want want = {address, rank, peer, node};

	/* Ourselves, or a Node without an address. */
	if (!address || address == build->bgp->local || (node && node == build->bgp->self))
		return 0;
	return cv_vector_append(&build->wants, &want);
}

static int add_mesh(struct build *build)
{
	size_t count;
	struct cv_resource *const *nodes =
		cv_snapshot_kind(build->bgp->snapshot, CV_KIND_NODE, &count);
	int rc = 0;

	if (!build->own->mesh || build->bgp->cluster_id)
		return 0;
	for (size_t i = 0; i < count && !rc; i++) {
		if (!nodes[i]->node.cluster_id)
			rc = add_want(build, RANK_MESH, NULL, nodes[i], nodes[i]->node.address);
	}
	return rc;
}

/* Sessions of one BGPPeer with all Nodes that a selector (NULL: any) takes. */
static int add_selected(struct build *build, enum rank rank, const struct cv_resource *peer,
			const char *selector_text)
{
	size_t count;
	struct cv_resource *const *nodes =
		cv_snapshot_kind(build->bgp->snapshot, CV_KIND_NODE, &count);
	struct cv_selector *selector = NULL;
	int rc = 0;

	if (selector_text && cv_selector_create(selector_text, &selector, NULL))
		return 0; /* the model has refused it */
	for (size_t i = 0; i < count && !rc; i++) {
		if (!selector || cv_selector_matches(selector, nodes[i]))
			rc = add_want(build, rank, peer, nodes[i], nodes[i]->node.address);
	}
	cv_selector_destroy(selector);
	return rc;
}

static bool is_selected(const struct build *build, const char *selector_text)
{
	struct cv_selector *selector;
	bool matches;

	if (!build->bgp->self || cv_selector_create(selector_text, &selector, NULL))
		return false;
	matches = cv_selector_matches(selector, build->bgp->self);
	cv_selector_destroy(selector);
	return matches;
}

static bool is_global(const struct cv_bgp_peer *peer)
{
	return !peer->node && !peer->node_selector;
}

/* Whether this node has the near end of a BGPPeer. */
static bool is_ours(const struct build *build, const struct cv_bgp_peer *peer)
{
	if (peer->node)
		return !strcmp(peer->node, build->bgp->node_name);
	return !peer->node_selector || is_selected(build, peer->node_selector);
}

/* Whether this node is the far end of a BGPPeer. */
static bool is_its_peer(const struct build *build, const struct cv_bgp_peer *peer)
{
	if (peer->peer_selector)
		return is_selected(build, peer->peer_selector);
	return peer->address == build->bgp->local &&
	       (!peer->port || peer->port == build->bgp->listen_port) &&
	       (!peer->as_number || peer->as_number == build->bgp->as_number);
}

static int add_forward(struct build *build, const struct cv_resource *resource)
{
	const struct cv_bgp_peer *peer = resource->bgp_peer;
	enum rank rank = is_global(peer) ? RANK_GLOBAL : RANK_SELECTED;
	const struct cv_bgp_node *node;

	if (peer->peer_selector)
		return add_selected(build, rank, resource, peer->peer_selector);
	node = cv_bgp_node_at(build->bgp, peer->address);
	return add_want(build, rank, resource, node ? node->node : NULL, peer->address);
}

static int add_reverse(struct build *build, const struct cv_resource *resource)
{
	const struct cv_bgp_peer *peer = resource->bgp_peer;
	const struct cv_resource *node;

	if (!peer->node)
		return add_selected(build, RANK_REVERSE, resource, peer->node_selector);
	node = cv_snapshot_find(build->bgp->snapshot, CV_KIND_NODE, peer->node);
	return node ? add_want(build, RANK_REVERSE, resource, node, node->node.address) : 0;
}

static int add_peers(struct build *build)
{
	size_t count;
	struct cv_resource *const *peers =
		cv_snapshot_kind(build->bgp->snapshot, CV_KIND_BGP_PEER, &count);
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		if (is_ours(build, peers[i]->bgp_peer))
			rc = add_forward(build, peers[i]);
		if (!rc && is_its_peer(build, peers[i]->bgp_peer))
			rc = add_reverse(build, peers[i]);
	}
	return rc;
}

static int compare_wants(const void *a, const void *b)
{
	const struct want *x = a, *y = b;

	if (x->address != y->address)
		return cv_ntohl(x->address) < cv_ntohl(y->address) ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->peer && y->peer ? strcmp(x->peer->name, y->peer->name) : 0;
}

static void warn_of_other(struct build *build, const struct want *taken, const struct want *left)
{
	char text[CV_ADDRESS_TEXT_MAX];

	if (left->rank >= RANK_REVERSE || left->peer == taken->peer)
		return;
	cv_messages_add(&build->bgp->warnings,
			"BGPPeer %s: there is a session with %s already, by BGPPeer %s; it makes "
			"no second one",
			left->peer->name, cv_address_format(left->address, text),
			taken->peer->name);
}

/* ---- secrets ------------------------------------------------------------------------- */

/* NULL, or what is wrong with it: BIRD's strings have no escapes, and the kernel's key an end. */
static const char *find_fault(const char *password)
{
	if (!*password)
		return "it is empty";
	if (strlen(password) > CV_BGP_PASSWORD_MAX)
		return "it is longer than 80 bytes, the most that TCP-MD5 takes";
	for (const char *at = password; *at; at++) {
		if (*at == '"')
			return "it has a \", which BIRD's configuration cannot";
		if ((unsigned char)*at < ' ' || *at == '\x7f')
			return "it has a newline, or another control character, in it";
	}
	return NULL;
}

/* Files that people write end with a newline; it is no part of the password. */
static void cut_newline(char *text)
{
	size_t length = strlen(text);

	if (length && text[length - 1] == '\n')
		text[--length] = '\0';
	if (length && text[length - 1] == '\r')
		text[--length] = '\0';
}

/* who: "BGPPeer tor". The text, or NULL and a warning. */
static char *read_secret(struct build *build, const struct cv_bgp_secret *secret, const char *who)
{
	struct cv_error error = {.text = ""};
	const char *fault;
	char *text = NULL;

	if (!build->input->read_secret ||
	    build->input->read_secret(secret, build->input->data, &text, &error)) {
		fault = *error.text ? error.text : "it cannot be read";
	} else {
		cut_newline(text);
		fault = find_fault(text);
	}
	if (!fault)
		return text;
	cv_messages_add(&build->bgp->warnings,
			"%s: password %s/%s: %s; its sessions are not made until it is right", who,
			secret->name, secret->key, fault);
	free(text);
	return NULL;
}

/* The session's password: a copy. 0 or -ENOMEM. */
static int take_password(struct build *build, const struct cv_bgp_secret *secret,
			 struct cv_bgp_session *session)
{
	struct secret made = {.of = secret};
	const struct secret *found = NULL;
	char who[300] = "BGPConfiguration";
	int rc;

	if (!secret->name)
		return 0;
	for (size_t i = 0; i < build->secrets.count && !found; i++) {
		const struct secret *known = cv_vector_at(&build->secrets, i);

		found = known->of == secret ? known : NULL;
	}
	if (!found) {
		if (session->peer)
			snprintf(who, sizeof(who), "BGPPeer %s", session->peer->name);
		made.text = read_secret(build, secret, who);
		rc = cv_vector_append(&build->secrets, &made);
		if (rc) {
			free(made.text);
			return rc;
		}
		found = &made;
	}
	session->password_missing = !found->text;
	session->password = found->text ? strdup(found->text) : NULL;
	return found->text && !session->password ? -ENOMEM : 0;
}

/* ---- one session ---------------------------------------------------------------------- */

/* BIRD's symbols: letters, digits and _. The address is unique, and with it the name. */
static void name_session(struct cv_bgp_session *session)
{
	char address[CV_ADDRESS_TEXT_MAX];
	size_t length = 0;

	cv_address_format(session->address, address);
	if (session->peer)
		length = (size_t)snprintf(session->name, sizeof(session->name),
					  CV_BGP_PREFIX "peer_%.*s_",
					  CV_BGP_SESSION_NAME_MAX - (int)sizeof(CV_BGP_PREFIX) -
						  (int)sizeof("peer__") - CV_ADDRESS_TEXT_MAX,
					  session->peer->name);
	else
		length = (size_t)snprintf(session->name, sizeof(session->name),
					  CV_BGP_PREFIX "mesh_");
	snprintf(session->name + length, sizeof(session->name) - length, "%s", address);
	for (char *at = session->name; *at; at++) {
		if (!isascii((unsigned char)*at) || !isalnum((unsigned char)*at))
			*at = '_';
	}
}

/* What the Node at the other end has by its own configuration. */
static void ask_node(const struct build *build, const struct cv_resource *node,
		     uint32_t *ret_as_number, uint16_t *ret_port)
{
	struct cv_bgp_configuration bgp;

	cv_snapshot_bgp(build->bgp->snapshot, node->name, &bgp);
	*ret_as_number = node->node.as_number ? node->node.as_number : bgp.as_number;
	*ret_port = bgp.listen_port;
}

static int take_filters(struct build *build, struct cv_bgp_session *session)
{
	const struct cv_bgp_peer *peer = session->peer->bgp_peer;

	session->filters = calloc(peer->filter_count + 1, sizeof(struct cv_resource *));
	if (!session->filters)
		return -ENOMEM;
	for (size_t i = 0; i < peer->filter_count; i++) {
		const struct cv_resource *filter = cv_snapshot_find(
			build->bgp->snapshot, CV_KIND_BGP_FILTER, peer->filters[i]);

		if (filter)
			session->filters[session->filter_count++] = filter;
		else
			cv_messages_add(&build->bgp->warnings,
					"BGPPeer %s: there is no BGPFilter %s", session->peer->name,
					peer->filters[i]);
	}
	return 0;
}

/* What a BGPPeer says, seen from its near end. */
static void take_forward(const struct cv_bgp_peer *peer, struct cv_bgp_session *session)
{
	if (peer->port)
		session->port = peer->port;
	if (peer->as_number)
		session->as_number = peer->as_number;
	if (peer->local_as_number)
		session->local_as_number = peer->local_as_number;
	session->reachable_by = peer->peer_selector ? 0 : peer->reachable_by;
}

/* … and from its far end: what it says of the far end is ours, what of the near end is theirs. */
static void take_reverse(const struct cv_bgp_peer *peer, struct cv_bgp_session *session)
{
	if (peer->local_as_number)
		session->as_number = peer->local_as_number;
	if (peer->as_number)
		session->local_as_number = peer->as_number;
}

static int take_peer(struct build *build, const struct want *want, struct cv_bgp_session *session)
{
	const struct cv_bgp_peer *peer = want->peer->bgp_peer;
	int rc;

	if (want->rank == RANK_REVERSE)
		take_reverse(peer, session);
	else
		take_forward(peer, session);
	if (!peer->use_node_ip)
		session->source = 0;
	session->next_hop_mode = peer->next_hop_mode;
	if (peer->has_restart_time)
		session->restart_time_s = peer->restart_time_s;
	if (peer->keepalive_s)
		session->keepalive_s = peer->keepalive_s;
	session->ttl_security = peer->ttl_security;
	session->allowed_local_as = peer->allowed_local_as;
	rc = take_filters(build, session);
	return rc ? rc : take_password(build, &peer->password, session);
}

/*
 * Route reflection (RFC 4456) is towards all of our AS that are not of our cluster; towards
 * reflectors of another cluster, too, as Calico has it: they are each other's clients.
 */
static bool is_client(const struct cv_bgp_intent *bgp, const struct cv_bgp_session *session)
{
	return bgp->cluster_id && session->as_number == session->local_as_number &&
	       !(session->node && session->node->node.cluster_id == bgp->cluster_id);
}

static int make_session(struct build *build, const struct want *want,
			struct cv_bgp_session *ret_session)
{
	struct cv_bgp_session session = {
		.peer = want->peer,
		.node = want->node,
		.address = want->address,
		.port = CV_BGP_PORT,
		.local_as_number = build->bgp->as_number,
		.source = build->bgp->local,
		.restart_time_s = build->own->mesh_restart_time_s,
		.keepalive_s = KEEPALIVE_S,
	};
	int rc;

	if (want->node)
		ask_node(build, want->node, &session.as_number, &session.port);
	if (want->peer) {
		session.restart_time_s = CV_BGP_RESTART_TIME_S;
		rc = take_peer(build, want, &session);
	} else {
		rc = take_password(build, &build->own->mesh_password, &session);
	}
	session.is_client = is_client(build->bgp, &session);
	name_session(&session);
	*ret_session = session;
	return rc;
}

/* ---- all ------------------------------------------------------------------------------- */

static int compare_sessions(const void *a, const void *b)
{
	return strcmp(((const struct cv_bgp_session *)a)->name,
		      ((const struct cv_bgp_session *)b)->name);
}

static int compare_name(const void *name, const void *session)
{
	return strcmp(name, ((const struct cv_bgp_session *)session)->name);
}

const struct cv_bgp_session *cv_bgp_session_named(const struct cv_bgp_intent *bgp, const char *name)
{
	if (!bgp->session_count)
		return NULL;
	return bsearch(name, bgp->sessions, bgp->session_count, sizeof(*bgp->sessions),
		       compare_name);
}

static int make_sessions(struct build *build)
{
	struct cv_bgp_intent *bgp = build->bgp;
	struct want *wants = build->wants.items;
	const struct want *taken = NULL;
	int rc = 0;

	bgp->sessions = calloc(build->wants.count + 1, sizeof(*bgp->sessions));
	if (!bgp->sessions)
		return -ENOMEM;
	if (build->wants.count)
		qsort(wants, build->wants.count, sizeof(*wants), compare_wants);
	for (size_t i = 0; i < build->wants.count && !rc; i++) {
		struct cv_bgp_session *session = &bgp->sessions[bgp->session_count];

		if (taken && taken->address == wants[i].address) {
			warn_of_other(build, taken, &wants[i]);
			continue;
		}
		taken = &wants[i];
		bgp->session_count++;
		rc = make_session(build, taken, session);
		if (!rc && !session->as_number) {
			cv_messages_add(&bgp->warnings,
					"BGPPeer %s: it has no asNumber, and its peerIP is no "
					"Node's; no session is made",
					taken->peer->name);
			free(session->password);
			free(session->filters);
			bgp->session_count--;
		}
	}
	if (bgp->session_count)
		qsort(bgp->sessions, bgp->session_count, sizeof(*bgp->sessions), compare_sessions);
	return rc;
}

int cv_bgp_sessions(const struct cv_bgp_input *input, const struct cv_bgp_configuration *own,
		    struct cv_bgp_intent *bgp)
{
	struct build build = {.input = input, .own = own, .bgp = bgp};
	int rc;

	cv_vector_init(&build.wants, sizeof(struct want));
	cv_vector_init(&build.secrets, sizeof(struct secret));
	rc = add_peers(&build);
	if (!rc)
		rc = add_mesh(&build);
	if (!rc)
		rc = make_sessions(&build);
	for (size_t i = 0; i < build.secrets.count; i++)
		free(((struct secret *)cv_vector_at(&build.secrets, i))->text);
	cv_vector_fini(&build.wants);
	cv_vector_fini(&build.secrets);
	return rc;
}
