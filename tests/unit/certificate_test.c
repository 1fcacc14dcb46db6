/* SPDX-License-Identifier: Apache-2.0 */
/* Dates of certificates. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/certificate.h"

/* From 2024-02-29 12:34:56 to 2050-01-01 00:00:00, where X.509 writes years with four digits. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
			  "MIIBADCBp6ADAgECAgEBMAoGCCqGSM49BAMCMAAwIBcNMjQwMjI5MTIzNDU2WhgP\n"
			  "MjA1MDAxMDEwMDAwMDBaMBIxEDAOBgNVBAoMB2N1bHZlcnQwWTATBgcqhkjOPQIB\n"
			  "BggqhkjOPQMBBwNCAAQwNx9bH4rCA/MeHYUCZBtgbALWqiZr1105pY46q4G2wBcw\n"
			  "tur+cuHkwdvuuqE0Lq8lCMzgKHDRrR4f/5oFjtJ+MAoGCCqGSM49BAMCA0gAMEUC\n"
			  "IADswyGYWgsRvF2iM42AHx41/pb6SCmWWYoiHxJ1h7Y6AiEAoqK1kzuoPvznGvNs\n"
			  "QKMJIQ3741BQodsvw8FAwLLwFg8=\n"
			  "-----END CERTIFICATE-----\n";

static char path[64];

static int begin(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/certificate-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int end(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_file(const char *text, size_t length)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void reads_both_dates(void **state)
{
	struct cv_certificate dates;
	struct cv_error error;

	(void)state;
	write_file(pem, strlen(pem));
	assert_int_equal(cv_certificate_read(path, &dates, &error), 0);
	assert_int_equal(dates.not_before_s, 1709210096);
	assert_int_equal(dates.not_after_s, 2524608000);
}

/* Whatever part of one it is. */
static void refuses_half_a_certificate(void **state)
{
	struct cv_certificate dates = {.not_after_s = 1};
	struct cv_error error;

	(void)state;
	/* The dashes at the end may be missing. */
	for (size_t length = 0; length < sizeof(pem) - 8; length += 7) {
		write_file(pem, length);
		assert_int_equal(cv_certificate_read(path, &dates, &error), -EINVAL);
		assert_string_equal(error.text, "no X.509 in PEM");
	}
	assert_int_equal(dates.not_after_s, 1);
}

static void says_what_is_not_there(void **state)
{
	struct cv_certificate dates;
	struct cv_error error;

	(void)state;
	assert_int_equal(cv_certificate_read("/nowhere/cert.pem", &dates, &error), -ENOENT);
	assert_string_equal(error.text, "No such file or directory");
	assert_int_equal(cv_certificate_read("/nowhere/cert.pem", &dates, NULL), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reads_both_dates),
		TEST(refuses_half_a_certificate),
		TEST(says_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
