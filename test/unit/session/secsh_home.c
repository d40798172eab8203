/* Nobody's ~/.ssh is read or written by a test. */
#include "secsh_home.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char home[64];

int secsh_home_setup(void **state)
{
	char dir[128];

	snprintf(home, sizeof home, "/tmp/karez-ssh-XXXXXX");
	if (mkdtemp(home) == NULL)
		return -1;
	snprintf(dir, sizeof dir, "%s/.ssh", home);
	unsetenv("SSH_AUTH_SOCK");
	return mkdir(dir, 0700) != 0 || setenv("HOME", home, 1) != 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	return remove(path);
}

int secsh_home_teardown(void **state)
{
	return nftw(home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *secsh_home_path(void)
{
	return home;
}

void secsh_home_write(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", home, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(0, fchmod(fileno(f), 0600));
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(0, fclose(f));
}

const char *secsh_home_read(const char *name)
{
	static char text[65536];
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", home, name);
	text[0] = '\0';
	if ((f = fopen(path, "r")) == NULL)
		return text;
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}
