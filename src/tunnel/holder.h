/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The carrier holder: a process that outlives culvertd and keeps one detached queue of every
 * tunnel's device open, so that the device has its carrier while there is no daemon. Here: the
 * process, and what is said on its socket. tunnel/carrier.h is the daemon's side.
 *
 * The protocol: SOCK_SEQPACKET at <run-dir>/holder.sock, one struct per message, both ends on one
 * machine. Root and the holder's own user are heard, others are cut off. A request of
 * another size is not answered but cut off, too. CV_HOLDER_QUIT and the first four
 * bytes of both structs stay the same in all versions.
 */
#ifndef CV_TUNNEL_HOLDER_H
#define CV_TUNNEL_HOLDER_H

#include <stdint.h>

#define CV_HOLDER_SOCKET  "holder.sock"
#define CV_HOLDER_PROCESS "culvertd-hold" /* its name in ps and top */
#define CV_HOLDER_OPTION  "--hold"	  /* culvertd --hold RUN-DIR */

enum {
	CV_HOLDER_VERSION = 1,
	CV_HOLDER_FD = 3, /* what it is started with: the connection of who starts it */
	CV_HOLDER_CLIENTS_MAX = 8,
	CV_HOLDER_LOOK_S = 10, /* at the run directory, if inotify has not told before */
};

enum cv_holder_verb {
	CV_HOLDER_QUIT = 1,    /* end; no answer but the connection's end */
	CV_HOLDER_HELLO = 2,   /* answered */
	CV_HOLDER_HOLD = 3,    /* with a descriptor, which replaces that of the same device;
				* answered only when that fails */
	CV_HOLDER_RELEASE = 4, /* close that of this device; no answer */
};

struct cv_holder_request {
	uint8_t version;
	uint8_t verb;
	uint16_t zero;
	int32_t ifindex; /* hold, release; else 0 */
};

struct cv_holder_answer {
	uint8_t version;
	uint8_t verb; /* that of the request */
	uint16_t zero;
	int32_t error;	/* 0 or -errno */
	int32_t pid;	/* the holder's */
	uint32_t count; /* devices it holds now */
};

_Static_assert(sizeof(struct cv_holder_request) == 8, "the same in every build");
_Static_assert(sizeof(struct cv_holder_answer) == 16, "the same in every build");

/*
 * Be the holder of run_dir: the whole life of the process, which has CV_HOLDER_FD connected to
 * a daemon. It ends when told to, when its socket is gone from the run directory
 * (so also with that), or when there is neither a client nor a device left. Returns its
 * exit code.
 */
int cv_holder_run(const char *run_dir);

#endif
