/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a session is down, from what BIRD 2 says of it. Two traps: BIRD keeps the last error until
 * the session is up again, so in state Connect (our SYN is under way) it tells of an attempt
 * before; and a SYN that is refused for its TCP-MD5 signature is answered by nothing, as one that a
 * firewall drops, so that only the kernel's counters tell the two apart.
 */
#include "agent/bgp_look.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const cause_names[] = {
	[CV_BGP_CAUSE_NONE] = "none",
	[CV_BGP_CAUSE_BIRD] = "bird-down",
	[CV_BGP_CAUSE_NEW] = "new",
	[CV_BGP_CAUSE_NOT_MADE] = "not-made",
	[CV_BGP_CAUSE_NO_SECRET] = "no-secret",
	[CV_BGP_CAUSE_DISABLED] = "disabled",
	[CV_BGP_CAUSE_PORT_CLOSED] = "port-closed",
	[CV_BGP_CAUSE_NO_ANSWER] = "no-answer",
	[CV_BGP_CAUSE_NO_ROUTE] = "no-route",
	[CV_BGP_CAUSE_PASSWORD] = "password",
	[CV_BGP_CAUSE_PEER_AS] = "peer-as",
	[CV_BGP_CAUSE_OUR_AS] = "our-as",
	[CV_BGP_CAUSE_HOLD_TIMER] = "hold-timer",
	[CV_BGP_CAUSE_SILENT] = "silent",
	[CV_BGP_CAUSE_LIMIT] = "limit",
	[CV_BGP_CAUSE_LISTEN] = "listen",
	[CV_BGP_CAUSE_PEER_CLOSED] = "peer-closed",
	[CV_BGP_CAUSE_RESET] = "reset",
	[CV_BGP_CAUSE_OTHER] = "other",
};

const char *cv_bgp_cause_name(enum cv_bgp_cause cause)
{
	return (unsigned int)cause < CV_BGP_CAUSES ? cause_names[cause] : "?";
}

/* ---- words ------------------------------------------------------------------------------- */

static __be32 address_of(const struct cv_bgp_pair *pair)
{
	return pair->wanted ? pair->wanted->address : pair->is->address;
}

const char *cv_bgp_peer_words(const struct cv_bgp_pair *pair, char text[CV_BGP_WORDS_MAX])
{
	const struct cv_bgp_session *wanted = pair->wanted;
	char address[CV_ADDRESS_TEXT_MAX];

	cv_address_format(address_of(pair), address);
	if (wanted && wanted->node)
		snprintf(text, CV_BGP_WORDS_MAX, "node %s (%s)", wanted->node->name, address);
	else if (wanted && wanted->peer)
		snprintf(text, CV_BGP_WORDS_MAX, "%s (BGPPeer %s)", address, wanted->peer->name);
	else
		snprintf(text, CV_BGP_WORDS_MAX, "%s (%s)", address,
			 pair->is ? pair->is->name : "no Node's");
	return text;
}

/* What a diagnosis is made from, and the texts it is written to. */
struct case_ {
	const struct cv_bgp_look *look;
	const struct cv_bgp_session *wanted; /* either may be NULL */
	const struct cv_bird_session *is;
	char peer[CV_BGP_WORDS_MAX], address[CV_ADDRESS_TEXT_MAX], local[CV_ADDRESS_TEXT_MAX];
	unsigned int port;
	char *text, *remedy;
};

__attribute__((format(printf, 2, 3))) static void say(const struct case_ *c, const char *format,
						      ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->text, CV_BGP_TEXT_MAX, format, args);
	va_end(args);
}

__attribute__((format(printf, 2, 3))) static void advise(const struct case_ *c, const char *format,
							 ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->remedy, CV_BGP_TEXT_MAX, format, args);
	va_end(args);
}

/* ---- one for each cause --------------------------------------------------------------------- */

