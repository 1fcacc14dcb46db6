/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD as a process: Debian's own, in a network namespace of the test.
 *
 *     near: a0 192.0.2.1 ---- b0 192.0.2.2 :far     the BIRD that is watched over is near; where a
 *                                                   test needs a peer, another one is far
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/bird.h"
#include "netns.h"

static char run_dir[] = "/tmp/agent_bird.XXXXXX", directory[64], socket_path[80], text[4096];
static struct event_base *base;
static struct cv_bird *bird;
static struct cv_error error;
static struct cv_pair pair;
static int changes;
static char last_told[600];

static void count_change(void *data)
{
	(void)data;
	changes++;
	snprintf(last_told, sizeof(last_told), "%d: %s", (int)cv_bird_state(bird),
		 cv_bird_problem(bird));
}

static int create(const char *program, const char *socket)
{
	const struct cv_bird_options options = {
		.base = base,
		.directory = directory,
		.program = program,
		.socket = socket,
		.changed = count_change,
	};

	changes = 0;
	return cv_bird_create(&options, &bird, &error);
}

/* ---- waiting ------------------------------------------------------------------------- */

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Run the loop until it is so. No turn of it may take long: nothing in it waits for BIRD. */
static bool wait_until(bool (*is_so)(void), double seconds)
{
	double end = now_s() + seconds, before;

	while (!is_so()) {
		struct timeval tick = {.tv_usec = 5000};

		before = now_s();
		if (before > end)
			return false;
		event_base_loopexit(base, &tick);
		event_base_dispatch(base);
		assert_true(now_s() - before < 1.5);
	}
	return true;
}

static bool never(void)
{
	return false;
}

static bool is_up(void)
{
	return cv_bird_state(bird) == CV_BIRD_UP && !*cv_bird_problem(bird);
}

static bool is_told_up(void)
{
	return is_up() && changes && strtol(last_told, NULL, 10) == CV_BIRD_UP;
}

static bool is_down(void)
{
	return cv_bird_state(bird) == CV_BIRD_DOWN;
}

static bool is_off(void)
{
	return cv_bird_state(bird) == CV_BIRD_OFF;
}

static bool has_problem(void)
{
	return *cv_bird_problem(bird);
}

/* Who is to reap it may take his time. */
static bool is_gone(int pid)
{
	return cv_sh_status("ps -o stat= -p %d | grep -qv Z", pid) != 0;
}

#define assert_contains(text, part)                                   \
	do {                                                          \
		if (!strstr(text, part))                              \
			fail_msg("\"%s\" has no \"%s\"", text, part); \
	} while (0)

/* ---- configurations ------------------------------------------------------------------- */

static const char *main_config(void)
{
	snprintf(text, sizeof(text),
		 "log \"%s/bird.log\" all;\nrouter id 192.0.2.1;\ngraceful restart wait 5;\n"
		 "protocol device { }\n"
		 "protocol kernel { metric 31; ipv4 { export all; import none; }; graceful restart "
		 "on; }\n"
		 "include \"%s/culvert.conf\";\n",
		 directory, directory);
	return text;
}

#define STATIC "protocol static culvert_own { ipv4; route 10.1.0.0/24 blackhole; }\n"
#define MORE                                                                                  \
	"protocol static culvert_own { ipv4; route 10.1.0.0/24 blackhole; route 10.2.0.0/24 " \
	"blackhole; }\n"
#define PEER                                                                                    \
	STATIC                                                                                  \
	"protocol bgp culvert_far { local 192.0.2.1 as 64512; neighbor 192.0.2.2 as 64513; "    \
	"graceful restart on; ipv4 { import all; export where source = RTS_STATIC; }; connect " \
	"delay time 1; connect retry time 1; }\n"

static void configure(const char *include)
{
	if (cv_bird_configure(bird, main_config(), include, &error))
		fail_msg("%s", error.text);
}

static void start(const char *include)
{
	if (create(NULL, NULL))
		fail_msg("%s", error.text);
	configure(include);
	if (!wait_until(is_up, 10))
		fail_msg("%s", cv_bird_problem(bird));
}

static bool has_route(const char *prefix)
{
	return !cv_sh_status("ip route show %s proto bird | grep -q .", prefix);
}

