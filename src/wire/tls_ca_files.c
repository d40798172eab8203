/*
 * The files of a private authority. Keys are never written over and never readable by others, not
 * even for a moment; lists are on the disk before anybody relies on them.
 */
#include "wire/tls_ca_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "proto/json.h"
#include "proto/time_text.h"

/* Bytes of the list of what was issued, and of one line of it. */
#define INDEX_MAX      ((size_t)64 << 20)
#define INDEX_LINE_MAX ((size_t)1024)

int tls_ca_path(const char *dir, const char *file, char out[TLS_CA_PATH], char *why)
{
	if (strlen(dir) + 1 + strlen(file) < TLS_CA_PATH) {
		str_printf(out, TLS_CA_PATH, "%s/%s", dir, file);
		return 0;
	}
	str_printf(why, TLS_CA_WHY, "the path of %s is too long", file);
	return ERR_TOOBIG;
}

int tls_ca_fail_file(const char *verb, const char *path, char *why)
{
	int e = errno == EEXIST ? ERR_EXISTS : errno == ENOENT ? ERR_NOTFOUND : ERR_IO;

	str_printf(why, TLS_CA_WHY, "cannot %s %s: %s", verb, path, strerror(errno));
	return e;
}

int tls_ca_lock(const char *dir, int *fd, char *why)
{
	int e;

	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return tls_ca_fail_file("open the directory", dir, why);
	if (flock(*fd, LOCK_EX) == 0)
		return 0;
	e = tls_ca_fail_file("lock the directory", dir, why);
	close(*fd);
	*fd = -1;
	return e;
}

/* ---- writing ---- */

static int tls_ca_write(int fd, struct str text)
{
	while (text.len > 0) {
		ssize_t n = write(fd, text.p, text.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		text = (struct str){text.p + n, text.len - (size_t)n};
	}
	return fsync(fd);
}

/* The name must be on the disk as well. */
static void tls_ca_sync_dir(const char *path)
{
	char dir[TLS_CA_PATH];
	char *slash;
	int fd;

	str_printf(dir, sizeof dir, "%s", path);
	if ((slash = strrchr(dir, '/')) == NULL)
		return;
	slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!fsync(fd);
	close(fd);
}

int tls_ca_create(const char *path, int mode, struct str text, char *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int e = 0;

	if (fd < 0)
		return tls_ca_fail_file("make the file", path, why);
	if (tls_ca_write(fd, text) != 0) {
		e = tls_ca_fail_file("write the file", path, why);
		(void)!unlink(path);
	}
	close(fd);
	if (e == 0)
		tls_ca_sync_dir(path);
	return e;
}

int tls_ca_replace(const char *path, struct str text, char *why)
{
	char aside[TLS_CA_PATH + 8];
	int e;

	str_printf(aside, sizeof aside, "%s.new", path);
	(void)!unlink(aside); /* of one that was interrupted: the directory is ours now */
	if ((e = tls_ca_create(aside, 0644, text, why)) != 0)
		return e;
	if (rename(aside, path) != 0) {
		e = tls_ca_fail_file("write the file", path, why);
		(void)!unlink(aside);
		return e;
	}
	tls_ca_sync_dir(path);
	return 0;
}

/* ---- what was issued ---- */

static int tls_ca_line(const struct tls_ca_entry *entry, struct buf *line)
{
	char until[TIME_TEXT];
	struct json *j = NULL;
	int e;

	time_text_format(entry->until_ms, until);
	if ((e = json_new_object(&j)) == 0 &&
	    (e = json_set_text(j, "serial", str_of(entry->serial))) == 0 &&
	    (e = json_set_text(j, "name", str_of(entry->name))) == 0 &&
	    (e = json_set_bool(j, "server", entry->server)) == 0 &&
	    (e = json_set_text(j, "until", str_of(until))) == 0 &&
	    (e = json_write(j, INDEX_LINE_MAX, line)) == 0)
		e = buf_add(line, "\n", 1, INDEX_LINE_MAX);
	json_free(j);
	return e;
}

/* What was being written when the power went goes: nobody has got that certificate. */
static int tls_ca_mend(int fd)
{
	char tail[INDEX_LINE_MAX];
	off_t size = lseek(fd, 0, SEEK_END), from = size - MIN(size, (off_t)sizeof tail);
	ssize_t n = size <= 0 ? (ssize_t)size : pread(fd, tail, sizeof tail, from);
	const char *end = n <= 0 ? NULL : memrchr(tail, '\n', (size_t)n);

	if (n < 0)
		return -1;
	if (end == NULL)
		return n == 0 || from == 0 ? ftruncate(fd, 0) : 0;
	return ftruncate(fd, from + (end - tail) + 1);
}

int tls_ca_note(const char *dir, const struct tls_ca_entry *entry, char *why)
{
	char path[TLS_CA_PATH];
	struct buf line = {0};
	int e, fd = -1;

	if ((e = tls_ca_path(dir, TLS_CA_INDEX, path, why)) != 0)
		return e;
	str_printf(why, TLS_CA_WHY, "cannot write the file %s: %s", path, err_text(ERR_NOMEM));
	if ((e = tls_ca_line(entry, &line)) != 0)
		goto out;
	fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || tls_ca_mend(fd) != 0 || tls_ca_write(fd, buf_str(&line)) != 0)
		e = tls_ca_fail_file("write the file", path, why);
	else
		tls_ca_sync_dir(path);
out:
	if (fd >= 0)
		close(fd);
	buf_free(&line);
	return e;
}

