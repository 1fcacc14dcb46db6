/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PathConfiguration of culvert/v1: how paths to remote ends are probed (path/config.h), and what
 * follows of it. One, "default", for all tunnels of the hosts that have the store.
 */
#include "model/kinds.h"

#include <string.h>

#include "model/duration.h"
#include "path/liveness.h"
#include "wire/tcp.h"

static const struct cv_word switch_words[] = {
	{"Enabled", true},
	{"Disabled", false},
	{NULL, 0},
};

enum {
	MTU_MIN = 88, /* RFC 791's 68 bytes of an inner packet, and the outer header */
	MTU_MAX = 65535,
	SECOND = 1000,
	MINUTE = 60 * SECOND,
	HOUR = 60 * MINUTE,
};

#define AT(member) offsetof(struct cv_path_configuration, member)

/* Fields that are a number, and what they may be. */
static const struct limit {
	const char *name;
	size_t offset; /* of a uint32_t */
	uint32_t min, max;
	const char *more; /* what an error says beside the range */
} numbers[] = {
	{"minMTU", AT(prober.min_mtu), MTU_MIN, MTU_MAX, NULL},
	{"baseMTU", AT(prober.base_mtu), MTU_MIN, MTU_MAX, NULL},
	{"maxProbes", AT(prober.max_probes), 1, 10, NULL},
	{"livenessLosses", AT(prober.liveness_losses), 1, CV_LIVENESS_SAMPLES, NULL},
	{"probesPerSecond", AT(prober.rate), 1, 100000, NULL},
};

/* Durations, in milliseconds. */
static const struct limit durations[] = {
	{"probeTimer", AT(prober.probe_timer_ms), SECOND, HOUR, " (RFC 8899 allows no less)"},
	{"raiseTimer", AT(prober.raise_timer_ms), SECOND, 24 * HOUR, ""},
	{"confirmTimer", AT(prober.confirm_timer_ms), 50, MINUTE, ", or 0s for never"},
	{"livenessTimer", AT(prober.liveness_timer_ms), 100, HOUR, ""},
};

enum {
	NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
	DURATIONS = sizeof(durations) / sizeof(durations[0]),
};

/* All fields of a kind of limit have this reader: the key tells which one it is. */
static const struct limit *find_limit(const struct limit *limits, size_t count, const char *name)
{
	size_t i = 0;

	while (i < count - 1 && strcmp(limits[i].name, name))
		i++;
	return &limits[i];
}

static int read_number(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	const struct limit *limit = find_limit(numbers, NUMBERS, node->key);
	uint32_t number;
	long long value;
	int rc = cv_reader_integer(reader, node, limit->min, limit->max, &value);

	if (rc)
		return rc;
	number = (uint32_t)value;
	memcpy((char *)target + limit->offset, &number, sizeof(number));
	return 0;
}

static int read_duration(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	const struct limit *limit = find_limit(durations, DURATIONS, node->key);
	char is[CV_READER_IS_MAX], min[CV_DURATION_TEXT_MAX], max[CV_DURATION_TEXT_MAX];
	bool is_never;
	uint32_t ms;

	if (node->type != CV_YAML_SCALAR || !cv_duration_parse(node->text, &ms))
		return cv_reader_fail(reader, node,
				      "spec.%s must be a duration like 15s, 10m or 300ms, %s",
				      limit->name, cv_reader_is(node, is));
	is_never = !ms && limit->offset == AT(prober.confirm_timer_ms);
	if (!is_never && (ms < limit->min || ms > limit->max))
		return cv_reader_fail(reader, node, "spec.%s must be from %s to %s%s, %s",
				      limit->name, cv_duration_format(limit->min, min),
				      cv_duration_format(limit->max, max), limit->more,
				      cv_reader_is(node, is));
	memcpy((char *)target + limit->offset, &ms, sizeof(ms));
	return 0;
}

