/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Culvert enforces no network policies. `apply` says so of those in manifests; here they are
 * recognized by the chains of those who enforce them: Felix has a chain for each policy and
 * direction (cali-pi-, cali-po-; in its own nftables table filter-cali-pi- and so on), kube-router
 * KUBE-NWPLCY-. Those of eBPF leave no chains and are not seen.
 *
 * Rules of the old iptables (not iptables-nft) are not seen by nftables, and so by no check.
 */
#include "agent/doctor_policy.h"

#include <stdio.h>
#include <string.h>

/* Chains of policies, and whose they are. */
static const struct enforcer {
	const char *mark, *name;
} enforcers[] = {
	{"cali-pi-", "Calico's Felix"},
	{"cali-po-", "Calico's Felix"},
	{"KUBE-NWPLCY-", "kube-router"},
};

static const struct enforcer *find_enforcer(const char *chain)
{
	for (size_t i = 0; i < sizeof(enforcers) / sizeof(enforcers[0]); i++) {
		if (strstr(chain, enforcers[i].mark))
			return &enforcers[i];
	}
	return NULL;
}

void cv_doctor_judge_policies(json_t *listed, struct cv_findings *findings)
{
	const json_t *entries = json_object_get(listed, "nftables"), *entry;
	const struct enforcer *first = NULL;
	size_t i;

	json_array_foreach(entries, i, entry)
	{
		const json_t *chain = json_object_get(entry, "chain");
		const char *name = json_string_value(json_object_get(chain, "name"));

		if (name && !first)
			first = find_enforcer(name);
	}
	if (first)
		cv_finding_add(findings, CV_FINDING_WARNING,
			       "keep it running; culvert endpoint default bypass off",
			       "%s enforces network policies here (chains with %s); Culvert "
			       "enforces none: they hold as long as that runs, and not for packets "
			       "of endpoints that go past the host's stack",
			       first->name, first->mark);
}

void cv_doctor_judge_legacy(const char *names, struct cv_findings *findings)
{
	char list[96];
	size_t length;

	snprintf(list, sizeof(list), "%s", names);
	length = strlen(list);
	while (length && list[length - 1] == '\n')
		list[--length] = '\0';
	for (char *p = list; *p; p++) {
		if (*p == '\n')
			*p = ' ';
	}
	if (length)
		cv_finding_add(findings, CV_FINDING_WARNING, "iptables-legacy-save",
			       "the old iptables has tables here (%s), whose rules nftables does "
			       "not see: what they drop or translate is not among these findings",
			       list);
}

void cv_doctor_check_policies(const struct cv_doctor_input *input, struct cv_findings *findings)
{
	FILE *file = fopen("/proc/net/ip_tables_names", "re");
	char names[128] = "";

	if (file) {
		size_t length = fread(names, 1, sizeof(names) - 1, file);

		names[length] = '\0';
		fclose(file);
	}
	if (!input->intent->snapshot->count)
		return;
	cv_doctor_judge_legacy(names, findings);
	/* That it cannot be listed, the check of the firewall says. */
	if (input->ruleset)
		cv_doctor_judge_policies(input->ruleset, findings);
}
