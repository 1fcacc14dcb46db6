/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine tells the fast path (engine/teach.h), written into its maps. */
#ifndef CV_FASTPATH_TEACH_H
#define CV_FASTPATH_TEACH_H

#include "fastpath/state.h"

/* Forget the soft state of remotes that an earlier engine has told: this one knows nothing of it.
 */
void cv_teach_forget(struct cv_fastpath *fastpath);

#endif
