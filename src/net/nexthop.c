/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nexthop objects. The kernel allows no groups of groups, so that one object needs one
 * question and a group one more for each member.
 */
#include "net/nexthop.h"

#include <errno.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/types.h"

/* One object: a group, or a next hop. */
struct object {
	uint32_t members[CV_ROUTE_NEXT_HOPS_MAX];
	unsigned int member_count;
	bool is_group;
	bool is_usable; /* an IPv4 next hop that is no blackhole */
	struct cv_next_hop hop;
};

static void parse_group(const struct nlattr *attr, struct object *object)
{
	const struct nexthop_grp *group = mnl_attr_get_payload(attr);
	size_t count = mnl_attr_get_payload_len(attr) / sizeof(*group);

	object->is_group = true;
	for (size_t i = 0; i < count && i < CV_ROUTE_NEXT_HOPS_MAX; i++)
		object->members[object->member_count++] = group[i].id;
}

static int parse_object(const struct nlmsghdr *nlh, void *data)
{
	const struct nhmsg *message = mnl_nlmsg_get_payload(nlh);
	struct object *object = data;
	struct nlattr *attr;

	if (nlh->nlmsg_type != RTM_NEWNEXTHOP || mnl_nlmsg_get_payload_len(nlh) < sizeof(*message))
		return -EBADMSG;
	object->is_usable = message->nh_family == AF_INET;
	mnl_attr_for_each(attr, nlh, sizeof(*message))
	{
		switch (mnl_attr_get_type(attr)) {
		case NHA_GROUP:
			parse_group(attr, object);
			break;
		case NHA_BLACKHOLE:
			object->is_usable = false;
			break;
		case NHA_OIF:
			if (mnl_attr_get_payload_len(attr) >= sizeof(uint32_t))
				object->hop.oif = (int)mnl_attr_get_u32(attr);
			break;
		case NHA_GATEWAY:
			if (mnl_attr_get_payload_len(attr) == sizeof(uint32_t))
				object->hop.gateway = (CV_FORCE __be32)mnl_attr_get_u32(attr);
			break;
		}
	}
	return MNL_CB_OK;
}

static int get_object(struct cv_nl *nl, uint32_t id, struct object *object)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(cv_nl_buffer(nl));
	struct nhmsg *message;

	nlh->nlmsg_type = RTM_GETNEXTHOP;
	message = mnl_nlmsg_put_extra_header(nlh, sizeof(*message));
	message->nh_family = AF_UNSPEC;
	mnl_attr_put_u32(nlh, NHA_ID, id);
	*object = (struct object){0};
	return cv_nl_talk(nl, nlh, parse_object, object);
}

int cv_nexthop_resolve(struct cv_nl *nl, uint32_t id, struct cv_next_hop *hops, unsigned int size)
{
	struct object group, object;
	unsigned int count = 0;
	int err = get_object(nl, id, &group);

	if (err < 0)
		return err;
	if (!group.is_group) {
		if (group.is_usable && size)
			hops[count++] = group.hop;
		return (int)count;
	}
	for (unsigned int i = 0; i < group.member_count && count < size; i++) {
		err = get_object(nl, group.members[i], &object);
		if (err < 0)
			return err;
		if (object.is_usable)
			hops[count++] = object.hop;
	}
	return (int)count;
}
