/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as a tree of nodes that know their place. JSON is YAML. What manifests do not need, and
 * what could make a small file large (anchors, aliases, tags), is refused, and so is a key that is
 * there twice.
 */
#ifndef CV_MODEL_YAML_H
#define CV_MODEL_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "tunnel/error.h"

enum {
	CV_YAML_BYTES_MAX = 64 << 20, /* of a text */
	CV_YAML_DOCUMENTS_MAX = 200000,
	CV_YAML_NODES_MAX = 4000000, /* of a document */
	CV_YAML_DEPTH_MAX = 64
};

enum cv_yaml_type {
	CV_YAML_SCALAR,
	CV_YAML_LIST,
	CV_YAML_MAPPING,
};

struct cv_yaml_node {
	enum cv_yaml_type type;
	bool is_plain;		   /* a scalar that is neither quoted nor a block */
	unsigned int line, column; /* from 1 */
	unsigned int key_line, key_column;
	const char *key;		  /* in a mapping: under which word; else NULL */
	const char *text;		  /* of a scalar; without NUL characters */
	const struct cv_yaml_node *first; /* of a list or a mapping; in the order of the text */
	const struct cv_yaml_node *next;
	unsigned int count; /* of a list or a mapping */
};

/* What a scalar is. Only plain ones can be something else than a string. */
enum cv_yaml_value {
	CV_YAML_STRING,
	CV_YAML_NULL,  /* nothing at all, ~, null */
	CV_YAML_BOOL,  /* true, false */
	CV_YAML_INT,   /* decimal, 0x, 0o and 0b */
	CV_YAML_FLOAT, /* also .inf and .nan */
	CV_YAML_WORD,  /* yes, no, on, off, y, n: true and false in YAML 1.1, words in YAML 1.2 */
};

struct cv_yaml;

/*
 * Read a text; it must stay until cv_yaml_destroy. file: its name for errors, also kept. 0, -E2BIG
 * or -ENOMEM.
 */
int cv_yaml_create(const char *file, const char *text, size_t length, struct cv_yaml **ret_yaml,
		   struct cv_error *error);
void cv_yaml_destroy(struct cv_yaml *yaml);

/*
 * The next document; not again after an error. 1: *ret_root is it, valid until the next call; 0:
 * there is none left; -EINVAL, -E2BIG, -ENOMEM: with "FILE:LINE:COLUMN: …" in error.
 */
int cv_yaml_next(struct cv_yaml *yaml, const struct cv_yaml_node **ret_root,
		 struct cv_error *error);

/* What a node's scalar is; CV_YAML_STRING for what is none. */
enum cv_yaml_value cv_yaml_resolve(const struct cv_yaml_node *node);

/* A scalar that is CV_YAML_INT as a number. 0 or -ERANGE. */
int cv_yaml_integer(const struct cv_yaml_node *node, long long *ret_value);

/* A mapping's value, or NULL. */
const struct cv_yaml_node *cv_yaml_get(const struct cv_yaml_node *mapping, const char *key);

#endif
