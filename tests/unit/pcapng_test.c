/* SPDX-License-Identifier: Apache-2.0 */
/* The pcapng writer, byte for byte as the draft has its blocks, in little endian. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/pcapng.h"

struct file {
	FILE *stream;
	char *bytes;
	size_t size;
	struct cv_pcapng *pcapng;
};

static int open_file(void **state)
{
	struct file *file = calloc(1, sizeof(*file));

	assert_non_null(file);
	file->stream = open_memstream(&file->bytes, &file->size);
	file->pcapng = cv_pcapng_create(file->stream, 96);
	assert_non_null(file->pcapng);
	*state = file;
	return 0;
}

static int close_file(void **state)
{
	struct file *file = *state;

	fclose(file->stream);
	free(file->bytes);
	cv_pcapng_destroy(file->pcapng);
	free(file);
	return 0;
}

/* Forget what is written so far, so that the next block can be compared. */
static void forget(struct file *file)
{
	fflush(file->stream);
	rewind(file->stream);
	file->size = 0;
}

/* One block: its length, which stands at 4 and at the end, is filled in here. */
static void written(struct file *file, const uint8_t *block, size_t size)
{
	uint8_t expected[128];

	memcpy(expected, block, size);
	expected[4] = expected[size - 4] = (uint8_t)size;
	fflush(file->stream);
	assert_int_equal(file->size, size);
	assert_memory_equal(file->bytes, expected, size);
}

static void test_section(void **state)
{
	static const uint8_t head[] = {
		0x0a, 0x0d, 0x0d, 0x0a, 52,   0,    0,	  0,	/* block type, length */
		0x4d, 0x3c, 0x2b, 0x1a, 1,    0,    0,	  0,	/* magic, version 1.0 */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* length of the section */
		4,    0,    13,	  0,				/* shb_userappl */
	};
	struct file *file = *state;

	fflush(file->stream);
	assert_true(file->size > sizeof(head));
	assert_int_equal(file->size % 4, 0);
	assert_memory_equal(file->bytes, head, 4);
	assert_memory_equal(file->bytes + 8, head + 8, sizeof(head) - 8 - 2);
	assert_int_equal((uint8_t)file->bytes[4], file->size);
	assert_int_equal((uint8_t)file->bytes[file->size - 4], file->size);
	assert_memory_equal(file->bytes + sizeof(head), "culvert ", 8);
}

static void test_interface(void **state)
{
	static const uint8_t block[] = {
		1,   0, 0, 0, 60,  0,	0,   0,			/* block type, length */
		101, 0, 0, 0, 96,  0,	0,   0,			/* LINKTYPE_RAW, snap */
		2,   0, 4, 0, 't', 'u', 'n', '0',		/* if_name */
		3,   0, 5, 0, 'i', 'n', 'n', 'e', 'r', 0, 0, 0, /* if_description */
		9,   0, 1, 0, 9,   0,	0,   0,			/* if_tsresol: 10^-9 */
		0,   0, 0, 0, 60,  0,	0,   0,			/* end of options, length */
	};
	struct file *file = *state;

	forget(file);
	assert_int_equal(cv_pcapng_interface(file->pcapng, "tun0", "inner"), 0);
	written(file, block, sizeof(block));
	assert_int_equal(cv_pcapng_interface(file->pcapng, "tun0 outer", ""), 1);
}

static void test_packet(void **state)
{
	static const uint8_t bytes[] = {0x45, 1, 2, 3, 4};
	const struct cv_pcapng_packet packet = {
		.interface = 1,
		.time_ns = 0x0102030405060708,
		.captured = sizeof(bytes),
		.length = 1500,
		.bytes = bytes,
		.outbound = true,
		.lost = 3,
		.comment = "why",
	};
	static const uint8_t block[] = {
		6,    0, 0, 0, 76,   0,	  0,   0,	      /* block type, length */
		1,    0, 0, 0,				      /* interface */
		4,    3, 2, 1, 8,    7,	  6,   5,	      /* time, high half first */
		5,    0, 0, 0, 0xdc, 5,	  0,   0,	      /* captured, length */
		0x45, 1, 2, 3, 4,    0,	  0,   0,	      /* the packet, padded */
		1,    0, 3, 0, 'w',  'h', 'y', 0,	      /* opt_comment */
		2,    0, 4, 0, 2,    0,	  0,   0,	      /* epb_flags: outbound */
		4,    0, 8, 0, 3,    0,	  0,   0, 0, 0, 0, 0, /* epb_dropcount */
		0,    0, 0, 0, 76,   0,	  0,   0,	      /* end of options, length */
	};
	struct file *file = *state;

	forget(file);
	cv_pcapng_packet(file->pcapng, &packet);
	written(file, block, sizeof(block));
}

static void test_snap(void **state)
{
	uint8_t bytes[200] = {0x45};
	struct cv_pcapng_packet packet = {
		.captured = sizeof(bytes),
		.length = sizeof(bytes),
		.bytes = bytes,
		.comment = "",
	};
	struct file *file = *state;

	forget(file);
	cv_pcapng_packet(file->pcapng, &packet);
	fflush(file->stream);
	assert_int_equal((uint8_t)file->bytes[20], 96);
	assert_int_equal((uint8_t)file->bytes[24], 200);
	assert_int_equal(file->size, 28 + 96 + 4 + 8 + 4 + 4);
}

static void test_statistics(void **state)
{
	static const uint8_t block[] = {
		5, 0, 0, 0, 0, 0, 0, 0,		    /* block type, length */
		7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, /* interface, time */
		4, 0, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0, /* isb_ifrecv */
		5, 0, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0, /* isb_ifdrop */
		0, 0, 0, 0, 0, 0, 0, 0,		    /* end of options, length */
	};
	struct file *file = *state;

	forget(file);
	cv_pcapng_statistics(file->pcapng, 7, 9, 5, 2);
	written(file, block, sizeof(block));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_section, open_file, close_file),
		cmocka_unit_test_setup_teardown(test_interface, open_file, close_file),
		cmocka_unit_test_setup_teardown(test_packet, open_file, close_file),
		cmocka_unit_test_setup_teardown(test_snap, open_file, close_file),
		cmocka_unit_test_setup_teardown(test_statistics, open_file, close_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
