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

static int count_filter(const struct nlmsghdr *nlh, void *data)
{
	unsigned int *count = data;

	if (nlh->nlmsg_type == RTM_NEWTFILTER)
		(*count)++;
	return MNL_CB_OK;
}

/* The filters of one hook; not to be told counts as one. */
static unsigned int count_filters(struct cv_nl *nl, int ifindex, __u32 parent)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct tcmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));
	unsigned int count = 0;

	nlh->nlmsg_type = RTM_GETTFILTER;
	nlh->nlmsg_flags = NLM_F_DUMP;
	info->tcm_ifindex = ifindex;
	info->tcm_parent = parent;
	return cv_nl_talk(nl, nlh, count_filter, &count) ? 1 : count;
}

bool cv_hook_remove_qdisc(struct cv_nl *nl, int ifindex)
{
	struct bpf_tc_hook where = {
		.sz = sizeof(where),
		.ifindex = ifindex,
		.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS,
	};

	if (count_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)) ||
	    count_filters(nl, ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)))
		return false;
	bpf_tc_hook_destroy(&where);
	return true;
}
