/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses held against containers: what is wrong, and when it is ripe to be mended. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/leaks.h"
#include "agent/pod_handle.h"

enum {
	SECOND = 1000000
};

/* Block 10.244.1.0/26 of a1 and 10.244.2.0/26 of b1, with some addresses each. */
struct world {
	struct cv_ipam_assignment ours[4], theirs[2];
	struct cv_ipam_block blocks[2];
	struct cv_ipam_fault faults[2];
	struct cv_ipam_view view;
	struct cv_pod pod_list[3];
	const struct cv_pod *pods[3];
	struct cv_leaks leaks;
	struct cv_leaks_input input;
};

static char *text_of(const char *text)
{
	return (char *)(uintptr_t)text;
}

static __be32 address_of(const char *text)
{
	return inet_addr(text);
}

static struct cv_ipam_assignment assignment(const char *address, const char *handle,
					    const char *node)
{
	struct cv_ipam_assignment made = {
		.address = address_of(address),
		.handle = text_of(handle),
	};

	if (node) {
		made.attributes[made.attribute_count].name = text_of("node");
		made.attributes[made.attribute_count++].value = text_of(node);
	}
	return made;
}

static struct cv_pod pod(const char *container, const char *address)
{
	struct cv_pod made = {
		.network = text_of("overlay"),
		.container = text_of(container),
		.interface = text_of("eth0"),
		.count = 1,
		.addresses = {{address_of(address), 32}},
		.state = CV_POD_ATTACHED,
	};

	return made;
}

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->ours[0] = assignment("10.244.1.0", "ipip-tunnel-addr-a1", "a1");
	w->ours[1] = assignment("10.244.1.1", "overlay.one.eth0", "a1");
	w->ours[2] = assignment("10.244.1.2", "overlay.two.eth0", NULL);
	w->ours[3] = assignment("10.244.1.3", "reserved-10.244.1.3", NULL);
	w->theirs[0] = assignment("10.244.2.1", "overlay.far.eth0", "b1");
	/* Borrowed. */
	w->theirs[1] = assignment("10.244.2.2", "overlay.three.eth0", "a1");
	w->blocks[0] = (struct cv_ipam_block){.cidr = {address_of("10.244.1.0"), 26},
					      .node = text_of("a1"),
					      .assignments = w->ours,
					      .assignment_count = 4};
	w->blocks[1] = (struct cv_ipam_block){.cidr = {address_of("10.244.2.0"), 26},
					      .node = text_of("b1"),
					      .assignments = w->theirs,
					      .assignment_count = 2};
	w->view.blocks = w->blocks;
	w->view.block_count = 2;
	w->view.faults = w->faults;
	w->pod_list[0] = pod("one", "10.244.1.1");
	w->pod_list[1] = pod("two", "10.244.1.2");
	w->pod_list[2] = pod("three", "10.244.2.2");
	for (size_t i = 0; i < 3; i++)
		w->pods[i] = &w->pod_list[i];
	w->input = (struct cv_leaks_input){
		.view = &w->view, .pods = w->pods, .pod_count = 3, .node = "a1", .now_us = SECOND};
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	cv_leaks_fini(&w->leaks);
	free(w);
	return 0;
}

static void observe(struct world *w, int64_t after_s)
{
	w->input.now_us += after_s * SECOND;
	assert_int_equal(cv_leaks_observe(&w->leaks, &w->input), 0);
}

static void finds_nothing(void **state)
{
	struct world *w = *state;

	observe(w, 0);
	assert_int_equal(w->leaks.count, 0);
}

/* Of a network that is called as what is reserved. */
static void finds_addresses_of_any_network(void **state)
{
	struct world *w = *state;
	char handle[CV_IPAM_HANDLE_MAX];

	w->ours[3].handle =
		(char *)(uintptr_t)cv_pod_handle_format("reserved-pods", "four", "eth0", handle);
	observe(w, 0);
	assert_int_equal(w->leaks.count, 1);
	assert_string_equal(w->leaks.items[0].code, "address-without-container");
	assert_string_equal(w->leaks.items[0].handle, handle);
}

