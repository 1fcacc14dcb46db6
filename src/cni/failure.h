/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as CNI has them: a code, a sentence, details (SPEC.md, "Section 5", "Error"). */
#ifndef CV_CNI_FAILURE_H
#define CV_CNI_FAILURE_H

#include <jansson.h>

#include "tunnel/error.h"

enum cv_cni_code {
	CV_CNI_OK = 0,
	/* Of the specification. */
	CV_CNI_INCOMPATIBLE = 1,
	CV_CNI_UNSUPPORTED_FIELD = 2,
	CV_CNI_UNKNOWN_CONTAINER = 3, /* nothing was done: no DEL is needed */
	CV_CNI_ENVIRONMENT = 4,
	CV_CNI_IO = 5,
	CV_CNI_DECODING = 6,
	CV_CNI_CONFIG = 7,
	CV_CNI_NAMESPACE = 8, /* of the reference library (ErrInvalidNetNS) */
	CV_CNI_TRY_AGAIN = 11,
	CV_CNI_NOT_AVAILABLE = 50, /* STATUS: no ADD now */
	/* Ours. */
	CV_CNI_KERNEL = 100,	  /* the kernel refused a step */
	CV_CNI_NO_ADDRESS = 101,  /* none is free, or not the one that was asked for */
	CV_CNI_NOT_AS_MADE = 102, /* CHECK */
	CV_CNI_REFUSED = 103,	  /* by culvertd, for another reason */
	CV_CNI_DELEGATE = 104,	  /* a delegated plugin answered nothing that makes sense */
};

struct cv_cni_failure {
	int code;		 /* enum cv_cni_code, or a delegated plugin's own */
	struct cv_error msg;	 /* short */
	struct cv_error details; /* "" where there are none */
};

/* Set code and msg, no details; returns code. */
int cv_cni_fail(struct cv_cni_failure *failure, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Add details; returns the failure's code. */
int cv_cni_details(struct cv_cni_failure *failure, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* As it is printed, of version; the caller owns it. NULL: no memory. */
json_t *cv_cni_failure_json(const struct cv_cni_failure *failure, const char *version);

#endif
