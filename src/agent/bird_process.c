/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD's process. A process id from a file, or of a socket's listener, may by now be anybody's:
 * it counts only where /proc says that this is a program of BIRD's name with our socket's path
 * among its arguments; what is done to it is done through a pidfd.
 */
#include "agent/bird_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/route_table.h"
#include "net/vector.h"
#include "routing/bgp.h"
#include "tunnel/spawn.h"

#define NAME	"bird"
#define DELETED " (deleted)" /* what the kernel puts behind the name of a file that is gone */

enum {
	WORDS_SIZE = 4096,
	ARGUMENTS_MAX = 16,
	COMMAND_MAX = 8192,
	TASK_NAME_MAX = 17, /* with newline and NUL */
};

/* ---- starting ----------------------------------------------------------------------- */

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static bool find_in(const char *directories, char ret_path[PATH_MAX])
{
	while (*directories) {
		size_t size = strcspn(directories, ":");

		if (*directories == '/' &&
		    snprintf(ret_path, PATH_MAX, "%.*s/" NAME, (int)size, directories) < PATH_MAX &&
		    is_program(ret_path))
			return true;
		directories += size + (directories[size] == ':');
	}
	return false;
}

int cv_bird_process_find(const char *program, char ret_path[PATH_MAX], struct cv_error *error)
{
	const char *path = getenv("PATH");

	if (program) {
		snprintf(ret_path, PATH_MAX, "%s", program);
		if (is_program(program))
			return 0;
		return cv_error_set(error, -ENOENT, "%s: there is no such program", program);
	}
	if ((path && find_in(path, ret_path)) || find_in("/usr/sbin", ret_path))
		return 0;
	return cv_error_set(error, -ENOENT, "bird is not installed: apt install bird2");
}

/* Without room on disk, and bounded whatever it writes. */
static int make_words(struct cv_error *error)
{
	int fd = memfd_create("bird", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && !ftruncate(fd, WORDS_SIZE) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		return fd;
	cv_error_set(error, -errno, "cannot start BIRD: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -EIO;
}

/* exec takes them as char *, and does not write to them. */
static char *argument(const char *text)
{
	return (char *)(uintptr_t)text;
}

int cv_bird_process_start(const struct cv_bird_files *files, const char *program, bool recover,
			  pid_t *ret_pid, int *ret_words, struct cv_error *error)
{
	char path[PATH_MAX], config[CV_BIRD_PATH_MAX], socket[CV_BIRD_PATH_MAX];
	char pid[CV_BIRD_PATH_MAX], *arguments[ARGUMENTS_MAX];
	struct cv_spawn spawn = {.program = path, .arguments = arguments};
	size_t n = 0;
	int rc = cv_bird_process_find(program, path, error);

	if (rc)
		return rc;
	arguments[n++] = argument(NAME);
	arguments[n++] = argument("-f");
	arguments[n++] = argument("-c");
	arguments[n++] = argument(cv_bird_files_path(files, CV_BIRD_CONFIG, config));
	arguments[n++] = argument("-s");
	arguments[n++] = argument(cv_bird_files_path(files, CV_BIRD_SOCKET, socket));
	arguments[n++] = argument("-P");
	arguments[n++] = argument(cv_bird_files_path(files, CV_BIRD_PID, pid));
	if (files->has_user) {
		arguments[n++] = argument("-u");
		arguments[n++] = argument("bird");
		arguments[n++] = argument("-g");
		arguments[n++] = argument("bird");
	}
	if (recover)
		arguments[n++] = argument("-R");
	arguments[n] = NULL;
	spawn.error_fd = make_words(error);
	if (spawn.error_fd < 0)
		return spawn.error_fd;
	rc = cv_spawn_detached(&spawn, ret_pid);
	if (rc) {
		close(spawn.error_fd);
		return cv_error_set(error, rc, "cannot start %s: %s", path, strerror(-rc));
	}
	*ret_words = spawn.error_fd;
	return 0;
}

void cv_bird_process_words(int words, char *buffer, size_t size)
{
	ssize_t n = words >= 0 ? pread(words, buffer, size - 1, 0) : 0;
	char *text;

	buffer[n > 0 ? n : 0] = '\0';
	buffer[strcspn(buffer, "\n")] = '\0';
	/* It begins with its own name. */
	text = strncmp(buffer, NAME ": ", strlen(NAME ": ")) ? buffer : buffer + strlen(NAME ": ");
	memmove(buffer, text, strlen(text) + 1);
}

/* ---- recognising --------------------------------------------------------------------- */

static ssize_t read_proc(pid_t pid, const char *name, char *buffer, size_t size)
{
	char path[64];
	ssize_t n, used = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, buffer + used, size - 1 - (size_t)used);
		used += n > 0 ? n : 0;
	} while (n > 0 && (size_t)used < size - 1);
	close(fd);
	buffer[used] = '\0';
	return used;
}

/* Where the kernel does not show whose program it is (BIRD is another user's, and we may not trace
 * it: our systemd unit has no CAP_SYS_PTRACE), the process's own name has to do. */
