/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TO BE DELETED when src/model/resource.c and src/model/messages.c are there: the least of them
 * that tests need, weak, so that the real ones win.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/manifest.h"

#define WEAK __attribute__((weak))

WEAK struct cv_resource *cv_resource_get(struct cv_resource *resource)
{
	if (resource)
		resource->references++;
	return resource;
}

static void free_spec(struct cv_resource *resource)
{
	switch (resource->kind) {
	case CV_KIND_IP_POOL:
		free(resource->pool.node_selector);
		break;
	case CV_KIND_BLOCK_AFFINITY:
		free(resource->affinity.node);
		break;
	case CV_KIND_IP_RESERVATION:
		free(resource->reservation.cidrs);
		break;
	case CV_KIND_FELIX_CONFIGURATION:
		free(resource->felix->mtu_iface_pattern);
		free(resource->felix->external_nodes);
		free(resource->felix);
		break;
	case CV_KIND_TUNNEL:
		free(resource->tunnel->node);
		free(resource->tunnel->addresses);
		free(resource->tunnel->routes);
		free(resource->tunnel);
		break;
	case CV_KIND_WORKLOAD:
		free(resource->workload.node);
		free(resource->workload.addresses);
		break;
	default:
		break;
	}
}

WEAK void cv_resource_put(struct cv_resource *resource)
{
	union {
		const char *text;
		char *owned;
	} file;

	if (!resource || --resource->references)
		return;
	free_spec(resource);
	for (size_t i = 0; i < resource->label_count; i++) {
		free(resource->labels[i].name);
		free(resource->labels[i].value);
	}
	file.text = resource->origin.file;
	free(file.owned);
	free(resource->labels);
	free(resource->name);
	free(resource->text);
	free(resource);
}

WEAK const char *cv_kind_name(enum cv_kind kind)
{
	static const char *const names[] = {
		"IPPool", "Node",    "BlockAffinity", "IPReservation", "FelixConfiguration",
		"Tunnel", "Workload"};

	return names[kind];
}

WEAK int cv_resource_compare(const struct cv_resource *a, const struct cv_resource *b)
{
	if (a->kind != b->kind)
		return (int)a->kind - (int)b->kind;
	return strcmp(a->name, b->name);
}

WEAK const char *cv_resource_label(const struct cv_resource *resource, const char *name)
{
	for (size_t i = 0; i < resource->label_count; i++) {
		if (!strcmp(resource->labels[i].name, name))
			return resource->labels[i].value;
	}
	return NULL;
}

WEAK void cv_messages_add(struct cv_messages *messages, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	for (size_t i = 0; text && i < messages->count; i++) {
		if (!strcmp(messages->texts[i], text)) {
			free(text);
			return;
		}
	}
	if (!text || messages->count == CV_MESSAGES_MAX) {
		free(text);
		return;
	}
	if (messages->count == messages->capacity) {
		size_t capacity = messages->capacity ? 2 * messages->capacity : 8;
		char **texts = reallocarray(messages->texts, capacity, sizeof(*texts));

		if (!texts) {
			free(text);
			return;
		}
		messages->texts = texts;
		messages->capacity = capacity;
	}
	messages->texts[messages->count++] = text;
}

WEAK void cv_messages_fini(struct cv_messages *messages)
{
	for (size_t i = 0; i < messages->count; i++)
		free(messages->texts[i]);
	free(messages->texts);
	*messages = (struct cv_messages){0};
}
