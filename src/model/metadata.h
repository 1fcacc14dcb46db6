/* SPDX-License-Identifier: Apache-2.0 */
/* A resource's metadata: its name, labels and annotations; what a server adds is dropped. */
#ifndef CV_MODEL_METADATA_H
#define CV_MODEL_METADATA_H

#include "model/resource.h"
#include "model/schema.h"

/*
 * Read metadata of a resource (node) into it, and write its canonical text. The name goes to the
 * reader, too. 0, -EINVAL or -ENOMEM.
 */
int cv_metadata_read(struct cv_reader *reader, const struct cv_yaml_node *node,
		     struct cv_resource *resource);

#endif
