/* SPDX-License-Identifier: Apache-2.0 */
/* Which packet sizes are worth a probe: common MTUs first, then what narrows a gap best. */
#ifndef CV_PATH_PLPMTUD_SIZES_H
#define CV_PATH_PLPMTUD_SIZES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Up to max of the MTUs that paths commonly have, the commonest if there are more, and what extra
 * says (each 0: none), all above < size < below; the largest first, none twice. Returns how many.
 */
size_t cv_plpmtud_sizes_common(uint32_t above, uint32_t below, const uint32_t extra[2], size_t max,
			       uint32_t *ret_sizes);

/* Up to max sizes that divide what lies between above and below, both not among them; the largest
 * first. All of them if they are few: then the answers tell the very byte. */
size_t cv_plpmtud_sizes_spread(uint32_t above, uint32_t below, size_t max, uint32_t *ret_sizes);

/* The smallest common MTU that is not below size; size itself above the largest one. */
uint32_t cv_plpmtud_sizes_round_up(uint32_t size);

#endif