static void finds_addresses_without_containers(void **state)
{
	struct world *w = *state;
	const struct cv_leak *leak;

	/* "two" has gone, of whose address no attribute says the node; and "three". */
	w->input.pod_count = 1;
	observe(w, 0);
	assert_int_equal(w->leaks.count, 2);
	leak = &w->leaks.items[0];
	assert_string_equal(leak->code, "address-without-container");
	assert_int_equal(leak->address, address_of("10.244.1.2"));
	assert_string_equal(leak->handle, "overlay.two.eth0");
	assert_string_equal(leak->text, "10.244.1.2 is assigned to handle overlay.two.eth0, and "
					"no container of this node has it");
	assert_true(leak->is_fixable);
	assert_int_equal(w->leaks.items[1].address, address_of("10.244.2.2"));
}

/* Of other nodes it knows no containers. */
static void leaves_other_nodes_alone(void **state)
{
	struct world *w = *state;

	w->input.pod_count = 0;
	observe(w, 0);
	assert_int_equal(w->leaks.count, 3);
	for (size_t i = 0; i < w->leaks.count; i++)
		assert_int_not_equal(w->leaks.items[i].address, address_of("10.244.2.1"));
}

static void finds_containers_without_addresses(void **state)
{
	struct world *w = *state;
	const struct cv_leak *leak;

	w->blocks[1].assignment_count = 1;
	w->pod_list[1].addresses[0].address = address_of("10.244.1.1");
	observe(w, 0);
	assert_int_equal(w->leaks.count, 2);
	leak = &w->leaks.items[0];
	assert_string_equal(leak->code, "container-address-taken");
	assert_false(leak->is_fixable);
	assert_string_equal(leak->text, "container two (overlay, eth0) has 10.244.1.1, which is "
					"assigned to another: overlay.one.eth0");
	leak = &w->leaks.items[1];
	assert_string_equal(leak->code, "container-without-address");
	assert_true(leak->is_fixable);
	assert_int_equal(leak->index, 2);
	/* Others are being made or deleted, or have a foreign address. */
	w->pod_list[1].state = CV_POD_PENDING;
	w->pod_list[2].is_delegated = true;
	observe(w, 1);
	assert_int_equal(w->leaks.count, 0);
}

static void finds_faults_of_documents(void **state)
{
	struct world *w = *state;

	w->faults[0] = (struct cv_ipam_fault){.kind = CV_IPAM_FAULT_NODE_GONE,
					      .key = "ipam/v2/assignment/ipv4/block/10.244.9.0-26",
					      .text = "block 10.244.9.0/26 is of node z9",
					      .is_fixable = true};
	w->faults[1] = (struct cv_ipam_fault){.kind = CV_IPAM_FAULT_OVERLAP,
					      .key = "ipam/v2/assignment/ipv4/block/10.244.8.0-26",
					      .text = "it overlaps"};
	w->view.fault_count = 2;
	observe(w, 0);
	assert_int_equal(w->leaks.count, 2);
	assert_string_equal(w->leaks.items[0].code, cv_ipam_fault_name(CV_IPAM_FAULT_NODE_GONE));
	assert_int_equal(w->leaks.items[0].index, 0);
	assert_true(w->leaks.items[0].is_fixable);
	assert_non_null(strstr(w->leaks.items[0].remedy, "add its Node first"));
	assert_string_equal(w->leaks.items[1].text, "it overlaps");
	assert_false(w->leaks.items[1].is_fixable);
}

/* A block of one that is gone, and then of another one: the other was seen once. */
static void tells_nodes_apart(void **state)
{
	struct world *w = *state;

	w->faults[0] = (struct cv_ipam_fault){.kind = CV_IPAM_FAULT_NODE_GONE,
					      .key = "ipam/v2/assignment/ipv4/block/10.244.9.0-26",
					      .node = "z8",
					      .is_fixable = true};
	w->view.fault_count = 1;
	observe(w, 0);
	observe(w, 60);
	assert_int_equal(w->leaks.items[0].observations, 2);
	memcpy(w->faults[0].node, "z9", 3);
	observe(w, 120);
	assert_int_equal(w->leaks.items[0].observations, 1);
}

