/* Paths that requests ask for: whatever comes, the name that is opened has no way up in it. */
#include <string.h>

#include "base/err.h"
#include "proto/url_path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_name(struct str name)
{
	CHECK(name.len > 0 && !str_eq(name, STR(".")) && !str_eq(name, STR("..")));
	CHECK(memchr(name.p, '\0', name.len) == NULL);
}

/* What is written for a path is read as the same one. */
static void fuzz_round(const char *path, const struct url_path *p)
{
	static char again[8192];
	struct buf b = {0};
	struct url_path q;

	CHECK(buf_add(&b, "/", 1, 65536) == 0);
	CHECK(url_path_write(&b, 65536, str_of(path)) == 0);
	for (size_t i = 0; i < b.len; i++)
		CHECK(buf_str(&b).p[i] == '%' || url_path_plain(buf_str(&b).p[i]));
	CHECK(url_path_read(buf_str(&b), again, sizeof again, &q) == 0);
	CHECK(strcmp(path, again) == 0 && q.len == p->len && q.hidden == p->hidden);
	CHECK(q.query.len == 0 && q.slash == (q.len == 0));
	buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = {(const char *)data, size}, rest, name;
	char out[4096], small[16];
	struct url_path p;
	bool hidden = false;
	int e;

	(void)!url_path_read(in, small, sizeof small, &p);
	CHECK(strlen(small) < sizeof small);
	e = url_path_read(in, out, sizeof out, &p);
	CHECK(e == 0 || e == ERR_INVAL || e == ERR_NOTFOUND || e == ERR_TOOBIG);
	if (e != 0) {
		CHECK(out[0] == '\0');
		return 0;
	}
	CHECK(strlen(out) == p.len && p.len <= size);
	CHECK(p.query.len == 0 || p.query.p[0] == '?');
	rest = (struct str){p.len > 0 ? out : NULL, p.len};
	for (bool first = true; str_next(&rest, '/', &name); first = false) {
		fuzz_name(name);
		hidden = hidden ||
			 (name.p[0] == '.' && !(first && str_eq(name, STR(".well-known"))));
	}
	CHECK(hidden == p.hidden);
	fuzz_round(out, &p);
	return 0;
}
