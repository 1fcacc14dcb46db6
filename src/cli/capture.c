/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `culvert capture`: from words to a stream of packets, and from there to a terminal or a file.
 *
 * It ends when it has enough (-c), by a signal, when who reads its output goes away, or with
 * culvertd. In the first two cases it ends its sending side and reads on: culvertd then sends what
 * it still has, how much was lost, and closes.
 */
#define _GNU_SOURCE
#include "cli/capture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/capture_sink.h"
#include "cli/capture_stream.h"
#include "cli/client.h"
#include "cli/filter.h"
#include "model/nearest.h"

enum {
	FAREWELL_MS = 5000, /* for culvertd to send the rest */
};

static const char usage[] =
	"Usage: culvert capture [ TUNNEL ] [ FILTER ] [ -w FILE|- ] [ -c COUNT ] [ --snap BYTES ]\n"
	"       culvert -j capture ...\n"
	"\n"
	"  FILTER         as tcpdump's; the inner or the outer packet must match\n"
	"  -w FILE        write pcapng for Wireshark; - is standard output\n"
	"  -c COUNT       end after so many packets\n"
	"  --snap BYTES   of each packet (default: all)\n"
	"\n"
	"culvert -j: a line of JSON for each packet. See culvert(8).\n";

struct capture {
	const struct cv_cli *cli;
	const char *tunnel; /* "": all */
	struct cv_filter *filter;
	uint64_t limit; /* packets; 0: none */
	uint32_t snap;
	int fd;
	int signals;
	FILE *output;
	struct cv_capture_sink *sink;
	struct cv_capture_stream *stream;
	int64_t clock_offset_ns;
	uint64_t taken;
	unsigned int signalled;
	int write_error; /* an errno, or 0 */
	bool enough;
	bool leaving; /* culvertd has been told */
};

/* ---- words ---------------------------------------------------------------------- */

static int parse_number(const struct cv_cli *cli, const char *option, const char *text,
			uint64_t max, uint64_t *ret_number)
{
	unsigned long long number;
	char *end;

	if (!text)
		return CV_CLI_DONE;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < 1 || number > max)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "capture: %s takes a number from 1 to %llu, not \"%.64s\"", option,
				 (unsigned long long)max, text);
	*ret_number = number;
	return CV_CLI_DONE;
}

static int parse_options(struct capture *capture)
{
	const struct cv_cli *cli = capture->cli;
	uint64_t snap = CV_CONTROL_CAPTURE_SNAP_MAX;
	int code = parse_number(cli, "-c", cli->packets, UINT64_MAX, &capture->limit);

	if (!code)
		code = parse_number(cli, "--snap", cli->snap, CV_CONTROL_CAPTURE_SNAP_MAX, &snap);
	if (code)
		return code;
	capture->snap = (uint32_t)snap;
	if (cli->write && cli->json)
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "capture: -j and -w exclude each other; leave one out");
	if (cli->write && !strcmp(cli->write, "-") && isatty(STDOUT_FILENO))
		return cv_report(cli, CV_CLI_USAGE, "usage",
				 "capture: -w - writes binary data, and standard output is a "
				 "terminal; write \"culvert capture -w - | wireshark -k -i -\"");
	return CV_CLI_DONE;
}

/* Whether culvertd has a tunnel of this name; offers the others as what may be meant. */
static bool is_tunnel(const json_t *tunnels, const char *name, struct cv_nearest *nearest)
{
	size_t i;
	json_t *tunnel;

	json_array_foreach(tunnels, i, tunnel)
	{
		const json_t *config = json_object_get(tunnel, "config");
		const char *other = json_string_value(json_object_get(config, "name"));

		if (!other)
			continue;
		if (!strcmp(other, name))
			return true;
		cv_nearest_offer(nearest, other);
	}
	return false;
}

static int no_such_tunnel(const struct cv_cli *cli, const char *name,
			  const struct cv_nearest *nearest)
{
	if (nearest->best)
		return cv_report(cli, CV_CLI_FAILED, "not-found",
				 "there is no such tunnel as %.64s, and no filter begins so; did "
				 "you mean %s?",
				 name, nearest->best);
	return cv_report(cli, CV_CLI_FAILED, "not-found",
			 "there is no such tunnel as %.64s, and no filter begins so; \"culvert "
			 "tunnel show\" lists the tunnels",
			 name);
}

/* The first word is a tunnel if there is one of this name, and else must begin a filter. */
static int parse_first_word(const struct cv_cli *cli, const json_t *result, void *data)
{
	struct capture *capture = data;
	const char *word = cli->words[1];
	struct cv_nearest nearest;

	cv_nearest_init(&nearest, word);
	if (is_tunnel(json_object_get(result, "tunnels"), word, &nearest))
		capture->tunnel = word;
	else if (!cv_filter_may_begin(word))
		return no_such_tunnel(cli, word, &nearest);
	return CV_CLI_DONE;
}

