/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CNI plugin reads of strangers. The first byte says what the rest is: 0 a configuration,
 * as an ADD gets it; 1 the same for a DEL; 2 CNI_ARGS; 3 the result of a delegated plugin; 4 its
 * error. What was understood as a result is printed in every version and must be understood again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cni/conflist.h"
#include "cni/config.h"
#include "cni/delegate.h"
#include "cni/environment.h"
#include "cni/result.h"

static void check(int ok)
{
	if (!ok)
		abort();
}

static void read_config(const char *text, size_t length, enum cv_cni_command command)
{
	struct cv_cni_environment environment = {.command = command};
	struct cv_cni_config config;
	struct cv_cni_failure failure;
	int code = cv_cni_config_parse(text, length, &environment, &config, &failure);

	if (!code) {
		check(config.network && cv_attachment_name_is_valid(config.network));
		check(config.run_dir && *config.run_dir == '/');
		check(config.address_count <= CV_CNI_IPS && config.route_count <= CV_CNI_ROUTES);
		check(command == CV_CNI_DEL || !config.mtu || config.mtu >= 68);
		check(!config.ipam || !strchr(config.ipam, '/'));
	} else {
		check(failure.code == code && *failure.msg.text);
	}
	check(!config.log || *config.log == '/' || code);
	cv_cni_config_fini(&config);
	free(cv_cni_config_version(text, length));
	cv_cni_conflist_is_ours(text);
	cv_cni_conflist_uses_us(text);
}

static void read_arguments(const char *text)
{
	struct cv_cni_arguments arguments;
	struct cv_cni_failure failure;

	if (!cv_cni_arguments_parse(text, &arguments, &failure)) {
		check(!arguments.ip || *arguments.ip);
		check(!arguments.pod || !strchr(arguments.pod, ';'));
	}
}

static void read_result(const char *text, size_t length)
{
	struct cv_cni_result result, again;
	struct cv_cni_failure failure;
	json_t *json = json_loadb(text, length, 0, NULL);

	if (!cv_cni_result_parse(json, "it", CV_CNI_DELEGATE, &result, &failure)) {
		for (int version = 0; version < CV_CNI_VERSIONS; version++) {
			json_t *printed = cv_cni_result_json(&result, (enum cv_cni_version)version);

			check(printed && !cv_cni_result_parse(printed, "ours", CV_CNI_DELEGATE,
							      &again, &failure));
			check(again.ip_count == result.ip_count &&
			      again.route_count == result.route_count &&
			      again.interface_count == result.interface_count);
			json_decref(printed);
		}
	}
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cv_cni_failure failure;
	char *text;

	if (size < 1)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 5) {
	case 0:
		read_config(text, size - 1, CV_CNI_ADD);
		break;
	case 1:
		read_config(text, size - 1, CV_CNI_DEL);
		break;
	case 2:
		read_arguments(text);
		break;
	case 3:
		read_result(text, size - 1);
		break;
	default:
		check(cv_cni_delegate_error("fake", text, size - 1, &failure) != 0);
	}
	free(text);
	return 0;
}
