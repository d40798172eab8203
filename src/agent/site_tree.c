/*
 * The kernel resolves the whole path and refuses to leave the directory, so there is no moment
 * between looking and opening. Without such a kernel each name is opened from the one before it,
 * and links are not followed.
 */
#include "agent/site_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"

/* Somebody who renames directories all the time makes the kernel give up this often, at most. */
#define SITE_TREE_TRIES 16

/* What a visitor learns: a thing that is not there for him is not there. */
static int site_tree_error(int errnum)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case EXDEV:
	case ENAMETOOLONG:
	case EINVAL: return ERR_NOTFOUND;
	default: return err_from_errno(errnum);
	}
}

/* One name after the other. Returns a descriptor or -1 and errno. */
static int site_tree_walk(const struct site_tree *t, const char *path, int flags)
{
	int dir = t->root, fd;
	struct str rest = str_of(path), name;
	char text[NAME_MAX + 1];

	while (str_next(&rest, '/', &name)) {
		bool last = rest.p == NULL;
		int how = last ? flags : O_PATH | O_DIRECTORY;

		if (str_copy(text, sizeof text, name) != 0) {
			errno = ENAMETOOLONG;
			fd = -1;
		} else {
			fd = openat(dir, text, how | O_NOFOLLOW | O_CLOEXEC);
		}
		if (dir != t->root)
			close(dir);
		if (fd < 0 || last)
			return fd;
		dir = fd;
	}
	return -1; /* not reached: a path has at least one name */
}

/* Returns a descriptor or -1 and errno. */
static int site_tree_at(const struct site_tree *t, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	long fd = -1;

	if (path[0] == '\0')
		return openat(t->root, ".", flags | O_CLOEXEC);
	if (t->plain)
		return site_tree_walk(t, path, flags);
	for (int i = 0; i < SITE_TREE_TRIES; i++) {
		fd = syscall(SYS_openat2, t->root, path, &how, sizeof how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* a sandbox says EPERM */
		return site_tree_walk(t, path, flags);
	return (int)fd;
}

/* Many file systems know times that nanoseconds in 64 bits do not reach: the nearest one. */
static int64_t site_tree_ns(const struct timespec *t)
{
	int64_t s = (int64_t)t->tv_sec, most = INT64_MAX / 1000000000;

	if (s >= most)
		return INT64_MAX;
	return s <= -most ? INT64_MIN : s * 1000000000 + t->tv_nsec;
}

static int site_tree_stat(int fd, struct site_file *out)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return site_tree_error(errno);
	out->dir = S_ISDIR(st.st_mode);
	out->size = (uint64_t)st.st_size;
	out->inode = (uint64_t)st.st_ino;
	out->modified_ns = site_tree_ns(&st.st_mtim);
	if (S_ISLNK(st.st_mode))
		return ERR_NOTFOUND; /* one that was not followed */
	return S_ISREG(st.st_mode) || out->dir ? 0 : ERR_DENIED;
}

int site_tree_look(const struct site_tree *t, const char *path, struct site_file *out)
{
	int fd = site_tree_at(t, path, O_PATH), e;

	*out = (struct site_file){.fd = -1};
	if (fd < 0)
		return site_tree_error(errno);
	e = site_tree_stat(fd, out);
	close(fd);
	return e;
}

bool site_tree_is_link(const struct site_tree *t, const char *path)
{
	int fd = site_tree_at(t, path, O_PATH | O_NOFOLLOW);
	struct stat st;
	bool link = fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);

	if (fd >= 0)
		close(fd);
	return link;
}

int site_tree_read(const struct site_tree *t, const char *path, struct site_file *out)
{
	int fd, e;

	/* Opening a device can do something, so it is looked at first. */
	if ((e = site_tree_look(t, path, out)) != 0)
		return e;
	/* The second look is at what was really opened; O_NONBLOCK is for what became a fifo. */
	fd = site_tree_at(t, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | (out->dir ? O_DIRECTORY : 0));
	if (fd < 0)
		return site_tree_error(errno);
	if ((e = site_tree_stat(fd, out)) != 0) {
		close(fd);
		return e;
	}
	out->fd = fd;
	return 0;
}

int site_tree_open(const char *path, bool plain, struct site_tree *out)
{
	*out = (struct site_tree){.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC),
				  .plain = plain};
	if (out->root >= 0)
		return 0;
	if (errno == ENOTDIR && access(path, F_OK) == 0)
		return ERR_INVAL;
	return site_tree_error(errno);
}

void site_tree_close(struct site_tree *t)
{
	if (t->root >= 0)
		close(t->root);
	t->root = -1;
}
