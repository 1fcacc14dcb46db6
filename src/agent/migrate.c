/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/migrate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/json_text.h"
#include "agent/log.h"
#include "agent/node_json.h"
#include "ipam/migration.h"
#include "store/kv_etcd.h"

enum {
	/* Of comparing and writing: others migrate at the same time, answers are lost. */
	ATTEMPTS = 8,
};

enum phase {
	READING,
	COMPARING,
	WRITING,
	DONE,
};

/* One migration. The thread of addresses has it while it runs, but for what is atomic. */
struct job {
	struct cv_migrator *migrator;
	struct cv_request_migrate question;
	char *path; /* of the datastore's file */
	struct cv_datastore_config config;
	struct cv_snapshot *snapshot;
	char node[254];
	bool is_etcd; /* the store is, now */
	struct cv_migration migration;
	_Atomic enum phase phase;
	atomic_size_t total;
	struct cv_migration_progress progress;
	pthread_mutex_t lock;
	struct cv_kv *asked; /* the etcd that is waited for, or NULL; with the lock */
};

struct cv_migrator {
	struct cv_addresses *addresses;
	const struct cv_pods *pods;
	struct cv_node_agent *node;
	struct job *job; /* under way, or NULL */
	json_t *last;	 /* how the last one ended, or NULL */
	char frozen[160];
	bool is_moved; /* from files, all of it, since the start */
};

/* ---- on the thread of addresses ---------------------------------------------------------- */

/* What cv_migrator_stop ends. */
static void set_asked(struct job *job, struct cv_kv *kv)
{
	pthread_mutex_lock(&job->lock);
	job->asked = kv;
	if (job->progress.stop)
		cv_kv_cancel(kv);
	pthread_mutex_unlock(&job->lock);
}

static int gather_calico(struct job *job, struct cv_error *error)
{
	struct cv_kv *calico;
	int rc = cv_kv_etcd_create(&job->config, "/calico", &calico, error);

	if (rc)
		return rc;
	set_asked(job, calico);
	rc = cv_migration_add_calico(&job->migration, calico, error);
	set_asked(job, NULL);
	cv_kv_destroy(calico);
	return rc;
}

static int gather(struct job *job, struct cv_kv *own, struct cv_error *error)
{
	int rc;

	if (job->question.from_calico)
		return gather_calico(job, error);
	rc = cv_migration_add_documents(&job->migration, own, error);
	if (!rc)
		rc = cv_migration_add_snapshot(&job->migration, job->snapshot, job->node, error);
	return rc;
}

/* Until all of it is there, or somebody says otherwise. */
static int move(struct job *job, struct cv_kv *target, struct cv_error *error)
{
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < ATTEMPTS; i++) {
		job->phase = COMPARING;
		rc = cv_migration_compare(&job->migration, target, error);
		job->total = job->migration.count;
		if (rc || job->migration.conflicts.count || job->question.dry_run)
			return rc;
		job->phase = WRITING;
		rc = cv_migration_write(&job->migration, target, &job->progress, error);
	}
	return rc;
}

static int run(void *context, struct cv_kv *own, struct cv_error *error)
{
	struct job *job = context;
	struct cv_error why = {.text = ""};
	struct cv_kv *target;
	int rc = gather(job, own, error);

	if (!rc)
		rc = cv_kv_etcd_create(&job->config, NULL, &target, error);
	if (rc)
		return rc;
	set_asked(job, target);
	rc = move(job, target, &why);
	set_asked(job, NULL);
	cv_kv_destroy(target);
	if (rc && job->phase == WRITING)
		return cv_error_set(error, rc,
				    "%.300s; %zu of %zu keys are written: do it again, and it goes "
				    "on from there",
				    why.text, (size_t)job->progress.written,
				    job->migration.count - job->migration.equal);
	return rc ? cv_error_set(error, rc, "%s", why.text) : 0;
}

/* ---- the end of it ----------------------------------------------------------------------- */

static void destroy_job(struct job *job)
{
	cv_migration_fini(&job->migration);
	cv_datastore_config_fini(&job->config);
	cv_snapshot_put(job->snapshot);
	pthread_mutex_destroy(&job->lock);
	free(job->path);
	free(job);
}

static json_t *job_to_json(const struct job *job)
{
	static const char *const phases[] = {
		[READING] = "reading",
		[COMPARING] = "comparing",
		[WRITING] = "writing",
		[DONE] = "done",
	};

	return json_pack("{s:s, s:o, s:b, s:s, s:I, s:I}", "from",
			 job->question.from_calico ? "calico" : "files", "datastore",
			 cv_json_text(job->path), "dry_run", (int)job->question.dry_run, "phase",
			 phases[job->phase], "total", (json_int_t)job->total, "written",
			 (json_int_t)job->progress.written);
}

