/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, by OpenSSL's libcrypto, which libcurl has loaded already where there is TLS. */
#include "store/certificate.h"

#include <errno.h>
#include <openssl/asn1.h>
#include <openssl/opensslv.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/library.h"

#define FUNCTIONS(_)          \
	_(ASN1_TIME_to_tm)    \
	_(PEM_read_X509)      \
	_(X509_free)          \
	_(X509_get0_notAfter) \
	_(X509_get0_notBefore)

static struct {
#define MEMBER(name) __typeof__ (&(name))(name);
	FUNCTIONS(MEMBER)
} crypto;

#define SYMBOL(name) {#name, offsetof(__typeof__(crypto), name)},

static const struct cv_library_symbol symbols[] = {FUNCTIONS(SYMBOL)};

#define TEXT(word)     #word
#define TEXT_OF(macro) TEXT(macro)

static const struct cv_library library = {
	.file = "libcrypto.so." TEXT_OF(OPENSSL_SHLIB_VERSION),
	.package = "libssl" TEXT_OF(OPENSSL_SHLIB_VERSION),
	.symbols = symbols,
	.count = sizeof(symbols) / sizeof(symbols[0]),
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int result;
static struct cv_error why;

static void load(void)
{
	result = cv_library_load(&library, &crypto, &why);
}

static bool read_time(const ASN1_TIME *time, int64_t *ret_s)
{
	struct tm tm;

	if (!crypto.ASN1_TIME_to_tm(time, &tm))
		return false;
	*ret_s = timegm(&tm);
	return true;
}

int cv_certificate_read(const char *path, struct cv_certificate *ret_certificate,
			struct cv_error *error)
{
	struct cv_certificate dates;
	bool is_read = false;
	X509 *certificate;
	FILE *file;

	pthread_once(&once, load);
	if (result)
		return cv_error_set(error, result, "%s", why.text);
	file = fopen(path, "re");
	if (!file)
		return cv_error_set(error, -errno, "%s", strerror(errno));
	certificate = crypto.PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	if (certificate)
		is_read = read_time(crypto.X509_get0_notBefore(certificate), &dates.not_before_s) &&
			  read_time(crypto.X509_get0_notAfter(certificate), &dates.not_after_s);
	crypto.X509_free(certificate);
	if (!is_read)
		return cv_error_set(error, -EINVAL, "no X.509 in PEM");
	*ret_certificate = dates;
	return 0;
}
