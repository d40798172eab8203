/*
 * People name servers and targets in many ways; this is the one place that says which of them are
 * understood and, for the others, what is wrong with them.
 */
#include "proto/url.h"

#include <string.h>

#include "base/err.h"
#include "base/num.h"
#include "proto/pen.h"
#include "proto/query.h"
#include "proto/url_path.h"

static const struct url_word {
	const char *name;
	enum url_scheme scheme;
	bool websocket;
} url_words[] = {
	/* The first word of a scheme is the one that is written. */
	{"http", URL_HTTP, false},
	{"https", URL_HTTPS, false},
	{"ws", URL_HTTP, true},
	{"wss", URL_HTTPS, true},
	{"tcp", URL_TCP, false},
	{"tls", URL_TLS, false},
	{"tcps", URL_TLS, false},
	{"unix", URL_UNIX, false},
	{"file", URL_FILE, false},
	/* no host can be called so: "services:80" is one, and its port */
	{"karez+services", URL_SERVICES, false},
};

static int url_refuse(const char **why, const char *reason)
{
	if (why != NULL)
		*why = reason;
	return ERR_INVAL;
}

static bool url_is_hex(char c)
{
	c = ascii_lower(c);
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

uint16_t url_default_port(enum url_scheme scheme)
{
	switch (scheme) {
	case URL_HTTP: return 80;
	case URL_HTTPS: return 443;
	case URL_TCP:
	case URL_TLS:
	case URL_UNIX:
	case URL_FILE:
	case URL_SERVICES: break;
	}
	return 0;
}

bool url_is_local(const struct url *u)
{
	return u->scheme == URL_UNIX || u->scheme == URL_FILE || u->scheme == URL_SERVICES;
}

bool url_is_tls(const struct url *u)
{
	return u->scheme == URL_HTTPS || u->scheme == URL_TLS;
}

/* The path of a socket: "/path", or "///path" as in unix:///path. */
static int url_parse_unix(struct str s, struct url *out, const char **why)
{
	if (str_starts(s, STR("//")))
		s = (struct str){s.p + 2, s.len - 2};
	if (s.len < 2 || s.p[0] != '/')
		return url_refuse(why,
				  "the path of a socket starts with /, as in unix:/run/a.sock");
	if (s.len > URL_UNIX_MAX)
		return url_refuse(why, "the path of a socket has at most 107 bytes");
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return url_refuse(why, "the path has control characters");
	return str_copy(out->path, sizeof out->path, s);
}

/*
 * The path of a directory: "/path", or "///path" as in file:///path. What needs an escape and has
 * none gets one, since people type what they see.
 */
static int url_parse_file(struct str s, struct url *out, const char **why)
{
	char name[URL_PATH_MAX + 1];
	struct buf path = {0};
	size_t len;
	int e;

	if (str_starts(s, STR("//")))
		s = (struct str){s.p + 2, s.len - 2};
	if (s.len == 0 || s.p[0] != '/')
		return url_refuse(why, "the path of a directory starts with /, as in "
				       "file:///srv/docs, and no host is named");
	if (str_find(s, '?') < s.len || str_find(s, '#') < s.len)
		return url_refuse(why, "in the path of a directory, ? is written %3F and # %23");
	if ((e = query_unescape(s, name, sizeof name, &len)) == ERR_INVAL)
		return url_refuse(why, "in the path of a directory, % is written %25");
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return url_refuse(why, "the path has control characters");
	if (e == 0)
		e = url_path_write(&path, URL_PATH_MAX, (struct str){name, len});
	if (e == 0)
		e = str_copy(out->path, sizeof out->path, buf_str(&path));
	buf_free(&path);
	return e == 0 ? 0 : url_refuse(why, "the path is longer than 1023 bytes");
}

static int url_parse_path(struct str s, struct url *out, const char **why)
{
	if (s.len == 0)
		s = STR("/");
	if (s.len > URL_PATH_MAX)
		return url_refuse(why, "the path is longer than 1023 bytes");
	for (size_t i = 0; i < s.len; i++) {
		if (url_path_plain(s.p[i]))
			continue;
		if (s.p[i] == '?' || s.p[i] == '#')
			return url_refuse(why, "a query (?) or fragment (#) has no meaning here");
		if (s.p[i] != '%' || s.len - i < 3 || !url_is_hex(s.p[i + 1]) ||
		    !url_is_hex(s.p[i + 2]))
			return url_refuse(why,
					  "the path has a character that must be written as %XX");
	}
	if (!str_eq(s, STR("/")) && (out->scheme == URL_TCP || out->scheme == URL_TLS))
		return url_refuse(why, "tcp and tls have no path");
	return str_copy(out->path, sizeof out->path, s);
}

/* HOST[:PORT]; out->scheme is set already. */
static int url_parse_authority(struct str s, struct url *out, const char **why)
{
	struct hostname_authority a;
	size_t colon;

	if (s.len == 0)
		return url_refuse(why, "the host is missing");
	if (str_find(s, '@') < s.len)
		return url_refuse(why, "a user name or password has no place here");
	colon = str_find(s, ':');
	if (s.p[0] != '[' && colon < s.len &&
	    memchr(s.p + colon + 1, ':', s.len - colon - 1) != NULL)
		return url_refuse(why, "an IPv6 address stands in brackets, as in [::1]:8080");
	if (hostname_split_resolvable(s, &a) != 0) {
		if (s.p[0] != '[' && colon < s.len &&
		    hostname_split_resolvable((struct str){s.p, colon}, &a) == 0)
			return url_refuse(why, "the port must be 1-65535");
		return url_refuse(why, "that is not a host name or address");
	}
	out->kind = a.kind;
	out->port = a.port != 0 ? a.port : url_default_port(out->scheme);
	if (out->port == 0)
		return url_refuse(why, "the port is missing, as in HOST:PORT");
	for (size_t i = 0; i < a.host.len; i++)
		out->host[i] = ascii_lower(a.host.p[i]);
	return 0;
}

/* The row of a scheme, which ends before the first ':'. */
static const struct url_word *url_word_of(struct str s)
{
	struct str name = {s.p, str_find(s, ':')};

	if (name.len == s.len)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(url_words); i++)
		if (str_eq_nocase(name, str_of(url_words[i].name)))
			return &url_words[i];
	return NULL;
}

