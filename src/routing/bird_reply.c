/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what BIRD 2 prints (its nest/proto.c, nest/rt-show.c, proto/bgp/bgp.c).
 *
 * Invariants: one pass, front to back, a line at a time, never beyond size; what a line says goes
 * into the entry that the last heading began, or nowhere; words are cut to their field, and what
 * could break a line or a terminal in them becomes '?'.
 */
#include "routing/bird_reply.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/vector.h"

enum {
	CODE_DIGITS = 4,
	CODE_REFUSED = 8000, /* and above: of the request, 9000: of its grammar */
	CODE_BIRD = 1000,
	CODE_PROTOCOL = 1002,
	CODE_PROTOCOL_DETAILS = 1006,
	CODE_ROUTE = 1007,
	CODE_ROUTE_ATTRIBUTE = 1012,
	CODE_STATUS = 1011,
	CODE_RECOVERY = 24,
	CODE_NO_SUCH_ROUTE = 8001,
};

/* A part of the reply; no NUL at its end. */
struct span {
	const char *at;
	size_t size;
};

struct line {
	int code; /* a continuation has that of the line before */
	bool is_last;
	bool is_continuation;
	struct span text; /* behind code and mark */
};

struct cursor {
	const char *at;
	size_t left;
	int code; /* of the line before */
};

/* ---- spans ------------------------------------------------------------------------ */

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct span trim(struct span span)
{
	while (span.size && is_space(span.at[0])) {
		span.at++;
		span.size--;
	}
	while (span.size && (is_space(span.at[span.size - 1]) || span.at[span.size - 1] == '\r'))
		span.size--;
	return span;
}

static bool span_is(struct span span, const char *text)
{
	return span.size == strlen(text) && !memcmp(span.at, text, span.size);
}

/* Take a text off the front, if it is there. */
static bool skip(struct span *span, const char *text)
{
	size_t length = strlen(text);

	if (span->size < length || memcmp(span->at, text, length))
		return false;
	span->at += length;
	span->size -= length;
	return true;
}

/* The next word, and what is behind it stays. Empty at the end. */
static struct span take_word(struct span *span)
{
	struct span word;

	*span = trim(*span);
	word.at = span->at;
	for (word.size = 0; word.size < span->size && !is_space(span->at[word.size]);)
		word.size++;
	span->at += word.size;
	span->size -= word.size;
	return word;
}

static void copy(struct span span, char *buffer, size_t buffer_size)
{
	size_t size = span.size < buffer_size ? span.size : buffer_size - 1;

	for (size_t i = 0; i < size; i++) {
		char c = span.at[i];

		buffer[i] = '?';
		if (c >= ' ' && c <= '~')
			buffer[i] = c;
	}
	buffer[size] = '\0';
}

