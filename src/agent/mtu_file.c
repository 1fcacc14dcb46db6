/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file with the MTU of new endpoints, as Calico's /var/lib/calico/mtu: a decimal number and a
 * newline. It is replaced as a whole, and stays when the daemon ends, as the tunnels do.
 */
#include "agent/mtu_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/log.h"
#include "tunnel/endpoint_mtu.h"
#include "tunnel/file.h"

uint32_t cv_mtu_for_endpoints(struct cv_engine *engine, const struct cv_tunnel_set *set)
{
	struct cv_prober_path *paths = NULL;
	size_t count = 0, pool = 0;
	bool has_pool = cv_tunnel_set_find_owned(set, CV_TUNNEL_OWNER_POOLS, &pool);
	uint32_t least = 0;

	if (cv_engine_paths(engine, &paths, &count))
		count = 0;
	for (size_t i = has_pool ? pool : 0; i < cv_tunnel_set_count(set); i++) {
		uint32_t mtu = cv_endpoint_mtu(cv_tunnel_set_ifindex_at(set, i),
					       cv_tunnel_set_mtu_at(set, i), paths, count);

		if (mtu && (!least || mtu < least))
			least = mtu;
		if (has_pool)
			break;
	}
	free(paths);
	return least;
}

static void path_of(const char *run_dir, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/" CV_MTU_FILE, run_dir);
}

/* What an earlier daemon has written; 0: nothing, or nothing that we would have. */
static uint32_t read_file(const char *run_dir)
{
	char path[PATH_MAX];
	unsigned int mtu = 0;
	char end = 0, more;
	FILE *file;

	path_of(run_dir, path);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%5u%c%c", &mtu, &end, &more) != 2 || end != '\n')
		mtu = 0;
	fclose(file);
	return mtu;
}

static void remove_file(const char *run_dir)
{
	char path[PATH_MAX];

	path_of(run_dir, path);
	unlink(path);
}

void cv_mtu_file_update(struct cv_mtu_file *file, uint32_t mtu)
{
	struct cv_error error;
	char text[16];
	int rc = 0;

	if (!file->is_known)
		file->written = read_file(file->run_dir);
	if (file->is_known && file->written == mtu)
		return;
	if (!mtu) {
		remove_file(file->run_dir);
	} else if (file->written != mtu) {
		snprintf(text, sizeof(text), "%u\n", mtu);
		rc = cv_file_save_text(file->run_dir, CV_MTU_FILE, text, 0644, &error);
	}
	if (rc && !file->is_behind)
		cv_log(LOG_ERR, "%s (will be tried again)", error.text);
	file->is_behind = rc != 0;
	file->is_known = !rc;
	file->written = rc ? 0 : mtu;
}
