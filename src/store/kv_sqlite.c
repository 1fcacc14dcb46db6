/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents in SQLite. One table of documents, and a counter: the revision of the last commit. As
 * in etcd, all keys of a commit get the same revision, and no revision comes twice.
 *
 * - journal_mode WAL with synchronous FULL: a commit is one append to the log and one fdatasync,
 * and what was committed is there after a loss of power (https://www.sqlite.org/pragma.html,
 * synchronous).
 * - locking_mode EXCLUSIVE: the file is ours as long as it is open. Another process is told so at
 *   once, and there is no shared memory file that could be left over.
 * - A file is looked at before anything is written to it: one of another program, of a newer
 * format, or one that fails quick_check stays as it is.
 */
#include "store/kv_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "net/vector.h"

enum {
	APPLICATION_ID = 0x43756c76, /* "Culv"; PRAGMA application_id */
	FORMAT = 1,		     /* PRAGMA user_version */
	/* Bytes to which the log is cut again after a checkpoint. */
	LOG_LIMIT = 4 << 20,
};

enum statement {
	BEGIN,
	COMMIT,
	ROLLBACK,
	SAVEPOINT,
	RELEASE,
	ROLLBACK_TO,
	GET,
	LIST,
	LIST_ALL,
	PUT,
	DELETE,
	READ_COUNTER,
	WRITE_COUNTER,
	STATEMENTS
};

static const char list_text[] = "SELECT key, value, revision FROM documents "
				"WHERE key >= ?1 AND key < ?2 ORDER BY key";
static const char put_text[] = "INSERT INTO documents (key, value, revision) VALUES (?1, ?2, ?3) "
			       "ON CONFLICT (key) DO UPDATE SET value = ?2, revision = ?3";

static const char *const texts[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[SAVEPOINT] = "SAVEPOINT part",
	[RELEASE] = "RELEASE part",
	[ROLLBACK_TO] = "ROLLBACK TO part",
	[GET] = "SELECT key, value, revision FROM documents WHERE key = ?1",
	[LIST] = list_text,
	[LIST_ALL] = "SELECT key, value, revision FROM documents ORDER BY key",
	[PUT] = put_text,
	[DELETE] = "DELETE FROM documents WHERE key = ?1",
	[READ_COUNTER] = "SELECT revision FROM counter",
	[WRITE_COUNTER] = "UPDATE counter SET revision = ?1",
};

static const char schema[] = "CREATE TABLE documents (id INTEGER PRIMARY KEY, key TEXT NOT NULL "
			     "UNIQUE, value TEXT NOT NULL, revision INTEGER NOT NULL);"
			     "CREATE TABLE counter (revision INTEGER NOT NULL);"
			     "INSERT INTO counter VALUES (0);";

struct sqlite_kv {
	struct cv_kv kv;
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	char *path;
	bool in_group; /* between cv_kv_sqlite_begin and _end */
	int group_rc;  /* why SQLite has undone all of it already */
	struct cv_error group_error;
};

static struct sqlite_kv *of(struct cv_kv *kv)
{
	return (struct sqlite_kv *)kv;
}

/* ---- errors ---------------------------------------------------------------------- */

/* What the system said when the database, or its log, could not be written. SQLite's own "disk
 * full" is ENOSPC alone, and not the quota or the largest file that is allowed. */
static int system_error(sqlite3 *db, int which)
{
	sqlite3_file *file = NULL;
	int number = 0;

	if (db && sqlite3_file_control(db, "main", which, &file) == SQLITE_OK && file &&
	    file->pMethods)
		file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &number);
	return number;
}

static int error_of_files(sqlite3 *db)
{
	int system = system_error(db, SQLITE_FCNTL_JOURNAL_POINTER);

	if (!system)
		system = system_error(db, SQLITE_FCNTL_FILE_POINTER);
	if (!system && db)
		system = sqlite3_system_errno(db);
	switch (system) {
	case EFBIG:
	case EDQUOT:
	case ENOSPC:
		return -ENOSPC;
	case EACCES:
	case EPERM:
	case EROFS:
		return -EACCES;
	default:
		return -EIO;
	}
}

/* What SQLite calls an error, as ours. */
static int error_of(sqlite3 *db, int code)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_MISMATCH:
		return -EUCLEAN;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return error_of_files(db);
	default:
		return -EIO;
	}
}