int url_parse(struct str s, struct url *out, const char **why)
{
	const struct url_word *word = url_word_of(s);
	struct url u = {.kind = HOSTNAME_NAME};
	size_t skip, n = 0;
	struct str rest;
	int e;

	if (word == NULL)
		return url_refuse(why,
				  "it must start with http://, https://, ws://, wss://, tcp://, "
				  "tls://, unix: or file:");
	u.scheme = word->scheme;
	u.websocket = word->websocket;
	skip = strlen(word->name) + 1;
	rest = (struct str){s.p + skip, s.len - skip};
	if (u.scheme == URL_UNIX) {
		e = url_parse_unix(rest, &u, why);
	} else if (u.scheme == URL_FILE) {
		e = url_parse_file(rest, &u, why);
	} else if (u.scheme == URL_SERVICES) {
		e = rest.len > 0 ? url_refuse(why, "nothing follows karez+services:")
				 : str_copy(u.path, sizeof u.path, STR("/"));
	} else {
		if (!str_starts(rest, STR("//")))
			return url_refuse(why, "two slashes follow the scheme, as in http://HOST");
		rest = (struct str){rest.p + 2, rest.len - 2};
		while (n < rest.len && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
			n++;
		e = url_parse_authority((struct str){rest.p, n}, &u, why);
		if (e == 0)
			e = url_parse_path((struct str){rest.p + n, rest.len - n}, &u, why);
	}
	if (e == 0)
		*out = u;
	return e;
}

/* A target of digits only. */
static int url_parse_port(struct str s, struct url *u, const char **why)
{
	uint64_t port;

	if (num_parse(s, UINT16_MAX, &port) != 0 || port == 0)
		return url_refuse(why, "the port must be 1-65535");
	u->port = (uint16_t)port;
	return str_copy(u->host, sizeof u->host, STR("localhost"));
}

static bool url_has_scheme(struct str s)
{
	const struct url_word *word = url_word_of(s);
	size_t colon = str_find(s, ':');
	bool port = s.len - colon > 1 && s.p[colon + 1] >= '0' && s.p[colon + 1] <= '9';

	if (word != NULL && (word->scheme == URL_UNIX || word->scheme == URL_SERVICES ||
			     (word->scheme == URL_FILE && !port))) /* a host may be called "file" */
		return true;
	return s.len > 0 && memmem(s.p, s.len, "://", 3) != NULL;
}

int url_parse_target(struct str s, enum url_scheme bare, struct url *out, const char **why)
{
	struct url u = {.scheme = bare, .kind = HOSTNAME_NAME, .path = "/"};
	bool http = bare == URL_HTTP;
	size_t digits = 0;
	int e;

	CHECK(bare == URL_HTTP || bare == URL_TCP);
	if (url_has_scheme(s))
		return url_parse(s, out, why);
	while (digits < s.len && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	if (s.len > 0 && digits == s.len) {
		e = url_parse_port(s, &u, why);
	} else if (s.len > 0 && s.p[0] == '/') {
		return url_refuse(why,
				  http ? "a directory is written file:///path, a socket unix:/path"
				       : "a socket is written unix:/path");
	} else if (str_find(s, '/') < s.len) {
		return url_refuse(
			why, http ? "a path needs the scheme in front, as in http://HOST:PORT/path"
				  : "tcp and tls have no path");
	} else if (str_find(s, ':') == s.len) {
		return url_refuse(why, http ? "a target is PORT, HOST:PORT, http://HOST:PORT, "
					      "https://HOST:PORT, unix:/path or file:///path"
					    : "a target is PORT, HOST:PORT, tcp://HOST:PORT, "
					      "tls://HOST:PORT or unix:/path");
	} else {
		/* Without a scheme there is no port to fall back on. */
		u.scheme = URL_TCP;
		e = url_parse_authority(s, &u, why);
		u.scheme = bare;
	}
	if (e == 0)
		*out = u;
	return e;
}

static void url_pen_authority(const struct url *u, struct pen *pen)
{
	if (u->kind == HOSTNAME_IPV6)
		pen_char(pen, '[');
	pen_str(pen, str_of(u->host));
	if (u->kind == HOSTNAME_IPV6)
		pen_char(pen, ']');
	if (u->port != url_default_port(u->scheme))
		pen_port(pen, u->port);
}

static size_t url_pen_done(struct pen *pen)
{
	CHECK(!pen->full);
	*pen->at = '\0';
	return pen_len(pen);
}

void url_file_path(const struct url *u, char out[URL_PATH_MAX + 1])
{
	size_t len;

	CHECK(u->scheme == URL_FILE);
	CHECK(query_unescape(str_of(u->path), out, URL_PATH_MAX + 1, &len) == 0);
}

size_t url_format_authority(const struct url *u, char out[HOSTNAME_AUTHORITY_MAX + 1])
{
	struct pen pen = pen_on(out, HOSTNAME_AUTHORITY_MAX);

	url_pen_authority(u, &pen);
	return url_pen_done(&pen);
}

size_t url_format(const struct url *u, char out[URL_TEXT_MAX])
{
	struct pen pen = pen_on(out, URL_TEXT_MAX - 1);
	const struct url_word *word = url_words;

	while (word->scheme != u->scheme || word->websocket != u->websocket) {
		word++;
		CHECK(word < url_words + ARRAY_LEN(url_words));
	}
	pen_str(&pen, str_of(word->name));
	if (u->scheme == URL_UNIX) {
		pen_char(&pen, ':');
		if (str_starts(str_of(u->path), STR("//"))) /* else read as unix://HOST */
			pen_str(&pen, STR("//"));
	} else if (u->scheme == URL_SERVICES) {
		pen_char(&pen, ':');
	} else {
		pen_str(&pen, STR("://"));
		if (u->scheme != URL_FILE)
			url_pen_authority(u, &pen);
	}
	if (strcmp(u->path, "/") != 0 || u->scheme == URL_FILE)
		pen_str(&pen, str_of(u->path));
	return url_pen_done(&pen);
}