/* A number in front of what may follow it. What is none, or too large, leaves it as it is. */
static bool read_number(struct span span, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t i = 0;

	for (; i < span.size && is_digit(span.at[i]); i++) {
		if (number > (UINT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (uint64_t)(span.at[i] - '0');
	}
	if (i)
		*ret_number = number;
	return i;
}

static void read_number32(struct span span, uint32_t *ret_number)
{
	uint64_t number;

	if (read_number(span, &number) && number <= UINT32_MAX)
		*ret_number = (uint32_t)number;
}

static bool read_address(struct span span, __be32 *ret_address)
{
	char text[CV_ADDRESS_TEXT_MAX];
	struct cv_prefix prefix;

	if (!span.size || span.size >= sizeof(text))
		return false;
	copy(span, text, sizeof(text));
	if (cv_prefix_parse(text, &prefix) != -ENODATA)
		return false;
	*ret_address = prefix.address;
	return true;
}

static bool read_prefix(struct span span, struct cv_prefix *ret_prefix)
{
	char text[CV_PREFIX_TEXT_MAX];
	struct cv_prefix prefix;

	if (!span.size || span.size >= sizeof(text))
		return false;
	copy(span, text, sizeof(text));
	if (cv_prefix_parse(text, &prefix))
		return false;
	*ret_prefix = prefix;
	return true;
}

/* ---- lines ------------------------------------------------------------------------ */

static int read_code(const char *at)
{
	int code = 0;

	for (int i = 0; i < CODE_DIGITS; i++) {
		if (!is_digit(at[i]))
			return -1;
		code = code * 10 + at[i] - '0';
	}
	return code;
}

/* 1: *ret_line is the next line; 0: there is no whole one left; -EINVAL: it is none of BIRD's. */
static int next_line(struct cursor *cursor, struct line *ret_line)
{
	const char *end = memchr(cursor->at, '\n', cursor->left);
	struct line line = {.code = cursor->code};
	size_t size;

	if (!end)
		return 0;
	size = (size_t)(end - cursor->at);
	if (size && (*cursor->at == ' ' || *cursor->at == '+')) {
		line.is_continuation = true;
		line.text = (struct span){cursor->at + 1, size - 1};
	} else if (size > CODE_DIGITS) {
		line.code = read_code(cursor->at);
		line.is_last = cursor->at[CODE_DIGITS] == ' ';
		line.text = (struct span){cursor->at + CODE_DIGITS + 1, size - CODE_DIGITS - 1};
		if (line.code < 0 || (!line.is_last && cursor->at[CODE_DIGITS] != '-'))
			return -EINVAL;
	} else {
		return -EINVAL;
	}
	cursor->code = line.code;
	cursor->left -= size + 1;
	cursor->at = end + 1;
	*ret_line = line;
	return 1;
}

static struct cursor start(const char *text, size_t size)
{
	return (struct cursor){.at = text, .left = size};
}

int cv_bird_reply_end(const char *text, size_t size, size_t *ret_size)
{
	struct cursor cursor = start(text, size);
	struct line line = {0};
	int rc;

	do {
		rc = next_line(&cursor, &line);
	} while (rc > 0 && !line.is_last);
	if (rc < 0)
		return rc;
	*ret_size = size - cursor.left;
	return rc ? line.code : -EAGAIN;
}

/*
 * Call read for each line. 0, -ENOMEM (what read returns), -EINVAL: these are not lines of BIRD, or
 * -EREMOTEIO: BIRD refuses; *ret_code then says with which code.
 */
static int each_line(const char *text, size_t size, int (*read)(const struct line *line, void *to),
		     void *to, int *ret_code)
{
	struct cursor cursor = start(text, size);
	struct line line;
	int rc;

	while ((rc = next_line(&cursor, &line)) > 0) {
		*ret_code = line.code;
		if (line.is_last)
			return line.code >= CODE_REFUSED ? -EREMOTEIO : 0;
		rc = read(&line, to);
		if (rc)
			return rc;
	}
	return rc ? rc : -EINVAL;
}

/* ---- show status ------------------------------------------------------------------ */

static int read_status_line(const struct line *line, void *to)
{
	struct cv_bird_status *status = to;
	struct span text = trim(line->text);

	if (line->code == CODE_BIRD && skip(&text, "BIRD "))
		copy(text, status->version, sizeof(status->version));
	else if (line->code == CODE_RECOVERY)
		status->is_recovering = true;
	else if (line->code != CODE_STATUS)
		return 0;
	else if (skip(&text, "Router ID is "))
		read_address(text, &status->router_id);
	else if (skip(&text, "Last reboot on "))
		copy(text, status->last_reboot, sizeof(status->last_reboot));
	else if (skip(&text, "Last reconfiguration on "))
		copy(text, status->last_reconfiguration, sizeof(status->last_reconfiguration));
	return 0;
}

int cv_bird_read_status(const char *text, size_t size, struct cv_bird_status *ret_status)
{
	struct cv_bird_status status = {0};
	int code, rc = each_line(text, size, read_status_line, &status, &code);

	if (rc)
		return rc;
	if (!status.version[0])
		return -EINVAL;
	*ret_status = status;
	return 0;
}

/* ---- show protocols all ------------------------------------------------------------ */

struct sessions {
	struct cv_vector list;
	struct cv_bird_session *now; /* NULL: no session of BGP */
	bool in_channel, is_ipv4;    /* the part about a channel; of IPv4 */
};

/* "2026-11-26", before a time of its own. */
static bool is_date(struct span word)
{
	return word.size == 10 && is_digit(word.at[0]) && word.at[4] == '-' && word.at[7] == '-';
}

/* "14:08:54.838", or with a date before it (`timeformat protocol iso long`). */
static struct span take_since(struct span *text)
{
	struct span since = take_word(text), rest = *text, time;

	if (!is_date(since))
		return since;
	time = take_word(&rest);
	if (time.size < 8 || !is_digit(time.at[0]) || time.at[2] != ':')
		return since;
	since.size = (size_t)(time.at + time.size - since.at);
	*text = rest;
	return since;
}

/* "culvert_b  BGP        ---        start  14:01:40.385  Active        Socket: Connection refused"
 */
static int begin_session(struct sessions *sessions, struct span text)
{
	struct cv_bird_session session = {0};
	struct span name = take_word(&text), state;
	int rc;

	sessions->now = NULL;
	sessions->in_channel = false;
	if (!span_is(take_word(&text), "BGP") || name.size >= sizeof(session.name))
		return 0;
	take_word(&text); /* its table */
	state = take_word(&text);
	if (span_is(state, "down"))
		copy((struct span){"Down", 4}, session.state, sizeof(session.state));
	copy(name, session.name, sizeof(session.name));
	copy(take_since(&text), session.since, sizeof(session.since));
	rc = cv_vector_append(&sessions->list, &session);
	if (rc)
		return rc;
	sessions->now = cv_vector_at(&sessions->list, sessions->list.count - 1);
	return 0;
}

/* Seconds of "178.899/240": the second number. */
static void read_interval(struct span value, uint32_t *ret_s)
{
	const char *slash = memchr(value.at, '/', value.size);

	if (slash)
		read_number32((struct span){slash + 1, value.size - (size_t)(slash + 1 - value.at)},
			      ret_s);
}

/* "19 imported, 1 filtered, 1 exported, 19 preferred" */
static void read_counts(struct span value, struct cv_bird_session *session)
{
	const struct {
		const char *word;
		uint64_t *to;
	} counts[] = {
		{"imported", &session->imported},
		{"filtered", &session->filtered},
		{"exported", &session->exported},
		{"preferred", &session->preferred},
	};
	struct span number, word;

	for (;;) {
		number = take_word(&value);
		word = take_word(&value);
		if (!word.size)
			return;
		if (word.at[word.size - 1] == ',')
			word.size--;
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			if (span_is(word, counts[i].word))
				read_number(number, counts[i].to);
		}
	}
}

static bool ends_with(struct span text, const char *end)
{
	size_t length = strlen(end);

	return text.size >= length && !memcmp(text.at + text.size - length, end, length);
}

static void read_channel_line(struct span text, struct cv_bird_session *session)
{
	if (skip(&text, "Routes:"))
		read_counts(text, session);
	else if (skip(&text, "Receive limit:") || skip(&text, "Import limit:"))
		session->is_limited |= ends_with(text, "[HIT]");
}

static void read_session_line(struct span text, struct cv_bird_session *session)
{
	if (skip(&text, "BGP state:")) {
		copy(trim(text), session->state, sizeof(session->state));
		session->is_established = !strcmp(session->state, "Established");
	} else if (skip(&text, "Neighbor address:")) {
		read_address(trim(text), &session->address);
	} else if (skip(&text, "Neighbor AS:")) {
		read_number32(trim(text), &session->as_number);
	} else if (skip(&text, "Last error:")) {
		copy(trim(text), session->last_error, sizeof(session->last_error));
	} else if (skip(&text, "Neighbor graceful restart active")) {
		session->is_restarting = true;
	} else if (skip(&text, "Hold timer:")) {
		read_interval(text, &session->hold_s);
	} else if (skip(&text, "Keepalive timer:")) {
		read_interval(text, &session->keepalive_s);
	}
}

static int read_protocol_line(const struct line *line, void *to)
{
	struct sessions *sessions = to;
	struct span text = trim(line->text);

	if (line->code == CODE_PROTOCOL)
		return begin_session(sessions, line->text);
	if (line->code != CODE_PROTOCOL_DETAILS || !sessions->now)
		return 0;
	if (skip(&text, "Channel ")) {
		sessions->in_channel = true;
		sessions->is_ipv4 = span_is(text, "ipv4");
	} else if (!sessions->in_channel) {
		read_session_line(text, sessions->now);
	} else if (sessions->is_ipv4) {
		read_channel_line(text, sessions->now);
	}
	return 0;
}

int cv_bird_read_sessions(const char *text, size_t size, struct cv_bird_session **ret_sessions,
			  size_t *ret_count)
{
	struct sessions sessions = {0};
	int code, rc;

	cv_vector_init(&sessions.list, sizeof(struct cv_bird_session));
	rc = each_line(text, size, read_protocol_line, &sessions, &code);
	if (rc) {
		cv_vector_fini(&sessions.list);
		return rc;
	}
	*ret_sessions = sessions.list.items;
	*ret_count = sessions.list.count;
	return 0;
}

/* ---- show route all ---------------------------------------------------------------- */

struct routes {
	struct cv_vector list;
	struct cv_prefix prefix; /* of the last route that named one */
	bool has_prefix;	 /* it is one of IPv4 */
	struct cv_bird_route *now;
};

/* What is in front of the next one of these two characters; they and it are taken off. */
static struct span take_until(struct span *text, char stop)
{
	const char *end = memchr(text->at, stop, text->size);
	struct span part = {text->at, end ? (size_t)(end - text->at) : text->size};
	size_t taken = part.size + (end ? 1 : 0);

	text->at += taken;
	text->size -= taken;
	return part;
}

/* " * (100/20) [AS65001i]", or " ! (100s)": the chosen one; the kernel has refused it; stale. */
static void read_marks(struct span text, struct cv_bird_route *route)
{
	struct span mark = take_word(&text), rest = text;

	route->is_refused = span_is(mark, "!");
	route->is_best = route->is_refused || span_is(mark, "*");
	if (!route->is_best)
		rest = (struct span){mark.at, mark.size + text.size};
	take_until(&rest, '(');
	mark = take_until(&rest, ')');
	route->is_stale = mark.size && memchr(mark.at, 's', mark.size);
}

/*
 * "10.250.0.0/26        unicast [culvert_b 14:08:54.486 from 10.9.0.2] * (100) [i]", without the
 * prefix where it is that of the route before.
 */
static int begin_route(struct routes *routes, struct span text)
{
	struct cv_bird_route route = {0};
	struct span what, name;
	int rc;

	routes->now = NULL;
	if (text.size && !is_space(text.at[0])) {
		what = take_word(&text);
		/* Not of "Table master4:". */
		routes->has_prefix = read_prefix(what, &routes->prefix);
	}
	if (!routes->has_prefix)
		return 0;
	what = trim(take_until(&text, '['));
	name = take_until(&text, ']');
	name = take_word(&name);
	if (!what.size || !name.size || name.size >= sizeof(route.protocol))
		return 0;
	route.prefix = routes->prefix;
	route.is_unreachable = span_is(what, "unreachable");
	copy(name, route.protocol, sizeof(route.protocol));
	read_marks(text, &route);
	rc = cv_vector_append(&routes->list, &route);
	if (rc)
		return rc;
	routes->now = cv_vector_at(&routes->list, routes->list.count - 1);
	return 0;
}

static void read_attribute(struct span text, struct cv_bird_route *route)
{
	if (skip(&text, "BGP.next_hop:"))
		read_address(take_word(&text), &route->next_hop);
	else if (skip(&text, "BGP.as_path:"))
		copy(trim(text), route->as_path, sizeof(route->as_path));
}

static int read_route_line(const struct line *line, void *to)
{
	struct routes *routes = to;

	/* Of a route's own lines those of next hops begin with a tabulator. */
	if (line->code == CODE_ROUTE && (!line->text.size || line->text.at[0] != '\t'))
		return begin_route(routes, line->text);
	if (line->code == CODE_ROUTE_ATTRIBUTE && routes->now)
		read_attribute(trim(line->text), routes->now);
	return 0;
}

int cv_bird_read_routes(const char *text, size_t size, struct cv_bird_route **ret_routes,
			size_t *ret_count)
{
	struct routes routes = {0};
	int code = 0, rc;

	cv_vector_init(&routes.list, sizeof(struct cv_bird_route));
	rc = each_line(text, size, read_route_line, &routes, &code);
	/* "8001 Network not found": of one prefix there is none. */
	if (rc && !(rc == -EREMOTEIO && code == CODE_NO_SUCH_ROUTE)) {
		cv_vector_fini(&routes.list);
		return rc;
	}
	*ret_routes = routes.list.items;
	*ret_count = routes.list.count;
	return 0;
}
