/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The carrier holder as its clients see it: this program is also the holder (see main), started
 * by the daemon's side as culvertd's is. What it does for a whole daemon is in
 * tests/packet/carrier.t.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "net/link.h"
#include "net/tun.h"
#include "netns.h"
#include "tunnel/carrier.h"
#include "tunnel/holder.h"

static char dir[] = "/tmp/culvert-carrier-XXXXXX";
static struct cv_nl *nl;
static struct cv_carrier *carrier;
static struct cv_error error;
static char last_log[512];
static time_t later_s; /* how much the clock of this process is ahead */

/* In place of the C library's. */
int clock_gettime(clockid_t id, struct timespec *now)
{
	int rc = (int)syscall(SYS_clock_gettime, id, now);

	if (!rc && id == CLOCK_MONOTONIC)
		now->tv_sec += later_s;
	return rc;
}

static void keep_log(int priority, const char *text)
{
	(void)priority;
	snprintf(last_log, sizeof(last_log), "%s", text);
}

/* Have the holder started, with a device of this name; its index. */
static int hold(const char *name)
{
	struct cv_link link;
	int fd = cv_tun_open(name);

	assert_true(fd >= 0);
	assert_int_equal(cv_tun_detach(fd), 0);
	cv_sh("ip link set %s up", name);
	assert_int_equal(cv_link_get(nl, name, &link), 0);
	cv_carrier_hold(carrier, link.index, fd);
	close(fd);
	return link.index;
}

static bool has_carrier(const char *name)
{
	return !cv_sh_status("ip link show %s | grep -q LOWER_UP", name);
}

/* A client of one's own. */
static int connect_to_holder(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 3};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", dir, CV_HOLDER_SOCKET);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

/* What comes back: bytes, 0 the end, or -errno. */
static int talk(int fd, const void *request, size_t length, struct cv_holder_answer *ret_answer)
{
	assert_int_equal(send(fd, request, length, MSG_NOSIGNAL), length);
	int n = (int)recv(fd, ret_answer, sizeof(*ret_answer), 0);

	return n < 0 ? -errno : n;
}

static uint32_t held(void)
{
	const struct cv_holder_request hello = {.version = 1, .verb = CV_HOLDER_HELLO};
	struct cv_holder_answer answer = {.count = 0};
	int fd = connect_to_holder();

	assert_true(fd >= 0);
	assert_int_equal(talk(fd, &hello, sizeof(hello), &answer), sizeof(answer));
	close(fd);
	return answer.count;
}

static bool is_heard(void)
{
	const struct cv_holder_request hello = {.version = 1, .verb = CV_HOLDER_HELLO};
	struct cv_holder_answer answer;
	int fd = connect_to_holder();
	bool heard = fd >= 0 && send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) > 0 &&
		     recv(fd, &answer, sizeof(answer), 0) == sizeof(answer);

	if (fd >= 0)
		close(fd);
	return heard;
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	cv_netns_enter_new();
	return cv_nl_create(&nl);
}

static int end(void **state)
{
	(void)state;
	cv_nl_destroy(nl);
	return rmdir(dir);
}

static int begin_test(void **state)
{
	(void)state;
	last_log[0] = '\0';
	later_s = 0;
	return cv_carrier_create(dir, keep_log, &carrier);
}

static int end_test(void **state)
{
	pid_t pid;

	(void)state;
	cv_carrier_destroy(carrier);
	if (cv_carrier_end(dir, &pid, &error) < 0)
		return -1;
	cv_sh("for d in $(ip -o link | sed -n 's/^[0-9]*: \\(h[0-9]*\\):.*/\\1/p'); do "
	      "ip link del $d; done");
	return cv_carrier_find(dir) ? -1 : 0;
}

static void a_queue_is_held(void **state)
{
	int ifindex;
	pid_t pid;

	(void)state;
	assert_int_equal(cv_carrier_find(dir), 0);
	ifindex = hold("h0");
	assert_true(has_carrier("h0"));
	pid = cv_carrier_pid(carrier);
	assert_true(pid > 0);
	assert_int_equal(cv_carrier_find(dir), pid);
	assert_non_null(strstr(last_log, "started the carrier holder"));
	/* In place of the earlier one. */
	hold("h0");
	hold("h1");
	assert_int_equal(held(), 2);
	cv_carrier_release(carrier, ifindex);
	assert_int_equal(held(), 1);
	assert_false(has_carrier("h0"));
	assert_true(has_carrier("h1"));
	cv_carrier_release(carrier, 99999);
	assert_int_equal(held(), 1);
	assert_false(cv_carrier_attend(carrier));
}