static void add_outcome(json_t *json, const struct job *job, const char *problem,
			const char *installed)
{
	const struct cv_migration *migration = &job->migration;

	json_object_set_new(json, "running", json_false());
	json_object_set_new(json, "equal", json_integer((json_int_t)migration->equal));
	json_object_set_new(json, "resources",
			    json_integer((json_int_t)migration->counts[CV_MIGRATION_RESOURCE]));
	json_object_set_new(json, "blocks",
			    json_integer((json_int_t)migration->counts[CV_MIGRATION_BLOCK]));
	json_object_set_new(json, "affinities",
			    json_integer((json_int_t)migration->counts[CV_MIGRATION_AFFINITY]));
	json_object_set_new(json, "handles",
			    json_integer((json_int_t)migration->counts[CV_MIGRATION_HANDLE]));
	json_object_set_new(json, "skipped", cv_messages_to_json(&migration->skipped));
	json_object_set_new(json, "conflicts", cv_messages_to_json(&migration->conflicts));
	json_object_set_new(json, "problem", cv_json_text(problem));
	json_object_set_new(json, "installed", cv_json_text(installed));
}

/* 0 or -errno; *ret_path: the caller frees; NULL: there was nothing to be put in place. */
static int install(const struct job *job, char **ret_path, struct cv_error *error)
{
	const char *directory = cv_store_directory(cv_node_store(job->migrator->node));
	int rc;

	*ret_path = NULL;
	if (job->is_etcd)
		return 0;
	rc = cv_migrate_install(job->path, directory, CV_DATASTORE_FILE, error);
	if (!rc && asprintf(ret_path, "%s/%s", directory, CV_DATASTORE_FILE) < 0)
		*ret_path = NULL;
	return rc;
}

/* Once all was moved nothing but a restart lets addresses be assigned again, whatever is asked for
 * until then. */
static void end_freeze(struct cv_migrator *migrator, bool is_moved)
{
	migrator->is_moved |= is_moved;
	if (migrator->is_moved) {
		snprintf(migrator->frozen, sizeof(migrator->frozen),
			 "resources and addresses were moved to etcd: restart culvertd");
		return;
	}
	migrator->frozen[0] = '\0';
	cv_addresses_set_moving(migrator->addresses, false);
}

static void on_done(void *context, int rc, const struct cv_error *error, const void *result)
{
	struct job *job = context;
	struct cv_migrator *migrator = job->migrator;
	bool is_complete = !rc && !job->question.dry_run && !job->migration.conflicts.count;
	struct cv_error why = {.text = ""};
	char *installed = NULL;

	(void)result;
	if (rc)
		why = *error;
	else if (is_complete)
		rc = install(job, &installed, &why);
	job->phase = DONE;
	json_decref(migrator->last);
	migrator->last = job_to_json(job);
	add_outcome(migrator->last, job, rc ? why.text : NULL, installed);
	end_freeze(migrator, is_complete && !rc && !job->question.from_calico);
	if (rc)
		cv_log(LOG_ERR, "migrate: %s", why.text);
	else
		cv_log(LOG_NOTICE, "migrate: keys %zu, written %zu%s%s", job->migration.count,
		       (size_t)job->progress.written,
		       job->migration.conflicts.count ? ": refused, as others are there" : "",
		       installed ? "; a restart of culvertd puts etcd in force" : "");
	free(installed);
	migrator->job = NULL;
	destroy_job(job);
}

/* ---- its beginning ----------------------------------------------------------------------- */

static int check_path(const char *what, const char *path, struct cv_error *error)
{
	if (!path || path[0] == '/')
		return 0;
	return cv_error_set(error, -EINVAL,
			    "%s %.128s: write the path from \"/\" on, as the file moves to "
			    "culvertd's configuration directory",
			    what, path);
}

static int read_config(struct job *job, struct cv_error *error)
{
	const struct cv_datastore_config *config = &job->config;
	int rc = cv_datastore_config_read(job->path, &job->config, error);

	if (rc)
		return rc;
	if (!config->is_etcd)
		return cv_error_set(error, -EINVAL, "%.256s: datastoreType must be etcdv3",
				    job->path);
	rc = check_path("etcdCACertFile", config->ca_file, error);
	if (!rc)
		rc = check_path("etcdCertFile", config->cert_file, error);
	return rc ? rc : check_path("etcdKeyFile", config->key_file, error);
}

