/* Locks belong to the open file, so two of one process stand in each other's way as well. */
#include "net/net_claim.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"

int net_claim_open(const char *path, int *fd)
{
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *fd < 0 ? err_from_errno(errno) : 0;
}

static int net_claim_set(int fd, uint32_t number, short type)
{
	struct flock lock = {.l_type = type,
			     .l_whence = SEEK_SET,
			     .l_start = (off_t)number,
			     .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock);
}

int net_claim_take(int fd, uint32_t number)
{
	if (net_claim_set(fd, number, F_WRLCK) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? ERR_INUSE : err_from_errno(errno);
}

void net_claim_drop(int fd, uint32_t number)
{
	(void)net_claim_set(fd, number, F_UNLCK);
}
