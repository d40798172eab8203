/*
 * What belongs together is found by names alone. A look at ten thousand files is made every few
 * seconds, on another thread, so it must not read them.
 */
#include "wire/tls_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"
#include "wire/tls_context.h"

#define DIR_PATH_MAX 4096

/* ---- stamps ---- */

/* Source: Fowler, Noll, Vo: FNV-1a, 64 bits. It meets nobody's malice here. */
static uint64_t tls_dir_hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

uint64_t tls_dir_mix(uint64_t a, uint64_t b)
{
	const uint64_t both[] = {a, b};

	return tls_dir_hash(both, sizeof both);
}

static uint64_t tls_dir_stamp_of(const struct stat *st)
{
	const uint64_t facts[] = {
		(uint64_t)st->st_dev,	       (uint64_t)st->st_ino,
		(uint64_t)st->st_size,	       (uint64_t)st->st_mtim.tv_sec,
		(uint64_t)st->st_mtim.tv_nsec, (uint64_t)st->st_ctim.tv_sec,
		(uint64_t)st->st_ctim.tv_nsec,
	};

	return tls_dir_hash(facts, sizeof facts);
}

uint64_t tls_dir_stamp(const char *path)
{
	struct stat st;

	return path != NULL && stat(path, &st) == 0 ? tls_dir_stamp_of(&st) : 0;
}

/* ---- pairs ---- */

static int tls_dir_add(struct tls_dir *d, const char *cert, const char *key)
{
	struct tls_dir_pair *p = &d->pairs[d->n];

	d->n++;
	p->cert_file = str_dup(str_of(cert));
	p->key_file = key == NULL ? NULL : str_dup(str_of(key));
	p->stamp = tls_dir_mix(tls_dir_stamp(cert), tls_dir_stamp(key));
	return p->cert_file == NULL || (key != NULL && p->key_file == NULL) ? ERR_NOMEM : 0;
}

static bool tls_dir_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* certbot's. */
static int tls_dir_below(struct tls_dir *d, const char *path)
{
	char cert[DIR_PATH_MAX + 16], key[DIR_PATH_MAX + 16];

	str_printf(cert, sizeof cert, "%s/fullchain.pem", path);
	str_printf(key, sizeof key, "%s/privkey.pem", path);
	if (!tls_dir_exists(cert))
		return 0;
	return tls_dir_add(d, cert, tls_dir_exists(key) ? key : NULL);
}

static int tls_dir_file(struct tls_dir *d, const char *path)
{
	struct str s = str_of(path), stem = {s.p, s.len - MIN(s.len, (size_t)4)};
	bool pem = str_ends_nocase(s, STR(".pem"));
	char key[DIR_PATH_MAX + 16];

	if ((!pem && !str_ends_nocase(s, STR(".crt"))) || str_ends_nocase(s, STR("-key.pem")))
		return 0;
	str_printf(key, sizeof key, STR_FMT ".key", STR_ARG(stem));
	if (tls_dir_exists(key))
		return tls_dir_add(d, path, key);
	str_printf(key, sizeof key, STR_FMT "-key.pem", STR_ARG(stem));
	if (tls_dir_exists(key))
		return tls_dir_add(d, path, key);
	return tls_dir_add(d, path, path);
}

static int tls_dir_look(struct tls_dir *d, const char *dir, const char *name)
{
	char path[DIR_PATH_MAX];
	struct stat st;

	if (name[0] == '.' ||
	    str_printf(path, sizeof path, "%s/%s", dir, name) + 1 == sizeof path ||
	    stat(path, &st) != 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return tls_dir_below(d, path);
	return S_ISREG(st.st_mode) ? tls_dir_file(d, path) : 0;
}

static int tls_dir_compare(const void *a, const void *b)
{
	const struct tls_dir_pair *x = a, *y = b;

	return strcmp(x->cert_file, y->cert_file);
}

static int tls_dir_read(DIR *handle, const char *dir, struct tls_dir *d, char *why)
{
	size_t n_entries = 0;
	struct dirent *entry;
	int e = 0;

	while (e == 0 && (errno = 0, entry = readdir(handle)) != NULL) {
		if (n_entries++ == TLS_DIR_ENTRIES_MAX || d->n == TLS_DIR_MAX) {
			str_printf(why, TLS_CONTEXT_WHY,
				   "the directory %s has more than %d certificates or %d entries",
				   dir, TLS_DIR_MAX, TLS_DIR_ENTRIES_MAX);
			return ERR_TOOBIG;
		}
		e = tls_dir_look(d, dir, entry->d_name);
	}
	if (e != 0 || errno == 0)
		return e;
	str_printf(why, TLS_CONTEXT_WHY, "cannot read the directory %s: %s", dir, strerror(errno));
	return ERR_IO;
}

int tls_dir_scan(const char *dir, struct tls_dir *out, char *why)
{
	DIR *handle = opendir(dir);
	int e;

	*out = (struct tls_dir){NULL};
	if (handle == NULL) {
		str_printf(why, TLS_CONTEXT_WHY, "cannot read the directory %s: %s", dir,
			   strerror(errno));
		return errno == ENOENT ? ERR_NOTFOUND : errno == EACCES ? ERR_DENIED : ERR_IO;
	}
	str_printf(why, TLS_CONTEXT_WHY, "out of memory");
	e = (out->pairs = calloc(TLS_DIR_MAX, sizeof *out->pairs)) == NULL ? ERR_NOMEM : 0;
	if (e == 0)
		e = tls_dir_read(handle, dir, out, why);
	closedir(handle);
	if (e != 0)
		return e;
	qsort(out->pairs, out->n, sizeof *out->pairs, tls_dir_compare);
	for (size_t i = 0; i < out->n; i++) {
		const char *file = out->pairs[i].cert_file;

		out->stamp = tls_dir_mix(out->stamp, tls_dir_hash(file, strlen(file)));
		out->stamp = tls_dir_mix(out->stamp, out->pairs[i].stamp);
	}
	return 0;
}

void tls_dir_free(struct tls_dir *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->pairs[i].cert_file);
		free(d->pairs[i].key_file);
	}
	free(d->pairs);
	*d = (struct tls_dir){NULL};
}
