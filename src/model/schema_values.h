/* SPDX-License-Identifier: Apache-2.0 */
/* Values that fields of several kinds have. As those of schema.h: 0, -EINVAL or -ENOMEM with an
 * error that names the field; *ret is untouched then. */
#ifndef CV_MODEL_SCHEMA_VALUES_H
#define CV_MODEL_SCHEMA_VALUES_H

#include "model/schema.h"

/* 64512, "64512" or "1.10" (RFC 5396's asplain and asdot+); not 0. */
int cv_reader_as_number(struct cv_reader *reader, const struct cv_yaml_node *node,
			uint32_t *ret_number);

/* A duration of whole seconds from min_s to max_s, "120s" or "2m". */
int cv_reader_seconds(struct cv_reader *reader, const struct cv_yaml_node *node, uint32_t min_s,
		      uint32_t max_s, uint32_t *ret_s);

/* A selector that parses (model/selector.h). The text stays the node's; "" is as good as none. */
int cv_reader_selector(struct cv_reader *reader, const struct cv_yaml_node *node,
		       const char **ret_text);

/* The same, copied; *ret_text stays as it is for "". Else the caller frees it, and had what was
 * there freed. */
int cv_reader_copy_selector(struct cv_reader *reader, const struct cv_yaml_node *node,
			    char **ret_text);

/* The name of devices, with * for whatever characters: 1 to 15 of [a-zA-Z0-9_.*-], as Calico's. */
int cv_reader_interface(struct cv_reader *reader, const struct cv_yaml_node *node,
			const char **ret_text);

/*
 * A key of a secret, copied, as Kubernetes has them: letters, digits, '-', '_' and '.', none at the
 * beginning that makes "." or ".." of it. So it is one file's name. The caller frees *ret_key.
 */
int cv_reader_secret_key(struct cv_reader *reader, const struct cv_yaml_node *node, char **ret_key);

/* Before spec.FIELD is read, which is to name a secret: no message must have a password that
 * somebody wrote there instead. 0 or -EINVAL. */
int cv_reader_look_secret(struct cv_reader *reader, const struct cv_yaml_node *spec,
			  const char *field);

/*
 * A list of texts, each read by read. The caller frees *ret_texts by cv_reader_free_texts; NULL
 * without any.
 */
int cv_reader_texts(struct cv_reader *reader, const struct cv_yaml_node *node,
		    int (*read)(struct cv_reader *reader, const struct cv_yaml_node *node,
				const char **ret_text),
		    char ***ret_texts, size_t *ret_count);
void cv_reader_free_texts(char **texts, size_t count);

#endif
