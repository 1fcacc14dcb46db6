/* SPDX-License-Identifier: Apache-2.0 */
/* The state file: there and back, damaged files, disks that are full or gone. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tunnel/file.h"
#include "tunnel/state.h"

static char dir[] = "/tmp/culvert-state-XXXXXX";
static char path[PATH_MAX];
static struct cv_error error;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/%s", dir, CV_TUNNEL_STATE_FILE);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static bool file_says(const char *word)
{
	char text[4096] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	return strstr(text, word) != NULL;
}

/* Nothing but what is named may be in the directory; "" for nothing. */
static void assert_only(const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, name))
			fail_msg("%s was left behind", entry->d_name);
	}
	closedir(d);
}

static void write_text(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static struct cv_tunnel_record make_record(const char *name, const char *remote)
{
	struct cv_tunnel_record record = {.ifindex = 7, .mtu = 1480, .complete = true};

	cv_tunnel_config_init(&record.config);
	snprintf(record.config.name, IFNAMSIZ, "%s", name);
	record.config.remote = inet_addr(remote);
	return record;
}

static void comes_back_as_it_was_saved(void **state)
{
	struct cv_tunnel_record records[] = {make_record("tun0", "192.0.2.1"),
					     make_record("tun1", "192.0.2.2")};
	struct cv_tunnel_record *loaded;
	struct stat st;
	size_t count;

	(void)state;
	records[1].complete = false;
	records[1].ifindex = 0;
	records[1].mtu = 0;
	records[1].config.strict = false;
	records[1].config.mtu = 1400;
	records[1].config.mssclamp = 1300;
	strcpy(records[1].config.owner, "Tunnel tun1");
	assert_int_equal(cv_tunnel_state_save(dir, records, 2, &error), 0);
	assert_only(CV_TUNNEL_STATE_FILE);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(loaded[i].config.name, records[i].config.name);
		assert_true(cv_tunnel_config_equal(&loaded[i].config, &records[i].config));
		assert_string_equal(loaded[i].config.owner, records[i].config.owner);
		assert_int_equal(loaded[i].mtu, records[i].mtu);
		assert_int_equal(loaded[i].ifindex, records[i].ifindex);
		assert_int_equal(loaded[i].complete, records[i].complete);
	}
	free(loaded);
	assert_int_equal(cv_tunnel_state_save(dir, NULL, 0, &error), 0);
	assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), 0);
	assert_int_equal(count, 0);
	free(loaded);
}

/* Who goes back to a Culvert that refuses words it does not know keeps his tunnels. */
static void new_words_with_their_defaults_are_not_written(void **state)
{
	struct cv_tunnel_record record = make_record("tun0", "192.0.2.1");

	(void)state;
	assert_int_equal(cv_tunnel_state_save(dir, &record, 1, &error), 0);
	assert_false(file_says("mssclamp"));
	record.config.mssclamp = CV_TCP_MSS_OFF;
	assert_int_equal(cv_tunnel_state_save(dir, &record, 1, &error), 0);
	assert_true(file_says("mssclamp"));
}

static void no_file_is_no_tunnels(void **state)
{
	struct cv_tunnel_record *loaded;
	size_t count = 5;

	(void)state;
	unlink(path);
	assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), 0);
	assert_int_equal(count, 0);
	free(loaded);
}

#define TUNNEL "\"tunnel\":{\"name\":\"tun0\"}"
#define OTHER  "\"tunnel\":{\"name\":\"tun1\"}"
#define REST   "\"ifindex\":1,\"mtu\":1480,\"complete\":true"

static void damaged_files_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"{}",
		"null",
		"{\"version\":2,\"tunnels\":[]}",
		"{\"version\":\"1\",\"tunnels\":[]}",
		"{\"version\":1}",
		"{\"version\":1,\"tunnels\":{}}",
		"{\"version\":1,\"tunnels\":[7]}",
		"{\"version\":1,\"tunnels\":[{" REST "}]}",
		"{\"version\":1,\"tunnels\":[{\"tunnel\":{}," REST "}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL ",\"mtu\":1480,\"complete\":true}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL
		",\"ifindex\":-1,\"mtu\":1480,\"complete\":true}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL
		",\"ifindex\":1,\"mtu\":70000,\"complete\":true}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL ",\"ifindex\":1,\"mtu\":1480}]}",
		"{\"version\":1,\"tunnels\":[{\"tunnel\":{\"name\":\"tun0\",\"remote\":\"224.0.0."
		"1\"}"
		"," REST "}]}",
		"{\"version\":1,\"version\":1,\"tunnels\":[]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST ",\"owner\":7}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST ",\"owner\":\"po\\u0000ols\"}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST
		",\"owner\":\"of thirty-two characters, too long\"}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST ",\"mtu_wanted\":-1}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST ",\"mtu_wanted\":67}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST ",\"mtu_wanted\":70000}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST ",\"of_the_future\":1}]}",
		"{\"version\":1,\"tunnels\":[{\"tunnel\":{\"name\":\"tun0\",\"owner\":\"pools\"}"
		"," REST "}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST "},{" TUNNEL "," REST "}]}",
		"{\"version\":1,\"tunnels\":[{" TUNNEL "," REST "},{" OTHER "," REST "}]}",
	};
	struct cv_tunnel_record *loaded = NULL;
	size_t count = 5;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		write_text(texts[i]);
		if (cv_tunnel_state_load(dir, &loaded, &count, &error) != -EBADMSG)
			fail_msg("taken: %s", texts[i]);
		assert_non_null(strstr(error.text, "move it away"));
		assert_null(loaded);
		assert_int_equal(count, 5);
	}
	/* As Culvert 0.1 wrote it. */
	write_text("{\"version\":1,\"tunnels\":[{" TUNNEL "," REST "}]}");
	assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), 0);
	assert_int_equal(count, 1);
	assert_string_equal(loaded[0].config.owner, "");
	assert_int_equal(loaded[0].config.mtu, 0);
	free(loaded);
}