/* Twice, and some seconds apart. */
static void is_ripe_at_the_second_look(void **state)
{
	struct world *w = *state;

	w->input.pod_count = 2;
	observe(w, 0);
	assert_int_equal(w->leaks.count, 1);
	assert_false(cv_leak_is_ripe(&w->leaks.items[0], w->input.now_us));
	assert_int_equal(cv_leak_wait_s(&w->leaks.items[0], w->input.now_us), CV_LEAKS_APART_S);
	/* Too early. */
	observe(w, 4);
	assert_int_equal(w->leaks.items[0].observations, 2);
	assert_false(cv_leak_is_ripe(&w->leaks.items[0], w->input.now_us));
	assert_int_equal(cv_leak_wait_s(&w->leaks.items[0], w->input.now_us), CV_LEAKS_APART_S - 4);
	observe(w, CV_LEAKS_APART_S - 4);
	assert_true(cv_leak_is_ripe(&w->leaks.items[0], w->input.now_us));
	assert_int_equal(cv_leak_wait_s(&w->leaks.items[0], w->input.now_us), 0);
}

/* However long ago it was: one look is one look. */
static void is_not_ripe_by_time_alone(void **state)
{
	struct world *w = *state;

	w->input.pod_count = 2;
	observe(w, 0);
	assert_false(cv_leak_is_ripe(&w->leaks.items[0], w->input.now_us + 3600LL * SECOND));
	assert_int_equal(cv_leak_wait_s(&w->leaks.items[0], w->input.now_us + 3600LL * SECOND), 1);
}

static void forgets_what_was_right_meanwhile(void **state)
{
	struct world *w = *state;

	w->input.pod_count = 2;
	observe(w, 0);
	w->input.pod_count = 3;
	observe(w, 20);
	assert_int_equal(w->leaks.count, 0);
	w->input.pod_count = 2;
	observe(w, 20);
	assert_int_equal(w->leaks.items[0].observations, 1);
	assert_false(cv_leak_is_ripe(&w->leaks.items[0], w->input.now_us));
}

/* The same address of another container is another leak. */
static void tells_handles_apart(void **state)
{
	struct world *w = *state;

	w->input.pod_count = 2;
	observe(w, 0);
	w->theirs[1].handle = text_of("overlay.four.eth0");
	observe(w, 20);
	assert_int_equal(w->leaks.count, 1);
	assert_int_equal(w->leaks.items[0].observations, 1);
}

/* In Calico's documents (ipam_document_test.c) there are addresses without one. */
static void takes_no_handle(void **state)
{
	struct world *w = *state;

	w->ours[1].handle = w->ours[3].handle = NULL;
	observe(w, 0);
	assert_int_equal(w->leaks.count, 1);
	assert_string_equal(w->leaks.items[0].code, "container-address-taken");
	assert_non_null(strstr(w->leaks.items[0].text, "without a handle"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_nothing, begin, end),
		cmocka_unit_test_setup_teardown(finds_addresses_without_containers, begin, end),
		cmocka_unit_test_setup_teardown(finds_addresses_of_any_network, begin, end),
		cmocka_unit_test_setup_teardown(leaves_other_nodes_alone, begin, end),
		cmocka_unit_test_setup_teardown(finds_containers_without_addresses, begin, end),
		cmocka_unit_test_setup_teardown(takes_no_handle, begin, end),
		cmocka_unit_test_setup_teardown(finds_faults_of_documents, begin, end),
		cmocka_unit_test_setup_teardown(tells_nodes_apart, begin, end),
		cmocka_unit_test_setup_teardown(is_ripe_at_the_second_look, begin, end),
		cmocka_unit_test_setup_teardown(is_not_ripe_by_time_alone, begin, end),
		cmocka_unit_test_setup_teardown(forgets_what_was_right_meanwhile, begin, end),
		cmocka_unit_test_setup_teardown(tells_handles_apart, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