/* What is to be done about it. */
static const char *advice_of(int rc)
{
	switch (rc) {
	case -ENOSPC:
		return "; the disk is full, or a quota reached: make room";
	case -EACCES:
		return "; the directory and the file must be writable for culvertd";
	case -EBUSY:
		return "; another process has it open: end that";
	case -EUCLEAN:
		return "; it is damaged and was left as it is: restore it from a copy, or move it "
		       "away (then no address of a running pod is known)";
	default:
		return "";
	}
}

static int fail(const struct sqlite_kv *kv, int code, const char *what, struct cv_error *error)
{
	int rc = error_of(kv->db, code);

	return cv_error_set(error, rc, "%s: %s: %s%s", kv->path, what,
			    kv->db ? sqlite3_errmsg(kv->db) : sqlite3_errstr(code), advice_of(rc));
}

/* ---- reading --------------------------------------------------------------------- */

static char *copy_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);
	int length = sqlite3_column_bytes(statement, column);
	char *copy;

	errno = EUCLEAN;
	if (sqlite3_column_type(statement, column) != SQLITE_TEXT || !text ||
	    strlen(text) != (size_t)length)
		return NULL;
	copy = strdup(text);
	if (!copy)
		errno = ENOMEM;
	return copy;
}

/* The row that a statement has stepped to. */
static int read_row(const struct sqlite_kv *kv, sqlite3_stmt *statement,
		    struct cv_kv_item *ret_item, struct cv_error *error)
{
	struct cv_kv_item item = {.revision = sqlite3_column_int64(statement, 2)};
	int rc;

	item.key = copy_text(statement, 0);
	item.value = item.key ? copy_text(statement, 1) : NULL;
	if (item.value && item.revision > 0) {
		*ret_item = item;
		return 0;
	}
	rc = item.value ? -EUCLEAN : -errno;
	if (rc == -ENOMEM)
		cv_error_set(error, rc, "no memory");
	else
		cv_error_set(error, rc, "%s: document \"%.200s\" is no text%s", kv->path,
			     item.key ? item.key : "?", advice_of(rc));
	cv_kv_item_fini(&item);
	return rc;
}

/* Ready for its next use; what was bound may go. */
static void done_with(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

static int sqlite_get(struct cv_kv *base, const char *key, struct cv_kv_item *ret_item,
		      struct cv_error *error)
{
	struct sqlite_kv *kv = of(base);
	sqlite3_stmt *statement = kv->statements[GET];
	int rc, code = sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		rc = read_row(kv, statement, ret_item, error);
	else if (code == SQLITE_DONE)
		rc = cv_error_set(error, -ENOENT, "%s: there is no \"%s\"", kv->path, key);
	else
		rc = fail(kv, code, "cannot read", error);
	done_with(statement);
	return rc;
}

static int read_counter(const struct sqlite_kv *kv, int64_t *ret_revision, struct cv_error *error)
{
	sqlite3_stmt *statement = kv->statements[READ_COUNTER];
	int rc = 0, code = sqlite3_step(statement);

	if (code == SQLITE_ROW)
		*ret_revision = sqlite3_column_int64(statement, 0);
	else if (code == SQLITE_DONE)
		rc = cv_error_set(error, -EUCLEAN, "%s: there is no counter%s", kv->path,
				  advice_of(-EUCLEAN));
	else
		rc = fail(kv, code, "cannot read", error);
	done_with(statement);
	return rc;
}

static int read_rows(const struct sqlite_kv *kv, sqlite3_stmt *statement, struct cv_vector *items,
		     struct cv_error *error)
{
	struct cv_kv_item item;
	int rc, code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		rc = read_row(kv, statement, &item, error);
		if (rc)
			return rc;
		if (cv_vector_append(items, &item)) {
			cv_kv_item_fini(&item);
			return cv_error_set(error, -ENOMEM, "no memory");
		}
	}
	return code == SQLITE_DONE ? 0 : fail(kv, code, "cannot read", error);
}

/* The least text that is behind all that begin with prefix: its last byte counted up. Keys are
 * ASCII. */
static char *end_of(const char *prefix)
{
	char *end = strdup(prefix);

	if (end)
		end[strlen(end) - 1]++;
	return end;
}

static int sqlite_list(struct cv_kv *base, const char *prefix, struct cv_kv_list *ret_list,
		       struct cv_error *error)
{
	struct sqlite_kv *kv = of(base);
	sqlite3_stmt *statement = kv->statements[*prefix ? LIST : LIST_ALL];
	struct cv_kv_list list = {0};
	struct cv_vector items;
	char *end = *prefix ? end_of(prefix) : NULL;
	int rc = 0;

