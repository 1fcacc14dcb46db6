/* SPDX-License-Identifier: Apache-2.0 */
/* RTM_NEWNEIGH and RTM_GETNEIGH for one address. */
#include "net/neighbour.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "wire/types.h"

static struct nlmsghdr *request(struct cv_nl *nl, uint16_t type, uint16_t flags, int ifindex,
				__be32 address, uint16_t state)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct ndmsg *message = mnl_nlmsg_put_extra_header(nlh, sizeof(*message));

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	message->ndm_family = AF_INET;
	message->ndm_ifindex = ifindex;
	message->ndm_state = state;
	mnl_attr_put_u32(nlh, NDA_DST, (CV_FORCE uint32_t)address);
	return nlh;
}

int cv_neighbour_set(struct cv_nl *nl, int ifindex, __be32 address,
		     const uint8_t mac[CV_LINK_MAC_LENGTH])
{
	struct nlmsghdr *nlh = request(nl, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, ifindex,
				       address, NUD_PERMANENT);

	mnl_attr_put(nlh, NDA_LLADDR, CV_LINK_MAC_LENGTH, mac);
	return cv_nl_talk(nl, nlh, NULL, NULL);
}

static int parse(const struct nlmsghdr *nlh, void *data)
{
	const struct ndmsg *message = mnl_nlmsg_get_payload(nlh);
	struct cv_neighbour *neighbour = data;
	struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(nlh) < sizeof(*message))
		return -EBADMSG;
	neighbour->state = message->ndm_state;
	mnl_attr_for_each(attr, nlh, sizeof(*message))
	{
		if (mnl_attr_get_type(attr) == NDA_LLADDR &&
		    mnl_attr_get_payload_len(attr) == sizeof(neighbour->mac))
			memcpy(neighbour->mac, mnl_attr_get_payload(attr), sizeof(neighbour->mac));
	}
	return MNL_CB_OK;
}

int cv_neighbour_get(struct cv_nl *nl, int ifindex, __be32 address,
		     struct cv_neighbour *ret_neighbour)
{
	struct cv_neighbour neighbour = {.state = 0};
	int err = cv_nl_talk(nl, request(nl, RTM_GETNEIGH, 0, ifindex, address, 0), parse,
			     &neighbour);

	if (!err)
		*ret_neighbour = neighbour;
	return err;
}
