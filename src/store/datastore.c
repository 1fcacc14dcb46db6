/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calicoctl's configuration file (CalicoAPIConfig). Of its fields those for etcd v3 are taken;
 * those of Calico's other store are refused where they would change the meaning of the file, else
 * warned of, as unknown ones are: the file is somebody's for calicoctl, too.
 */
#include "store/datastore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/schema.h"
#include "model/yaml.h"

enum {
	FILE_MAX = 1 << 20 /* bytes; inline certificates are some thousands */
};

static int no_memory(struct cv_error *error)
{
	return cv_error_set(error, -ENOMEM, "out of memory");
}

void cv_datastore_config_fini(struct cv_datastore_config *config)
{
	for (size_t i = 0; i < config->endpoint_count; i++)
		free(config->endpoints[i]);
	free(config->endpoints);
	free(config->file);
	free(config->ca_file);
	free(config->cert_file);
	free(config->key_file);
	free(config->username);
	if (config->password)
		explicit_bzero(config->password, strlen(config->password));
	free(config->password);
	cv_messages_fini(&config->warnings);
	*config = (struct cv_datastore_config){.is_etcd = false};
}

/* true: copied, also where there is nothing. */
static bool copy_text(const char *text, char **ret_text)
{
	*ret_text = text ? strdup(text) : NULL;
	return !text || *ret_text;
}

int cv_datastore_config_copy(const struct cv_datastore_config *config,
			     struct cv_datastore_config *ret_config)
{
	struct cv_datastore_config copy = {.is_etcd = config->is_etcd};
	bool is_done = copy_text(config->file, &copy.file) &&
		       copy_text(config->ca_file, &copy.ca_file) &&
		       copy_text(config->cert_file, &copy.cert_file) &&
		       copy_text(config->key_file, &copy.key_file) &&
		       copy_text(config->username, &copy.username) &&
		       copy_text(config->password, &copy.password);

	copy.endpoints = calloc(config->endpoint_count + 1, sizeof(copy.endpoints[0]));
	is_done = is_done && copy.endpoints;
	for (size_t i = 0; is_done && i < config->endpoint_count; i++) {
		is_done = copy_text(config->endpoints[i], &copy.endpoints[i]);
		copy.endpoint_count += is_done;
	}
	if (!is_done) {
		cv_datastore_config_fini(&copy);
		return -ENOMEM;
	}
	*ret_config = copy;
	return 0;
}

/* ---- endpoints ------------------------------------------------------------------------- */