static int parse_words(struct capture *capture)
{
	const struct cv_cli *cli = capture->cli;
	const char *const *words = (const char *const *)cli->words + 1;
	size_t count = cli->count - 1;
	struct cv_error why;
	int code;

	if (!count)
		return CV_CLI_DONE;
	code = cv_client_run(cli, "tunnel.show", json_object(), parse_first_word, capture);
	if (code)
		return code;
	if (*capture->tunnel) {
		words++;
		count--;
	}
	if (count && cv_filter_create(words, count, &capture->filter, &why))
		return cv_report(cli, CV_CLI_USAGE, "usage", "capture: %s", why.text);
	return CV_CLI_DONE;
}

/* ---- beginning ------------------------------------------------------------------- */

static int check_answer(struct capture *capture, const json_t *result)
{
	const char *mine = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little" : "big";
	const char *order = json_string_value(json_object_get(result, "byte_order"));
	const char *warning = json_string_value(json_object_get(result, "warning"));
	const json_t *format = json_object_get(result, "format");

	if (json_integer_value(format) != CV_CONTROL_CAPTURE_FORMAT || !order ||
	    strcmp(order, mine) != 0)
		return cv_report(capture->cli, CV_CLI_FAILED, "failed",
				 "culvertd's packets come in a form that this culvert does not "
				 "know; use the culvert of the same release");
	capture->clock_offset_ns = json_integer_value(json_object_get(result, "clock_offset_ns"));
	if (warning)
		fprintf(stderr, "culvert: warning: %s\n", warning);
	return CV_CLI_DONE;
}

static int open_stream(struct capture *capture)
{
	json_t *arguments = json_pack("{s:i}", "snap", (int)capture->snap);
	struct cv_client_error error;
	json_t *result;
	int code;

	if (*capture->tunnel)
		json_object_set_new(arguments, "tunnel",
				    json_pack("{s:s}", "name", capture->tunnel));
	if (cv_client_open(capture->cli, "capture", arguments, &result, &capture->fd, &error))
		return cv_report(capture->cli, CV_CLI_FAILED, error.code, "%s", error.why.text);
	code = check_answer(capture, result);
	json_decref(result);
	return code;
}

/* Not before culvertd has agreed: a misspelt tunnel must not cost an old file. */
static int open_output(struct capture *capture)
{
	const struct cv_cli *cli = capture->cli;
	enum cv_capture_form form = CV_CAPTURE_LINES;

	if (cli->json)
		form = CV_CAPTURE_JSON;
	if (cli->write)
		form = CV_CAPTURE_PCAPNG;
	/* A stream of its own, so that what fails here does not fail again at the end of main. */
	if (!cli->write || !strcmp(cli->write, "-"))
		capture->output = fdopen(dup(STDOUT_FILENO), "w");
	else
		capture->output = fopen(cli->write, "we");
	if (!capture->output)
		return cv_report(cli, CV_CLI_FAILED, "failed", "cannot write %s: %s",
				 cli->write ? cli->write : "the output", strerror(errno));
	capture->sink = cv_capture_sink_create(form, capture->output, capture->snap);
	capture->stream = calloc(1, sizeof(*capture->stream));
	if (!capture->sink || !capture->stream)
		return cv_report(cli, CV_CLI_FAILED, "failed", "out of memory");
	return CV_CLI_DONE;
}

static int catch_signals(struct capture *capture)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	capture->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (capture->signals >= 0)
		return CV_CLI_DONE;
	return cv_report(capture->cli, CV_CLI_FAILED, "failed", "cannot wait for signals: %s",
			 strerror(errno));
}

/* ---- packets ---------------------------------------------------------------------- */

static uint64_t lost(const struct capture *capture)
{
	return capture->stream->lost.reader + capture->stream->lost.source;
}

/* Remember why the output failed: what follows must not take its errno for another's. */
static int fail_output(struct capture *capture)
{
	capture->write_error = errno ? errno : EIO;
	return -ECANCELED;
}

/* Takes one packet; false: the output failed. */
static bool take(void *context, const struct cv_fp_capture *record, const uint8_t *packet,
		 const char *tunnel)
{
	struct capture *capture = context;
	struct cv_sighting sighting;

	cv_sighting_read(&sighting, record, packet, tunnel, capture->clock_offset_ns);
	if (capture->enough || !cv_filter_matches(capture->filter, &sighting))
		return true;
	errno = 0;
	cv_capture_sink_put(capture->sink, &sighting, lost(capture));
	if (ferror(capture->output) && fail_output(capture))
		return false;
	capture->taken++;
	capture->enough = capture->taken == capture->limit;
	return true;
}

