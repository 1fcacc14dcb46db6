/* SPDX-License-Identifier: Apache-2.0 */
/* What the prober knows: for the files prober*.c alone. */
#ifndef CV_ENGINE_PROBER_STATE_H
#define CV_ENGINE_PROBER_STATE_H

#include <pthread.h>
#include <stdbool.h>

#include "bpf/abi.h"
#include "engine/lane.h"
#include "engine/prober.h"
#include "net/link.h"
#include "net/netlink.h"
#include "wire/probe.h"
#include "wire/siphash.h"

struct event;
struct event_base;

enum {
	CV_PROBER_FLIGHTS = 64,	  /* probes of a path that may be answered; a power of two */
	CV_PROBER_CANDIDATES = 8, /* inner sources that are tried */
	CV_PROBER_INBOX =
		1024, /* while the kernel is asked who the remotes are, 0.4 s for 20,000 */
	CV_PROBER_SHARES = 256, /* of the inbox; a power of two */
	CV_PROBER_KINDS = 2,
};

/* How a probe travels. */
enum cv_prober_kind {
	CV_PROBER_BY_TUNNEL,
	CV_PROBER_BY_UNDERLAY
};

struct cv_prober_flight {
	uint64_t sent_us; /* 0: none, or answered, or given up */
	uint64_t give_up_ms;
	uint16_t sequence;
	uint16_t size; /* outer bytes */
	uint8_t kind;  /* enum cv_prober_kind */
	bool is_echo;  /* small, for liveness: that it is lost says something */
	__be32 inner_source;
};

/* One remote end of one tunnel, as routing has it. */
struct cv_prober_target {
	int tunnel; /* index of its device */
	__be32 remote;
	__be32 local;	   /* the tunnel's, 0: any */
	__be32 source;	   /* outer; 0: there is no route */
	int oif;	   /* the tunnel's dev; 0: any */
	uint8_t ttl;	   /* outer */
	uint32_t link_mtu; /* bytes; 0: there is no route */
	__be32 candidates[CV_PROBER_CANDIDATES];
	unsigned int candidate_count;
};

struct cv_prober_entry {
	struct cv_prober_target target;
	bool is_current, is_changed; /* while the list is made again */
	struct cv_plpmtud plpmtud;
	struct cv_liveness live[CV_PROBER_KINDS];
	enum cv_prober_method method;
	__be32 inner_source; /* that was answered */
	unsigned int rounds; /* of echoes within the tunnel since one was answered */
	uint8_t secret[8];   /* cv_prober_secret */
	uint16_t sequence;   /* of the last probe */
	struct cv_prober_flight flights[CV_PROBER_FLIGHTS];
	uint64_t next_ms; /* look at it again */
	uint64_t echo_ms; /* the next small echo */
	uint64_t plpmtud_ms;
	uint32_t largest_sent;	  /* since the machine was last run */
	uint64_t active_until_ms; /* there was traffic a moment ago */
	uint64_t heard_ms;	  /* something came through the tunnel; 0: never */
	uint32_t applied_mtu;	  /* what engine/remote.h was told; 0: nothing */
	uint64_t applied_until_ms;
	enum cv_liveness_state liveness; /* of all that is known */
	uint64_t liveness_ms;		 /* is so since then */
	bool is_blocked;
	uint64_t probes_sent, probes_answered, probe_bytes;
	uint64_t refuted;   /* of the machine's: added up so far */
	uint32_t known_mtu; /* of the machine's, when it was last looked at */
};

enum cv_prober_letter_kind {
	CV_PROBER_ANSWER,
	CV_PROBER_ERROR,
	CV_PROBER_TOO_BIG
};

/* What a worker has to tell. */
struct cv_prober_letter {
	enum cv_prober_letter_kind kind;
	__be32 remote;
	int tunnel;
	struct cv_probe_words words;
	uint32_t mtu;
	uint64_t time_us;
};

struct cv_prober {
	struct cv_live *live;
	struct cv_remotes *remotes;
	struct cv_fp_activity *activity; /* the engine's */