static int check_store(const struct job *job, struct cv_error *error)
{
	const char *problem = cv_store_problem(cv_node_store(job->migrator->node));

	size_t pods = cv_pods_count(job->migrator->pods);

	/* Addresses that both gave to somebody could not be told apart later. */
	if (job->question.from_calico && !job->is_etcd && pods)
		return cv_error_set(error, -EBUSY,
				    "this node's %zu pods have addresses of its files: move these "
				    "first (culvert migrate --datastore FILE), or delete the pods",
				    pods);
	if (job->question.from_calico)
		return 0;
	if (job->is_etcd)
		return cv_error_set(error, -EEXIST,
				    "this node works with etcd already: there is nothing to move");
	if (problem)
		return cv_error_set(error, -EUCLEAN, "first mend what is wrong: %.300s", problem);
	return 0;
}

static struct job *create_job(struct cv_migrator *migrator,
			      const struct cv_request_migrate *question)
{
	struct job *job = calloc(1, sizeof(*job));
	struct cv_addresses_status status;

	if (!job)
		return NULL;
	pthread_mutex_init(&job->lock, NULL);
	job->migrator = migrator;
	job->question = *question;
	job->path = strdup(question->datastore);
	job->question.datastore = job->path;
	cv_addresses_status(migrator->addresses, &status);
	job->is_etcd = status.is_etcd;
	job->snapshot = cv_snapshot_get(cv_store_snapshot(cv_node_store(migrator->node)));
	snprintf(job->node, sizeof(job->node), "%s", cv_node_intent(migrator->node)->self.name);
	if (job->path)
		return job;
	destroy_job(job);
	return NULL;
}

static bool is_same(const struct job *job, const struct cv_request_migrate *question)
{
	return job->question.from_calico == question->from_calico &&
	       job->question.dry_run == question->dry_run &&
	       !strcmp(job->path, question->datastore);
}

int cv_migrator_begin(struct cv_migrator *migrator, const struct cv_request_migrate *question,
		      const struct cv_peer *peer, json_t **ret_result, struct cv_error *error)
{
	struct job *job = migrator->job;
	int rc = 0;

	if (job && !is_same(job, question))
		return cv_error_set(error, -EBUSY, "another migration is under way");
	if (!job) {
		job = create_job(migrator, question);
		if (!job)
			return cv_error_set(error, -ENOMEM, "out of memory");
		rc = check_store(job, error);
		if (!rc)
			rc = read_config(job, error);
		if (rc) {
			destroy_job(job);
			return rc;
		}
		migrator->job = job;
		if (!question->from_calico && !question->dry_run) {
			snprintf(migrator->frozen, sizeof(migrator->frozen),
				 "resources and addresses are being moved to etcd");
			cv_addresses_set_moving(migrator->addresses, true);
		}
		cv_log(LOG_NOTICE, "migrate: from %s by %s%s, as process %d asked",
		       question->from_calico ? "Calico" : "files", job->path,
		       question->dry_run ? " (dry run)" : "", (int)peer->pid);
		cv_addresses_run(migrator->addresses, run, on_done, job);
	}
	*ret_result = cv_migrator_status(migrator);
	return *ret_result ? 0 : cv_error_set(error, -ENOMEM, "out of memory");
}

/* ---- all --------------------------------------------------------------------------------- */

json_t *cv_migrator_status(const struct cv_migrator *migrator)
{
	json_t *json;

	if (migrator->job) {
		json = job_to_json(migrator->job);
		json_object_set_new(json, "running", json_true());
		return json;
	}
	return migrator->last ? json_incref(migrator->last) : json_pack("{s:b}", "running", 0);
}

const char *cv_migrator_frozen(const struct cv_migrator *migrator)
{
	return migrator->frozen[0] ? migrator->frozen : NULL;
}

struct cv_migrator *cv_migrator_create(struct cv_addresses *addresses, const struct cv_pods *pods,
				       struct cv_node_agent *node)
{
	struct cv_migrator *migrator = calloc(1, sizeof(*migrator));

	if (!migrator)
		return NULL;
	migrator->addresses = addresses;
	migrator->pods = pods;
	migrator->node = node;
	return migrator;
}

void cv_migrator_stop(struct cv_migrator *migrator)
{
	struct job *job = migrator ? migrator->job : NULL;

	if (!job)
		return;
	pthread_mutex_lock(&job->lock);
	job->progress.stop = true;
	cv_kv_cancel(job->asked);
	pthread_mutex_unlock(&job->lock);
}

void cv_migrator_destroy(struct cv_migrator *migrator)
{
	if (!migrator)
		return;
	json_decref(migrator->last);
	free(migrator);
}