/*
 * Wait for more. 1: there is more; 0: the time is up; -EINTR: a signal came; -ECANCELED: the output
 * failed, or who read it is gone.
 */
static int wait_for_more(struct capture *capture)
{
	struct pollfd fds[] = {
		{.fd = capture->fd, .events = POLLIN},
		{.fd = capture->signals, .events = POLLIN},
		{.fd = fileno(capture->output)},
	};
	struct signalfd_siginfo signal_info;
	int count = poll(fds, 3, 0);

	/* Nothing more for now: let others see what there is. */
	if (!count) {
		errno = 0;
		if (fflush(capture->output))
			return fail_output(capture);
		count = poll(fds, 3, capture->leaving ? FAREWELL_MS : -1);
	}
	if (count < 0)
		return -errno;
	errno = EPIPE;
	if (fds[2].revents)
		return fail_output(capture);
	if (fds[1].revents && read(capture->signals, &signal_info, sizeof(signal_info)) > 0)
		return -EINTR;
	return count > 0;
}

/* 0, 1 at the stream's end, or -errno. */
static int receive(struct capture *capture)
{
	size_t size;
	uint8_t *room = cv_capture_stream_room(capture->stream, &size);
	ssize_t n = recv(capture->fd, room, size, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n ? cv_capture_stream_came(capture->stream, (size_t)n) : 1;
}

/* Until the end: 0 if we wanted it, 1: it is culvertd's, or -errno. */
static int follow(struct capture *capture)
{
	while (capture->signalled < 2) {
		int rc = wait_for_more(capture);

		if (rc == -EINTR)
			capture->signalled++;
		else if (rc < 0)
			return rc;
		else if (!rc)
			return 0;
		rc = receive(capture);
		if (rc)
			return rc == 1 && capture->leaving ? 0 : rc;
		if (!capture->leaving && (capture->signalled || capture->enough)) {
			shutdown(capture->fd, SHUT_WR);
			capture->leaving = true;
		}
	}
	return 0;
}

/* ---- the end ------------------------------------------------------------------------ */

static void finish_output(struct capture *capture)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	cv_capture_sink_end(capture->sink,
			    (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
			    lost(capture));
	errno = 0;
	if (fflush(capture->output))
		fail_output(capture);
}

static int say_end(struct capture *capture, int rc)
{
	const struct cv_cli *cli = capture->cli;
	const char *name = cli->write && strcmp(cli->write, "-") != 0 ? cli->write : "the output";

	if (!capture->write_error)
		finish_output(capture);
	fprintf(stderr, "culvert: packets captured: %llu, lost: %llu\n",
		(unsigned long long)capture->taken, (unsigned long long)lost(capture));
	if (capture->write_error == EPIPE)
		return CV_CLI_DONE;
	if (capture->write_error)
		return cv_report(cli, CV_CLI_FAILED, "failed", "cannot write %s: %s", name,
				 strerror(capture->write_error));
	if (rc == 1)
		return cv_report(cli, CV_CLI_FAILED, "ended",
				 "culvertd has ended the capture; look whether it runs");
	if (rc == -EBADMSG)
		return cv_report(cli, CV_CLI_FAILED, "failed",
				 "culvertd's packets make no sense; use the culvert of the same "
				 "release");
	if (rc)
		return cv_report(cli, CV_CLI_FAILED, "failed", "culvertd is gone: %s",
				 strerror(-rc));
	return CV_CLI_DONE;
}

static int run(struct capture *capture)
{
	int code = parse_options(capture);

	if (!code)
		code = parse_words(capture);
	if (!code)
		code = catch_signals(capture);
	if (!code)
		code = open_stream(capture);
	if (!code)
		code = open_output(capture);
	if (code)
		return code;
	capture->stream->take = take;
	capture->stream->context = capture;
	return say_end(capture, follow(capture));
}

int cv_capture_main(const struct cv_cli *cli)
{
	struct capture capture = {.cli = cli, .tunnel = "", .fd = -1, .signals = -1};
	int code;

	if (cli->help || !strcmp(cli->words[cli->count - 1], "help")) {
		fputs(usage, stdout);
		return CV_CLI_DONE;
	}
	code = run(&capture);
	cv_capture_sink_destroy(capture.sink);
	if (capture.output)
		fclose(capture.output);
	if (capture.fd >= 0)
		close(capture.fd);
	if (capture.signals >= 0)
		close(capture.signals);
	cv_filter_destroy(capture.filter);
	free(capture.stream);
	return code;
}