/* auto, off, or the limit. */
static int read_mss_clamp(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_path_configuration *path = target;
	const char *text = node->type == CV_YAML_SCALAR ? node->text : "";
	enum cv_yaml_value type = cv_yaml_resolve(node);
	char is[CV_READER_IS_MAX];
	long long number;

	if (type == CV_YAML_STRING && !strcmp(text, "auto"))
		path->mss_clamp = CV_TCP_MSS_AUTO;
	/* As a word that YAML once took for false, it need not be quoted. */
	else if (!strcmp(text, "off"))
		path->mss_clamp = CV_TCP_MSS_OFF;
	else if (type == CV_YAML_INT && !cv_yaml_integer(node, &number) &&
		 number >= CV_TCP_MSS_LEAST && number <= CV_TCP_MSS_MOST)
		path->mss_clamp = (uint16_t)number;
	else
		return cv_reader_fail(reader, node,
				      "spec.mssClamp must be auto, off or a number from %d to %d, "
				      "%s",
				      CV_TCP_MSS_LEAST, CV_TCP_MSS_MOST, cv_reader_is(node, is));
	return 0;
}

static int read_probing(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_path_configuration *path = target;
	int value, rc = cv_reader_word(reader, node, switch_words, &value);

	if (!rc)
		path->prober.probing = value;
	return rc;
}

static int read_skip(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	struct cv_path_configuration *path = target;
	int value, rc = cv_reader_word(reader, node, switch_words, &value);

	if (!rc)
		path->skip_dead_next_hops = value;
	return rc;
}

static const struct cv_field fields[] = {
	{"probing", CV_FIELD_READ, .read = read_probing},
	{"minMTU", CV_FIELD_READ, .read = read_number},
	{"baseMTU", CV_FIELD_READ, .read = read_number},
	{"maxProbes", CV_FIELD_READ, .read = read_number},
	{"probeTimer", CV_FIELD_READ, .read = read_duration},
	{"raiseTimer", CV_FIELD_READ, .read = read_duration},
	{"confirmTimer", CV_FIELD_READ, .read = read_duration},
	{"livenessTimer", CV_FIELD_READ, .read = read_duration},
	{"livenessLosses", CV_FIELD_READ, .read = read_number},
	{"probesPerSecond", CV_FIELD_READ, .read = read_number},
	{"mssClamp", CV_FIELD_READ, .read = read_mss_clamp},
	{"skipDeadNextHops", CV_FIELD_READ, .read = read_skip},
};
#undef AT

static int init(struct cv_resource *resource)
{
	cv_path_configuration_init(&resource->path);
	return 0;
}

static int check(struct cv_reader *reader, const struct cv_yaml_node *node,
		 struct cv_resource *resource)
{
	const struct cv_yaml_node *spec = cv_yaml_get(node, "spec");
	const struct cv_yaml_node *min = cv_yaml_get(spec, "minMTU");
	const struct cv_yaml_node *base = cv_yaml_get(spec, "baseMTU");
	const struct cv_prober_config *prober = &resource->path.prober;

	if (strcmp(resource->name, "default"))
		return cv_reader_fail(reader, cv_yaml_get(cv_yaml_get(node, "metadata"), "name"),
				      "metadata.name: the only PathConfiguration is \"default\"; "
				      "rename %s, or write its fields there",
				      resource->name);
	if (prober->min_mtu <= prober->base_mtu)
		return 0;
	if (cv_reader_absent(base))
		return cv_reader_fail(
			reader, min,
			"spec.minMTU %u is more than baseMTU, which is %u where it is "
			"not given; give a baseMTU that is not less",
			prober->min_mtu, prober->base_mtu);
	return cv_reader_fail(reader, base, "spec.baseMTU %u is less than minMTU, which is %u%s",
			      prober->base_mtu, prober->min_mtu,
			      cv_reader_absent(min) ? " where it is not given" : "");
}

const struct cv_kind_reader cv_kind_path_configuration = {
	.spec = {"PathConfiguration spec", fields, sizeof(fields) / sizeof(fields[0])},
	.init = init,
	.check = check,
};

void cv_path_configuration_init(struct cv_path_configuration *ret_path)
{
	*ret_path = (struct cv_path_configuration){
		.prober = cv_prober_config_default(),
		.mss_clamp = CV_TCP_MSS_AUTO,
	};
}
