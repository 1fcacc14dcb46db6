/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' nodes as resources: `kubectl get nodes -o json | culvert import -`.
 *
 * A Node gets the labels, the address and its prefix length where Calico has left them in
 * annotations (projectcalico.org/IPv4Address), else the first InternalIP of IPv4, and Calico's
 * tunnel address (projectcalico.org/IPv4IPIPTunnelAddr). Every pod CIDR of IPv4 becomes a
 * BlockAffinity, named as Calico names them; but where nodes have Calico's annotations, pods most
 * often have addresses of Calico's blocks, and the pod CIDRs are nobody's: they are left out.
 */
#ifndef CV_MODEL_IMPORT_H
#define CV_MODEL_IMPORT_H

#include <stddef.h>

#include "model/manifest.h"
#include "tunnel/error.h"

enum cv_import_blocks {
	CV_IMPORT_BLOCKS_AUTO, /* unless a node has Calico's annotations; then there is a warning */
	CV_IMPORT_BLOCKS_NEVER,
	CV_IMPORT_BLOCKS_ALWAYS,
};

/*
 * Read Nodes of apiVersion v1, YAML or JSON, singly, in documents or in lists. What comes out,
 * printed, is a manifest that applies; its resources' origins are the nodes'. What of a node
 * could not be used is a warning. 0, or -EINVAL, -ENOMEM, -E2BIG with "FILE:LINE:COLUMN: …" in
 * error. cv_manifest_fini frees.
 */
int cv_import_nodes(const char *file, const char *text, size_t length, enum cv_import_blocks blocks,
		    struct cv_manifest *ret, struct cv_error *error);

#endif
