/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files are written aside and renamed: a runtime that looks meanwhile finds the old one, or none,
 * or the new one. The binary comes first and goes last, as a list that names what is not there
 * makes a runtime fail. What somebody else has put there stays, unless --force says otherwise: a
 * list of ours has a mark, a binary of ours has this program's signature in it.
 */
#include "cni/install.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control.h"
#include "cni/config.h"
#include "cni/conflist.h"

enum {
	DONE = 0,
	FAILED = 1,
	USAGE = 2,
	FILE_MAX = 64 << 20, /* bytes of what is compared */
};

/* volatile: it must stand in the binary although nobody prints it. */
static const volatile char signature[] = "culvert-cni: this is the CNI plugin of Culvert";

static const char usage[] =
	"Usage: culvert-cni install [ OPTIONS ]\n"
	"       culvert-cni uninstall [ --bin-dir DIR ] [ --conf-dir DIR ] [ --name NAME ] "
	"[ --dry-run ]\n"
	"\n"
	"  --bin-dir DIR      where runtimes look for plugins (default: /opt/cni/bin)\n"
	"  --conf-dir DIR     where they look for networks (default: /etc/cni/net.d)\n"
	"  --name NAME        of the network (default: culvert); the file is 10-NAME.conflist\n"
	"  --mode MODE        routed (default), or bridge\n"
	"  --bridge NAME      of the bridge (default: cbr0); means --mode bridge\n"
	"  --run-dir DIR      of culvertd (default: /run/culvert)\n"
	"  --chain PLUGINS    behind culvert-cni: of portmap, bandwidth, tuning, firewall, sbr, "
	"with\n"
	"                     commas (default: portmap); \"\" is none\n"
	"  --force            replace files that are not Culvert's\n"
	"  --dry-run          say what would be done\n"
	"  -h, --help         this\n"
	"  -V, --version      print the version\n"
	"\n"
	"Exit codes: 0 done, 1 refused or failed, 2 usage. See culvert-cni(8).\n";

struct options {
	const char *bin_dir, *conf_dir;
	struct cv_cni_conflist conflist;
	bool is_bridge;
	bool force, dry_run, help, version;
};

struct paths {
	char binary[PATH_MAX], conflist[PATH_MAX];
};

/* ---- files -------------------------------------------------------------------------- */

/* Exactly length bytes. 0 or -1 + errno: part of a file must not be taken for the whole. */
static int read_all(int fd, char *text, size_t length)
{
	while (length) {
		ssize_t n = read(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = EIO; /* it has become shorter */
		if (n <= 0)
			return -1;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

/* The whole of a regular file, terminated by NUL; the caller's. NULL + errno (ELOOP: a link). */
static char *read_file(const char *path, bool follow, size_t *ret_length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
	struct stat st;
	char *text = NULL;
	int err = EINVAL;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX) {
		text = malloc((size_t)st.st_size + 1);
		err = ENOMEM;
	}
	if (text && read_all(fd, text, (size_t)st.st_size)) {
		err = errno;
		free(text);
		text = NULL;
	}
	close(fd);
	errno = err;
	if (!text)
		return NULL;
	text[st.st_size] = '\0';
	*ret_length = (size_t)st.st_size;
	return text;
}

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "culvert-cni: cannot %s %s: %s\n", what, path, strerror(errno));
	return FAILED;
}

/* mkdir -p */
static int make_directory(const char *path, const struct options *options)
{
	char part[PATH_MAX];
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return DONE;
	if (options->dry_run) {
		printf("would make %s\n", path);
		return DONE;
	}
	snprintf(part, sizeof(part), "%s", path);
	for (char *at = part + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return fail("make", part);
		*at = '/';
	}
	return mkdir(path, 0755) && errno != EEXIST ? fail("make", path) : DONE;
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t n = write(fd, bytes, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes += n;
		length -= (size_t)n;
	}
	return 0;
}

static void sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
}

static int replace_file(const char *directory, const char *path, mode_t mode, const char *bytes,
			size_t length)
{
	char aside[PATH_MAX];
	int fd, code = DONE;

	/* Runtimes read *.conf, *.conflist and *.json alone. */
	if (snprintf(aside, sizeof(aside), "%s/.culvert-cni.%d", directory, (int)getpid()) >=
	    (int)sizeof(aside)) {
		errno = ENAMETOOLONG;
		return fail("write", path);
	}
	unlink(aside);
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return fail("write", aside);
	if (write_all(fd, bytes, length) || fchmod(fd, mode) || fsync(fd))
		code = fail("write", aside);
	close(fd);
	if (!code && rename(aside, path))
		code = fail("replace", path);
	if (code)
		unlink(aside);
	else
		sync_directory(directory);
	return code;
}

static bool has_signature(const char *bytes, size_t length)
{
	char text[sizeof(signature)];

	for (size_t i = 0; i < sizeof(signature); i++)
		text[i] = signature[i];
	return memmem(bytes, length, text, sizeof(text)) != NULL;
}

