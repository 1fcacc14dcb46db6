/* SPDX-License-Identifier: Apache-2.0 */
/* RTM_GETQDISC lists all devices, whatever the request names. */
#include "net/qdisc.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "net/vector.h"

static int collect_qdisc(const struct nlmsghdr *nlh, void *data)
{
	const struct tcmsg *info = mnl_nlmsg_get_payload(nlh);
	struct cv_qdisc qdisc = {0};
	struct nlattr *attr;
	int err;

	if (nlh->nlmsg_type != RTM_NEWQDISC || mnl_nlmsg_get_payload_len(nlh) < sizeof(*info))
		return -EBADMSG;
	qdisc.ifindex = info->tcm_ifindex;
	qdisc.handle = info->tcm_handle;
	qdisc.parent = info->tcm_parent;
	mnl_attr_for_each(attr, nlh, sizeof(*info))
	{
		size_t length = mnl_attr_get_payload_len(attr);

		if (mnl_attr_get_type(attr) != TCA_KIND)
			continue;
		if (length >= sizeof(qdisc.kind))
			length = sizeof(qdisc.kind) - 1;
		memcpy(qdisc.kind, mnl_attr_get_payload(attr), length);
	}
	err = cv_vector_append(data, &qdisc);
	return err < 0 ? err : MNL_CB_OK;
}

static int list_qdiscs(struct cv_nl *nl, struct cv_vector *qdiscs)
{
	int err = -EINTR;

	for (int attempt = 0; err == -EINTR && attempt < CV_NL_DUMP_ATTEMPTS; attempt++) {
		struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));

		qdiscs->count = 0;
		mnl_nlmsg_put_extra_header(nlh, sizeof(struct tcmsg));
		nlh->nlmsg_type = RTM_GETQDISC;
		nlh->nlmsg_flags = NLM_F_DUMP;
		err = cv_nl_talk(nl, nlh, collect_qdisc, qdiscs);
	}
	return err;
}

int cv_qdisc_for_each(struct cv_nl *nl, int (*cb)(const struct cv_qdisc *qdisc, void *data),
		      void *data)
{
	struct cv_vector qdiscs;
	int result;

	cv_vector_init(&qdiscs, sizeof(struct cv_qdisc));
	result = list_qdiscs(nl, &qdiscs);
	for (size_t i = 0; !result && i < qdiscs.count; i++)
		result = cb(cv_vector_at(&qdiscs, i), data);
	cv_vector_fini(&qdiscs);
	return result;
}

int cv_qdisc_set_noqueue(struct cv_nl *nl, int ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct tcmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	nlh->nlmsg_type = RTM_NEWQDISC;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	info->tcm_ifindex = ifindex;
	info->tcm_parent = TC_H_ROOT;
	mnl_attr_put_strz(nlh, TCA_KIND, "noqueue");
	return cv_nl_talk(nl, nlh, NULL, NULL);
}

int cv_qdisc_add_clsact(struct cv_nl *nl, int ifindex)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct tcmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof(*info));

	nlh->nlmsg_type = RTM_NEWQDISC;
	nlh->nlmsg_flags = NLM_F_CREATE;
	info->tcm_ifindex = ifindex;
	info->tcm_parent = TC_H_CLSACT;
	info->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(nlh, TCA_KIND, "clsact");
	return cv_nl_talk(nl, nlh, NULL, NULL);
}