/* What others can write is not believed; what is no file is not waited for. */
static void what_is_not_ours_is_refused(void **state)
{
	struct cv_tunnel_record *loaded = NULL;
	size_t count = 5;

	(void)state;
	write_text("{\"version\":1,\"tunnels\":[]}");
	assert_int_equal(chmod(path, 0622), 0);
	assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), -EPERM);
	assert_non_null(strstr(error.text, "chmod 600"));
	assert_int_equal(chmod(path, 0600), 0);
	if (!geteuid()) {
		assert_int_equal(chown(path, 65534, 0), 0);
		assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), -EPERM);
	}
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), -EBADMSG);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), -EBADMSG);
	assert_int_equal(rmdir(path), 0);
	assert_null(loaded);
	assert_int_equal(count, 5);
}

/* A limit on file sizes fails a write in the middle as a full disk does. */
static void a_failed_save_leaves_the_old_file(void **state)
{
	struct cv_tunnel_record records[] = {make_record("tun0", "192.0.2.1"),
					     make_record("tun1", "192.0.2.2")};
	struct cv_tunnel_record *loaded;
	struct rlimit limit, before;
	size_t count;

	(void)state;
	assert_int_equal(cv_tunnel_state_save(dir, records, 1, &error), 0);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 100;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(cv_tunnel_state_save(dir, records, 2, &error), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	/* No advice that does not help. */
	assert_non_null(strstr(error.text, CV_TUNNEL_STATE_FILE ": File too large"));
	assert_null(strchr(error.text, ';'));
	assert_only(CV_TUNNEL_STATE_FILE);
	assert_int_equal(cv_tunnel_state_load(dir, &loaded, &count, &error), 0);
	assert_int_equal(count, 1);
	free(loaded);
}

static void a_missing_directory_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(cv_tunnel_state_save("/nonexistent/culvert", NULL, 0, &error), -ENOENT);
	assert_non_null(strstr(error.text, "/nonexistent/culvert/" CV_TUNNEL_STATE_FILE));
	assert_non_null(strstr(error.text, "; make that directory writable"));
}

static int lack_memory(const json_t *root, void *data, struct cv_error *why)
{
	(void)root;
	(void)data;
	return cv_error_set(why, -ENOMEM, "out of memory");
}

/* Who moved it away would lose the tunnels for nothing. */
static void want_of_memory_is_no_damage(void **state)
{
	static const struct cv_file file = {CV_TUNNEL_STATE_FILE, "tunnels"};

	(void)state;
	write_text("{}");
	assert_int_equal(cv_file_load(dir, &file, lack_memory, NULL, &error), -ENOMEM);
	assert_non_null(strstr(error.text, CV_TUNNEL_STATE_FILE ": out of memory"));
	assert_null(strstr(error.text, "damaged"));
	assert_null(strstr(error.text, "move it away"));
}

/* What a crash left of a save must not be in the way, and a link there must not be followed. */
static void leftovers_are_replaced(void **state)
{
	char temporary[PATH_MAX + 4];
	struct stat st;

	(void)state;
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	assert_int_equal(symlink("/nonexistent/elsewhere", temporary), 0);
	/* Taken away, not followed. */
	assert_int_equal(cv_tunnel_state_save(dir, NULL, 0, &error), 0);
	assert_int_equal(lstat("/nonexistent/elsewhere", &st), -1);
	assert_only(CV_TUNNEL_STATE_FILE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was_saved),
		cmocka_unit_test(new_words_with_their_defaults_are_not_written),
		cmocka_unit_test(no_file_is_no_tunnels),
		cmocka_unit_test(damaged_files_are_refused),
		cmocka_unit_test(want_of_memory_is_no_damage),
		cmocka_unit_test(what_is_not_ours_is_refused),
		cmocka_unit_test(a_failed_save_leaves_the_old_file),
		cmocka_unit_test(a_missing_directory_is_an_error),
		cmocka_unit_test(leftovers_are_replaced),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
