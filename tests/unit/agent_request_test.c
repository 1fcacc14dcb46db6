/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the control protocol, good and bad, and the form of answers. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/request.h"

static struct cv_error error;
static struct cv_request request;
static json_t *id;
static long at;

static int parse(const char *line)
{
	json_decref(id);
	cv_request_fini(&request);
	return cv_request_parse(line, strlen(line), &request, &id, &at, &error);
}

#define V "\"version\":1,\"id\":5,"

static void understands_every_command(void **state)
{
	(void)state;
	assert_int_equal(parse("{" V "\"command\":\"status\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_STATUS);
	assert_int_equal(json_integer_value(id), 5);
	assert_int_equal(parse("{" V "\"command\":\"tunnel.show\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_SHOW);
	assert_false(request.counters);
	assert_int_equal(request.filter.given, 0);
	assert_int_equal(parse("{" V "\"command\":\"tunnel.show\",\"counters\":true,\"tunnel\":{"
			       "\"name\":\"tun0\"}}"),
			 0);
	assert_true(request.counters);
	assert_string_equal(request.filter.config.name, "tun0");
}

#define IPAM(command, members) "{" V "\"command\":\"" command "\"" members "}"

static void understands_addresses(void **state)
{
	static const char *const wrong[] = {
		IPAM("ipam.show", ",\"address\":\"10.244.1.0/26\""),
		IPAM("ipam.show", ",\"address\":\"0.0.0.0\""),
		IPAM("ipam.show", ",\"address\":5"),
		IPAM("ipam.show", ",\"blocks\":\"yes\""),
		IPAM("ipam.check", ",\"fix\":1"),
		IPAM("ipam.check", ",\"address\":\"10.244.1.5\""),
		IPAM("ipam.release", ""),
		IPAM("ipam.release", ",\"handle\":\"\""),
		IPAM("ipam.release", ",\"handle\":\"h\",\"address\":\"10.244.1.5\""),
		IPAM("ipam.reserve", ",\"comment\":\"mine\""),
		IPAM("migrate", ""),
		IPAM("migrate", ",\"datastore\":\"relative.cfg\""),
		IPAM("migrate", ",\"datastore\":\"/a\",\"from\":\"consul\""),
		IPAM("migrate.status", ",\"datastore\":\"/a\""),
	};

	(void)state;
	assert_int_equal(parse(IPAM("ipam.show", "")), 0);
	assert_int_equal(request.kind, CV_REQUEST_IPAM_SHOW);
	assert_int_equal(request.ipam.address, 0);
	assert_int_equal(parse(IPAM("ipam.check", ",\"fix\":true")), 0);
	assert_true(request.ipam.fix);
	assert_int_equal(parse(IPAM("ipam.release", ",\"handle\":\"net.c.eth0\"")), 0);
	assert_string_equal(request.ipam.handle, "net.c.eth0");
	assert_int_equal(parse(IPAM("ipam.reserve", ",\"address\":\"10.244.1.5\",\"comment\":"
						    "\"mine\"")),
			 0);
	assert_int_equal(request.ipam.address, inet_addr("10.244.1.5"));
	assert_string_equal(request.ipam.comment, "mine");
	assert_int_equal(parse(IPAM("migrate", ",\"datastore\":\"/a\",\"from\":\"calico\"")), 0);
	assert_true(request.migrate.from_calico);
	assert_false(request.migrate.dry_run);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (parse(wrong[i]) != -EINVAL)
			fail_msg("%s", wrong[i]);
	}
}

static void understands_captures(void **state)
{
	static const char *const wrong[] = {
		"{" V "\"command\":\"capture\",\"snap\":0}",
		"{" V "\"command\":\"capture\",\"snap\":262145}",
		"{" V "\"command\":\"capture\",\"snap\":\"96\"}",
		"{" V "\"command\":\"capture\",\"tunnel\":\"tun0\"}",
		"{" V "\"command\":\"capture\",\"tunnel\":{\"remote\":\"192.0.2.1\"}}",
		"{" V "\"command\":\"capture\",\"filter\":\"udp\"}",
	};

	(void)state;
	assert_int_equal(parse("{" V "\"command\":\"capture\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_CAPTURE);
	assert_int_equal(request.snap, 262144);
	assert_string_equal(request.filter.config.name, "");
	assert_int_equal(parse("{" V "\"command\":\"capture\",\"snap\":96,\"tunnel\":{"
			       "\"name\":\"tun0\"}}"),
			 0);
	assert_int_equal(request.snap, 96);
	assert_string_equal(request.filter.config.name, "tun0");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(parse(wrong[i]), -EINVAL);
}

static void understands_single_changes(void **state)
{
	static const struct {
		const char *line;
		enum cv_tunnel_verb verb;
	} cases[] = {
		{"{" V "\"command\":\"tunnel.add\",\"tunnel\":{\"name\":\"a\"}}", CV_TUNNEL_ADD},
		{"{" V "\"command\":\"tunnel.change\",\"tunnel\":{\"name\":\"a\"}}",
		 CV_TUNNEL_CHANGE},
		{"{" V "\"command\":\"tunnel.replace\",\"tunnel\":{\"name\":\"a\"}}",
		 CV_TUNNEL_REPLACE},
		{"{" V "\"command\":\"tunnel.del\",\"tunnel\":{\"name\":\"a\"}}", CV_TUNNEL_DELETE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].line), 0);
		assert_int_equal(request.kind, CV_REQUEST_CHANGES);
		assert_int_equal(request.count, 1);
		assert_false(request.batch);
		assert_int_equal(request.changes[0].verb, cases[i].verb);
	}
}

static void understands_endpoints(void **state)
{
	static const struct {
		const char *line;
		enum cv_endpoint_verb verb;
	} cases[] = {
		{"{" V "\"command\":\"endpoint.add\",\"endpoint\":{\"dev\":\"a\"}}",
		 CV_ENDPOINT_ADD},
		{"{" V "\"command\":\"endpoint.change\",\"endpoint\":{\"dev\":\"a\"}}",
		 CV_ENDPOINT_CHANGE},
		{"{" V "\"command\":\"endpoint.replace\",\"endpoint\":{\"dev\":\"a\"}}",
		 CV_ENDPOINT_REPLACE},
		{"{" V "\"command\":\"endpoint.del\",\"endpoint\":{\"dev\":\"a\"}}",
		 CV_ENDPOINT_DELETE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].line), 0);
		assert_int_equal(request.kind, CV_REQUEST_ENDPOINT_CHANGE);
		assert_int_equal(request.endpoint.verb, cases[i].verb);
		assert_string_equal(request.endpoint.patch.config.dev, "a");
	}
	assert_int_equal(parse("{" V "\"command\":\"endpoint.show\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_ENDPOINT_SHOW);
	assert_int_equal(request.endpoint.patch.given, 0);
	assert_int_equal(parse("{" V
			       "\"command\":\"endpoint.show\",\"counters\":true,\"endpoint\":{"
			       "\"addresses\":[\"10.0.0.1\"],\"bypass\":\"off\"}}"),
			 0);
	assert_true(request.counters);
	assert_int_equal(request.endpoint.patch.config.count, 1);
	assert_int_equal(request.endpoint.patch.config.bypass, CV_ENDPOINT_BYPASS_OFF);
	assert_int_equal(parse("{" V "\"command\":\"endpoint.default\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_ENDPOINT_DEFAULT);
	assert_false(request.has_bypass);
	assert_int_equal(parse("{" V "\"command\":\"endpoint.default\",\"bypass\":\"on\"}"), 0);
	assert_true(request.has_bypass && request.bypass);
}

static void understands_batches(void **state)
{
	(void)state;
	assert_int_equal(parse("{" V "\"command\":\"tunnel.batch\",\"changes\":["
			       "{\"verb\":\"add\",\"tunnel\":{\"name\":\"a\"}},"
			       "{\"verb\":\"del\",\"tunnel\":{\"name\":\"b\"}}]}"),
			 0);
	assert_int_equal(request.count, 2);
	assert_true(request.batch);
	assert_int_equal(request.changes[1].verb, CV_TUNNEL_DELETE);
	assert_string_equal(request.changes[1].patch.config.name, "b");
	assert_int_equal(parse("{" V "\"command\":\"tunnel.batch\",\"changes\":[]}"), 0);
	assert_int_equal(request.count, 0);
}

#define FILES \
	"\"files\":[{\"name\":\"a.yaml\",\"text\":\"a: 1\\n\"},{\"name\":\"-\",\"text\":\"\"}]"

static void understands_manifests(void **state)
{
	static const struct {
		const char *line;
		enum cv_request_kind kind;
		bool dry_run;
	} cases[] = {
		{"{" V "\"command\":\"apply\"," FILES "}", CV_REQUEST_APPLY, false},
		{"{" V "\"command\":\"apply\",\"dry_run\":true," FILES "}", CV_REQUEST_APPLY, true},
		{"{" V "\"command\":\"delete\",\"dry_run\":true," FILES "}", CV_REQUEST_DELETE,
		 true},
		{"{" V "\"command\":\"diff\"," FILES "}", CV_REQUEST_DIFF, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cv_request_file *files;

		assert_int_equal(parse(cases[i].line), 0);
		assert_int_equal(request.kind, cases[i].kind);
		assert_int_equal(request.resources.dry_run, cases[i].dry_run);
		assert_int_equal(request.resources.file_count, 2);
		assert_false(request.resources.has_kind);
		files = request.resources.files;
		assert_string_equal(files[0].name, "a.yaml");
		assert_int_equal(files[0].length, 5);
		assert_string_equal(files[0].text, "a: 1\n");
		assert_string_equal(files[1].name, "-");
		assert_int_equal(files[1].length, 0);
	}
}

static void understands_names_of_resources(void **state)
{
	(void)state;
	assert_int_equal(parse("{" V "\"command\":\"get\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_GET);
	assert_false(request.resources.has_kind);
	assert_int_equal(request.resources.name_count, 0);
	assert_int_equal(parse("{" V "\"command\":\"get\",\"kind\":\"Node\",\"name\":\"a1\"}"), 0);
	assert_true(request.resources.has_kind);
	assert_int_equal(request.resources.kind, CV_KIND_NODE);
	assert_int_equal(request.resources.name_count, 1);
	assert_string_equal(request.resources.names[0], "a1");
	assert_int_equal(parse("{" V "\"command\":\"delete\",\"kind\":\"IPPool\",\"names\":["
			       "\"x\",\"y\"]}"),
			 0);
	assert_int_equal(request.kind, CV_REQUEST_DELETE);
	assert_int_equal(request.resources.kind, CV_KIND_IP_POOL);
	assert_int_equal(request.resources.name_count, 2);
	assert_int_equal(request.resources.file_count, 0);
	assert_string_equal(request.resources.names[1], "y");
	assert_false(request.resources.dry_run);
}

static void understands_questions(void **state)
{
	(void)state;
	assert_int_equal(parse("{" V "\"command\":\"trace\",\"to\":\"10.244.1.2\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_TRACE);
	assert_int_equal(request.trace.to, inet_addr("10.244.1.2"));
	assert_int_equal(request.trace.from, 0);
	assert_string_equal(request.trace.device, "");
	assert_int_equal(parse("{" V "\"command\":\"trace\",\"to\":\"10.244.1.2\",\"from\":"
			       "\"10.244.2.1\",\"device\":\"fifteen-letters\"}"),
			 0);
	assert_int_equal(request.trace.from, inet_addr("10.244.2.1"));
	assert_string_equal(request.trace.device, "fifteen-letters");
	assert_int_equal(parse("{" V "\"command\":\"doctor\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_DOCTOR);
	assert_null(request.peer);
	assert_int_equal(parse("{" V "\"command\":\"doctor\",\"peer\":\"b1\"}"), 0);
	assert_string_equal(request.peer, "b1");
	assert_int_equal(parse("{" V "\"command\":\"metrics\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_METRICS);
	assert_int_equal(parse("{" V "\"command\":\"path\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_PATH);
	assert_null(request.peer);
	assert_int_equal(parse("{" V "\"command\":\"path\",\"peer\":\"tun0\"}"), 0);
	assert_string_equal(request.peer, "tun0");
	assert_int_equal(parse("{" V "\"command\":\"bgp.status\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_BGP_STATUS);
	assert_int_equal(parse("{" V "\"command\":\"bgp.routes\"}"), 0);
	assert_int_equal(request.kind, CV_REQUEST_BGP_ROUTES);
	assert_int_equal(request.bgp.which, CV_BGP_LEARNED);
	assert_false(request.bgp.has_prefix);
	assert_int_equal(parse("{" V "\"command\":\"bgp.routes\",\"which\":\"refused\","
			       "\"prefix\":\"10.244.0.0/16\"}"),
			 0);
	assert_int_equal(request.bgp.which, CV_BGP_REFUSED);
	assert_int_equal(request.bgp.prefix.length, 16);
	assert_int_equal(parse("{" V "\"command\":\"bgp.routes\",\"prefix\":\"10.244.0.1\"}"), 0);
	assert_true(request.bgp.has_prefix);
	assert_int_equal(request.bgp.prefix.length, 32);
}

static void refuses_with_a_code(void **state)
{
	static const struct {
		const char *line;
		int err;
		long at;
	} cases[] = {
		{"", -EBADMSG, -1},
		{"foo", -EBADMSG, -1},
		{"GET / HTTP/1.1", -EBADMSG, -1},
		{"{\"version\":1", -EBADMSG, -1},
		{"7", -EBADMSG, -1},
		{"[]", -EBADMSG, -1},
		{"{}", -EBADMSG, -1},
		{"{\"version\":1}", -EBADMSG, -1},
		{"{\"version\":\"1\",\"command\":\"status\"}", -EBADMSG, -1},
		{"{\"version\":1,\"command\":7}", -EBADMSG, -1},
		{"{\"version\":1,\"version\":1,\"command\":\"status\"}", -EBADMSG, -1},
		{"{\"version\":1,\"id\":{},\"command\":\"status\"}", -EBADMSG, -1},
		{"{\"version\":1,\"command\":\"status\"} x", -EBADMSG, -1},
		{"{\"version\":1,\"command\":\"\\u0000\"}", -EBADMSG, -1},
		{"{\"version\":1,\"command\":\"\xff\"}", -EBADMSG, -1},
		{"{\"version\":2,\"command\":\"status\"}", -EPROTONOSUPPORT, -1},
		{"{" V "\"command\":\"reboot\"}", -EOPNOTSUPP, -1},
		{"{" V "\"command\":\"status\",\"x\":1}", -EINVAL, -1},
		{"{" V "\"command\":\"tunnel.show\",\"counters\":1}", -EINVAL, -1},
		{"{" V "\"command\":\"tunnel.show\",\"tunnel\":\"tun0\"}", -EINVAL, -1},
		{"{" V "\"command\":\"tunnel.add\"}", -EINVAL, -1},
		{"{" V "\"command\":\"tunnel.add\",\"tunnel\":{}}", -EINVAL, -1},
		{"{" V "\"command\":\"tunnel.add\",\"tunnel\":{\"name\":\"a\",\"ttl\":300}}",
		 -EINVAL, -1},
		{"{" V "\"command\":\"tunnel.batch\"}", -EINVAL, -1},
		{"{" V "\"command\":\"tunnel.batch\",\"changes\":{}}", -EINVAL, -1},
		{"{" V "\"command\":\"tunnel.batch\",\"changes\":[{\"verb\":\"add\"}]}", -EINVAL,
		 0},
		{"{" V "\"command\":\"tunnel.batch\",\"changes\":["
		 "{\"verb\":\"add\",\"tunnel\":{\"name\":\"a\"}},"
		 "{\"verb\":\"show\",\"tunnel\":{\"name\":\"a\"}}]}",
		 -EINVAL, 1},
		{"{" V "\"command\":\"tunnel.batch\",\"changes\":["
		 "{\"verb\":\"add\",\"tunnel\":{\"name\":\"a\"},\"x\":1}]}",
		 -EINVAL, 0},
		{"{" V "\"command\":\"endpoint.add\"}", -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.add\",\"endpoint\":7}", -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.add\",\"endpoint\":{}}", -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.add\",\"endpoint\":{\"dev\":7}}", -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.add\",\"endpoint\":{\"dev\":\"a\",\"x\":1}}",
		 -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.add\",\"endpoint\":{\"dev\":\"a\"},\"x\":1}",
		 -EINVAL, -1},
		{"{" V
		 "\"command\":\"endpoint.add\",\"endpoint\":{\"dev\":\"a\",\"addresses\":[]}}",
		 -EINVAL, -1},
		{"{" V
		 "\"command\":\"endpoint.add\",\"endpoint\":{\"dev\":\"a\",\"addresses\":[7]}}",
		 -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.add\",\"endpoint\":{\"dev\":\"a\",\"bypass\":true}}",
		 -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.show\",\"endpoint\":[]}", -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.show\",\"counters\":1}", -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.default\",\"bypass\":\"default\"}", -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.default\",\"bypass\":true}", -EINVAL, -1},
		{"{" V "\"command\":\"endpoint.batch\"}", -EOPNOTSUPP, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = parse(cases[i].line);

		if (rc != cases[i].err || at != cases[i].at)
			fail_msg("%s: %d at %ld", cases[i].line, rc, at);
	}
}

static void depth_and_number_are_bounded(void **state)
{
	enum {
		SIZE = 1 << 20
	};
	static const char item[] = "{\"verb\":\"del\",\"tunnel\":{\"name\":\"a\"}},";
	char *line = malloc(SIZE);
	size_t length;

	(void)state;
	memset(line, '[', SIZE);
	json_decref(id);
	cv_request_fini(&request);
	assert_int_equal(cv_request_parse(line, SIZE, &request, &id, &at, &error), -EBADMSG);
	strcpy(line, "{" V "\"command\":\"tunnel.batch\",\"changes\":[");
	length = strlen(line);
	for (size_t i = 0; i <= CV_REQUEST_CHANGES_MAX; i++, length += sizeof(item) - 1)
		memcpy(line + length, item, sizeof(item) - 1);
	strcpy(line + length - 1, "]}");
	assert_int_equal(parse(line), -E2BIG);
	free(line);
}

static void refuses_what_says_too_little_of_resources(void **state)
{
	static const struct {
		const char *line;
		int err;
		long at;
	} cases[] = {
		{"{" V "\"command\":\"apply\"}", -EINVAL, -1},
		{"{" V "\"command\":\"apply\",\"files\":[]}", -EINVAL, -1},
		{"{" V "\"command\":\"apply\",\"files\":{}}", -EINVAL, -1},
		{"{" V "\"command\":\"apply\",\"files\":[\"a\"]}", -EINVAL, -1},
		{"{" V "\"command\":\"apply\",\"files\":[{\"name\":\"a\"}]}", -EINVAL, -1},
		{"{" V "\"command\":\"apply\",\"files\":[{\"text\":\"a\"}]}", -EINVAL, -1},
		{"{" V "\"command\":\"apply\",\"files\":[{\"name\":\"\",\"text\":\"a\"}]}", -EINVAL,
		 -1},
		{"{" V "\"command\":\"apply\",\"files\":[{\"name\":\"a\",\"text\":7}]}", -EINVAL,
		 -1},
		{"{" V "\"command\":\"apply\",\"files\":[{\"name\":\"a\",\"text\":\"\",\"x\":1}]}",
		 -EINVAL, -1},
		{"{" V "\"command\":\"apply\",\"dry_run\":1," FILES "}", -EINVAL, -1},
		{"{" V "\"command\":\"apply\",\"kind\":\"Node\"," FILES "}", -EINVAL, -1},
		{"{" V "\"command\":\"diff\",\"dry_run\":true," FILES "}", -EINVAL, -1},
		{"{" V "\"command\":\"delete\"}", -EINVAL, -1},
		{"{" V "\"command\":\"delete\",\"kind\":\"Node\"}", -EINVAL, -1},
		{"{" V "\"command\":\"delete\",\"kind\":\"Node\",\"names\":[]}", -EINVAL, -1},
		{"{" V "\"command\":\"delete\",\"kind\":\"Node\",\"names\":\"a\"}", -EINVAL, -1},
		{"{" V "\"command\":\"delete\",\"kind\":\"Node\",\"names\":[7]}", -EINVAL, -1},
		{"{" V "\"command\":\"delete\",\"kind\":\"Node\",\"names\":[\"\"]}", -EINVAL, -1},
		{"{" V "\"command\":\"delete\",\"names\":[\"a\"]}", -EINVAL, -1},
		{"{" V "\"command\":\"delete\",\"kind\":\"Node\"," FILES "}", -EINVAL, -1},
		{"{" V "\"command\":\"get\",\"kind\":\"Nonsense\"}", -EINVAL, -1},
		{"{" V "\"command\":\"get\",\"kind\":7}", -EINVAL, -1},
		{"{" V "\"command\":\"get\",\"kind\":\"Node\",\"name\":7}", -EINVAL, -1},
		{"{" V "\"command\":\"get\",\"kind\":\"Node\",\"name\":[\"a\"]}", -EINVAL, -1},
		{"{" V "\"command\":\"trace\"}", -EINVAL, -1},
		{"{" V "\"command\":\"trace\",\"to\":\"10.0.0\"}", -EINVAL, -1},
		{"{" V "\"command\":\"trace\",\"to\":\"10.0.0.1\",\"from\":7}", -EINVAL, -1},
		{"{" V "\"command\":\"trace\",\"to\":\"10.0.0.1\",\"device\":\"sixteen-letters-\"}",
		 -EINVAL, -1},
		{"{" V "\"command\":\"trace\",\"to\":\"10.0.0.1\",\"device\":\"\"}", -EINVAL, -1},
		{"{" V "\"command\":\"doctor\",\"peer\":\"\"}", -EINVAL, -1},
		{"{" V "\"command\":\"doctor\",\"peer\":[]}", -EINVAL, -1},
		{"{" V "\"command\":\"metrics\",\"text\":\"\"}", -EINVAL, -1},
		{"{" V "\"command\":\"path\",\"peer\":7}", -EINVAL, -1},
		{"{" V "\"command\":\"bgp.status\",\"peer\":\"a\"}", -EINVAL, -1},
		{"{" V "\"command\":\"bgp.routes\",\"which\":\"all\"}", -EINVAL, -1},
		{"{" V "\"command\":\"bgp.routes\",\"prefix\":\"10.1.2.3/8\"}", -EINVAL, -1},
		{"{" V "\"command\":\"bgp.routes\",\"prefix\":10}", -EINVAL, -1},
		{"{" V "\"command\":\"bgp\"}", -EOPNOTSUPP, -1},
		{"{" V "\"command\":\"path\",\"remote\":\"10.0.0.1\"}", -EINVAL, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(cases[i].line) != cases[i].err || at != cases[i].at)
			fail_msg("%s", cases[i].line);
	}
}

static void misspelt_members_are_guessed(void **state)
{
	(void)state;
	assert_int_equal(parse("{" V "\"command\":\"apply\",\"dryrun\":true," FILES "}"), -EINVAL);
	assert_non_null(strstr(error.text, "did you mean dry_run"));
}

/* A long line is one of long texts: else a few bytes each would become a hundred. */
static void items_of_a_long_line_are_bounded(void **state)
{
	enum {
		SIZE = 4 << 20
	};
	static const char head[] =
		"{" V "\"command\":\"apply\",\"files\":[{\"name\":\"a\",\"text\":\"";
	char *line = malloc(SIZE + 1);

	(void)state;
	/* Commas in a text, and a quote in it, are text. */
	memset(line, ',', SIZE);
	memcpy(line, head, sizeof(head) - 1);
	line[sizeof(head) - 1] = '\\';
	line[sizeof(head)] = '"';
	strcpy(line + SIZE - 4, "\"}]}");
	assert_int_equal(parse(line), 0);
	assert_int_equal(request.resources.files[0].length, SIZE - 4 - sizeof(head));
	/* The text as a list of numbers. */
	for (size_t i = sizeof(head) - 2; i < SIZE; i++)
		line[i] = i % 2 ? '0' : ',';
	line[sizeof(head) - 2] = '[';
	line[sizeof(head) - 1] = '0';
	strcpy(line + SIZE - 6, ",0]}]}");
	assert_int_equal(parse(line), -EBADMSG);
	assert_non_null(strstr(error.text, "items"));
	free(line);
}

/* An answer is one line, whatever the words in it, and parses. */
static void answers_are_lines(void **state)
{
	json_t *name = json_string("a\nb"), *answer, *why;
	char *line = cv_answer_error(name, -EEXIST, "tun0 exists", 3);

	(void)state;
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	answer = json_loads(line, 0, NULL);
	why = json_object_get(answer, "error");
	assert_true(json_is_false(json_object_get(answer, "ok")));
	assert_true(json_equal(json_object_get(answer, "id"), name));
	assert_string_equal(json_string_value(json_object_get(why, "code")), "exists");
	assert_int_equal(json_integer_value(json_object_get(why, "index")), 3);
	json_decref(answer);
	free(line);
	line = cv_answer_result(name, json_object());
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	answer = json_loads(line, 0, NULL);
	assert_true(json_is_true(json_object_get(answer, "ok")));
	assert_non_null(json_object_get(answer, "result"));
	json_decref(answer);
	json_decref(name);
	free(line);
}

static void unknown_errors_have_a_code(void **state)
{
	(void)state;
	assert_string_equal(cv_answer_code(-EIO), "failed");
	assert_string_equal(cv_answer_code(-EBUSY), "busy");
	assert_string_equal(cv_answer_code(-EUCLEAN), "store-broken");
}

static int set_up(void **state)
{
	(void)state;
	id = json_null();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(id);
	cv_request_fini(&request);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(understands_every_command),
		cmocka_unit_test(understands_addresses),
		cmocka_unit_test(understands_captures),
		cmocka_unit_test(understands_single_changes),
		cmocka_unit_test(understands_endpoints),
		cmocka_unit_test(understands_batches),
		cmocka_unit_test(understands_manifests),
		cmocka_unit_test(understands_names_of_resources),
		cmocka_unit_test(understands_questions),
		cmocka_unit_test(refuses_with_a_code),
		cmocka_unit_test(refuses_what_says_too_little_of_resources),
		cmocka_unit_test(misspelt_members_are_guessed),
		cmocka_unit_test(items_of_a_long_line_are_bounded),
		cmocka_unit_test(depth_and_number_are_bounded),
		cmocka_unit_test(answers_are_lines),
		cmocka_unit_test(unknown_errors_have_a_code),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
