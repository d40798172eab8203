/*
 * What workers share must be private to them, and gone with them. Who is killed cannot remove it,
 * so its file "lock" is locked as long as anybody lives who uses it: workers inherit the
 * descriptor. What has such a file that nobody has locked was left behind.
 */
#include "app/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

#define RUN_DIR_NAME "karez-XXXXXX"
#define RUN_DIR_WORD "karez-"

/* The lock, and how it is called until it is locked: it must not be found without. */
#define RUN_DIR_LOCK	 "lock"
#define RUN_DIR_LOCK_NEW "lock.new"

/* Left-overs that are removed at one start, at most. */
#define RUN_DIR_SWEEP_MAX 64

static bool run_dir_try(const char *base, size_t len, char out[WORKER_DIR_TEXT])
{
	if (base == NULL || len == 0 || base[0] != '/' ||
	    len + sizeof "/" RUN_DIR_NAME > WORKER_DIR_TEXT)
		return false;
	str_printf(out, WORKER_DIR_TEXT, "%.*s/" RUN_DIR_NAME, (int)len, base);
	return mkdtemp(out) != NULL; /* mode 0700 */
}

#define RUN_DIR_BASES 5

/* Where one may be; entries without bytes are none. */
static void run_dir_bases(const char *state_dir, struct str out[RUN_DIR_BASES])
{
	const char *bases[RUN_DIR_BASES] = {getenv("RUNTIME_DIRECTORY"), getenv("XDG_RUNTIME_DIR"),
					    "/run", state_dir, "/tmp"};

	for (size_t i = 0; i < RUN_DIR_BASES; i++)
		out[i] = str_of(bases[i]);
	out[0].len = str_find(out[0], ':'); /* it may be several */
}

static bool run_dir_make_anywhere(const char *state_dir, char out[WORKER_DIR_TEXT])
{
	struct str bases[RUN_DIR_BASES];

	run_dir_bases(state_dir, bases);
	for (size_t i = 0; i < RUN_DIR_BASES; i++)
		if (run_dir_try(bases[i].p, bases[i].len, out))
			return true;
	return false;
}

/* ---- left-overs ---- */

/* Was it ours, and is nobody alive who has it? fd: of the directory. */
static bool run_dir_is_left(int fd)
{
	bool left = false;
	struct stat st;
	int lock;

	if (fstat(fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 0777) != 0700)
		return false;
	lock = openat(fd, RUN_DIR_LOCK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (lock < 0)
		return false;
	left = flock(lock, LOCK_EX | LOCK_NB) == 0;
	close(lock);
	return left;
}

/* Returns whether it was removed. */
static bool run_dir_sweep_one(int base_fd, struct str base, const char *name)
{
	char path[WORKER_DIR_TEXT];
	bool left;
	int fd;

	if (!str_starts(str_of(name), STR(RUN_DIR_WORD)) ||
	    strlen(name) != sizeof RUN_DIR_NAME - 1 ||
	    str_printf(path, sizeof path, STR_FMT "/%s", STR_ARG(base), name) >= sizeof path)
		return false;
	fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	left = run_dir_is_left(fd);
	close(fd);
	if (left)
		run_dir_remove(path); /* ours: nobody else can have put another one there */
	return left;
}

void run_dir_sweep(const char *state_dir)
{
	struct str bases[RUN_DIR_BASES];
	char path[WORKER_DIR_TEXT];
	struct dirent *file;
	unsigned n = 0;
	DIR *d;

	run_dir_bases(state_dir, bases);
	for (size_t i = 0; i < RUN_DIR_BASES; i++) {
		if (bases[i].len == 0 || str_copy(path, sizeof path, bases[i]) != 0 ||
		    (d = opendir(path)) == NULL)
			continue;
		while (n < RUN_DIR_SWEEP_MAX && (file = readdir(d)) != NULL)
			n += run_dir_sweep_one(dirfd(d), bases[i], file->d_name);
		closedir(d);
	}
}

/* The descriptor is not closed by exec(): whoever is started has the lock as well. */
static int run_dir_lock(const char *dir, int *held)
{
	char path[RUN_DIR_FILE_TEXT], to[RUN_DIR_FILE_TEXT];
	int fd;

	str_printf(path, sizeof path, "%s/" RUN_DIR_LOCK_NEW, dir);
	str_printf(to, sizeof to, "%s/" RUN_DIR_LOCK, dir);
	if ((fd = open(path, O_RDONLY | O_CREAT | O_EXCL, 0600)) < 0)
		return ERR_IO;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || rename(path, to) != 0) {
		close(fd);
		return ERR_IO;
	}
	*held = fd;
	return 0;
}

/* ---- files ---- */

int run_dir_write(const char *path, struct str bytes)
{
	int fd, e = 0;

	(void)!unlink(path);
	if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return ERR_IO;
	while (bytes.len > 0 && e == 0) {
		ssize_t n = write(fd, bytes.p, bytes.len);

		if (n <= 0)
			e = ERR_IO;
		else
			bytes = (struct str){bytes.p + n, bytes.len - (size_t)n};
	}
	if (close(fd) != 0)
		e = ERR_IO;
	return e;
}

int run_dir_make(const char *state_dir, char out[WORKER_DIR_TEXT], int *held, char *why)
{
	char path[RUN_DIR_FILE_TEXT], key[WORKER_KEY_LEN];
	int e = ERR_IO;

	*held = -1;
	run_dir_sweep(state_dir);
	if (!run_dir_make_anywhere(state_dir, out)) {
		str_printf(why, SOCKET_TABLE_WHY,
			   "cannot make a directory for the workers below $RUNTIME_DIRECTORY, "
			   "$XDG_RUNTIME_DIR, /run, --state-dir or /tmp: %s",
			   strerror(errno));
		out[0] = '\0';
		return ERR_IO;
	}
	str_printf(path, sizeof path, "%s/" WORKER_KEY_FILE, out);
	if (run_dir_lock(out, held) == 0 && getrandom(key, sizeof key, 0) == (ssize_t)sizeof key)
		e = run_dir_write(path, (struct str){key, sizeof key});
	explicit_bzero(key, sizeof key);
	if (e == 0)
		return 0;
	str_printf(why, SOCKET_TABLE_WHY, "cannot write the file %s: %s", path, strerror(errno));
	run_dir_remove(out);
	if (*held >= 0)
		close(*held);
	*held = -1;
	out[0] = '\0';
	return e;
}

void run_dir_remove(const char *dir)
{
	DIR *d = dir[0] != '\0' ? opendir(dir) : NULL;
	struct dirent *file;

	if (d == NULL)
		return;
	while ((file = readdir(d)) != NULL)
		(void)!unlinkat(dirfd(d), file->d_name, 0); /* "." and ".." stay */
	closedir(d);
	(void)!rmdir(dir);
}

void run_dir_config(const char *dir, unsigned generation, char out[RUN_DIR_FILE_TEXT])
{
	str_printf(out, RUN_DIR_FILE_TEXT, "%s/config-%u.yaml", dir, generation);
}
