/* SPDX-License-Identifier: Apache-2.0 */
/* One write of one line: calls at the same time do not mix. */
#include "cni/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void cv_cni_log_begin(struct cv_cni_log *log)
{
	*log = (struct cv_cni_log){.began_us = now_us()};
	log->last_us = log->began_us;
}

void cv_cni_log_step(struct cv_cni_log *log, const char *name)
{
	const int64_t now = now_us();

	if (log->step_count < CV_CNI_LOG_STEPS) {
		log->steps[log->step_count].name = name;
		log->steps[log->step_count++].us = now - log->last_us;
	}
	log->last_us = now;
}

/* " (look 310, …)", or nothing. */
static void format_steps(const struct cv_cni_log *log, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < log->step_count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s %lld", i ? ", " : " (",
					 log->steps[i].name, (long long)log->steps[i].us);
	if (used && used < size)
		snprintf(text + used, size - used, ")");
}

void cv_cni_log_end(const struct cv_cni_log *log, const struct cv_cni_call *call, int code)
{
	const struct cv_cni_environment *environment = call->environment;
	const struct cv_cni_config *config = call->config;
	const int64_t took_us = now_us() - log->began_us;
	char when[32], steps[256], line[1024];
	const time_t now = time(NULL);
	struct tm tm;
	int fd, length;

	if (!config->log)
		return;
	fd = open(config->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		  0640);
	if (fd < 0)
		return;
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	format_steps(log, steps, sizeof(steps));
	length = snprintf(line, sizeof(line), "%s %s %s %.128s %s %lld us%s: %d%s%.400s\n", when,
			  cv_cni_command_name(environment->command),
			  config->network ? config->network : "-",
			  environment->container ? environment->container : "-",
			  environment->ifname ? environment->ifname : "-", (long long)took_us,
			  steps, code, code ? " " : "", code ? call->failure.msg.text : "");
	if (length >= (int)sizeof(line)) {
		length = sizeof(line) - 1;
		line[length - 1] = '\n';
	}
	if (length > 0 && write(fd, line, (size_t)length) != length)
		(void)0; /* a full disk: see the header */
	close(fd);
}