static void the_next_daemon_goes_on_with_it(void **state)
{
	pid_t pid;

	(void)state;
	hold("h0");
	pid = cv_carrier_pid(carrier);
	cv_carrier_destroy(carrier);
	assert_true(has_carrier("h0"));
	assert_int_equal(cv_carrier_create(dir, keep_log, &carrier), 0);
	assert_int_equal(cv_carrier_pid(carrier), pid);
	assert_non_null(strstr(last_log, "goes on with the carrier holder"));
	assert_int_equal(held(), 1);
}

static void its_end_is_noticed(void **state)
{
	struct pollfd look;
	pid_t pid;

	(void)state;
	hold("h0");
	pid = cv_carrier_pid(carrier);
	/* Its greeting was read: there is nothing more to read. */
	cv_carrier_attend(carrier);
	look = (struct pollfd){.fd = cv_carrier_fd(carrier), .events = POLLIN};
	assert_int_equal(poll(&look, 1, 0), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(poll(&look, 1, 3000), 1);
	assert_true(cv_carrier_attend(carrier));
	assert_non_null(strstr(last_log, "has ended"));
	assert_int_equal(poll(&look, 1, 0), 0);
	hold("h0");
	assert_true(cv_carrier_pid(carrier) > 0 && cv_carrier_pid(carrier) != pid);
	assert_true(has_carrier("h0"));
	assert_false(cv_carrier_attend(carrier));
}

/* Deaths in a row are answered by so many starts, and then by a pause. */
static void one_that_always_dies_is_left(void **state)
{
	unsigned int starts = 0;

	(void)state;
	for (int i = 0; i < CV_CARRIER_STARTS_MAX + 3; i++) {
		struct pollfd look = {.fd = cv_carrier_fd(carrier), .events = POLLIN};

		hold("h0");
		if (!cv_carrier_pid(carrier))
			continue;
		starts++;
		kill(cv_carrier_pid(carrier), SIGKILL);
		assert_int_equal(poll(&look, 1, 3000), 1);
		assert_true(cv_carrier_attend(carrier));
	}
	assert_int_equal(starts, CV_CARRIER_STARTS_MAX);
	/* It is tried again with the next look. */
	assert_true(cv_carrier_attend(carrier));
}

/* How often all queues were wanted again, and handed over, while the daemon only waits. */
static unsigned int tries_within_ms(int64_t ms)
{
	struct pollfd look = {.fd = cv_carrier_fd(carrier), .events = POLLIN};
	struct timespec begin, now;
	unsigned int tries = 0;

	clock_gettime(CLOCK_REALTIME, &begin);
	do {
		if (cv_carrier_attend(carrier)) {
			hold("h0");
			hold("h1");
			tries++;
		}
		poll(&look, 1, 50);
		clock_gettime(CLOCK_REALTIME, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
	return tries;
}

static void a_refusal_is_no_reason_to_hurry(void **state)
{
	struct rlimit few = {.rlim_cur = 16, .rlim_max = 1024}, before;
	pid_t pid;

	(void)state;
	hold("h0");
	assert_int_equal(held(), 1);
	cv_carrier_attend(carrier);
	pid = cv_carrier_pid(carrier);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &few, NULL), 0);
	hold("h1");
	assert_int_equal(tries_within_ms(1000), 0);
	assert_non_null(strstr(last_log, "the carrier holder cannot hold a device"));
	assert_int_equal(held(), 1);
	/* Still too few: one more try for all that were refused. */
	later_s = CV_CARRIER_REFUSED_S;
	assert_int_equal(tries_within_ms(300), 1);
	assert_int_equal(held(), 1);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &before, NULL), 0);
	later_s = 2 * CV_CARRIER_REFUSED_S;
	assert_int_equal(tries_within_ms(300), 1);
	assert_int_equal(held(), 2);
	later_s = 4 * CV_CARRIER_REFUSED_S;
	assert_int_equal(tries_within_ms(100), 0);
	assert_int_equal(cv_carrier_pid(carrier), pid);
}

static void it_goes_with_its_place(void **state)
{
	struct pollfd look;
	char path[128];

	(void)state;
	hold("h0");
	cv_carrier_attend(carrier);
	snprintf(path, sizeof(path), "%s/%s", dir, CV_HOLDER_SOCKET);
	assert_int_equal(unlink(path), 0);
	look = (struct pollfd){.fd = cv_carrier_fd(carrier), .events = POLLIN};
	assert_int_equal(poll(&look, 1, 3000), 1);
	assert_true(cv_carrier_attend(carrier));
	assert_int_equal(cv_carrier_pid(carrier), 0);
}