	cv_vector_init(&items, sizeof(struct cv_kv_item));
	if (*prefix && !end)
		return cv_error_set(error, -ENOMEM, "no memory");
	if (end && (sqlite3_bind_text(statement, 1, prefix, -1, SQLITE_STATIC) ||
		    sqlite3_bind_text(statement, 2, end, -1, SQLITE_STATIC)))
		rc = cv_error_set(error, -ENOMEM, "no memory");
	if (!rc)
		rc = read_rows(kv, statement, &items, error);
	done_with(statement);
	if (!rc)
		rc = read_counter(kv, &list.revision, error);
	free(end);
	list.items = items.items;
	list.count = items.count;
	if (rc)
		cv_kv_list_fini(&list);
	else
		*ret_list = list;
	return rc;
}

/* ---- commits --------------------------------------------------------------------- */

/* Run a statement that gives no rows. */
static int run(const struct sqlite_kv *kv, enum statement which, const char *what,
	       struct cv_error *error)
{
	sqlite3_stmt *statement = kv->statements[which];
	int code = sqlite3_step(statement);
	/* Before the reset, which sets its own message. */
	int rc = code == SQLITE_DONE ? 0 : fail(kv, code, what, error);

	done_with(statement);
	return rc;
}

/* Whether a key is at its revision. */
static int compare(const struct sqlite_kv *kv, const struct cv_kv_operation *operation,
		   struct cv_error *error)
{
	sqlite3_stmt *statement = kv->statements[GET];
	int64_t revision = CV_KV_ABSENT;
	int code;

	if (operation->revision == CV_KV_WHATEVER)
		return 0;
	code = sqlite3_bind_text(statement, 1, operation->key, -1, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		revision = sqlite3_column_int64(statement, 2);
	else if (code != SQLITE_DONE) {
		int rc = fail(kv, code, "cannot read", error);

		done_with(statement);
		return rc;
	}
	done_with(statement);
	if (revision == operation->revision)
		return 0;
	return cv_error_set(error, -EAGAIN,
			    "\"%.200s\" was changed meanwhile: revision %lld, not %lld",
			    operation->key, (long long)revision, (long long)operation->revision);
}

static int apply(const struct sqlite_kv *kv, const struct cv_kv_operation *operation,
		 int64_t revision, struct cv_error *error)
{
	enum statement which = operation->value ? PUT : DELETE;
	sqlite3_stmt *statement = kv->statements[which];

	if (operation->value == CV_KV_KEEP)
		return 0;
	if (sqlite3_bind_text(statement, 1, operation->key, -1, SQLITE_STATIC) ||
	    (operation->value &&
	     (sqlite3_bind_text(statement, 2, operation->value, -1, SQLITE_STATIC) ||
	      sqlite3_bind_int64(statement, 3, revision)))) {
		done_with(statement);
		return cv_error_set(error, -ENOMEM, "no memory");
	}
	return run(kv, which, "cannot write", error);
}

static int write_all(const struct sqlite_kv *kv, const struct cv_kv_operation *operations,
		     size_t count, int64_t *ret_revision, struct cv_error *error)
{
	int64_t revision = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++)
		rc = compare(kv, &operations[i], error);
	if (!rc)
		rc = read_counter(kv, &revision, error);
	if (rc)
		return rc;
	revision++;
	for (size_t i = 0; !rc && i < count; i++)
		rc = apply(kv, &operations[i], revision, error);
	if (rc)
		return rc;
	if (sqlite3_bind_int64(kv->statements[WRITE_COUNTER], 1, revision))
		return cv_error_set(error, -ENOMEM, "no memory");
	*ret_revision = revision;
	return run(kv, WRITE_COUNTER, "cannot write", error);
}

static int tell_group_error(const struct sqlite_kv *kv, struct cv_error *error)
{
	return cv_error_set(error, kv->group_rc, "%s", kv->group_error.text);
}

