/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a resource out of YAML by tables of fields. A table says what a field is called, what it
 * must be, and where it goes; its order is that of the canonical text, which is written on the way.
 */
#ifndef CV_MODEL_SCHEMA_H
#define CV_MODEL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "model/json.h"
#include "model/manifest.h"
#include "model/yaml.h"
#include "net/prefix.h"
#include "tunnel/error.h"

enum {
	CV_READER_PATH_MAX = 128
};

/* The reading of one resource. */
struct cv_reader {
	const char *file;
	const char *kind; /* for messages */
	const char *name; /* NULL: not known yet */
	struct cv_messages *warnings;
	struct cv_error *error;
	struct cv_text out;	       /* the canonical text so far */
	char path[CV_READER_PATH_MAX]; /* of the object that is being read: "spec.bgp." */
};

/*
 * Say what is wrong with a node: "FILE:LINE:COLUMN: …" of its value, or of its key. Returns
 * -EINVAL.
 */
int cv_reader_fail(struct cv_reader *reader, const struct cv_yaml_node *node, const char *format,
		   ...) __attribute__((format(printf, 3, 4)));
int cv_reader_fail_key(struct cv_reader *reader, const struct cv_yaml_node *node,
		       const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "FILE:LINE:COLUMN: KIND NAME: …" */
void cv_reader_warn(struct cv_reader *reader, const struct cv_yaml_node *node, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* The analyzer does not see the functions' bodies. */
#define cv_reader_fail(...)	((cv_reader_fail)(__VA_ARGS__), -22)
#define cv_reader_fail_key(...) ((cv_reader_fail_key)(__VA_ARGS__), -22)
#endif

/* "not a list", "not \"yes please\"", "not 3": what a node is instead. */
enum {
	CV_READER_IS_MAX = 96
};
const char *cv_reader_is(const struct cv_yaml_node *node, char buffer[CV_READER_IS_MAX]);

/* What a node is called behind the path: its key, or "an entry" of a list. */
const char *cv_reader_leaf(const struct cv_yaml_node *node);

/* Go into an object ("NAME.") or a list ("NAME: ") with the path; entered: what that returned. */
size_t cv_reader_enter(struct cv_reader *reader, const char *name, const char *sign);
void cv_reader_leave(struct cv_reader *reader, size_t entered);

/* Nothing is given: no node, or null. */
bool cv_reader_absent(const struct cv_yaml_node *node);

/* ---- values: 0, -EINVAL or -ENOMEM with an error that names the field ------------------- */

int cv_reader_bool(struct cv_reader *reader, const struct cv_yaml_node *node, bool *ret_value);
int cv_reader_integer(struct cv_reader *reader, const struct cv_yaml_node *node, long long min,
		      long long max, long long *ret_value);

/* The text stays the node's. */
int cv_reader_string(struct cv_reader *reader, const struct cv_yaml_node *node,
		     const char **ret_text);

/* One host's address. -EAFNOSUPPORT without an error: an IPv6 address. */
int cv_reader_address(struct cv_reader *reader, const struct cv_yaml_node *node,
		      __be32 *ret_address);

/* A whole network, "10.0.0.0/8". -EAFNOSUPPORT without an error: an IPv6 one. */
int cv_reader_cidr(struct cv_reader *reader, const struct cv_yaml_node *node,
		   struct cv_prefix *ret_prefix);

/* The name of a node or another resource, as Kubernetes has them: a DNS subdomain (RFC 1123). */
int cv_reader_name(struct cv_reader *reader, const struct cv_yaml_node *node,
		   const char **ret_name);

struct cv_word {
	const char *name;
	int value;
};

/*
 * One of words, the last of which has no name; "" among them is taken, and not offered. An error
 * says which there are, and which one was meant.
 */
int cv_reader_word(struct cv_reader *reader, const struct cv_yaml_node *node,
		   const struct cv_word *words, int *ret_value);

/* What an entry of a list may be; a set. IPv6 entries are left out with a warning. */
enum cv_reader_entry {
	CV_ENTRY_CIDR = 1 << 0,	     /* 10.0.0.0/8 */
	CV_ENTRY_ADDRESS = 1 << 1,   /* 10.0.0.1, which is 10.0.0.1/32 */
	CV_ENTRY_INTERFACE = 1 << 2, /* 10.0.0.1/24, the address of a device */
};

/* A list of them. The caller frees *ret_prefixes, which is NULL without any. */
int cv_reader_prefixes(struct cv_reader *reader, const struct cv_yaml_node *node,
		       unsigned int entries, struct cv_prefix **ret_prefixes, size_t *ret_count);

/* ---- tables ----------------------------------------------------------------------- */

enum cv_field_type {
	CV_FIELD_BOOL,	  /* bool */
	CV_FIELD_WORD,	  /* one of words: an enum */
	CV_FIELD_NAME,	  /* of a resource: char *, which the target owns */
	CV_FIELD_READ,	  /* by read */
	CV_FIELD_OBJECT,  /* by object, into the same target */
	CV_FIELD_OWN,	  /* by read, which writes the canonical text, too, with the key */
	CV_FIELD_DROPPED, /* accepted and forgotten */
	/* What we do not act on: only its shape is looked at, and it is warned of. */
	CV_FIELD_UNUSED_SCALAR,
	CV_FIELD_UNUSED_LIST,
	CV_FIELD_UNUSED_OBJECT,
};

struct cv_schema;

struct cv_field {
	const char *name;
	enum cv_field_type type;
	bool is_required;
	size_t offset;		     /* in the target */
	const struct cv_word *words; /* the last one has no name */
	const struct cv_schema *object;
	int (*read)(struct cv_reader *reader, const struct cv_yaml_node *node, void *target);
	/* What the canonical text has; NULL: the node as it is. */
	void (*write)(struct cv_text *out, const void *target);
	const char *note; /* why we do not act on it; NULL: for no special reason */
};

struct cv_schema {
	const char *what; /* "IPPool spec" */
	const struct cv_field *fields;
	size_t count;
};

/*
 * Read a mapping, or nothing at all (NULL or null), into target, and write the object's canonical
 * text. parent: where a missing field is missed if there is no mapping. 0, -EINVAL or -ENOMEM;
 * target then has what was read before.
 */
int cv_schema_read(struct cv_reader *reader, const struct cv_schema *schema,
		   const struct cv_yaml_node *node, const struct cv_yaml_node *parent,
		   void *target);

/* Whether all of a mapping's keys are fields. 0 or -EINVAL. */
int cv_schema_check_names(struct cv_reader *reader, const struct cv_schema *schema,
			  const struct cv_yaml_node *mapping);

/*
 * The known word that a field's name was meant to be, or NULL: by nearest.h, and whatever differs
 * in upper and lower case alone.
 */
const char *cv_schema_nearest(const struct cv_schema *schema, const char *name);

#endif
