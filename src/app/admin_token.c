/* Written aside, synced and renamed: nobody ever reads half a token, and no crash loses it. */
#include "app/admin_token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/state_dir.h"
#include "base/err.h"

#define FILE_NAME "admin-token"

/* What is there already is left as it is. */
static void admin_token_make_dirs(const char *dir)
{
	char path[ADMIN_TOKEN_PATH];

	str_printf(path, sizeof path, "%s", dir);
	state_dir_make(path);
}

int admin_token_prepare(struct admin_token *t, const char *dir)
{
	size_t len;

	t->fd = -1;
	t->temporary[0] = '\0';
	len = str_printf(t->path, sizeof t->path, "%s/" FILE_NAME, dir);
	t->why = strerror(ENAMETOOLONG);
	if (len + sizeof ".XXXXXX" >= sizeof t->path)
		return ERR_TOOBIG;
	admin_token_make_dirs(dir);
	str_printf(t->temporary, sizeof t->temporary, "%s.XXXXXX", t->path);
	t->fd = mkostemp(t->temporary, O_CLOEXEC); /* mode 0600, O_EXCL */
	if (t->fd >= 0)
		return 0;
	t->temporary[0] = '\0';
	t->why = strerror(errno);
	return ERR_IO;
}

/* The name must be on the disk as well. */
static void admin_token_sync_dir(const struct admin_token *t)
{
	char dir[ADMIN_TOKEN_PATH];
	int fd;

	str_printf(dir, sizeof dir, "%s", t->path);
	*strrchr(dir, '/') = '\0';
	fd = open(dir[0] == '\0' ? "/" : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

int admin_token_write(struct admin_token *t, const char *token)
{
	char line[256];
	size_t len = str_printf(line, sizeof line, "%s\n", token);
	ssize_t n = write(t->fd, line, len);

	explicit_bzero(line, sizeof line);
	if (n >= 0 && (size_t)n != len)
		errno = ENOSPC;
	if (n < 0 || (size_t)n != len || fsync(t->fd) != 0 || rename(t->temporary, t->path) != 0) {
		t->why = strerror(errno);
		return ERR_IO;
	}
	t->temporary[0] = '\0';
	admin_token_sync_dir(t);
	return 0;
}

void admin_token_forget(struct admin_token *t)
{
	(void)!unlink(t->path);
	admin_token_sync_dir(t);
}

void admin_token_drop(struct admin_token *t)
{
	if (t->temporary[0] != '\0')
		(void)!unlink(t->temporary);
	t->temporary[0] = '\0';
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}