static bool has_first(void)
{
	return has_route("10.1.0.0/24");
}

static bool has_more(void)
{
	return has_route("10.2.0.0/24");
}

static bool has_far(void)
{
	return has_route("10.9.0.0/24");
}

static bool log_has(const char *words, int times)
{
	return !cv_sh_status("test $(grep -c '%s' %s/bird.log) = %d", words, directory, times);
}

/* ---- a far peer, and watching ----------------------------------------------------------- */

static void start_far(void)
{
	cv_netns_switch(pair.far);
	cv_sh("mkdir -p %s/far && printf '%%s\\n' 'router id 192.0.2.2;' 'protocol device { }' "
	      "'protocol static { ipv4; route 10.9.0.0/24 blackhole; route 10.9.1.0/24 "
	      "blackhole; }' 'protocol bgp { local 192.0.2.2 as 64513; neighbor 192.0.2.1 as 64512;"
	      " graceful restart on; ipv4 { import all; export all; }; connect delay time 1; "
	      "connect retry time 1; }' >%s/far/bird.conf",
	      run_dir, run_dir);
	cv_sh("bird -c %s/far/bird.conf -s %s/far/ctl -P %s/far/pid >/dev/null 2>&1", run_dir,
	      run_dir, run_dir);
	cv_netns_switch(pair.near);
}

static void start_watching(void)
{
	cv_sh("ip -o monitor route >%s/events & echo $! >%s/monitor.pid", run_dir, run_dir);
	usleep(300000);
}

static void stop_watching(void)
{
	usleep(200000);
	cv_sh("kill $(cat %s/monitor.pid); rm %s/monitor.pid", run_dir, run_dir);
}

/* Only of BIRD's: the test's own routes may come and go. */
static bool saw_no_event(void)
{
	return cv_sh_status("grep -q 'proto bird' %s/events", run_dir);
}

/* ---- fixture ------------------------------------------------------------------------------ */

static int setup(void **state)
{
	(void)state;
	base = event_base_new();
	cv_sh("mkdir -p %s && chmod 755 %s", run_dir, run_dir);
	cv_pair_create(&pair);
	return base ? 0 : -1;
}

