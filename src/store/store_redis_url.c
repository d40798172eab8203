/*
 * Names of Redis stores. Not proto/url: those have one host and no secrets, these have up to eight
 * and a password.
 */
#include "store/store_redis_url.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/num.h"

#define PASSWORD_VARIABLE	   "KAREZ_REDIS_PASSWORD"
#define SENTINEL_PASSWORD_VARIABLE "KAREZ_REDIS_SENTINEL_PASSWORD"

#define REDIS_PORT    6379
#define SENTINEL_PORT 26379

static const struct {
	const char *prefix;
	enum store_redis_kind kind;
	uint16_t port;
} schemes[] = {
	{"redis://", STORE_REDIS_TCP, REDIS_PORT},
	{"redis+unix://", STORE_REDIS_UNIX, 0},
	{"redis+sentinel://", STORE_REDIS_SENTINEL, SENTINEL_PORT},
};

static int redis_url_refuse(char why[STORE_REDIS_WHY], const char *clause)
{
	str_printf(why, STORE_REDIS_WHY, "%s", clause);
	return ERR_INVAL;
}

static bool redis_url_starts(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.len >= n && str_eq_nocase((struct str){s.p, n}, (struct str){prefix, n});
}

bool store_redis_url_is(struct str where)
{
	return redis_url_starts(where, "redis:") || redis_url_starts(where, "rediss:") ||
	       redis_url_starts(where, "redis+") || redis_url_starts(where, "rediss+");
}

/* Split at the first `sep`; *rest is empty when there is none, and false is returned. */
static bool redis_url_cut(struct str s, char sep, struct str *head, struct str *rest)
{
	size_t at = str_find(s, sep);

	*head = (struct str){s.p, at};
	*rest = at < s.len ? (struct str){s.p + at + 1, s.len - at - 1} : (struct str){0};
	return at < s.len;
}

/* Undo %XX. Returns 0 or ERR_INVAL (a bad escape, a control character, too long). */
static int redis_url_word(struct str s, char out[STORE_REDIS_WORD_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		uint64_t byte = (unsigned char)s.p[i];

		if (byte == '%') {
			if (s.len - i < 3 ||
			    num_parse_hex((struct str){s.p + i + 1, 2}, &byte) != 0)
				return ERR_INVAL;
			i += 2;
		}
		if (byte < 0x20 || byte == 0x7f || n == STORE_REDIS_WORD_MAX)
			return ERR_INVAL;
		out[n++] = (char)byte;
	}
	out[n] = '\0';
	return 0;
}

static int redis_url_login(struct str login, struct store_redis_url *url, char *why)
{
	struct str user, password;

	redis_url_cut(login, ':', &user, &password);
	if (redis_url_word(user, url->user) != 0 || redis_url_word(password, url->password) != 0)
		return redis_url_refuse(
			why, "its user or password is not one: 255 bytes at most, no control "
			     "characters, and write % as %25, / as %2F, ? as %3F, @ as %40");
	return 0;
}

static int redis_url_host(struct str s, uint16_t port, struct store_redis_url *url, char *why)
{
	struct store_redis_host *host = &url->hosts[url->n_hosts];
	struct hostname_authority a;

	if (url->n_hosts == STORE_REDIS_HOSTS_MAX)
		return redis_url_refuse(why, "it names more than 8 hosts");
	if (hostname_split_resolvable(s, &a) != 0 ||
	    str_copy(host->name, sizeof host->name, a.host) != 0)
		return redis_url_refuse(why, "one of its hosts is not HOST, HOST:PORT or "
					     "[IPV6]:PORT");
	host->port = a.port != 0 ? a.port : port;
	url->n_hosts++;
	return 0;
}

static int redis_url_number(struct str s, uint64_t max, uint32_t *out)
{
	uint64_t n;

	if (num_parse(s, max, &n) != 0)
		return ERR_INVAL;
	*out = (uint32_t)n;
	return 0;
}

/* What follows the "?". */
static int redis_url_query(struct str query, struct store_redis_url *url, char *why)
{
	struct str piece, name, value;

	while (str_next(&query, '&', &piece)) {
		redis_url_cut(piece, '=', &name, &value);
		if (str_eq(name, STR("wait"))) {
			if (redis_url_number(value, STORE_REDIS_WAIT_MAX, &url->wait) != 0)
				return redis_url_refuse(why, "wait must be 0-16");
		} else if (str_eq(name, STR("db")) && url->kind == STORE_REDIS_UNIX) {
			if (redis_url_number(value, STORE_REDIS_DB_MAX, &url->db) != 0)
				return redis_url_refuse(why, "db must be 0-65535");
		} else {
			return redis_url_refuse(why, url->kind == STORE_REDIS_UNIX
							     ? "after ? only db=N and wait=N may "
							       "stand"
							     : "after ? only wait=N may stand");
		}
	}
	return 0;
}

static int redis_url_master(struct str name, struct store_redis_url *url, char *why)
{
	for (size_t i = 0; i < name.len; i++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-",
			   name.p[i]) == NULL ||
		    name.p[i] == '\0')
			return redis_url_refuse(why, "the name of its master may have letters, "
						     "digits, \".\", \"_\" and \"-\" only");
	if (name.len == 0 || str_copy(url->master, sizeof url->master, name) != 0)
		return redis_url_refuse(why, "it needs the name of the master that the Sentinels "
					     "watch: redis+sentinel://HOST:PORT/MASTER");
	return 0;
}