static void port_closed(const struct case_ *c)
{
	say(c,
	    "%s refuses connections to TCP port %u: no BGP daemon listens there, or a firewall "
	    "rejects them",
	    c->peer, c->port);
	if (c->wanted && c->wanted->node)
		advise(c, "on node %s: culvert bgp status; ss -ltn sport = :%u",
		       c->wanted->node->name, c->port);
	else
		advise(c, "on %s: start its BGP daemon, and configure %s as its neighbor",
		       c->address, c->local);
}

static void no_answer(const struct case_ *c)
{
	say(c,
	    "%s does not answer connections to TCP port %u: the host is down, a firewall drops "
	    "them, or only one end has a password",
	    c->peer, c->port);
	advise(c,
	       "ping %s; let TCP port %u pass between %s and %s, both ways; compare the passwords",
	       c->address, c->port, c->local, c->address);
}

static void no_route(const struct case_ *c)
{
	say(c, "%s cannot be reached: %s", c->peer,
	    c->is && !strncmp(c->is->last_error, "Socket: ", 8) ? c->is->last_error + 8
								: "the kernel has no route");
	advise(c, "ip route get %s; ping %s", c->address, c->address);
}

static void peer_as(const struct case_ *c)
{
	unsigned int expected = c->wanted ? c->wanted->as_number : c->is->as_number;

	say(c, "%s has another AS number than the %u that is expected of it", c->peer, expected);
	if (c->wanted && c->wanted->peer)
		advise(c, "mend spec.asNumber of BGPPeer %s, or the AS of %s",
		       c->wanted->peer->name, c->address);
	else
		advise(c,
		       "give Node %s its spec.bgp.asNumber, the same on all hosts (compare the "
		       "digests of culvert status)",
		       c->wanted && c->wanted->node ? c->wanted->node->name : c->address);
}

static void our_as(const struct case_ *c)
{
	unsigned int ours = c->wanted ? c->wanted->local_as_number : 0;

	if (!ours && c->look->view.intent)
		ours = c->look->view.intent->as_number;
	say(c, "%s expects another AS number of us than our %u", c->peer, ours);
	advise(c, "on %s: set the AS of its neighbor %s to %u", c->address, c->local, ours);
}

static void hold_timer(const struct case_ *c)
{
	bool is_theirs = !strncmp(c->is->last_error, "Received:", 9);

	say(c,
	    "%s: the hold timer expired%s: nothing was heard for that time; its daemon hangs, or "
	    "packets are lost on the way",
	    c->peer, is_theirs ? " at the other end" : "");
	advise(c, "ping -c 5 %s; on %s: does its BGP daemon run and answer?", c->address,
	       c->address);
}

static void silent(const struct case_ *c)
{
	say(c, "%s takes connections to TCP port %u, and says nothing: its BGP daemon hangs",
	    c->peer, c->port);
	advise(c, "on %s: does its BGP daemon run and answer?", c->address);
}

static void limit(const struct case_ *c)
{
	say(c, "%s announces more than %d routes: the session was shut, and is tried again later",
	    c->peer, CV_BGP_ROUTES_MAX);
	advise(c, "on %s: announce less to %s (aggregate, or filter)", c->address, c->local);
}

static void listen_fails(const struct case_ *c)
{
	unsigned int port = c->look->view.intent ? c->look->view.intent->listen_port : CV_BGP_PORT;

	say(c, "%s: BIRD cannot listen on TCP port %u: another program does", c->peer, port);
	advise(c,
	       "ss -ltnp sport = :%u; then stop that program, or set listenPort in "
	       "BGPConfiguration default",
	       port);
}

static void peer_closed(const struct case_ *c)
{
	say(c, "%s has closed the session: %s", c->peer, c->is->last_error);
	advise(c, "on %s: is the session to %s administratively down, or not configured?",
	       c->address, c->local);
}

