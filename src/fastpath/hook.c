/* SPDX-License-Identifier: Apache-2.0 */
/* clsact and its filters: attached by libbpf, which speaks rtnetlink itself; looked at by ours. */
#include "fastpath/hook.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <bpf/libbpf.h>

static struct bpf_tc_hook tc_hook(const struct cv_hook *hook)
{
	return (struct bpf_tc_hook){
		.sz = sizeof(struct bpf_tc_hook),
		.ifindex = hook->ifindex,
		.attach_point = hook->place == CV_HOOK_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS,
	};
}

static struct bpf_tc_opts tc_filter(const struct cv_hook *hook)
{
	return (struct bpf_tc_opts){
		.sz = sizeof(struct bpf_tc_opts),
		.handle = hook->handle,
		.priority = hook->priority,
	};
}

int cv_hook_attach(const struct cv_hook *hook, int program, bool *ret_made)
{
	struct bpf_tc_hook where = tc_hook(hook);
	struct bpf_tc_opts filter = tc_filter(hook);
	int err = bpf_tc_hook_create(&where);

	if (!err)
		*ret_made = true;
	else if (err != -EEXIST)
		return err;
	filter.prog_fd = program;
	filter.flags = BPF_TC_F_REPLACE;
	return bpf_tc_attach(&where, &filter);
}

unsigned int cv_hook_attached(const struct cv_hook *hook)
{
	struct bpf_tc_hook where = tc_hook(hook);
	struct bpf_tc_opts filter = tc_filter(hook);

	return bpf_tc_query(&where, &filter) ? 0 : filter.prog_id;
}

void cv_hook_detach(const struct cv_hook *hook)
{
	struct bpf_tc_hook where = tc_hook(hook);
	struct bpf_tc_opts filter = tc_filter(hook);

	bpf_tc_detach(&where, &filter);
}

/* What is looked for among the filters of one hook. */
struct filters {
	unsigned int first, last; /* priorities that count */
	unsigned int except_first, except_last;
	unsigned int count;
};

static int count_filter(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *info = mnl_nlmsg_get_payload(nlh);
	struct filters *filters = data;
	unsigned int priority;

	if (nlh->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(nlh) < sizeof(*info))
		return MNL_CB_OK;
	priority = TC_H_MAJ(info->tcm_info) >> 16;
	if (priority >= filters->first && priority <= filters->last &&
	    !(priority >= filters->except_first && priority <= filters->except_last))
		filters->count++;
	return MNL_CB_OK;
}

/* How many of the filters of one hook count; not to be told counts as one. */
static unsigned int count_filters(struct cv_nl *nl, int ifindex, enum cv_hook_place place,
				  struct filters filters)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct tcmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_DUMP;
	info->tcm_ifindex = ifindex;
	info->tcm_parent = TC_H_MAKE(TC_H_CLSACT,
				     place == CV_HOOK_INGRESS ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
	return cv_nl_talk(nl, nlh, count_filter, &filters) ? 1 : filters.count;
}

bool cv_hook_has_others(struct cv_nl *nl, int ifindex, enum cv_hook_place place,
			unsigned int from_priority, unsigned int our_first, unsigned int our_last)
{
	const struct filters others = {
		.first = from_priority,
		.last = CV_HOOK_PRIORITY_MAX,
		.except_first = our_first,
		.except_last = our_last,
	};

	return count_filters(nl, ifindex, place, others) > 0;
}

bool cv_hook_remove_qdisc(struct cv_nl *nl, int ifindex)
{
	struct bpf_tc_hook where = {
		.sz = sizeof(where),
		.ifindex = ifindex,
		.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS,
	};

	const struct filters all = {
		.first = 0,
		.last = CV_HOOK_PRIORITY_MAX,
		.except_first = 1,
		.except_last = 0,
	};

	if (count_filters(nl, ifindex, CV_HOOK_INGRESS, all) ||
	    count_filters(nl, ifindex, CV_HOOK_EGRESS, all))
		return false;
	bpf_tc_hook_destroy(&where);
	return true;
}