static bool is_ours(const char *path, const char *bytes, size_t length)
{
	const char *end = strrchr(path, '.');

	return end && !strcmp(end, ".conflist") ? cv_cni_conflist_is_ours(bytes)
						: has_signature(bytes, length);
}

enum there {
	NOTHING,
	THE_SAME,
	OURS,
	FOREIGN,
};

/* bytes: NULL is nothing that could be the same. */
static enum there look(const char *path, const char *bytes, size_t length)
{
	size_t size = 0;
	char *now = read_file(path, false, &size);
	enum there there = FOREIGN;

	if (!now)
		return errno == ENOENT ? NOTHING : FOREIGN;
	if (bytes && size == length && !memcmp(now, bytes, length))
		there = THE_SAME;
	else if (is_ours(path, now, size))
		there = OURS;
	free(now);
	return there;
}

static int put(const struct options *options, const char *directory, const char *path, mode_t mode,
	       const char *bytes, size_t length)
{
	enum there there = look(path, bytes, length);
	int code;

	if (there == THE_SAME) {
		printf("%s is there already\n", path);
		return DONE;
	}
	if (there == FOREIGN && !options->force) {
		fprintf(stderr,
			"culvert-cni: %s is not Culvert's; move it away, or say --force to replace "
			"it\n",
			path);
		return FAILED;
	}
	if (options->dry_run) {
		printf("would %s %s\n", there == NOTHING ? "write" : "replace", path);
		return DONE;
	}
	code = replace_file(directory, path, mode, bytes, length);
	if (!code)
		printf("%s %s\n", there == NOTHING ? "wrote" : "replaced", path);
	return code;
}

/* ---- install ------------------------------------------------------------------------ */

static int put_binary(const struct options *options, const struct paths *paths)
{
	size_t length = 0;
	char *bytes = read_file("/proc/self/exe", true, &length);
	int code;

	if (!bytes)
		return fail("read", "/proc/self/exe");
	code = make_directory(options->bin_dir, options);
	if (!code)
		code = put(options, options->bin_dir, paths->binary, 0755, bytes, length);
	free(bytes);
	return code;
}

static int put_conflist(const struct options *options, const struct paths *paths,
			const json_t *conflist)
{
	char *text = json_dumps(conflist, JSON_INDENT(2)), *line = NULL;
	int code = FAILED;

	if (text && asprintf(&line, "%s\n", text) >= 0)
		code = make_directory(options->conf_dir, options);
	else
		fputs("culvert-cni: out of memory\n", stderr);
	if (!code)
		code = put(options, options->conf_dir, paths->conflist, 0644, line, strlen(line));
	free(text);
	free(line);
	return code;
}

/* Runtimes have more directories of plugins than one: no error. */
static void warn_of_missing(const struct options *options, const json_t *conflist)
{
	const json_t *plugins = json_object_get(conflist, "plugins");
	char path[PATH_MAX];

	for (size_t i = 1; i < json_array_size(plugins); i++) {
		const char *type =
			json_string_value(json_object_get(json_array_get(plugins, i), "type"));

		snprintf(path, sizeof(path), "%s/%s", options->bin_dir, type);
		if (access(path, X_OK))
			fprintf(stderr,
				"culvert-cni: warning: there is no %s: the runtime must find %s "
				"elsewhere (Debian's package containernetworking-plugins has it in "
				"/usr/lib/cni), or say --chain without it\n",
				path, type);
	}
}

static int install(const struct options *options, const struct paths *paths)
{
	struct cv_error error;
	json_t *conflist = cv_cni_conflist_make(&options->conflist, &error);
	int code;

	if (!conflist) {
		fprintf(stderr, "culvert-cni: %s\n", error.text);
		return USAGE;
	}
	/* Nothing is half done for a list that is not ours to replace. */
	if (look(paths->conflist, NULL, 0) == FOREIGN && !options->force)
		code = put_conflist(options, paths, conflist);
	else
		code = put_binary(options, paths);
	if (!code)
		code = put_conflist(options, paths, conflist);
	if (!code)
		warn_of_missing(options, conflist);
	json_decref(conflist);
	return code;
}

/* ---- uninstall ---------------------------------------------------------------------- */

static int take_away(const struct options *options, const char *path)
{
	switch (look(path, NULL, 0)) {
	case NOTHING:
		printf("%s is not there\n", path);
		return DONE;
	case FOREIGN:
		printf("%s is not Culvert's, and stays\n", path);
		return DONE;
	default:
		break;
	}
	if (options->dry_run) {
		printf("would remove %s\n", path);
		return DONE;
	}
	if (unlink(path) && errno != ENOENT)
		return fail("remove", path);
	printf("removed %s\n", path);
	return DONE;
}