/* Whatever became of the test, no BIRD of it stays. */
static int teardown(void **state)
{
	int rc;

	(void)state;
	cv_bird_destroy(bird);
	bird = NULL;
	rc = cv_bird_purge(directory, &error);
	event_base_free(base);
	cv_sh("for f in %s/far/pid %s/monitor.pid; do test ! -e $f || kill $(cat $f); done; "
	      "rm -rf %s",
	      run_dir, run_dir, run_dir);
	cv_pair_destroy(&pair);
	return rc < 0 ? rc : 0;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void starts_and_is_taken_up(void **state)
{
	struct stat st;
	int pid;

	(void)state;
	start(STATIC);
	pid = cv_bird_pid(bird);
	assert_true(pid > 1);
	/* STARTING and UP, which may come as one: the process was quicker than this loop. */
	assert_true(wait_until(is_told_up, 5));
	assert_in_range(changes, 1, 2);
	assert_true(wait_until(has_first, 5));
	/* Nobody's child, in a session of its own, and not root where that can be. */
	assert_int_equal(cv_sh_status("test $(ps -o sid= -p %d) = $(ps -o pgid= -p %d)", pid, pid),
			 0);
	assert_int_not_equal(cv_sh_status("test $(ps -o ppid= -p %d) = %d", pid, getpid()), 0);
	assert_int_equal(cv_bird_is_root(bird), cv_sh_status("id bird >/dev/null 2>&1") != 0);
	assert_false(cv_bird_is_outdated(bird));
	snprintf(text, sizeof(text), "%s/culvert.conf", directory);
	assert_int_equal(stat(text, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);

	/* The next culvertd: the same process, and no reconfiguration. */
	cv_bird_destroy(bird);
	start(STATIC);
	assert_int_equal(cv_bird_pid(bird), pid);
	assert_true(log_has("Reconfigur", 0));
	/* With another configuration: told so. */
	cv_bird_destroy(bird);
	start(MORE);
	assert_int_equal(cv_bird_pid(bird), pid);
	assert_true(wait_until(has_more, 5));
	assert_true(log_has("Reconfigured", 1));
	assert_int_equal(cv_bird_restarts(bird), 0);
}

static void keeps_the_former_when_it_refuses(void **state)
{
	(void)state;
	start(STATIC);
	assert_true(wait_until(has_first, 5));
	configure(STATIC "protocol nonsense { }\n");
	assert_true(wait_until(has_problem, 5));
	assert_int_equal(cv_bird_state(bird), CV_BIRD_UP);
	assert_contains(cv_bird_problem(bird), "refuses its configuration");
	assert_contains(cv_bird_problem(bird), "culvert.conf:2:");
	assert_int_equal(cv_sh_status("grep -q nonsense %s/*.conf*", directory), 1);
	assert_true(has_first());
	/* Killed now, it comes back with the former. */
	kill(cv_bird_pid(bird), SIGKILL);
	assert_true(wait_until(is_down, 5));
	wait_until(never, 1.5);
	assert_int_equal(cv_bird_state(bird), CV_BIRD_UP);
	assert_contains(cv_bird_problem(bird), "refuses its configuration");
	configure(MORE);
	assert_true(wait_until(is_up, 5));
	assert_true(wait_until(has_more, 10));
	/* Back to what is in force: no question, no problem. */
	configure("nonsense;\n");
	assert_true(wait_until(has_problem, 5));
	configure(MORE);
	assert_true(wait_until(is_up, 1));
}

/* A BIRD that begins when it is let, and not before. */
static const char *make_held_program(void)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/held", run_dir);
	cv_sh("printf '%%s\\n' '#!/bin/sh' 'while test -e %s/hold; do sleep 0.01; done' "
	      "'exec /usr/sbin/bird \"$@\"' >%s && chmod +x %s",
	      run_dir, path, path);
	return path;
}

static void hold(void)
{
	cv_sh("touch %s/hold", run_dir);
}

static void let(void)
{
	cv_sh("rm %s/hold", run_dir);
}

static bool has_process(void)
{
	return cv_bird_pid(bird) > 0;
}

/* Meanwhile the loop does not run: nothing that BIRD does is noticed. */
static void sleep_until(bool (*is_so)(void))
{
	double end = now_s() + 10;

	while (!is_so()) {
		assert_true(now_s() < end);
		usleep(20000);
	}
}

static void is_told_what_was_written_while_it_started(void **state)
{
	(void)state;
	if (create(make_held_program(), NULL))
		fail_msg("%s", error.text);
	hold();
	configure(STATIC);
	assert_true(wait_until(has_process, 5));
	let();
	sleep_until(has_first); /* it has read that */
	configure(MORE);
	assert_true(wait_until(is_up, 10));
	assert_true(wait_until(has_more, 5));
	assert_true(log_has("Reconfigured", 1));
	/* The next culvertd finds it as it is. */
	cv_bird_destroy(bird);
	start(MORE);
	assert_true(log_has("Reconfigured", 1));
}

static bool has_ended(void)
{
	return is_gone(cv_bird_pid(bird));
}

static void does_not_refuse_what_was_not_read(void **state)
{
	(void)state;
	if (create(make_held_program(), NULL))
		fail_msg("%s", error.text);
	configure(STATIC);
	assert_true(wait_until(is_up, 10));
	hold();
	kill(cv_bird_pid(bird), SIGKILL);
	assert_true(wait_until(is_down, 5));
	configure("nonsense;\n");
	assert_true(wait_until(has_process, 5));
	let();
	sleep_until(has_ended); /* by that */
	configure(MORE);
	assert_true(wait_until(is_up, 10));
	assert_true(wait_until(has_more, 5));
}

static void comes_back_without_a_route_event(void **state)
{
	int pid;

	(void)state;
	start_far();
	start(PEER);
	pid = cv_bird_pid(bird);
	assert_true(wait_until(has_far, 20));
	start_watching();
	kill(pid, SIGKILL);
	assert_true(wait_until(is_down, 2));
	assert_contains(cv_bird_problem(bird), "has died");
	assert_true(wait_until(is_up, 5));
	assert_int_not_equal(cv_bird_pid(bird), pid);
	assert_int_equal(cv_bird_restarts(bird), 1);
	wait_until(never, 8); /* longer than `graceful restart wait` */
	stop_watching();
	assert_true(saw_no_event());
	assert_true(has_far());
	assert_true(log_has("Graceful restart done", 1));
}

static void restarts_gracefully(void **state)
{
	int pid;

	(void)state;
	start_far();
	start(PEER);
	pid = cv_bird_pid(bird);
	assert_true(wait_until(has_far, 20));
	start_watching();
	assert_int_equal(cv_bird_restart(bird, &error), 0);
	assert_int_equal(cv_bird_restart(bird, &error), -ENOTCONN); /* it is under way */
	wait_until(never, 8);
	stop_watching();
	assert_true(is_up());
	assert_int_not_equal(cv_bird_pid(bird), pid);
	assert_int_equal(cv_bird_restarts(bird), 0);
	assert_true(saw_no_event());
	assert_true(has_far());
}

static int answers, lost;

static void take_answer(const char *answer, size_t size, void *data)
{
	(void)data;
	if (answer && size)
		answers++;
	else
		lost++;
}

static bool has_answers(void)
{
	return answers == 3;
}

static void does_not_wait_for_one_that_hangs(void **state)
{
	char *answer;
	size_t size;
	int pid;

	(void)state;
	start(STATIC);
	pid = cv_bird_pid(bird);
	answers = lost = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(cv_bird_ask(bird, "show status", take_answer, NULL), 0);
	assert_true(wait_until(has_answers, 5));
	assert_int_equal(cv_bird_ask(bird, "two\nlines", take_answer, NULL), -EINVAL);
	assert_int_equal(cv_bird_ask_now(bird, "show status", 2000, &answer, &size), 0);
	assert_memory_equal(answer, "1000-BIRD 2", 11);
	free(answer);

	kill(pid, SIGSTOP);
	assert_int_equal(cv_bird_ask(bird, "show status", take_answer, NULL), 0);
	assert_int_equal(cv_bird_ask(bird, "show status", take_answer, NULL), 0);
	assert_int_equal(cv_bird_ask_now(bird, "show status", 200, &answer, &size), -ETIMEDOUT);
	assert_true(wait_until(is_down, 12));
	assert_int_equal(lost, 2);
	assert_contains(cv_bird_problem(bird), "does not answer");
	assert_int_equal(cv_bird_ask(bird, "show status", take_answer, NULL), -ENOTCONN);
	kill(pid, SIGCONT);
	assert_true(wait_until(is_up, 5));
	assert_int_equal(cv_bird_pid(bird), pid);
	assert_int_equal(cv_bird_restarts(bird), 0);

	/* One that hangs is ended, too, and its routes with it. */
	kill(pid, SIGSTOP);
	cv_bird_stop(bird);
	assert_true(wait_until(is_off, 15));
	assert_false(has_first());
	assert_true(is_gone(pid));
}

static void stops_and_leaves_nothing(void **state)
{
	int pid;

	(void)state;
	start(MORE);
	pid = cv_bird_pid(bird);
	assert_true(wait_until(has_more, 5));
	cv_sh("ip route add blackhole 10.3.0.0/24 proto bird metric 77"); /* somebody else's */
	cv_bird_stop(bird);
	assert_true(wait_until(is_off, 5));
	assert_true(is_gone(pid));
	assert_false(has_more());
	assert_int_equal(access(directory, F_OK), -1);
	/* And again; told to run while it is stopping, it is started anew. */
	configure(STATIC);
	assert_true(wait_until(is_up, 5));
	cv_bird_stop(bird);
	configure(MORE);
	assert_true(wait_until(has_more, 10));
	assert_true(wait_until(is_up, 5));
	/* A daemon that wants none stops the one that it finds. */
	cv_bird_destroy(bird);
	assert_int_equal(create(NULL, NULL), 0);
	cv_bird_stop(bird);
	wait_until(never, 1);
	assert_true(is_off());
	assert_false(has_more());
	assert_int_equal(access(directory, F_OK), -1);
}

static void is_purged(void **state)
{
	int pid;

	(void)state;
	assert_int_equal(cv_bird_purge(directory, &error), 0);
	start(MORE);
	pid = cv_bird_pid(bird);
	assert_true(wait_until(has_more, 5));
	cv_bird_destroy(bird);
	bird = NULL;
	assert_int_equal(cv_bird_purge(directory, &error), 1);
	assert_true(is_gone(pid));
	assert_false(has_more());
	assert_int_equal(access(directory, F_OK), -1);
	/* One that was killed: its routes go, too. */
	start(MORE);
	assert_true(wait_until(has_more, 5));
	pid = cv_bird_pid(bird);
	cv_bird_destroy(bird);
	bird = NULL;
	kill(pid, SIGKILL);
	usleep(100000);
	assert_true(has_more());
	assert_int_equal(cv_bird_purge(directory, &error), 1);
	assert_false(has_more());
	/* One that hangs. */
	start(MORE);
	kill(cv_bird_pid(bird), SIGSTOP);
	cv_bird_destroy(bird);
	bird = NULL;
	assert_int_equal(cv_bird_purge(directory, &error), 1);
	assert_false(has_more());
}

static void says_what_to_install(void **state)
{
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/bin", run_dir);
	assert_int_equal(create(path, NULL), 0);
	configure(STATIC);
	assert_true(wait_until(is_down, 5));
	assert_contains(cv_bird_problem(bird), "there is no such program");
	changes = 0;
	/* Looked for again, without a word. */
	wait_until(never, 0.5);
	assert_int_equal(changes, 0);
	cv_sh("ln -s /usr/sbin/bird %s", path);
	assert_true(wait_until(is_up, 15));
}

static void tells_why_it_does_not_start_once(void **state)
{
	(void)state;
	assert_int_equal(create(NULL, NULL), 0);
	configure("nonsense;\n");
	assert_true(wait_until(has_problem, 5));
	assert_contains(cv_bird_problem(bird), "BIRD does not start: ");
	assert_contains(cv_bird_problem(bird), "culvert.conf:1:");
	wait_until(never, 0.5);
	changes = 0;
	wait_until(never, 2);
	if (changes)
		fail_msg("told %d times more: %s", changes, last_told);
	assert_int_equal(cv_bird_restarts(bird), 0);
	configure(STATIC);
	assert_true(wait_until(is_up, 15));
}

static void is_not_stopped_by_leftovers(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	/* A socket that nobody listens on, and a process id that is somebody else's: ours. */
	cv_sh("mkdir -p %s; echo %d >%s/bird.pid", directory, getpid(), directory);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	start(STATIC);
	assert_true(wait_until(has_first, 5)); /* at once: not by -R, which waits */

	/* Its socket is taken away: nobody can reach it; it is ended and started again. */
	cv_bird_destroy(bird);
	cv_sh("rm %s", socket_path);
	start_watching();
	assert_int_equal(create(NULL, NULL), 0);
	configure(STATIC);
	assert_true(wait_until(is_up, 20));
	stop_watching();
	assert_true(saw_no_event());
}

static void does_not_take_others_for_bird(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	cv_sh("mkdir -p %s", directory);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(create(NULL, NULL), 0);
	configure(STATIC);
	assert_true(wait_until(is_down, 5));
	assert_contains(cv_bird_problem(bird), "is no BIRD of ours");
	close(fd);
}

static void needs_a_short_name(void **state)
{
	char saved[sizeof(directory)], path[200];
	const struct cv_bird_options options = {.base = base, .directory = path};

	(void)state;
	memcpy(saved, directory, sizeof(saved));
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(cv_bird_create(&options, &bird, &error), -ENAMETOOLONG);
	assert_contains(error.text, "too long a name for BIRD's control socket");
	bird = NULL;
}

static void a_full_disk_leaves_the_former(void **state)
{
	int pid;

	(void)state;
	cv_sh("mkdir %s && mount -t tmpfs -o size=256k,mode=755 tmpfs %s", directory, directory);
	start(STATIC);
	pid = cv_bird_pid(bird);
	cv_sh("dd if=/dev/zero of=%s/filler bs=4k 2>/dev/null; true", directory);
	assert_int_equal(cv_bird_configure(bird, main_config(), MORE, &error), -ENOSPC);
	assert_contains(error.text, "make room");
	assert_int_equal(cv_sh_status("grep -q 10.2.0.0 %s/culvert.conf", directory), 1);
	assert_int_equal(cv_sh_status("ls %s | grep -q former", directory), 1);
	wait_until(never, 0.5);
	assert_true(is_up());
	assert_true(has_first());
	/* Killed with a full disk, it comes back. */
	kill(pid, SIGKILL);
	assert_true(wait_until(is_down, 5));
	assert_true(wait_until(is_up, 10));
	cv_sh("rm %s/filler", directory);
	configure(MORE);
	assert_true(wait_until(has_more, 10));
	cv_bird_stop(bird);
	assert_true(wait_until(is_off, 5));
	cv_sh("umount %s", directory);
}

static void a_directory_that_cannot_be_made(void **state)
{
	(void)state;
	cv_sh("touch %s", directory);
	assert_int_equal(create(NULL, NULL), 0);
	assert_int_equal(cv_bird_configure(bird, main_config(), STATIC, &error), -ENOTDIR);
	assert_contains(error.text, directory);
	cv_sh("rm %s", directory);
	configure(STATIC);
	assert_true(wait_until(is_up, 5));
}

/* Somebody else's BIRD, which includes our part. */
static void drives_one_that_others_run(void **state)
{
	char path[128];

	(void)state;
	cv_sh("mkdir %s/other %s/far && printf '%%s\\n' 'router id 192.0.2.1;' 'protocol device { "
	      "}' "
	      "'protocol kernel { ipv4 { export all; import none; }; }' 'include "
	      "\"%s/culvert.conf\";' >%s/other/bird.conf",
	      run_dir, run_dir, directory, run_dir);
	snprintf(path, sizeof(path), "%s/other/ctl", run_dir);
	assert_int_equal(create(NULL, path), 0);
	assert_int_equal(cv_bird_configure(bird, NULL, STATIC, &error), 0);
	assert_true(wait_until(is_down, 5));
	assert_contains(cv_bird_problem(bird), "no BIRD listens at");
	cv_sh("bird -c %s/other/bird.conf -s %s -P %s/far/pid >/dev/null 2>&1", run_dir, path,
	      run_dir);
	assert_true(wait_until(is_up, 12));
	assert_true(wait_until(has_first, 5));
	assert_int_equal(cv_bird_configure(bird, NULL, MORE, &error), 0);
	assert_true(wait_until(has_more, 5));
	assert_int_equal(cv_bird_restart(bird, &error), -EOPNOTSUPP);
	cv_bird_stop(bird);
	assert_true(wait_until(is_off, 5));
	wait_until(never, 0.5);
	assert_false(has_more());
	/* It runs as before, without our part. */
	assert_int_equal(cv_sh_status("birdc -s %s show status >/dev/null", path), 0);
	assert_int_equal(cv_sh_status("test -e %s/culvert.conf -a ! -s %s/culvert.conf", directory,
				      directory),
			 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(starts_and_is_taken_up, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_the_former_when_it_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(is_told_what_was_written_while_it_started, setup,
						teardown),
		cmocka_unit_test_setup_teardown(does_not_refuse_what_was_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(comes_back_without_a_route_event, setup, teardown),
		cmocka_unit_test_setup_teardown(restarts_gracefully, setup, teardown),
		cmocka_unit_test_setup_teardown(does_not_wait_for_one_that_hangs, setup, teardown),
		cmocka_unit_test_setup_teardown(stops_and_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(is_purged, setup, teardown),
		cmocka_unit_test_setup_teardown(says_what_to_install, setup, teardown),
		cmocka_unit_test_setup_teardown(tells_why_it_does_not_start_once, setup, teardown),
		cmocka_unit_test_setup_teardown(is_not_stopped_by_leftovers, setup, teardown),
		cmocka_unit_test_setup_teardown(does_not_take_others_for_bird, setup, teardown),
		cmocka_unit_test_setup_teardown(needs_a_short_name, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_former, setup, teardown),
		cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_made, setup, teardown),
		cmocka_unit_test_setup_teardown(drives_one_that_others_run, setup, teardown),
	};

	if (!cv_netns_available())
		return 0;
	/* For the small file system, that nobody else sees. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(run_dir))
		return 1;
	snprintf(directory, sizeof(directory), "%s/bird", run_dir);
	snprintf(socket_path, sizeof(socket_path), "%s/bird.ctl", directory);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
