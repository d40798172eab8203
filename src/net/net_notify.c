/* libsystemd does this in one call, and much else that we have no use for. */
#include "net/net_notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"

int net_notify(const char *name, struct str lines)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = name == NULL ? 0 : strlen(name);
	int fd, e = 0;

	if (len == 0)
		return 0;
	if (name[0] != '/' && name[0] != '@')
		return ERR_UNSUPPORTED;
	if (len >= sizeof to.sun_path)
		return ERR_TOOBIG;
	memcpy(to.sun_path, name, len);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	if ((fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		return err_from_errno(errno);
	if (sendto(fd, lines.p, lines.len, MSG_NOSIGNAL, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		e = err_from_errno(errno);
	close(fd);
	return e;
}