/* HOST,HOST/[MASTER/]DB */
static int redis_url_hosts(struct str rest, uint16_t port, struct store_redis_url *url, char *why)
{
	struct str hosts, piece, name, db;
	int e;

	redis_url_cut(rest, '/', &hosts, &db);
	if (hosts.len == 0)
		return redis_url_refuse(why, "it names no host");
	while (str_next(&hosts, ',', &piece))
		if ((e = redis_url_host(piece, port, url, why)) != 0)
			return e;
	if (url->kind == STORE_REDIS_SENTINEL) {
		redis_url_cut(db, '/', &name, &db);
		if ((e = redis_url_master(name, url, why)) != 0)
			return e;
	}
	if (db.len > 0 && redis_url_number(db, STORE_REDIS_DB_MAX, &url->db) != 0)
		return redis_url_refuse(why, "its database must be a number 0-65535");
	return 0;
}

static int redis_url_path(struct str path, struct store_redis_url *url, char *why)
{
	if (path.len < 2 || path.p[0] != '/' || memchr(path.p, '\0', path.len) != NULL)
		return redis_url_refuse(why, "it needs an absolute path: redis+unix:///PATH");
	if (str_copy(url->path, sizeof url->path, path) != 0)
		return redis_url_refuse(why, "its path is longer than 107 bytes");
	return 0;
}

/* Where the secrets end: the last "@". */
static bool redis_url_at(struct str s, size_t *at)
{
	for (size_t i = s.len; i-- > 0;)
		if (s.p[i] == '@') {
			*at = i;
			return true;
		}
	return false;
}

static int redis_url_rest(struct str rest, uint16_t port, struct store_redis_url *url, char *why)
{
	struct str body, query;
	size_t at;
	int e;

	if (redis_url_at(rest, &at)) {
		struct str login = {rest.p, at};

		rest = (struct str){rest.p + at + 1, rest.len - at - 1};
		if ((e = redis_url_login(login, url, why)) != 0)
			return e;
	}
	if (redis_url_cut(rest, '?', &body, &query) && (e = redis_url_query(query, url, why)) != 0)
		return e;
	if (url->kind == STORE_REDIS_UNIX)
		return redis_url_path(body, url, why);
	return redis_url_hosts(body, port, url, why);
}

int store_redis_url_parse(struct str where, struct store_redis_url *out, char why[STORE_REDIS_WHY])
{
	memset(out, 0, sizeof *out);
	if (where.len > STORE_REDIS_WHERE_MAX)
		return redis_url_refuse(why, "it is longer than 1000 bytes");
	if (redis_url_starts(where, "rediss")) {
		str_printf(why, STORE_REDIS_WHY,
			   "TLS to Redis is not supported; use redis:// on a network that you "
			   "trust, or through a tunnel such as stunnel");
		return ERR_UNSUPPORTED;
	}
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i].prefix);

		if (!redis_url_starts(where, schemes[i].prefix))
			continue;
		out->kind = schemes[i].kind;
		/* Sentinels are there for failovers, and those must not take back what was said. */
		out->wait = schemes[i].kind == STORE_REDIS_SENTINEL;
		return redis_url_rest((struct str){where.p + n, where.len - n}, schemes[i].port,
				      out, why);
	}
	return redis_url_refuse(why, "expected redis://HOST:PORT/DB, "
				     "redis+sentinel://HOST:PORT/MASTER or redis+unix:///PATH");
}

static int redis_url_variable(const char *name, char out[STORE_REDIS_WORD_MAX + 1])
{
	struct str value = str_of(getenv(name));

	return out[0] != '\0' ? 0 : str_copy(out, STORE_REDIS_WORD_MAX + 1, value);
}

int store_redis_url_environment(struct store_redis_url *url)
{
	int e = redis_url_variable(PASSWORD_VARIABLE, url->password);

	return e != 0 ? e : redis_url_variable(SENTINEL_PASSWORD_VARIABLE, url->sentinel_password);
}

void store_redis_url_mask(struct str where, char *out, size_t cap)
{
	const char *colon = where.len == 0 ? NULL : memmem(where.p, where.len, "://", 3);
	size_t start = colon == NULL ? 0 : (size_t)(colon - where.p) + 3, at;
	struct str head = {where.p, start}, rest = {where.p + start, where.len - start};
	struct str user = {0}, password;
	bool login = redis_url_at(rest, &at);

	if (login) {
		/* Alone it may be a password that somebody put in the user's place. */
		if (!redis_url_cut((struct str){rest.p, at}, ':', &user, &password))
			user = (struct str){0};
		rest = (struct str){rest.p + at + 1, rest.len - at - 1};
	}
	if (login || colon != NULL)
		rest.len = str_find(rest, '?');
	str_printf(out, cap, STR_FMT STR_FMT "%s" STR_FMT, STR_ARG(head), STR_ARG(user),
		   !login	  ? ""
		   : user.len > 0 ? ":***@"
				  : "***@",
		   STR_ARG(rest));
}
