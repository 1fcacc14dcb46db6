/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire/ecn.h against the two tables of RFC 6040, typed in as they stand there, with
 * their own column order (Not-ECT, ECT(0), ECT(1), CE).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "wire/ecn.h"

/* The code points of RFC 3168, 5, in the order of RFC 6040's tables. */
enum {
	NOT_ECT = 0,
	ECT0 = 2,
	ECT1 = 1,
	CE = 3
};

static const uint8_t order[4] = {NOT_ECT, ECT0, ECT1, CE};

static void code_points(void **state)
{
	(void)state;
	assert_int_equal(CV_ECN_NOT_ECT, 0);
	assert_int_equal(CV_ECN_ECT_1, 1);
	assert_int_equal(CV_ECN_ECT_0, 2);
	assert_int_equal(CV_ECN_CE, 3);
}

/* RFC 6040, 4.1, figure 3: by the incoming header, the departing outer one. */
static void rfc_6040_4_1_encapsulation(void **state)
{
	static const struct {
		uint8_t incoming, compatibility, normal;
	} table[4] = {
		{NOT_ECT, NOT_ECT, NOT_ECT},
		{ECT0, NOT_ECT, ECT0},
		{ECT1, NOT_ECT, ECT1},
		{CE, NOT_ECT, CE},
	};

	(void)state;
	for (int i = 0; i < 4; i++) {
		for (unsigned int dscp = 0; dscp < 256; dscp += 4) {
			uint8_t inner = (uint8_t)(dscp | table[i].incoming);

			assert_int_equal(cv_ecn_encapsulate(inner, CV_ECN_COMPATIBLE),
					 table[i].compatibility);
			assert_int_equal(cv_ecn_encapsulate(inner, CV_ECN_NORMAL), table[i].normal);
		}
	}
}

struct cell {
	uint8_t ecn;
	uint8_t note;
	bool drop;
};

#define FINE(x)                     \
	{                           \
		x, CV_ECN_OK, false \
	}
#define UNUSED(x)                       \
	{                               \
		x, CV_ECN_UNUSED, false \
	}
#define DANGEROUS(x)                       \
	{                                  \
		x, CV_ECN_DANGEROUS, false \
	}
#define DROP_DANGEROUS(x)                 \
	{                                 \
		x, CV_ECN_DANGEROUS, true \
	}

/* RFC 6040, 4.2, figure 4: rows are the arriving inner header, columns the outer. */
/* clang-format off */
static const struct cell figure_4[4][4] = {
	/*            Not-ECT        ECT(0)              ECT(1)              CE            */
	/* Not-ECT */ {FINE(NOT_ECT), DANGEROUS(NOT_ECT), DANGEROUS(NOT_ECT), DROP_DANGEROUS(NOT_ECT)},
	/* ECT(0)  */ {FINE(ECT0),    FINE(ECT0),         FINE(ECT1),         FINE(CE)},
	/* ECT(1)  */ {FINE(ECT1),    UNUSED(ECT1),       FINE(ECT1),         FINE(CE)},
	/* CE      */ {FINE(CE),      FINE(CE),           DANGEROUS(CE),      FINE(CE)},
};
/* clang-format on */

static void rfc_6040_4_2_decapsulation(void **state)
{
	(void)state;
	for (int row = 0; row < 4; row++) {
		for (int column = 0; column < 4; column++) {
			const struct cell *cell = &figure_4[row][column];

			/* The DSCP beside either field must not matter. */
			for (unsigned int dscp = 0; dscp < 256; dscp += 4) {
				struct cv_ecn_result result =
					cv_ecn_decapsulate((uint8_t)(dscp | order[row]),
							   (uint8_t)((252 - dscp) | order[column]));

				assert_int_equal(result.ecn, cell->ecn);
				assert_int_equal(result.note, cell->note);
				assert_int_equal(result.drop, cell->drop);
			}
		}
	}
}

/* Through a tunnel that marks nothing, either mode keeps every field as it was. */
static void a_quiet_tunnel_changes_nothing(void **state)
{
	(void)state;
	for (uint8_t ecn = 0; ecn < 4; ecn++) {
		for (unsigned int mode = CV_ECN_NORMAL; mode <= CV_ECN_COMPATIBLE; mode++) {
			struct cv_ecn_result result =
				cv_ecn_decapsulate(ecn, cv_ecn_encapsulate(ecn, mode));

			assert_int_equal(result.ecn, ecn);
			assert_int_equal(result.note, CV_ECN_OK);
			assert_false(result.drop);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_points),
		cmocka_unit_test(rfc_6040_4_1_encapsulation),
		cmocka_unit_test(rfc_6040_4_2_decapsulation),
		cmocka_unit_test(a_quiet_tunnel_changes_nothing),
	};

	return cmocka_run_group_tests_name("wire_ecn", tests, NULL, NULL);
}
