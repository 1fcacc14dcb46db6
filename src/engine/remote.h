/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Soft state of the remote ends (RFC 2003, section 5): what outer ICMP errors said, and probes
 * have shown, of the path to each. Bounded, shared by all workers and the prober under one lock
 * that only cache misses, ICMP errors and the prober take.
 */
#ifndef CV_ENGINE_REMOTE_H
#define CV_ENGINE_REMOTE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>

struct cv_remotes;

/* An error to be told to the next inner sender (RFC 2003, section 4: quotes too short to relay). */
struct cv_remote_error {
	uint8_t type;
	uint8_t code;
	uint32_t rest; /* second word of the ICMP header: pointer << 24, else 0 */
};

/* Create; NULL and errno. The caller owns it. */
struct cv_remotes *cv_remotes_create(void);
void cv_remotes_destroy(struct cv_remotes *remotes);

/*
 * What is known of address: *ret_mtu is the outer path MTU in bytes (0: nothing known),
 * *ret_error whether an error waits for cv_remotes_take_error.
 */
void cv_remotes_read(struct cv_remotes *remotes, __be32 address, uint64_t now_ms, uint32_t *ret_mtu,
		     bool *ret_error);

enum {
	/* No ICMP error lowers a path below the least that every host must reassemble (RFC 791, 576
	 * bytes), with the outer header: nobody needs that, but who forges errors. */
	CV_REMOTE_MTU_MIN = 576 + 20,
	/* So many ICMP errors may lower the MTU of one remote at once, and one more every so often.
	 * Each router of a path tells its own MTU once: more than these come from somebody else. */
	CV_REMOTE_LOWER_BURST = 8,
	CV_REMOTE_LOWER_INTERVAL_MS = 10000,
};

/* What became of an ICMP error's MTU. */
enum cv_remote_verdict {
	CV_REMOTE_LOWERED, /* the generation was bumped */
	CV_REMOTE_KEPT,	   /* as much, or less, was known; it lives on */
	CV_REMOTE_TINY,	   /* below CV_REMOTE_MTU_MIN: not believed */
	CV_REMOTE_LIMITED, /* too many, or distrusted: ignored */
};

/*
 * An outer ICMP 3/4 said mtu (bytes), where current was in force (bytes): what is not below that
 * changes nothing. Never raises; forgotten after lifetime_ms (RFC 1191, 6.3).
 */
enum cv_remote_verdict cv_remotes_lower_mtu(struct cv_remotes *remotes, __be32 address,
					    uint32_t mtu, uint32_t current, uint64_t now_ms,
					    uint64_t lifetime_ms);

/*
 * What the prober knows, whatever was known before, until until_ms; mtu 0: no more than routing
 * tells. Bumps the generation if that is another MTU.
 */
void cv_remotes_set_mtu(struct cv_remotes *remotes, __be32 address, uint32_t mtu, uint64_t now_ms,
			uint64_t until_ms);

/* ICMP errors about this remote have lied: none of them lowers its MTU until then. */
void cv_remotes_distrust(struct cv_remotes *remotes, __be32 address, uint64_t now_ms,
			 uint64_t until_ms);

/*
 * For the fast path alone (bpf/abi.h, struct cv_fp_remote): the largest inner packet by routes
 * through the tunnel. Bytes; 0: as the tunnel's device says.
 */
void cv_remotes_set_inner_mtu(struct cv_remotes *remotes, __be32 address, uint32_t inner_mtu,
			      uint64_t now_ms);

/* Keep an error for the next inner sender, for a few seconds. Bumps the generation. */
void cv_remotes_set_error(struct cv_remotes *remotes, __be32 address,
			  const struct cv_remote_error *error, uint64_t now_ms);

/* Take a waiting error: true once per error, and the generation is bumped. */
bool cv_remotes_take_error(struct cv_remotes *remotes, __be32 address, uint64_t now_ms,
			   struct cv_remote_error *ret_error);

/* What is known of a remote, for who watches. */
struct cv_remote_state {
	uint32_t mtu;		 /* outer path MTU in bytes; 0: nothing known */
	uint64_t mtu_until_ms;	 /* forgotten then */
	uint64_t error_until_ms; /* an error waits until then; 0: none does */
	uint32_t inner_mtu;	 /* cv_remotes_set_inner_mtu */
};

/*
 * Call tell (NULL: nobody) with the state of a remote whenever it changes other than by time. For
 * while nobody else uses remotes.
 */
void cv_remotes_observe(struct cv_remotes *remotes,
			void (*tell)(void *context, __be32 address,
				     const struct cv_remote_state *state),
			void *context);

/* Changes whenever the answers of cv_remotes_read may have changed other than by time. */
uint32_t cv_remotes_generation(const struct cv_remotes *remotes);

#endif