/* A part of a group: as a commit, but that the disk is not waited for. */
static int commit_part(struct sqlite_kv *kv, const struct cv_kv_operation *operations, size_t count,
		       int64_t *ret_revision, struct cv_error *error)
{
	struct cv_error problem = {.text = ""};
	int rc;

	if (kv->group_rc)
		return tell_group_error(kv, error);
	rc = run(kv, SAVEPOINT, "cannot write", &problem);
	if (!rc)
		rc = write_all(kv, operations, count, ret_revision, &problem);
	if (rc && !sqlite3_get_autocommit(kv->db))
		run(kv, ROLLBACK_TO, "cannot undo", NULL);
	/* A failure of the disk has undone the parts before it, too. */
	if (rc && sqlite3_get_autocommit(kv->db)) {
		kv->group_rc = rc;
		kv->group_error = problem;
		return tell_group_error(kv, error);
	}
	run(kv, RELEASE, "cannot undo", NULL);
	return rc ? cv_error_set(error, rc, "%s", problem.text) : 0;
}

static int sqlite_commit(struct cv_kv *base, const struct cv_kv_operation *operations, size_t count,
			 int64_t *ret_revision, struct cv_error *error)
{
	struct sqlite_kv *kv = of(base);
	int rc;

	if (kv->in_group)
		return commit_part(kv, operations, count, ret_revision, error);
	rc = run(kv, BEGIN, "cannot write", error);

	if (rc)
		return rc;
	rc = write_all(kv, operations, count, ret_revision, error);
	if (!rc)
		rc = run(kv, COMMIT, "cannot write", error);
	/* A failure of the disk has undone it already. */
	if (rc && !sqlite3_get_autocommit(kv->db))
		run(kv, ROLLBACK, "cannot undo", NULL);
	return rc;
}

int cv_kv_sqlite_begin(struct cv_kv *base, struct cv_error *error)
{
	struct sqlite_kv *kv = of(base);
	int rc = run(kv, BEGIN, "cannot write", error);

	kv->in_group = !rc;
	kv->group_rc = 0;
	return rc;
}

int cv_kv_sqlite_end(struct cv_kv *base, struct cv_error *error)
{
	struct sqlite_kv *kv = of(base);
	int rc;

	kv->in_group = false;
	if (kv->group_rc)
		return tell_group_error(kv, error);
	rc = run(kv, COMMIT, "cannot write", error);
	if (rc && !sqlite3_get_autocommit(kv->db))
		run(kv, ROLLBACK, "cannot undo", NULL);
	return rc;
}

/* ---- opening --------------------------------------------------------------------- */

static void sqlite_destroy(struct cv_kv *base)
{
	struct sqlite_kv *kv = of(base);

	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(kv->statements[i]);
	sqlite3_close(kv->db);
	free(kv->path);
	free(kv);
}

static const struct cv_kv_ops sqlite_ops = {
	.get = sqlite_get,
	.list = sqlite_list,
	.commit = sqlite_commit,
	.destroy = sqlite_destroy,
};