static bool is_named_bird(pid_t pid)
{
	char name[TASK_NAME_MAX];

	return read_proc(pid, "comm", name, sizeof(name)) > 0 && !strncmp(name, NAME, strlen(NAME));
}

/* The path of its program, or ""; true if that file is gone. */
static bool read_program(pid_t pid, char ret_path[PATH_MAX])
{
	char link[64], *deleted;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	n = readlink(link, ret_path, PATH_MAX - 1);
	ret_path[n > 0 ? n : 0] = '\0';
	if (n < (ssize_t)strlen(DELETED))
		return false;
	deleted = ret_path + n - strlen(DELETED);
	if (strcmp(deleted, DELETED) != 0)
		return false;
	*deleted = '\0';
	return true;
}

static bool has_argument(const char *command, size_t size, const char *option, const char *value)
{
	bool is_next = false;

	for (const char *at = command; at < command + size; at += strlen(at) + 1) {
		if (is_next && !strcmp(at, value))
			return true;
		is_next = !strcmp(at, option);
	}
	return false;
}

bool cv_bird_process_is_ours(pid_t pid, const struct cv_bird_files *files)
{
	char program[PATH_MAX], command[COMMAND_MAX], socket[CV_BIRD_PATH_MAX];
	const char *slash;
	ssize_t n;

	if (pid <= 1)
		return false;
	read_program(pid, program);
	slash = strrchr(program, '/');
	if (slash ? strncmp(slash + 1, NAME, strlen(NAME)) != 0 : !is_named_bird(pid))
		return false;
	n = read_proc(pid, "cmdline", command, sizeof(command));
	return n > 0 && has_argument(command, (size_t)n, "-s",
				     cv_bird_files_path(files, CV_BIRD_SOCKET, socket));
}

pid_t cv_bird_process_find_pid(const struct cv_bird_files *files)
{
	char path[CV_BIRD_PATH_MAX], text[16] = "";
	int fd = open(cv_bird_files_path(files, CV_BIRD_PID, path),
		      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	long pid;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	pid = strtol(text, NULL, 10);
	return pid > 1 && pid <= INT_MAX && cv_bird_process_is_ours((pid_t)pid, files) ? (pid_t)pid
										       : 0;
}

int cv_bird_process_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int cv_bird_process_kill(int pidfd)
{
	return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) ? -errno : 0;
}

bool cv_bird_process_is_here(pid_t pid)
{
	struct stat here, there;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return stat("/proc/self/ns/net", &here) || stat(path, &there) ||
	       (here.st_ino == there.st_ino && here.st_dev == there.st_dev);
}

/* Not by whose /proc/PID is: that of a process that gave up privileges is root's. */
bool cv_bird_process_is_root(pid_t pid)
{
	char text[COMMAND_MAX];
	const char *line;
	unsigned int real, effective;

	if (pid <= 0 || read_proc(pid, "status", text, sizeof(text)) <= 0)
		return false;
	line = strstr(text, "\nUid:");
	/* NOLINTNEXTLINE(cert-err34-c): what is no number leaves the count short. */
	return line && sscanf(line, "\nUid: %u %u", &real, &effective) == 2 && !effective;
}

bool cv_bird_process_is_outdated(pid_t pid, const char *program)
{
	char running[PATH_MAX], path[PATH_MAX], link[64];
	struct stat now, then;

	if (pid <= 0)
		return false;
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	if (read_program(pid, running))
		return true;
	if (!running[0] || cv_bird_process_find(program, path, NULL))
		return false;
	return !stat(path, &now) && !stat(link, &then) &&
	       (now.st_ino != then.st_ino || now.st_dev != then.st_dev);
}

/* ---- its routes ---------------------------------------------------------------------- */

static int add_route(const struct cv_table_route *route, void *data)
{
	/* The first with prefix, metric and protocol goes, whatever its next hops are. */
	const struct cv_route_change change = {
		.verb = CV_ROUTE_DELETE,
		.route = {.prefix = route->prefix,
			  .type = route->type,
			  .protocol = route->protocol,
			  .scope = route->scope,
			  .metric = route->metric},
	};

	return route->metric == CV_BGP_METRIC ? cv_vector_append(data, &change) : 0;
}

static int change_routes(bool remove)
{
	struct cv_vector changes;
	struct cv_nl *nl;
	size_t failed = 0;
	int rc = cv_nl_create(&nl);

	if (rc)
		return rc;
	cv_vector_init(&changes, sizeof(struct cv_route_change));
	rc = cv_route_table_for_each(nl, RTPROT_BIRD, add_route, &changes);
	if (!rc && remove && changes.count)
		rc = cv_route_table_change(nl, changes.items, changes.count, &failed);
	if (!rc)
		rc = (int)(changes.count - failed);
	cv_vector_fini(&changes);
	cv_nl_destroy(nl);
	return rc;
}

int cv_bird_routes_count(void)
{
	return change_routes(false);
}

int cv_bird_routes_delete(void)
{
	return change_routes(true);
}
