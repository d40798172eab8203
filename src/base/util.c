/* Failing loudly. */
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void check_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "karez: bug at %s:%d: %s does not hold; please report it\n", file, line,
		cond);
	abort();
}

void *must_calloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	CHECK(p != NULL);
	return p;
}

char *must_strdup(const char *s)
{
	char *p = strdup(s);

	CHECK(p != NULL);
	return p;
}
