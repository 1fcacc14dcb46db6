/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine's controlling thread asks of the prober, and tells it. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "engine/prober_state.h"

void cv_prober_lock(struct cv_prober *prober)
{
	pthread_mutex_lock(&prober->lock);
}

void cv_prober_unlock(struct cv_prober *prober)
{
	pthread_mutex_unlock(&prober->lock);
}

void cv_prober_tunnels_changed(struct cv_prober *prober)
{
	__atomic_store_n(&prober->tunnels_changed, true, __ATOMIC_RELEASE);
	eventfd_write(prober->wake, 1);
}

void cv_prober_configure(struct cv_prober *prober, const struct cv_prober_config *config,
			 bool is_off)
{
	pthread_mutex_lock(&prober->lock);
	prober->config = *config;
	prober->is_off = is_off;
	for (size_t i = 0; i < prober->count; i++) {
		struct cv_prober_entry *entry = prober->entries[i];

		entry->next_ms = entry->echo_ms = entry->plpmtud_ms = 0;
		entry->rounds = 0;
	}
	prober->has_news = prober->has_work = true;
	pthread_mutex_unlock(&prober->lock);
	eventfd_write(prober->wake, 1);
}

void cv_prober_watch(struct cv_prober *prober, struct cv_fp_activity *activity)
{
	pthread_mutex_lock(&prober->lock);
	prober->fast_activity = activity;
	pthread_mutex_unlock(&prober->lock);
}

int cv_prober_fd(const struct cv_prober *prober)
{
	return prober->news;
}

void cv_prober_counters(struct cv_prober *prober, struct cv_counters *sum)
{
	pthread_mutex_lock(&prober->lock);
	sum->events[CV_EVENT_PMTU_REFUTED] += prober->refuted;
	sum->events[CV_EVENT_BLACK_HOLE] += prober->black_holes;
	sum->events[CV_EVENT_PROBE_REFUSED] +=
		prober->refused + __atomic_load_n(&prober->strangers, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&prober->lock);
}

static void describe(const struct cv_prober *prober, const struct cv_prober_entry *entry,
		     uint64_t now, struct cv_prober_path *ret)
{
	const struct cv_plpmtud *plpmtud = &entry->plpmtud;
	const struct cv_liveness *live = &entry->live[CV_PROBER_BY_TUNNEL];
	bool error_waits;
	uint32_t soft_mtu;

	if (!live->answered)
		live = &entry->live[CV_PROBER_BY_UNDERLAY];
	*ret = (struct cv_prober_path){
		.remote = entry->target.remote,
		.source = entry->target.source,
		.inner_source = entry->inner_source,
		.tunnel = entry->target.tunnel,
		.link_mtu = entry->target.link_mtu,
		.mtu = plpmtud->state == CV_PLPMTUD_DISABLED ? entry->target.link_mtu
							     : plpmtud->mtu,
		.state = plpmtud->state,
		.how = plpmtud->how,
		.method = entry->method,
		.age_ms = now - plpmtud->since_ms,
		.is_blocked = entry->is_blocked,
		.liveness = entry->liveness,
		.liveness_age_ms = now - entry->liveness_ms,
		.rtt_p50_us = cv_liveness_rtt_us(live, 50),
		.rtt_p99_us = cv_liveness_rtt_us(live, 99),
		.loss_permille = cv_liveness_loss(live),
		.probes_sent = entry->probes_sent,
		.probes_answered = entry->probes_answered,
		.probe_bytes = entry->probe_bytes,
	};
	/* What packets meet counts: another tunnel to this remote may know of less. */
	cv_remotes_read(prober->remotes, ret->remote, now, &soft_mtu, &error_waits);
	if (soft_mtu && soft_mtu < ret->mtu) {
		ret->mtu = soft_mtu;
		if (plpmtud->state == CV_PLPMTUD_DISABLED)
			ret->how = CV_PLPMTUD_BY_ICMP;
	}
}

static int by_tunnel_and_remote(const void *a, const void *b)
{
	const struct cv_prober_path *x = a, *y = b;
	uint32_t p = cv_ntohl(x->remote), q = cv_ntohl(y->remote);

	if (x->tunnel != y->tunnel)
		return x->tunnel < y->tunnel ? -1 : 1;
	return (p > q) - (p < q);
}

int cv_prober_list(struct cv_prober *prober, struct cv_prober_path **ret_list, size_t *ret_count)
{
	struct cv_prober_path *list;
	uint64_t now;

	pthread_mutex_lock(&prober->lock);
	now = cv_prober_now_ms(); /* nothing that is known is younger */
	list = calloc(prober->count + 1, sizeof(*list));
	for (size_t i = 0; list && i < prober->count; i++)
		describe(prober, prober->entries[i], now, &list[i]);
	*ret_count = list ? prober->count : *ret_count;
	pthread_mutex_unlock(&prober->lock);
	if (!list)
		return -ENOMEM;
	qsort(list, *ret_count, sizeof(*list), by_tunnel_and_remote);
	*ret_list = list;
	return 0;
}

bool cv_prober_link_mtus(struct cv_prober *prober, int tunnel, uint32_t *ret_smallest,
			 uint32_t *ret_largest)
{
	uint32_t smallest = 0, largest = 0;

	pthread_mutex_lock(&prober->lock);
	for (size_t i = 0; i < prober->count; i++) {
		const struct cv_prober_target *target = &prober->entries[i]->target;

		if (target->tunnel != tunnel || !target->link_mtu)
			continue;
		if (!smallest || target->link_mtu < smallest)
			smallest = target->link_mtu;
		if (target->link_mtu > largest)
			largest = target->link_mtu;
	}
	pthread_mutex_unlock(&prober->lock);
	if (!smallest)
		return false;
	*ret_smallest = smallest;
	*ret_largest = largest;
	return true;
}

const char *cv_prober_method_name(enum cv_prober_method method)
{
	static const char *const names[] = {
		[CV_PROBER_NONE] = "none",
		[CV_PROBER_INNER] = "tunnel",
		[CV_PROBER_UNDERLAY] = "underlay",
	};

	return (unsigned int)method < CV_PROBER_METHODS ? names[method] : "unknown";
}
