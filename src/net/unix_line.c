/* SPDX-License-Identifier: Apache-2.0 */
#include "net/unix_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	FIRST_SIZE = 1 << 16, /* bytes, doubled while a line is longer */
};

int cv_unix_connect(const char *path, time_t timeout_s)
{
	const struct timeval timeout = {.tv_sec = timeout_s};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	cv_unix_set_timeout(fd, timeout_s);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

void cv_unix_set_timeout(int fd, time_t timeout_s)
{
	const struct timeval timeout = {.tv_sec = timeout_s};

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

void cv_unix_send(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		left -= (size_t)n;
	}
}

/* Take what there is of a line, and nothing behind it: bytes, 0 at the end, or -errno. */
static ssize_t receive_some(int fd, char *bytes, size_t size)
{
	ssize_t n = recv(fd, bytes, size, MSG_PEEK);
	const char *end;

	if (n > 0) {
		end = memchr(bytes, '\n', (size_t)n);
		n = recv(fd, bytes, end ? (size_t)(end - bytes) + 1 : (size_t)n, MSG_WAITALL);
	}
	return n < 0 ? -errno : n;
}

int cv_unix_receive(int fd, size_t max, char **ret_line)
{
	size_t length = 0, size = FIRST_SIZE;
	char *line = malloc(size);
	int rc = -ENOMEM;

	while (line) {
		ssize_t n = receive_some(fd, line + length, size - length - 1);
		char *larger;

		if (n == -EINTR)
			continue;
		rc = n < 0 ? (int)n : -ECONNRESET;
		if (n <= 0)
			break;
		length += (size_t)n;
		if (line[length - 1] == '\n') {
			line[length - 1] = '\0';
			*ret_line = line;
			return 0;
		}
		if (length < size - 1)
			continue;
		rc = -EMSGSIZE;
		if (size >= max)
			break;
		size *= 2;
		rc = -ENOMEM;
		larger = realloc(line, size);
		if (!larger)
			break;
		line = larger;
	}
	free(line);
	return rc;
}