static int tls_ca_read_line(struct str line, struct tls_ca_entry *out)
{
	struct str serial, name, until;
	struct json *j = NULL;
	int e;

	*out = (struct tls_ca_entry){.server = false};
	if ((e = json_parse(line, INDEX_LINE_MAX, &j)) != 0)
		return e;
	if ((e = json_get_text(j, "serial", &serial)) == 0 &&
	    (e = json_get_text(j, "name", &name)) == 0 &&
	    (e = json_get_text(j, "until", &until)) == 0 &&
	    (e = json_get_bool(j, "server", &out->server)) == 0 &&
	    (e = str_copy(out->serial, sizeof out->serial, serial)) == 0 &&
	    (e = str_copy(out->name, sizeof out->name, name)) == 0)
		e = time_text_parse(until, &out->until_ms);
	json_free(j);
	return e == ERR_NOMEM ? e : e != 0 ? ERR_PROTO : 0;
}

static int tls_ca_read_file(const char *path, struct buf *text, char *why)
{
	FILE *f = fopen(path, "re");
	char piece[16384];
	size_t n;
	int e = 0;

	if (f == NULL && errno == ENOENT)
		return 0;
	if (f == NULL)
		return tls_ca_fail_file("read the file", path, why);
	while (e == 0 && (n = fread(piece, 1, sizeof piece, f)) > 0)
		e = buf_add(text, piece, n, INDEX_MAX);
	if (e != 0)
		str_printf(why, TLS_CA_WHY, "cannot read the file %s: %s", path, err_text(e));
	else if (ferror(f))
		e = tls_ca_fail_file("read the file", path, why);
	fclose(f);
	return e;
}

/*
 * A last line without its end was being written when the power went: nobody got its certificate.
 *   *damaged  set to the first line that cannot be read, counted from 1; 0: none.
 */
static int tls_ca_read_lines(struct str rest, struct tls_ca_entry *out, size_t *n, size_t *damaged)
{
	size_t at, line = 0;
	int e;

	*damaged = 0;
	while ((at = str_find(rest, '\n')) < rest.len) {
		line++;
		e = tls_ca_read_line((struct str){rest.p, at}, &out[*n]);
		if (e == ERR_NOMEM)
			return e;
		if (e != 0 && *damaged == 0)
			*damaged = line;
		rest = (struct str){rest.p + at + 1, rest.len - at - 1};
		*n += e == 0;
	}
	return 0;
}

int tls_ca_read(const char *dir, struct tls_ca_entry **out, size_t *n, char *why)
{
	char path[TLS_CA_PATH];
	struct buf text = {0};
	size_t n_lines = 0, damaged = 0;
	int e;

	*out = NULL;
	*n = 0;
	if ((e = tls_ca_path(dir, TLS_CA_INDEX, path, why)) != 0 ||
	    (e = tls_ca_read_file(path, &text, why)) != 0)
		goto out;
	for (size_t i = 0; i < text.len; i++)
		n_lines += buf_str(&text).p[i] == '\n';
	e = (*out = calloc(n_lines + 1, sizeof **out)) == NULL ? ERR_NOMEM : 0;
	if (e == 0)
		e = tls_ca_read_lines(buf_str(&text), *out, n, &damaged);
	why[0] = '\0';
	if (e != 0) {
		str_printf(why, TLS_CA_WHY, "cannot read the file %s: %s", path, err_text(e));
		free(*out);
		*out = NULL;
	} else if (damaged != 0) {
		str_printf(why, TLS_CA_WHY, "%s: line %zu is none that was written here", path,
			   damaged);
	}
out:
	buf_free(&text);
	return e;
}