	/* Of everything below, up to the inbox. The thread never holds it while it waits, nor while
	 * it asks the kernel. */
	pthread_mutex_t lock;
	struct cv_prober_config config;
	struct cv_fp_activity *fast_activity;		  /* the fast path's; NULL: there is none */
	struct cv_fp_activity seen[CV_FP_ACTIVITY_SLOTS]; /* of both; while all look at it */
	struct cv_prober_entry **entries; /* sorted by remote and tunnel, as numbers */
	size_t count;
	size_t turn;				/* whose it is, if tokens were short */
	uint64_t refuted, black_holes, refused; /* counters */
	uint64_t tokens_ms;			/* when tokens were last added */
	uint32_t tokens;			/* probes that may be sent now */
	bool is_off;				/* whatever config says */
	bool has_news;				/* to be told through the descriptor */
	bool has_work;				/* something has become due before its time */

	pthread_mutex_t inbox_lock;
	struct cv_prober_letter inbox[CV_PROBER_INBOX];
	unsigned int inbox_count;
	uint8_t shares[CV_PROBER_SHARES]; /* letters by remote: none takes all the room */

	/* Any thread's. */
	struct cv_siphash_key key; /* never changes */
	uint64_t strangers;	   /* answers and errors without the path's secret; atomic */
	uint16_t host;		   /* in all probes; never changes */

	/* The thread's own. */
	struct cv_nl *nl;
	int monitor;
	int wake; /* eventfd: letters, tunnels, the end */
	int news; /* eventfd: for the controlling thread */
	int sender;
	int echo;	    /* ICMP, on the underlay */
	uint16_t sequences; /* of the path that was created last, its first one's */
	bool is_running;
	bool is_stale;
	bool stopping;	      /* atomic */
	bool tunnels_changed; /* atomic */
	uint64_t armed_ms;    /* for when the timer is set; 0: it is not */
	uint64_t refresh_ms;  /* not before */
	struct event_base *base;
	struct event *events[4];
	struct event *timer;
	pthread_t thread;
	struct cv_prober_letter letters[CV_PROBER_INBOX]; /* taken out of the inbox */
};

/*
 * Locked. The entries of a remote, one for each tunnel to it, are cv_prober_at() from
 * cv_prober_first() on, until that is NULL.
 */
size_t cv_prober_first(const struct cv_prober *prober, __be32 remote);
struct cv_prober_entry *cv_prober_at(const struct cv_prober *prober, size_t index, __be32 remote);

/* Locked. The entry, or NULL. */
struct cv_prober_entry *cv_prober_find(const struct cv_prober *prober, int tunnel, __be32 remote);

/* Any thread: what a probe of this path says, so that nobody else can make up its answer. */
void cv_prober_secret(const struct cv_prober *prober, int tunnel, __be32 remote,
		      uint8_t ret_secret[8]);

/* The thread, not locked: ask the kernel who the remotes are now, and take that over. */
void cv_prober_refresh(struct cv_prober *prober, uint64_t now_ms);

/* Locked: is anything due for an entry? */
bool cv_prober_is_due(const struct cv_prober *prober, const struct cv_prober_entry *entry,
		      uint64_t now_ms);

/* Locked: do what is due for an entry. */
void cv_prober_run(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms);

/* Locked: a probe's answer through a tunnel, one on the underlay (whatever letter->tunnel says), an
 * error about one, an error about something else. */
void cv_prober_take_answer(struct cv_prober *prober, const struct cv_prober_letter *letter);
void cv_prober_take_echo(struct cv_prober *prober, const struct cv_prober_letter *letter);
void cv_prober_take_error(struct cv_prober *prober, const struct cv_prober_letter *letter);
void cv_prober_take_too_big(struct cv_prober *prober, const struct cv_prober_letter *letter);

/* Locked: tell engine/remote.h what is known of the entry's remote now. */
void cv_prober_apply(struct cv_prober *prober, struct cv_prober_entry *entry, uint64_t now_ms);

/* Locked: what is known of an entry is none of ours any longer. */
void cv_prober_forget(struct cv_prober *prober, const struct cv_prober_entry *entry,
		      uint64_t now_ms);

/* Send a probe of size bytes (outer): 0, -EMSGSIZE: larger than the host itself sends; -errno. */
int cv_prober_send(const struct cv_prober *prober, const struct cv_prober_target *target,
		   enum cv_prober_kind kind, __be32 inner_source,
		   const struct cv_probe_words *words);

#endif