/* Whether what is behind "http://" is HOST:PORT, with "[…]" around an IPv6 address. */
static bool is_host_and_port(const char *text)
{
	const char *host_end = *text == '[' ? strchr(text, ']') : strchr(text, ':');
	const char *port = host_end ? host_end + (*text == '[') : NULL;
	char *end;
	unsigned long number;

	if (!port || *port != ':' || port == text || port[1] < '0' || port[1] > '9')
		return false;
	for (const char *p = text; p < host_end; p++) {
		if (!strchr("[]:.-_", *p) && !(*p >= '0' && *p <= '9') &&
		    !((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'))
			return false;
	}
	number = strtoul(port + 1, &end, 10);
	return !*end && number > 0 && number <= 65535;
}

static int add_endpoint(struct cv_reader *reader, const struct cv_yaml_node *node,
			const char *begin, size_t length, struct cv_datastore_config *config)
{
	char **longer, *endpoint;
	const char *host;

	while (length && begin[length - 1] == '/')
		length--;
	endpoint = strndup(begin, length);
	if (!endpoint)
		return no_memory(reader->error);
	/* Who wrote that meant a password, which no message may have. */
	if (strchr(endpoint, '@')) {
		free(endpoint);
		return cv_reader_fail(reader, node,
				      "spec.etcdEndpoints: an endpoint has no user and password in "
				      "it; write them into etcdUsername and etcdPassword");
	}
	host = !strncmp(endpoint, "http://", 7)	   ? endpoint + 7
	       : !strncmp(endpoint, "https://", 8) ? endpoint + 8
						   : NULL;
	if (!host || !is_host_and_port(host)) {
		cv_reader_fail(reader, node,
			       "spec.etcdEndpoints: \"%.128s\" is no endpoint; write "
			       "http://HOST:PORT or https://HOST:PORT, with commas between several",
			       endpoint);
		free(endpoint);
		return -EINVAL;
	}
	longer = realloc(config->endpoints, (config->endpoint_count + 1) * sizeof(longer[0]));
	if (!longer) {
		free(endpoint);
		return no_memory(reader->error);
	}
	config->endpoints = longer;
	config->endpoints[config->endpoint_count++] = endpoint;
	return 0;
}

static int read_endpoints(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	const char *text;
	int rc = cv_reader_string(reader, node, &text);

	while (!rc) {
		size_t length;

		text += strspn(text, ", \t");
		length = strcspn(text, ", \t");
		if (!length)
			break;
		rc = add_endpoint(reader, node, text, length, target);
		text += length;
	}
	return rc;
}

/* ---- fields ------------------------------------------------------------------------------ */

static int read_type(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	const char *text;
	int rc = cv_reader_string(reader, node, &text);

	(void)target;
	if (rc || !strcmp(text, "etcdv3"))
		return rc;
	if (!strcmp(text, "kubernetes"))
		return cv_reader_fail(
			reader, node,
			"spec.datastoreType: Culvert keeps nothing in Kubernetes' API; "
			"it must be etcdv3, or there must be no such file");
	return cv_reader_fail(reader, node, "spec.datastoreType must be etcdv3, not \"%.64s\"",
			      text);
}

static int copy_string(struct cv_reader *reader, const struct cv_yaml_node *node, char **target)
{
	const char *text;
	int rc = cv_reader_string(reader, node, &text);

	/* "" is as good as nothing, as with calicoctl. */
	if (rc || !*text)
		return rc;
	*target = strdup(text);
	return *target ? 0 : no_memory(reader->error);
}

static int read_path(struct cv_reader *reader, const struct cv_yaml_node *node, char **target)
{
	int rc = copy_string(reader, node, target);

	if (rc || !*target || **target == '/')
		return rc;
	return cv_reader_fail(reader, node, "spec.%s must be an absolute path, not \"%.128s\"",
			      node->key, *target);
}

static int read_ca_file(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	return read_path(reader, node, &((struct cv_datastore_config *)target)->ca_file);
}

static int read_cert_file(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	return read_path(reader, node, &((struct cv_datastore_config *)target)->cert_file);
}

static int read_key_file(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	return read_path(reader, node, &((struct cv_datastore_config *)target)->key_file);
}

static int read_username(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	return copy_string(reader, node, &((struct cv_datastore_config *)target)->username);
}

static int read_password(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	/* As cv_reader_string, but the words do not quote it. */
	if (node->type != CV_YAML_SCALAR || cv_yaml_resolve(node) != CV_YAML_STRING)
		return cv_reader_fail(reader, node,
				      "spec.etcdPassword must be a string; put it in quotes");
	return copy_string(reader, node, &((struct cv_datastore_config *)target)->password);
}

/* The certificates themselves, not where they are: they could not be renewed without a restart. */
static int refuse_inline(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	const char *text;
	int rc = cv_reader_string(reader, node, &text);

	(void)target;
	if (rc || !*text)
		return rc;
	return cv_reader_fail_key(
		reader, node,
		"spec.%s: put this into a file, which Culvert reads again when it "
		"is renewed, and name it by %sFile",
		node->key, node->key);
}

static int refuse_discovery(struct cv_reader *reader, const struct cv_yaml_node *node, void *target)
{
	const char *text;
	int rc = cv_reader_string(reader, node, &text);

	(void)target;
	if (rc || !*text)
		return rc;
	return cv_reader_fail_key(reader, node,
				  "spec.etcdDiscoverySrv: Culvert does not ask DNS for members; "
				  "write them into etcdEndpoints");
}

static const struct spec_field {
	const char *name;
	int (*read)(struct cv_reader *reader, const struct cv_yaml_node *node, void *target);
} spec_fields[] = {
	{"datastoreType", read_type},
	{"etcdEndpoints", read_endpoints},
	{"etcdCACertFile", read_ca_file},
	{"etcdCertFile", read_cert_file},
	{"etcdKeyFile", read_key_file},
	{"etcdUsername", read_username},
	{"etcdPassword", read_password},
	{"etcdCACert", refuse_inline},
	{"etcdCert", refuse_inline},
	{"etcdKey", refuse_inline},
	{"etcdDiscoverySrv", refuse_discovery},
};

enum {
	SPEC_FIELDS = sizeof(spec_fields) / sizeof(spec_fields[0])
};

static int read_spec_field(struct cv_reader *reader, const struct cv_yaml_node *node,
			   struct cv_datastore_config *config)
{
	for (size_t i = 0; i < SPEC_FIELDS; i++) {
		if (!strcmp(node->key, spec_fields[i].name))
			return cv_reader_absent(node) ? 0
						      : spec_fields[i].read(reader, node, config);
	}
	cv_reader_warn(reader, node, "field \"%.64s\" is not acted on", node->key);
	return 0;
}

/* Whether anybody on this host can read a file. */
static bool is_open_to_all(const char *path)
{
	struct stat st;

	return path && !stat(path, &st) && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH);
}

/* Whether what goes to an endpoint stays on this host. */
static bool is_here(const char *endpoint)
{
	const char *host = endpoint + strlen("http://");

	return !strncmp(host, "127.", 4) || !strncmp(host, "localhost:", 10) ||
	       !strncmp(host, "[::1]:", 6);
}

/* Secrets that are none. They work: who runs the host may know why they are so. */
static void warn_of_secrets(struct cv_reader *reader, const struct cv_yaml_node *spec,
			    const struct cv_datastore_config *config, bool is_all_tls)
{
	if (config->password && is_open_to_all(reader->file))
		cv_reader_warn(reader, spec,
			       "etcdPassword: everybody on this host can read this file; chmod 600 "
			       "it");
	if (is_open_to_all(config->key_file))
		cv_reader_warn(reader, spec,
			       "etcdKeyFile: everybody on this host can read %.200s; chmod 600 it",
			       config->key_file);
	if (config->password && !is_all_tls)
		cv_reader_warn(reader, spec,
			       "etcdPassword: it goes over the network as it is, for anybody to "
			       "read, as an endpoint is http://");
}

/* What the fields must be together. */
static int check_spec(struct cv_reader *reader, const struct cv_yaml_node *spec,
		      const struct cv_datastore_config *config)
{
	bool has_tls = false, is_all_tls = true;

	if (!config->endpoint_count)
		return cv_reader_fail(reader, spec,
				      "spec.etcdEndpoints is missing; write, for instance, "
				      "etcdEndpoints: https://10.0.0.1:2379");
	if (!config->cert_file != !config->key_file)
		return cv_reader_fail(reader, spec, "spec.%s is missing: the two go together",
				      config->cert_file ? "etcdKeyFile" : "etcdCertFile");
	if (!config->username != !config->password)
		return cv_reader_fail(reader, spec, "spec.%s is missing: the two go together",
				      config->username ? "etcdPassword" : "etcdUsername");
	for (size_t i = 0; i < config->endpoint_count; i++) {
		bool is_tls = !strncmp(config->endpoints[i], "https", 5);

		has_tls = has_tls || is_tls;
		is_all_tls = is_all_tls && (is_tls || is_here(config->endpoints[i]));
	}
	warn_of_secrets(reader, spec, config, is_all_tls);
	if (!has_tls && (config->ca_file || config->cert_file))
		cv_reader_warn(reader, spec, "certificates are not used: no endpoint is https://");
	return 0;
}

static int read_spec(struct cv_reader *reader, const struct cv_yaml_node *root,
		     struct cv_datastore_config *config)
{
	const struct cv_yaml_node *spec = cv_yaml_get(root, "spec");
	char is[CV_READER_IS_MAX];
	int rc = 0;

	if (!spec)
		return cv_reader_fail(reader, root, "spec is missing");
	if (spec->type != CV_YAML_MAPPING)
		return cv_reader_fail(reader, spec, "spec must be a mapping, %s",
				      cv_reader_is(spec, is));
	memcpy(reader->path, "spec.", sizeof("spec."));
	for (const struct cv_yaml_node *node = spec->first; node && !rc; node = node->next)
		rc = read_spec_field(reader, node, config);
	return rc ? rc : check_spec(reader, spec, config);
}

/* ---- the file -------------------------------------------------------------------------- */

/* apiVersion or kind. */
static int check_word(struct cv_reader *reader, const struct cv_yaml_node *root, const char *key,
		      const char *wanted)
{
	const struct cv_yaml_node *node = cv_yaml_get(root, key);
	const char *text;
	int rc;

	if (cv_reader_absent(node))
		return cv_reader_fail(reader, root, "%s is missing; write %s: %s", key, key,
				      wanted);
	rc = cv_reader_string(reader, node, &text);
	if (rc || !strcmp(text, wanted))
		return rc;
	return cv_reader_fail(reader, node, "%s must be %s, not \"%.64s\"", key, wanted, text);
}

static int read_document(struct cv_reader *reader, const struct cv_yaml_node *root,
			 struct cv_datastore_config *config)
{
	char is[CV_READER_IS_MAX];
	int rc;

	if (root->type != CV_YAML_MAPPING)
		return cv_reader_fail(reader, root, "a CalicoAPIConfig must be a mapping, %s",
				      cv_reader_is(root, is));
	rc = check_word(reader, root, "apiVersion", "projectcalico.org/v3");
	if (!rc)
		rc = check_word(reader, root, "kind", "CalicoAPIConfig");
	for (const struct cv_yaml_node *node = root->first; node && !rc; node = node->next) {
		if (strcmp(node->key, "apiVersion") && strcmp(node->key, "kind") &&
		    strcmp(node->key, "metadata") && strcmp(node->key, "spec"))
			cv_reader_warn(reader, node, "field \"%.64s\" is not acted on", node->key);
	}
	return rc ? rc : read_spec(reader, root, config);
}

static int read_text(const char *path, const char *text, size_t length,
		     struct cv_datastore_config *config, struct cv_error *error)
{
	struct cv_reader reader = {
		.file = path,
		.kind = "CalicoAPIConfig",
		.warnings = &config->warnings,
		.error = error,
	};
	const struct cv_yaml_node *root;
	struct cv_yaml *yaml;
	bool is_there = false;
	int rc = cv_yaml_create(path, text, length, &yaml, error);

	if (rc)
		return rc;
	for (;;) {
		rc = cv_yaml_next(yaml, &root, error);
		if (rc <= 0)
			break;
		if (cv_reader_absent(root))
			continue;
		rc = is_there ? cv_reader_fail(&reader, root, "there is more than one document")
			      : read_document(&reader, root, config);
		is_there = true;
		if (rc)
			break;
	}
	cv_yaml_destroy(yaml);
	if (!rc && !is_there)
		rc = cv_error_set(error, -EINVAL,
				  "%s:1:1: there is nothing in it; it must be a "
				  "CalicoAPIConfig",
				  path);
	return rc;
}

/* The caller frees *ret_text. */
static int read_file(const char *path, char **ret_text, size_t *ret_length, struct cv_error *error)
{
	FILE *file = fopen(path, "re");
	char *text;
	int rc = 0;

	if (!file)
		return cv_error_set(error, -errno, "%s: %s", path, strerror(errno));
	text = malloc(FILE_MAX + 1);
	if (!text) {
		fclose(file);
		return no_memory(error);
	}
	*ret_length = fread(text, 1, FILE_MAX + 1, file);
	if (ferror(file))
		rc = cv_error_set(error, -EIO, "%s: it cannot be read (is it a file?)", path);
	else if (*ret_length > FILE_MAX)
		rc = cv_error_set(error, -E2BIG, "%s: it is larger than a megabyte", path);
	fclose(file);
	if (rc)
		free(text);
	else
		*ret_text = text;
	return rc;
}

int cv_datastore_config_read(const char *path, struct cv_datastore_config *ret_config,
			     struct cv_error *error)
{
	struct cv_datastore_config config = {.is_etcd = true};
	size_t length = 0;
	char *text = NULL;
	int rc = read_file(path, &text, &length, error);

	if (!rc)
		rc = read_text(path, text, length, &config, error);
	/* There may be a password in it. */
	if (text)
		explicit_bzero(text, length);
	free(text);
	if (!rc && !copy_text(path, &config.file))
		rc = no_memory(error);
	if (rc)
		cv_datastore_config_fini(&config);
	else
		*ret_config = config;
	return rc;
}

int cv_datastore_config_find(const char *config_dir, const char *explicit_file,
			     struct cv_datastore_config *ret_config, struct cv_error *error)
{
	char *path = NULL;
	int rc;

	if (explicit_file)
		return cv_datastore_config_read(explicit_file, ret_config, error);
	if (asprintf(&path, "%s/%s", config_dir, CV_DATASTORE_FILE) < 0)
		return no_memory(error);
	rc = cv_datastore_config_read(path, ret_config, error);
	free(path);
	if (rc != -ENOENT && rc != -ENOTDIR)
		return rc;
	*ret_config = (struct cv_datastore_config){.is_etcd = false};
	return 0;
}