static int execute(const struct sqlite_kv *kv, const char *sql, struct cv_error *error)
{
	int code = sqlite3_exec(kv->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : fail(kv, code, "cannot open", error);
}

/* The only value of a query: a number, or a text of which buffer has room for the beginning. */
static int ask(const struct sqlite_kv *kv, const char *sql, char *buffer, size_t size,
	       struct cv_error *error)
{
	sqlite3_stmt *statement = NULL;
	int rc = 0, code = sqlite3_prepare_v2(kv->db, sql, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		snprintf(buffer, size, "%s", (const char *)sqlite3_column_text(statement, 0));
	else
		rc = fail(kv, code, "cannot open", error);
	sqlite3_finalize(statement);
	return rc;
}

static int ask_number(const struct sqlite_kv *kv, const char *sql, long long *ret_number,
		      struct cv_error *error)
{
	char text[32];
	int rc = ask(kv, sql, text, sizeof(text), error);

	if (!rc)
		*ret_number = strtoll(text, NULL, 10);
	return rc;
}

/* What the file says of itself: *ret_is_new is true if there is nothing in it yet. */
static int look(const struct sqlite_kv *kv, bool *ret_is_new, struct cv_error *error)
{
	long long application = 0, format = 0, tables = 0;
	char text[160];
	int rc = ask_number(kv, "PRAGMA application_id", &application, error);

	if (!rc)
		rc = ask_number(kv, "PRAGMA user_version", &format, error);
	if (!rc)
		rc = ask_number(kv, "SELECT count(*) FROM sqlite_master", &tables, error);
	if (rc)
		return rc;
	*ret_is_new = !application && !format && !tables;
	if (*ret_is_new)
		return 0;
	if (application != APPLICATION_ID)
		return cv_error_set(error, -EUCLEAN,
				    "%s: it is a database of another program; move it away",
				    kv->path);
	if (format > FORMAT)
		return cv_error_set(error, -EPROTONOSUPPORT,
				    "%s: it has format %lld of a newer Culvert, and this one knows "
				    "%d; go back to the newer one",
				    kv->path, format, FORMAT);
	rc = ask(kv, "PRAGMA quick_check(1)", text, sizeof(text), error);
	if (!rc && strcmp(text, "ok"))
		return cv_error_set(error, -EUCLEAN, "%s: %s%s", kv->path, text,
				    advice_of(-EUCLEAN));
	return rc;
}

static int make_tables(const struct sqlite_kv *kv, struct cv_error *error)
{
	char sql[sizeof(schema) + 160];
	int rc;

	snprintf(sql, sizeof(sql),
		 "BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		 schema, APPLICATION_ID, FORMAT);
	rc = execute(kv, sql, error);
	if (rc && !sqlite3_get_autocommit(kv->db))
		sqlite3_exec(kv->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static int prepare(struct sqlite_kv *kv, struct cv_error *error)
{
	for (int i = 0; i < STATEMENTS; i++) {
		int code = sqlite3_prepare_v3(kv->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
					      &kv->statements[i], NULL);

		if (code != SQLITE_OK)
			return fail(kv, code, "cannot open", error);
	}
	return 0;
}

static int set_up(struct sqlite_kv *kv, struct cv_error *error)
{
	char mode[16], sql[64];
	bool is_new = false;
	int rc = execute(kv, "PRAGMA locking_mode = EXCLUSIVE", error);

	if (!rc)
		rc = look(kv, &is_new, error);
	if (!rc)
		rc = ask(kv, "PRAGMA journal_mode = WAL", mode, sizeof(mode), error);
	if (!rc && strcmp(mode, "wal"))
		rc = cv_error_set(error, -EIO, "%s: cannot have a write-ahead log (mode %s)",
				  kv->path, mode);
	if (!rc)
		rc = execute(kv, "PRAGMA synchronous = FULL", error);
	snprintf(sql, sizeof(sql), "PRAGMA journal_size_limit = %d", LOG_LIMIT);
	if (!rc)
		rc = execute(kv, sql, error);
	if (!rc && is_new)
		rc = make_tables(kv, error);
	if (!rc)
		rc = prepare(kv, error);
	/* From now on it is known to be sound: its log may go into it at the end. */
	if (!rc)
		sqlite3_db_config(kv->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return rc;
}

/* That a new file's name is on the disk, too. */
static int sync_directory_of(const char *path)
{
	char buffer[PATH_MAX];
	int fd, rc;

	snprintf(buffer, sizeof(buffer), "%s", path);
	fd = open(dirname(buffer), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

/* SQLite makes its log with the mode of the file, and would make the file with a mode of its own.
 */
static int make_file(const char *path, struct cv_error *error)
{
	int rc, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		rc = -errno;
		return cv_error_set(error, rc == -EROFS || rc == -EPERM ? -EACCES : rc,
				    "%s: cannot open: %s%s", path, strerror(-rc), advice_of(rc));
	}
	close(fd);
	rc = sync_directory_of(path);
	if (rc)
		cv_error_set(error, rc, "%s: cannot sync its directory: %s", path, strerror(-rc));
	return rc;
}

int cv_kv_sqlite_open(const char *path, struct cv_kv **ret_kv, struct cv_error *error)
{
	struct sqlite_kv *kv;
	int code, rc = make_file(path, error);

	if (rc)
		return rc;
	kv = calloc(1, sizeof(*kv));
	if (!kv)
		return cv_error_set(error, -ENOMEM, "no memory");
	kv->kv.ops = &sqlite_ops;
	kv->path = strdup(path);
	if (!kv->path) {
		free(kv);
		return cv_error_set(error, -ENOMEM, "no memory");
	}
	code = sqlite3_open_v2(path, &kv->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
				       SQLITE_OPEN_EXRESCODE,
			       NULL);
	if (code != SQLITE_OK)
		rc = fail(kv, code, "cannot open", error);
	else
		/* What turns out to be damaged stays as it is, with its log. */
		sqlite3_db_config(kv->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (!rc)
		rc = set_up(kv, error);
	if (rc) {
		sqlite_destroy(&kv->kv);
		return rc;
	}
	*ret_kv = &kv->kv;
	return 0;
}