static void reset(const struct case_ *c)
{
	/* We were its neighbor: what was cut is the session that was up. */
	if (c->is->is_restarting) {
		say(c,
		    "the session with %s was cut: its BGP daemon has ended, or restarts; its "
		    "routes "
		    "stay until its restart time is over",
		    c->peer);
		advise(c, "culvert bgp peers (in some seconds again)");
		return;
	}
	say(c,
	    "%s cuts the connection at once: it does not know us as a neighbor, or expects "
	    "another AS number of us",
	    c->peer);
	advise(c, "on %s: configure %s as a neighbor, with AS %u", c->address, c->local,
	       c->wanted ? c->wanted->local_as_number : 0);
}

static void other(const struct case_ *c)
{
	say(c, "%s: state %s, %s", c->peer, c->is->state,
	    c->is->last_error[0] ? c->is->last_error : "without an error so far");
	advise(c, "culvert bgp peers; on %s: what does its BGP daemon say of %s?", c->address,
	       c->local);
}

/* The kernel throws away segments for their signature, and this session gets no answer. */
static bool is_password(const struct case_ *c)
{
	const struct cv_bgp_md5 *md5 = &c->look->view.md5;
	bool has_ours = c->wanted && c->wanted->password;

	if (has_ours && md5->failure)
		say(c,
		    "%s: the passwords of the two ends differ (%llu segments with a wrong "
		    "signature were thrown away lately)",
		    c->peer, (unsigned long long)md5->failure);
	else if (has_ours && md5->not_found)
		say(c,
		    "%s: this end has a password, the other has none (%llu segments without a "
		    "signature were thrown away lately)",
		    c->peer, (unsigned long long)md5->not_found);
	else if (!has_ours && md5->unexpected)
		say(c,
		    "%s: the other end has a password, this one has none (%llu segments with a "
		    "signature were thrown away lately)",
		    c->peer, (unsigned long long)md5->unexpected);
	else
		return false;
	if (c->wanted && c->wanted->peer)
		advise(c, "the secret of BGPPeer %s (spec.password) must be what %s has",
		       c->wanted->peer->name, c->address);
	else
		advise(c, "the secret of nodeMeshPassword (BGPConfiguration default) must be the "
			  "same on all nodes");
	return true;
}

/* ---- which it is ------------------------------------------------------------------------- */

/*
 * What BIRD 2.0 says ("Received:" before it: the other end's words); the first that fits has the
 * say.
 */
static const struct {
	const char *error; /* what last_error contains */
	enum cv_bgp_cause cause;
	void (*tell)(const struct case_ *c);
} errors[] = {
	{"Received: Bad peer AS", CV_BGP_CAUSE_OUR_AS, our_as},
	{"Bad peer AS", CV_BGP_CAUSE_PEER_AS, peer_as},
	{"Hold timer expired", CV_BGP_CAUSE_HOLD_TIMER, hold_timer},
	{"Route limit exceeded", CV_BGP_CAUSE_LIMIT, limit},
	{"Connection refused", CV_BGP_CAUSE_PORT_CLOSED, port_closed},
	{"Connection timed out", CV_BGP_CAUSE_NO_ANSWER, no_answer},
	{"No route to host", CV_BGP_CAUSE_NO_ROUTE, no_route},
	{"Network is unreachable", CV_BGP_CAUSE_NO_ROUTE, no_route},
	{"Network unreachable", CV_BGP_CAUSE_NO_ROUTE, no_route},
	{"Invalid argument", CV_BGP_CAUSE_NO_ROUTE, no_route},
	{"Operation not permitted", CV_BGP_CAUSE_NO_ROUTE, no_route},
	{"Permission denied", CV_BGP_CAUSE_NO_ROUTE, no_route},
	{"No listening socket", CV_BGP_CAUSE_LISTEN, listen_fails},
	{"Connection reset by peer", CV_BGP_CAUSE_RESET, reset},
	{"Connection closed", CV_BGP_CAUSE_RESET, reset},
	{"Received:", CV_BGP_CAUSE_PEER_CLOSED, peer_closed},
};

