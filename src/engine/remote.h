/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Soft state of the remote ends (RFC 2003, section 5): what outer ICMP errors said about
 * the path to each. Small, bounded, shared by all workers under one lock that only
 * cache misses and ICMP errors take.
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

/*
 * An outer ICMP 3/4 said mtu (bytes). Never raises; forgotten after lifetime_ms (RFC 1191,
 * 6.3). Returns true if that lowered what was known (and bumps the generation).
 */
bool cv_remotes_lower_mtu(struct cv_remotes *remotes, __be32 address, uint32_t mtu, uint64_t now_ms,
			  uint64_t lifetime_ms);

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
