/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tombstones are read at the start and when inotify tells of one; each is removed when its DEL is
 * done, so that a crash before that finds it again. The directory is made here, so that there is
 * one to watch.
 */
#include "agent/pods_state.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/log.h"
#include "model/attachment.h"
#include "model/tombstone.h"
#include "net/link.h"

struct cv_tombstones {
	struct cv_pods *pods;
	char path[PATH_MAX];
	int fd; /* inotify; -1: at the start, and every now and then, alone */
	struct event *event;
};

/* ---- one ------------------------------------------------------------------------------------- */

struct burial {
	char *run_dir;
	struct cv_tombstone stone;
};

static void free_burial(struct burial *burial)
{
	free(burial->run_dir);
	cv_tombstone_fini(&burial->stone);
	free(burial);
}

static void on_deleted(void *context, int rc, const struct cv_error *error, json_t *result)
{
	struct burial *burial = context;

	json_decref(result);
	/* One that stays is read again, and finds nothing to do. */
	if (!rc)
		(void)cv_tombstone_remove(burial->run_dir, burial->stone.network,
					  burial->stone.container, burial->stone.interface);
	else if (rc != -ECANCELED)
		cv_log(LOG_WARNING, "pods: the tombstone of container %s waits: %s",
		       burial->stone.container, error->text);
	free_burial(burial);
}

/*
 * Also an ADD that has not reached us leaves one, and there are tens of thousands after hours
 * without us. What was made of an attachment has a note, or a device; an address whose note is lost
 * is found by two looks.
 */
static bool is_of_something(const struct cv_pods *pods, const struct cv_tombstone *stone)
{
	const struct cv_pods_key key = {stone->network, stone->container, stone->interface};
	struct cv_attachment names;
	struct cv_link link;

	if (pods->has_unread || cv_pods_entry(pods, &key))
		return true;
	cv_attachment_name(stone->network, stone->container, stone->interface, &names);
	return cv_link_get(pods->nl, names.device, &link) != -ENODEV;
}

static void bury(struct cv_tombstones *tombstones, const char *name)
{
	struct burial *burial = calloc(1, sizeof(*burial));
	struct cv_pods_key key;
	struct cv_error error;
	int rc = -ENOMEM;

	if (burial)
		burial->run_dir = strdup(tombstones->pods->run_dir);
	if (burial && burial->run_dir)
		rc = cv_tombstone_read(burial->run_dir, name, &burial->stone, &error);
	if (rc) {
		if (rc == -EBADMSG)
			cv_log(LOG_WARNING, "pods: %s is left as it is: %s", name, error.text);
		if (burial)
			free_burial(burial);
		return;
	}
	if (!is_of_something(tombstones->pods, &burial->stone)) {
		on_deleted(burial, 0, NULL, NULL);
		return;
	}
	key = (struct cv_pods_key){burial->stone.network, burial->stone.container,
				   burial->stone.interface};
	cv_log(LOG_INFO, "pods: %s of container %s is deleted, as a tombstone says", key.interface,
	       key.container);
	cv_pods_delete(tombstones->pods, &key, on_deleted, burial);
}

/* ---- all ------------------------------------------------------------------------------------- */

void cv_tombstones_read(struct cv_tombstones *tombstones)
{
	DIR *directory = opendir(tombstones->path);
	const struct dirent *entry;

	if (!directory)
		return;
	while ((entry = readdir(directory)) != NULL) {
		if (cv_tombstone_is_name(entry->d_name))
			bury(tombstones, entry->d_name);
	}
	closedir(directory);
}

static void on_notice(evutil_socket_t fd, short what, void *data)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	(void)what;
	/* Which one does not matter: all are read. */
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	cv_tombstones_read(data);
}

static void watch(struct cv_tombstones *tombstones)
{
	tombstones->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (tombstones->fd >= 0 &&
	    inotify_add_watch(tombstones->fd, tombstones->path,
			      IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) >= 0)
		tombstones->event = event_new(tombstones->pods->base, tombstones->fd,
					      EV_READ | EV_PERSIST, on_notice, tombstones);
	if (!tombstones->event || event_add(tombstones->event, NULL))
		cv_log(LOG_WARNING, "cannot watch %s: %s; it is looked at every %d s",
		       tombstones->path, strerror(errno), CV_PODS_OBSERVE_S);
}

struct cv_tombstones *cv_tombstones_create(struct cv_pods *pods)
{
	struct cv_tombstones *tombstones = calloc(1, sizeof(*tombstones));

	if (!tombstones)
		return NULL;
	tombstones->pods = pods;
	tombstones->fd = -1;
	if (snprintf(tombstones->path, sizeof(tombstones->path), "%s/%s", pods->run_dir,
		     CV_TOMBSTONE_DIRECTORY) >= (int)sizeof(tombstones->path)) {
		free(tombstones);
		return NULL;
	}
	if (mkdir(tombstones->path, 0700) && errno != EEXIST)
		cv_log(LOG_WARNING, "cannot make %s: %s", tombstones->path, strerror(errno));
	/* Watched first: none is missed between. */
	watch(tombstones);
	cv_tombstones_read(tombstones);
	return tombstones;
}

void cv_tombstones_destroy(struct cv_tombstones *tombstones)
{
	if (!tombstones)
		return;
	if (tombstones->event)
		event_free(tombstones->event);
	if (tombstones->fd >= 0)
		close(tombstones->fd);
	free(tombstones);
}