static enum cv_bgp_cause by_error(const struct case_ *c)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (!strstr(c->is->last_error, errors[i].error))
			continue;
		/* Who refuses our signature at his end answers nothing, either. */
		if (errors[i].cause == CV_BGP_CAUSE_NO_ANSWER && is_password(c))
			return CV_BGP_CAUSE_PASSWORD;
		errors[i].tell(c);
		return errors[i].cause;
	}
	other(c);
	return c->is->last_error[0] ? CV_BGP_CAUSE_OTHER : CV_BGP_CAUSE_NEW;
}

/*
 * Our SYN is under way. BIRD goes from there to Active at once when it is refused, so that who is
 * found here waits, as a rule, for somebody who does not answer. Only "refused", "reset" and the
 * like are of the attempt before, a moment ago; and an error of the session itself is older.
 */
static bool is_waiting(const struct cv_bird_session *is)
{
	return !strcmp(is->state, "Connect") && !strstr(is->last_error, "Connection re") &&
	       !strstr(is->last_error, "No route") && !strstr(is->last_error, "unreachable");
}

static enum cv_bgp_cause by_state(const struct case_ *c)
{
	if (c->is->is_limited) {
		limit(c);
		return CV_BGP_CAUSE_LIMIT;
	}
	if (!strcmp(c->is->state, "Down") && !strstr(c->is->last_error, "No listening socket")) {
		say(c, "%s: the session is disabled in BIRD", c->peer);
		advise(c, "birdc enable %s", c->is->name);
		return CV_BGP_CAUSE_DISABLED;
	}
	if (is_waiting(c->is)) {
		if (is_password(c))
			return CV_BGP_CAUSE_PASSWORD;
		no_answer(c);
		return CV_BGP_CAUSE_NO_ANSWER;
	}
	/*
	 * We have said OPEN, which takes a moment where somebody answers. Who was up before has an
	 * expired hold timer to tell of, which says more.
	 */
	if (!strcmp(c->is->state, "OpenSent") && !strstr(c->is->last_error, "Hold timer")) {
		silent(c);
		return CV_BGP_CAUSE_SILENT;
	}
	/* It could answer, but for the signature: the attempts of both ends end like this. */
	if (!c->is->last_error[0] && is_password(c))
		return CV_BGP_CAUSE_PASSWORD;
	return by_error(c);
}

static void tell_no_secret(const struct case_ *c)
{
	const struct cv_resource *peer = c->wanted->peer;

	say(c, "%s: its password cannot be read, so the session is not made", c->peer);
	advise(c, "put it where %s%s says: CONFIG/secrets/NAME/KEY, mode 0600",
	       peer ? "spec.password of BGPPeer " : "nodeMeshPassword", peer ? peer->name : "");
}

enum cv_bgp_cause cv_bgp_diagnose(const struct cv_bgp_look *look, const struct cv_bgp_pair *pair,
				  char text[CV_BGP_TEXT_MAX], char remedy[CV_BGP_TEXT_MAX])
{
	struct case_ c = {
		.look = look,
		.wanted = pair->wanted,
		.is = pair->is,
		.port = pair->wanted && pair->wanted->port ? pair->wanted->port : CV_BGP_PORT,
		.text = text,
		.remedy = remedy,
	};

	*text = *remedy = '\0';
	cv_bgp_peer_words(pair, c.peer);
	cv_address_format(address_of(pair), c.address);
	cv_address_format(look->view.intent ? look->view.intent->local : 0, c.local);
	if (c.wanted && c.wanted->password_missing) {
		tell_no_secret(&c);
		return CV_BGP_CAUSE_NO_SECRET;
	}
	if (look->state != CV_BIRD_UP) {
		say(&c, "%s: BIRD does not answer", c.peer);
		advise(&c, "culvert bgp status");
		return CV_BGP_CAUSE_BIRD;
	}
	if (!c.is) {
		say(&c, "%s: BIRD does not have the session yet", c.peer);
		advise(&c, "culvert bgp status");
		return CV_BGP_CAUSE_NOT_MADE;
	}
	return c.is->is_established ? CV_BGP_CAUSE_NONE : by_state(&c);
}
