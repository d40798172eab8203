/* A lock ends with its process, whichever way that ends; a number alone would be another process's
 * one day. */
#include "app/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/state_dir.h"
#include "base/err.h"
#include "base/num.h"
#include "base/show.h"

#define PID_FILE_NAME "karezd.pid"
/* Bytes of the whole file. */
#define CONTENT_MAX (PID_FILE_TEXT + 64)
/* So often another process may remove the file between our opening and our locking it. */
#define TRIES_MAX 10

static int pid_file_path(const char *dir, char path[PID_FILE_PATH], char *why)
{
	if (str_printf(path, PID_FILE_PATH, "%s/" PID_FILE_NAME, dir) < PID_FILE_PATH - 1)
		return 0;
	str_printf(why, PID_FILE_TEXT, "the path of --state-dir is too long");
	return ERR_TOOBIG;
}

static void pid_file_write(const struct pid_file *p, const char *result)
{
	char text[CONTENT_MAX];
	size_t n = str_printf(text, sizeof text, "%d\n%llu %s\n", (int)getpid(),
			      (unsigned long long)p->n_reloads, result);

	(void)!pwrite(p->fd, text, n, 0);
	(void)!ftruncate(p->fd, (off_t)n);
}

/* Is the file that we have locked still the one that others find? */
static bool pid_file_is_there(int fd, const char *path)
{
	struct stat ours, found;

	return fstat(fd, &ours) == 0 && stat(path, &found) == 0 && ours.st_ino == found.st_ino &&
	       ours.st_dev == found.st_dev;
}

static int pid_file_lock(struct pid_file *p)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (p->fd < 0)
			return ERR_IO;
		if (flock(p->fd, LOCK_EX | LOCK_NB) != 0) {
			close(p->fd);
			p->fd = -1;
			return ERR_INUSE;
		}
		if (pid_file_is_there(p->fd, p->path))
			return 0;
		close(p->fd);
		p->fd = -1;
	}
	errno = EAGAIN;
	return ERR_IO;
}

int pid_file_take(struct pid_file *p, const char *dir, char *why)
{
	char parents[PID_FILE_PATH];
	int e = pid_file_path(dir, p->path, why);

	if (e != 0)
		return e;
	if (p->fd < 0) {
		str_printf(parents, sizeof parents, "%s", dir);
		state_dir_make(parents);
		e = pid_file_lock(p);
	}
	if (e == ERR_INUSE)
		str_printf(why, PID_FILE_TEXT,
			   "the file %s is another karezd's: \"drain\" and \"reload\" mean that "
			   "one",
			   p->path);
	else if (e != 0)
		str_printf(why, PID_FILE_TEXT, "cannot make the file %s: %s", p->path,
			   strerror(errno));
	else
		pid_file_write(p, "ok");
	return e;
}

void pid_file_tell(struct pid_file *p, const char *result)
{
	char clean[PID_FILE_TEXT];

	if (p->fd < 0)
		return;
	p->n_reloads++;
	show_line(clean, sizeof clean, str_of(result));
	pid_file_write(p, clean);
}

void pid_file_drop(struct pid_file *p)
{
	if (p->fd < 0)
		return;
	(void)!unlink(p->path);
	close(p->fd);
	p->fd = -1;
}

/* ---- of somebody else ---- */

static int pid_file_parse(struct str text, struct pid_found *f)
{
	struct str line, count;
	uint64_t pid;

	if (!str_next(&text, '\n', &line) || num_parse(line, INT32_MAX, &pid) != 0 || pid == 0 ||
	    !str_next(&text, '\n', &line) || !str_next(&line, ' ', &count) ||
	    num_parse(count, UINT64_MAX, &f->n_reloads) != 0 || line.p == NULL)
		return ERR_PROTO;
	f->pid = (pid_t)pid;
	return str_copy(f->result, sizeof f->result, line);
}

int pid_file_again(struct pid_found *f)
{
	char text[CONTENT_MAX];
	ssize_t n;

	if (flock(f->fd, LOCK_SH | LOCK_NB) == 0) {
		(void)!flock(f->fd, LOCK_UN);
		return ERR_NOTFOUND;
	}
	if ((n = pread(f->fd, text, sizeof text, 0)) < 0)
		return ERR_IO;
	return pid_file_parse((struct str){text, (size_t)n}, f);
}

int pid_file_find(const char *dir, struct pid_found *out, char *why)
{
	char path[PID_FILE_PATH];
	int e = pid_file_path(dir, path, why);

	out->fd = -1;
	if (e != 0)
		return e;
	out->fd = open(path, O_RDONLY | O_CLOEXEC);
	e = out->fd >= 0 ? pid_file_again(out) : errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	if (e == 0)
		return 0;
	if (e == ERR_NOTFOUND)
		str_printf(why, PID_FILE_TEXT,
			   "no karezd runs here: nobody holds the file %s (see --state-dir)", path);
	else if (e == ERR_IO)
		str_printf(why, PID_FILE_TEXT, "cannot read the file %s: %s", path,
			   strerror(errno));
	else
		str_printf(why, PID_FILE_TEXT, "the file %s is not a karezd's", path);
	pid_file_close(out);
	return e;
}

void pid_file_wait(struct pid_found *f)
{
	while (flock(f->fd, LOCK_SH) != 0 && errno == EINTR)
		;
}

void pid_file_close(struct pid_found *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
