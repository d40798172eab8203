/*
 * Whoever decodes twice, or looks for ".." before decoding, opens what he should not. Here names
 * are taken apart first, decoded once, and only then looked at.
 */
#include "proto/url_path.h"

#include <string.h>

#include "base/err.h"
#include "proto/query.h"

/* pchar and "/" of RFC 3986 3.3, without "%". */
static const bool url_path_char[256] = {
	['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true,
	['.'] = true,	      ['_'] = true,	    ['~'] = true,	  ['!'] = true,
	['$'] = true,	      ['&'] = true,	    ['\''] = true,	  ['('] = true,
	[')'] = true,	      ['*'] = true,	    ['+'] = true,	  [','] = true,
	[';'] = true,	      ['='] = true,	    [':'] = true,	  ['@'] = true,
	['/'] = true,
};

bool url_path_plain(char c)
{
	return url_path_char[(unsigned char)c];
}

/* Take the last name away. Returns the new length. */
static size_t url_path_up(char *out, size_t len)
{
	while (len > 0 && out[len - 1] != '/')
		len--;
	return len > 0 ? len - 1 : 0;
}

/* Decode one name behind the others. */
static int url_path_name(struct str in, char *out, size_t cap, struct url_path *p)
{
	size_t at = p->len + (p->len > 0), len;
	char *name = out + at;
	int e;

	if (at >= cap)
		return ERR_TOOBIG;
	if ((e = query_unescape(in, name, cap - at, &len)) != 0)
		return e;
	p->slash = len == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
	if (memchr(name, '/', len) != NULL)
		return ERR_NOTFOUND;
	if (strcmp(name, "..") == 0)
		p->len = url_path_up(out, p->len);
	if (p->slash)
		return 0;
	if (at > p->len)
		out[p->len] = '/';
	p->len = at + len;
	return 0;
}

/* Is a name hidden that a visitor could reach? */
static bool url_path_hides(const char *path)
{
	if (str_starts(str_of(path), STR(".well-known")) && (path[11] == '/' || path[11] == '\0'))
		path += 11;
	return path[0] == '.' || strstr(path, "/.") != NULL;
}

int url_path_read(struct str in, char *out, size_t cap, struct url_path *p)
{
	size_t end = str_find(in, '?');
	struct str rest = {in.p, end}, name;
	int e = 0;

	CHECK(cap > 0);
	out[0] = '\0';
	*p = (struct url_path){.query = {in.p + end, in.len - end}};
	if (rest.len == 0 || rest.p[0] != '/')
		return ERR_INVAL;
	rest = (struct str){rest.p + 1, rest.len - 1};
	while (e == 0 && str_next(&rest, '/', &name))
		e = url_path_name(name, out, cap, p);
	out[e == 0 ? p->len : 0] = '\0';
	p->hidden = e == 0 && url_path_hides(out);
	return e;
}

int url_path_write(struct buf *b, size_t cap, struct str path)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t from = 0;
	int e;

	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.p[i];
		char escape[3] = {'%', hex[c >> 4], hex[c & 15]};

		if (url_path_char[c])
			continue;
		if ((e = buf_add(b, path.p + from, i - from, cap)) != 0 ||
		    (e = buf_add(b, escape, sizeof escape, cap)) != 0)
			return e;
		from = i + 1;
	}
	return from < path.len ? buf_add(b, path.p + from, path.len - from, cap) : 0;
}