static void bad_requests_are_cut_off(void **state)
{
	static const struct cv_holder_request requests[] = {
		{.version = 1, .verb = 0},
		{.version = 1, .verb = 77},
		{.version = 2, .verb = CV_HOLDER_RELEASE},
		{.version = 2, .verb = CV_HOLDER_HOLD},
	};
	const struct cv_holder_request no_queue = {.version = 1, .verb = CV_HOLDER_HOLD};
	struct cv_holder_answer answer;
	char text[100] = "GET / HTTP/1.0";
	int fd;

	(void)state;
	hold("h0");
	for (size_t length = 1; length <= sizeof(text); length++) {
		if (length == sizeof(struct cv_holder_request))
			continue;
		fd = connect_to_holder();
		assert_int_equal(talk(fd, text, length, &answer), 0);
		close(fd);
	}
	fd = connect_to_holder();
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		assert_int_equal(talk(fd, &requests[i], sizeof(requests[i]), &answer),
				 sizeof(answer));
		assert_int_equal(answer.error, -EINVAL);
		assert_int_equal(answer.version, CV_HOLDER_VERSION);
		assert_int_equal(answer.verb, requests[i].verb);
	}
	assert_int_equal(talk(fd, &no_queue, sizeof(no_queue), &answer), sizeof(answer));
	assert_int_equal(answer.error, -EMFILE);
	close(fd);
	assert_int_equal(held(), 1);
}

static void only_so_many_are_heard(void **state)
{
	int fds[2 * CV_HOLDER_CLIENTS_MAX];
	const int count = sizeof(fds) / sizeof(fds[0]);

	(void)state;
	hold("h0");
	for (int i = 0; i < count; i++) {
		fds[i] = connect_to_holder();
		assert_true(fds[i] >= 0);
	}
	/* The daemon is one of them. */
	for (int i = 0; i < count; i++) {
		const struct cv_holder_request hello = {.version = 1, .verb = CV_HOLDER_HELLO};
		struct cv_holder_answer answer;
		ssize_t n = send(fds[i], &hello, sizeof(hello), MSG_NOSIGNAL);

		if (n > 0)
			n = recv(fds[i], &answer, sizeof(answer), 0);
		assert_int_equal(n == sizeof(answer), i < CV_HOLDER_CLIENTS_MAX - 1);
	}
	for (int i = 0; i < count; i++)
		close(fds[i]);
	/* The holder may see our next connection before their end. */
	for (int i = 0; i < 300 && !is_heard(); i++)
		usleep(10000);
	assert_int_equal(held(), 1);
}

/* One of the next version comes: this one must obey its word to quit. */
static void any_version_may_end_it(void **state)
{
	const struct cv_holder_request quit = {.version = 200, .verb = CV_HOLDER_QUIT};
	struct cv_holder_answer answer;
	int fd;

	(void)state;
	hold("h0");
	fd = connect_to_holder();
	assert_int_equal(talk(fd, &quit, sizeof(quit), &answer), 0);
	close(fd);
	assert_int_equal(connect_to_holder(), -1);
}

static void without_one_all_is_well(void **state)
{
	pid_t pid;

	(void)state;
	assert_false(cv_carrier_attend(NULL));
	cv_carrier_hold(NULL, 1, 0);
	cv_carrier_release(NULL, 1);
	cv_carrier_destroy(NULL);
	assert_int_equal(cv_carrier_pid(NULL), 0);
	cv_carrier_hold(carrier, 1, -1);
	assert_int_equal(cv_carrier_pid(carrier), 0);
	assert_int_equal(cv_carrier_end(dir, &pid, &error), 0);
	assert_int_equal(cv_carrier_find("/nonexistent"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_queue_is_held),	       TEST(the_next_daemon_goes_on_with_it),
		TEST(its_end_is_noticed),      TEST(one_that_always_dies_is_left),
		TEST(it_goes_with_its_place),  TEST(bad_requests_are_cut_off),
		TEST(only_so_many_are_heard),  TEST(any_version_may_end_it),
		TEST(without_one_all_is_well), TEST(a_refusal_is_no_reason_to_hurry),
	};

	if (argc == 3 && !strcmp(argv[1], CV_HOLDER_OPTION))
		return cv_holder_run(argv[2]);
	if (!cv_netns_available())
		return 0;
	return cmocka_run_group_tests(tests, begin, end);
}
