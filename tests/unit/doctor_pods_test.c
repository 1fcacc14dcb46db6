/* SPDX-License-Identifier: Apache-2.0 */
/* What doctor makes of the datastore, of addresses, pods, tombstones and CNI's directories. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include "agent/doctor_pods.h"

enum {
	DAY = 86400
};

static char root[64];
static struct cv_pods_look look;
static struct cv_ipam_sums sums;
static struct cv_datastore_config datastore;
static struct cv_doctor_input input;
static struct cv_findings findings;
static const char *bin_dirs[2];
static char *endpoints[] = {NULL};

static int begin(void **state)
{
	(void)state;
	strcpy(root, "/tmp/doctor-pods-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	datastore = (struct cv_datastore_config){.endpoints = endpoints, .endpoint_count = 1};
	sums = (struct cv_ipam_sums){.is_known = false};
	bin_dirs[0] = root;
	look = (struct cv_pods_look){
		.sums = &sums,
		.datastore = &datastore,
		.conf_dir = root,
		.bin_dirs = bin_dirs,
		.pools = 1,
		.blocks = 1,
		.now_s = time(NULL),
	};
	snprintf(look.tombstones, sizeof(look.tombstones), "%s/tombstones", root);
	input = (struct cv_doctor_input){.pods = &look};
	return cv_findings_init(&findings);
}

static int end(void **state)
{
	char command[128];

	(void)state;
	cv_findings_fini(&findings);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command); /* NOLINT(cert-env33-c): a test's own directory */
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	FILE *file = fopen(path_of(name), "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path_of(name), mode), 0);
}

/* The only finding, whose text this is a part of. */
static void expect(const char *level, const char *text)
{
	const json_t *finding = json_array_get(findings.list, 0);

	if (json_array_size(findings.list) != 1)
		fail_msg("%zu findings", json_array_size(findings.list));
	assert_string_equal(json_string_value(json_object_get(finding, "level")), level);
	if (!strstr(json_string_value(json_object_get(finding, "text")), text))
		fail_msg("%s", json_string_value(json_object_get(finding, "text")));
	json_array_clear(findings.list);
	findings.troubles = 0;
}

static void expect_nothing(void)
{
	assert_int_equal(json_array_size(findings.list), 0);
}

/* Who has neither is told nothing. */
static void says_nothing_of_nothing(void **state)
{
	(void)state;
	cv_doctor_check_datastore(&input, &findings);
	cv_doctor_check_addresses(&input, &findings);
	cv_doctor_check_pods(&input, &findings);
	cv_doctor_check_cni(&input, &findings);
	expect_nothing();
	input.pods = NULL;
	cv_doctor_check_datastore(&input, &findings);
	cv_doctor_check_cni(&input, &findings);
	expect_nothing();
}

/* One that expires so many seconds from now. */
static void write_certificate(const char *name, long seconds)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	FILE *file = fopen(path_of(name), "we");

	assert_non_null(key);
	assert_non_null(certificate);
	assert_non_null(file);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -400L * DAY);
	X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
	assert_int_equal(X509_set_pubkey(certificate, key), 1);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	assert_int_equal(fclose(file), 0);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

static void judges_certificates(void **state)
{
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s", path_of("cert.pem"));
	datastore.is_etcd = true;
	datastore.cert_file = path;
	cv_doctor_check_datastore(&input, &findings);
	expect("error", "there is no certificate to be read in it");
	write_certificate("cert.pem", -3600);
	cv_doctor_check_datastore(&input, &findings);
	expect("error", "has expired");
	write_certificate("cert.pem", 10L * DAY + 3600);
	cv_doctor_check_datastore(&input, &findings);
	expect("warning", "expires in 10 days");
	write_certificate("cert.pem", 100L * DAY);
	cv_doctor_check_datastore(&input, &findings);
	expect("ok", "resources and addresses are in etcd (1 endpoint)");
}

static void judges_the_datastore(void **state)
{
	(void)state;
	look.migration = "they were moved";
	cv_doctor_check_datastore(&input, &findings);
	expect("warning", "no pod gets an address: they were moved");
	look.migration = NULL;
	datastore.is_etcd = true;
	strcpy(look.addresses.problem, "etcd is away");
	cv_doctor_check_datastore(&input, &findings);
	expect("error", "addresses cannot be assigned: etcd is away");
	look.addresses.problem[0] = '\0';
	look.registration = "no address";
	cv_doctor_check_datastore(&input, &findings);
	expect("error", "this node is not registered: no address");
}

