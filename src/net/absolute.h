/* SPDX-License-Identifier: Apache-2.0 */
/* Names of files for who has another working directory, or will have. */
#ifndef CV_NET_ABSOLUTE_H
#define CV_NET_ABSOLUTE_H

/* The path as it is if it begins with '/', else below our working directory. NULL and errno if
 * there is no memory or no such directory. The caller frees it. */
char *cv_absolute_path(const char *path);

#endif
