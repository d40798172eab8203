/* Files are put into place by renaming, as every program that renews certificates does. */
#include "unit/wire/tls_store.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static char *store_path(const struct tls_store *s, const char *file, char path[TLS_CERTS_PATH * 2])
{
	str_printf(path, TLS_CERTS_PATH * 2, "%s/%s", s->dir, file);
	return path;
}

void tls_store_make(struct tls_store *s, const struct tls_certs *certs)
{
	s->certs = certs;
	str_printf(s->dir, sizeof s->dir, "/tmp/karez-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
}

static void store_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	char file[TLS_CERTS_PATH * 3];

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		str_printf(file, sizeof file, "%s/%s", path, d->d_name);
		if (unlink(file) != 0)
			store_empty(file);
	}
	closedir(dir);
	rmdir(path);
}

void tls_store_remove(struct tls_store *s)
{
	store_empty(s->dir);
}

static void store_add(const char *from, FILE *out)
{
	char piece[4096];
	FILE *f = fopen(from, "re");
	size_t n;

	assert_non_null(f);
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		assert_int_equal(fwrite(piece, 1, n, out), n);
	fclose(f);
}

static FILE *store_create(struct tls_store *s)
{
	char path[TLS_CERTS_PATH * 2];
	FILE *f = fopen(store_path(s, ".new", path), "we");

	assert_non_null(f);
	return f;
}

static void store_place(struct tls_store *s, FILE *f, const char *to)
{
	char aside[TLS_CERTS_PATH * 2], path[TLS_CERTS_PATH * 2];
	char *slash;

	fclose(f);
	store_path(s, to, path);
	if (strchr(to, '/') != NULL) {
		slash = strrchr(path, '/');
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	assert_int_equal(rename(store_path(s, ".new", aside), path), 0);
}

void tls_store_put_both(struct tls_store *s, const char *from, const char *then, const char *to)
{
	char path[TLS_CERTS_PATH];
	FILE *f = store_create(s);

	store_add(tls_certs_path(s->certs, from, path), f);
	if (then != NULL)
		store_add(tls_certs_path(s->certs, then, path), f);
	store_place(s, f, to);
}

void tls_store_put(struct tls_store *s, const char *from, const char *to)
{
	tls_store_put_both(s, from, NULL, to);
}

void tls_store_write(struct tls_store *s, const char *to, const char *text)
{
	FILE *f = store_create(s);

	fputs(text, f);
	store_place(s, f, to);
}

void tls_store_drop(struct tls_store *s, const char *file)
{
	char path[TLS_CERTS_PATH * 2];

	assert_int_equal(unlink(store_path(s, file, path)), 0);
}

struct tls_context *tls_store_server(struct tls_store *s, const char *fallback, struct log *log)
{
	char file[64], cert[TLS_CERTS_PATH], key[TLS_CERTS_PATH], why[TLS_CONTEXT_WHY];
	struct tls_context_server opt = {.dir = s->dir, .log = log};
	struct tls_context *ctx = NULL;

	if (fallback != NULL) {
		str_printf(file, sizeof file, "%s.pem", fallback);
		opt.cert_file = tls_certs_path(s->certs, file, cert);
		str_printf(file, sizeof file, "%s.key", fallback);
		opt.key_file = tls_certs_path(s->certs, file, key);
	}
	assert_int_equal(tls_context_new_server(&opt, &ctx, why), 0);
	return ctx;
}
