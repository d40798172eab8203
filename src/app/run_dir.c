/* What workers share must be private to them, and gone with them. */
#include "app/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/err.h"

#define RUN_DIR_NAME "karez-XXXXXX"

static bool run_dir_try(const char *base, size_t len, char out[WORKER_DIR_TEXT])
{
	if (base == NULL || len == 0 || base[0] != '/' ||
	    len + sizeof "/" RUN_DIR_NAME > WORKER_DIR_TEXT)
		return false;
	str_printf(out, WORKER_DIR_TEXT, "%.*s/" RUN_DIR_NAME, (int)len, base);
	return mkdtemp(out) != NULL; /* mode 0700 */
}

static bool run_dir_make_anywhere(const char *state_dir, char out[WORKER_DIR_TEXT])
{
	const char *bases[] = {getenv("RUNTIME_DIRECTORY"), getenv("XDG_RUNTIME_DIR"), "/run",
			       state_dir, "/tmp"};

	for (size_t i = 0; i < ARRAY_LEN(bases); i++) /* the first one may be several, with ':' */
		if (run_dir_try(bases[i],
				i == 0 ? str_find(str_of(bases[i]), ':') : str_of(bases[i]).len,
				out))
			return true;
	return false;
}

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

int run_dir_make(const char *state_dir, char out[WORKER_DIR_TEXT], char *why)
{
	char path[RUN_DIR_FILE_TEXT], key[WORKER_KEY_LEN];
	int e = ERR_IO;

	if (!run_dir_make_anywhere(state_dir, out)) {
		str_printf(why, SOCKET_TABLE_WHY,
			   "cannot make a directory for the workers below $RUNTIME_DIRECTORY, "
			   "$XDG_RUNTIME_DIR, /run, --state-dir or /tmp: %s",
			   strerror(errno));
		out[0] = '\0';
		return ERR_IO;
	}
	str_printf(path, sizeof path, "%s/" WORKER_KEY_FILE, out);
	if (getrandom(key, sizeof key, 0) == (ssize_t)sizeof key)
		e = run_dir_write(path, (struct str){key, sizeof key});
	explicit_bzero(key, sizeof key);
	if (e == 0)
		return 0;
	str_printf(why, SOCKET_TABLE_WHY, "cannot write the file %s: %s", path, strerror(errno));
	run_dir_remove(out);
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