static void judges_blocks(void **state)
{
	const struct cv_pod pod = {.state = CV_POD_PENDING}, *pods[] = {&pod};

	(void)state;
	look.pods = pods;
	look.pod_count = 1;
	look.pools = 0;
	cv_doctor_check_addresses(&input, &findings);
	expect("error", "no IPPool is for this node's pods");
	look.pools = 1;
	look.blocks = 0;
	cv_doctor_check_addresses(&input, &findings);
	expect("error", "this node has no block");
	look.blocks = 1;
	sums = (struct cv_ipam_sums){.is_known = true, .blocks = 1, .assigned = 60, .free = 3};
	cv_doctor_check_addresses(&input, &findings);
	expect("warning", "nearly full: 3 of 63 addresses are free");
	sums.assigned = 10;
	sums.free = 53;
	cv_doctor_check_addresses(&input, &findings);
	expect("ok", "1 block of this node: 10 addresses assigned, 53 free");
	sums.borrowed = 2;
	cv_doctor_check_addresses(&input, &findings);
	expect("warning", "2 addresses of this node are borrowed");
	sums.borrowed = 0;
	sums.faults = 1;
	cv_doctor_check_addresses(&input, &findings);
	expect("warning", "1 document of addresses does not fit together");
	sums.faults = 0;
	strcpy(sums.exhausted, "small");
	cv_doctor_check_addresses(&input, &findings);
	expect("error", "IPPool small has no address left");
}

/* A block that another claims when it is full is none to be warned of. */
static void does_not_mind_a_full_block_with_etcd(void **state)
{
	(void)state;
	datastore.is_etcd = true;
	sums = (struct cv_ipam_sums){.is_known = true, .blocks = 1, .assigned = 63};
	cv_doctor_check_addresses(&input, &findings);
	expect("ok", "63 addresses assigned, 0 free");
}

static void finds_tombstones_that_wait(void **state)
{
	struct utimbuf old = {.actime = look.now_s - 300, .modtime = look.now_s - 300};

	(void)state;
	assert_int_equal(mkdir(look.tombstones, 0700), 0);
	write_file("tombstones/young.json", "{}", 0600);
	cv_doctor_check_pods(&input, &findings);
	expect_nothing();
	write_file("tombstones/old.json", "{}", 0600);
	assert_int_equal(utime(path_of("tombstones/old.json"), &old), 0);
	cv_doctor_check_pods(&input, &findings);
	expect("warning", "1 container was deleted while culvertd was away");
}

static void counts_pods(void **state)
{
	struct cv_pod pod = {.state = CV_POD_ATTACHED};
	const struct cv_pod *pods[] = {&pod};

	(void)state;
	look.pods = pods;
	look.pod_count = 1;
	cv_doctor_check_pods(&input, &findings);
	expect("ok", "1 pod is attached");
	pod.state = CV_POD_DELETING;
	cv_doctor_check_pods(&input, &findings);
	expect("warning", "1 pod is being deleted");
}

static void judges_cni(void **state)
{
	static const char ours[] = "{\"cniVersion\": \"%s\", \"name\": \"pods\", \"plugins\": [{"
				   "\"type\": \"culvert-cni\"}, {\"type\": \"portmap\"}]}";
	const struct cv_pod pod = {.state = CV_POD_ATTACHED}, *pods[] = {&pod};
	char text[256];

	(void)state;
	/* Another's, and none at all. */
	write_file("00-other.conflist",
		   "{\"cniVersion\": \"1.0.0\", \"plugins\": [{\"type\": \"bridge\"}]}", 0644);
	write_file("01-broken.conflist", "{", 0644);
	cv_doctor_check_cni(&input, &findings);
	expect_nothing();
	look.pods = pods;
	look.pod_count = 1;
	cv_doctor_check_cni(&input, &findings);
	expect("warning", "there are pods, and no configuration of culvert-cni");
	look.pod_count = 0;
	snprintf(text, sizeof(text), ours, "1.0.0");
	write_file("10-culvert.conflist", text, 0644);
	cv_doctor_check_cni(&input, &findings);
	expect("error", "10-culvert.conflist names the plugin culvert-cni, which is not where");
	write_file("culvert-cni", "#!/bin/sh\n", 0755);
	cv_doctor_check_cni(&input, &findings);
	expect("ok", "CNI configuration 10-culvert.conflist, cniVersion 1.0.0");
	snprintf(text, sizeof(text), ours, "1.1.0");
	write_file("10-culvert.conflist", text, 0644);
	cv_doctor_check_cni(&input, &findings);
	expect("warning", "has cniVersion 1.1.0 and chains plugins");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(says_nothing_of_nothing),
		TEST(judges_certificates),
		TEST(judges_the_datastore),
		TEST(judges_blocks),
		TEST(does_not_mind_a_full_block_with_etcd),
		TEST(finds_tombstones_that_wait),
		TEST(counts_pods),
		TEST(judges_cni),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