/* Another network of the directory that needs the plugin; with a dry run ours is still there. */
static bool find_user(const struct options *options, const struct paths *paths,
		      char ret_path[PATH_MAX])
{
	DIR *directory = opendir(options->conf_dir);
	const struct dirent *entry;
	bool found = false;

	while (directory && !found && (entry = readdir(directory))) {
		size_t length;
		char *text;

		if (snprintf(ret_path, PATH_MAX, "%s/%s", options->conf_dir, entry->d_name) >=
			    PATH_MAX ||
		    !strcmp(ret_path, paths->conflist))
			continue;
		text = read_file(ret_path, true, &length);
		found = text && cv_cni_conflist_uses_us(text);
		free(text);
	}
	if (directory)
		closedir(directory);
	return found;
}

static int uninstall(const struct options *options, const struct paths *paths)
{
	char user[PATH_MAX];
	int code = take_away(options, paths->conflist);

	if (code)
		return code;
	if (find_user(options, paths, user)) {
		printf("%s stays: %s needs it\n", paths->binary, user);
		return DONE;
	}
	return take_away(options, paths->binary);
}

/* ---- words -------------------------------------------------------------------------- */

static int parse_mode(struct options *options, const char *mode)
{
	options->is_bridge = !strcmp(mode, "bridge");
	if (options->is_bridge || !strcmp(mode, "routed"))
		return DONE;
	fprintf(stderr, "culvert-cni: --mode %.32s is neither routed nor bridge\n", mode);
	return USAGE;
}

static int parse_option(struct options *options, int option)
{
	switch (option) {
	case 'b':
		options->bin_dir = optarg;
		return DONE;
	case 'c':
		options->conf_dir = optarg;
		return DONE;
	case 'n':
		options->conflist.name = optarg;
		return DONE;
	case 'm':
		return parse_mode(options, optarg);
	case 'B':
		options->conflist.bridge = optarg;
		options->is_bridge = true;
		return DONE;
	case 'r':
		options->conflist.run_dir = optarg;
		return DONE;
	case 'C':
		options->conflist.chain = optarg;
		return DONE;
	case 'f':
		options->force = true;
		return DONE;
	case 'd':
		options->dry_run = true;
		return DONE;
	case 'h':
		options->help = true;
		return DONE;
	case 'V':
		options->version = true;
		return DONE;
	default: /* getopt has said why */
		fputs("culvert-cni: try \"culvert-cni --help\"\n", stderr);
		return USAGE;
	}
}

static int parse_options(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{"bin-dir", required_argument, NULL, 'b'},
		{"conf-dir", required_argument, NULL, 'c'},
		{"name", required_argument, NULL, 'n'},
		{"mode", required_argument, NULL, 'm'},
		{"bridge", required_argument, NULL, 'B'},
		{"run-dir", required_argument, NULL, 'r'},
		{"chain", required_argument, NULL, 'C'},
		{"force", no_argument, NULL, 'f'},
		{"dry-run", no_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option, code = DONE;

	while (!code && (option = getopt_long(argc, argv, "hV", names, NULL)) != -1)
		code = parse_option(options, option);
	if (options->is_bridge && !options->conflist.bridge)
		options->conflist.bridge = "cbr0";
	else if (!options->is_bridge)
		options->conflist.bridge = NULL;
	return code;
}

static int make_paths(const struct options *options, struct paths *ret_paths)
{
	if (!cv_attachment_name_is_valid(options->conflist.name)) {
		fprintf(stderr, "culvert-cni: --name %.64s is no name of a network\n",
			options->conflist.name);
		return USAGE;
	}
	if (snprintf(ret_paths->binary, PATH_MAX, "%s/%s", options->bin_dir, CV_CNI_TYPE) <
		    PATH_MAX &&
	    snprintf(ret_paths->conflist, PATH_MAX, "%s/10-%s.conflist", options->conf_dir,
		     options->conflist.name) < PATH_MAX)
		return DONE;
	fputs("culvert-cni: too long a path\n", stderr);
	return USAGE;
}

static int refuse_word(const char *word)
{
	fprintf(stderr, "culvert-cni: unknown word \"%.64s\"; try \"culvert-cni --help\"\n", word);
	return USAGE;
}

int cv_cni_install_main(int argc, char **argv)
{
	struct options options = {
		.bin_dir = "/opt/cni/bin",
		.conf_dir = "/etc/cni/net.d",
		.conflist = {.name = "culvert", .run_dir = CV_CONTROL_RUN_DIR, .chain = "portmap"},
	};
	struct paths paths;
	const char *command;
	int code = parse_options(&options, argc, argv);

	if (code)
		return code;
	if (options.version || options.help) {
		fputs(options.version ? "culvert-cni " CV_VERSION "\n" : usage, stdout);
		return DONE;
	}
	command = optind < argc ? argv[optind] : "";
	if (optind + 1 < argc)
		return refuse_word(argv[optind + 1]);
	code = make_paths(&options, &paths);
	if (code)
		return code;
	if (!strcmp(command, "install"))
		return install(&options, &paths);
	if (!strcmp(command, "uninstall"))
		return uninstall(&options, &paths);
	return refuse_word(command);
}
