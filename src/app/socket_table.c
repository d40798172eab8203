/* A descriptor says where it listens, but not what was asked for: port 0 has become another one. So
 * the address as configured goes along. */
#include "app/socket_table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/num.h"
#include "net/net_listen.h"
#include "net/net_sock.h"

/* Bytes of a table as text. */
#define TEXT_MAX ((size_t)SOCKET_TABLE_MAX * (NET_ADDR_TEXT + 16))
/* Descriptors above any limit of this system. */
#define FD_MAX ((uint64_t)1 << 30)
/* The first one of a service manager. Source: sd_listen_fds(3). */
#define ACTIVATED_FIRST 3

int socket_table_add(struct socket_table *t, int fd, bool foreign, const char *addr)
{
	struct socket_entry *s = &t->v[t->n];

	if (t->n == SOCKET_TABLE_MAX)
		return ERR_LIMIT;
	s->fd = fd;
	s->foreign = foreign;
	str_printf(s->addr, sizeof s->addr, "%s", addr);
	t->n++;
	return 0;
}

int socket_table_take(struct socket_table *t, const struct net_addr *addr, bool *foreign)
{
	char text[NET_ADDR_TEXT];

	net_addr_format(addr, text);
	for (size_t i = 0; i < t->n; i++) {
		struct socket_entry s = t->v[i];

		if (strcmp(s.addr, text) != 0)
			continue;
		memmove(&t->v[i], &t->v[i + 1], (t->n - i - 1) * sizeof s);
		t->n--;
		if (foreign != NULL)
			*foreign = s.foreign;
		return s.fd;
	}
	return 0;
}

bool socket_table_has(const struct socket_table *t, int fd)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].fd == fd)
			return true;
	return false;
}

char *socket_table_format(const struct socket_table *t)
{
	struct buf b = {.mem = NULL};
	char *text = NULL;
	int e = 0;

	for (size_t i = 0; i < t->n && e == 0; i++)
		e = buf_printf(&b, TEXT_MAX, "%d%c%s\n", t->v[i].fd, t->v[i].foreign ? '+' : '=',
			       t->v[i].addr);
	if (e == 0)
		text = str_dup(buf_str(&b));
	buf_free(&b);
	return text;
}

static int socket_table_parse_line(struct str line, struct socket_table *out)
{
	size_t digits = MIN(str_find(line, '='), str_find(line, '+'));
	struct net_addr addr;
	char text[NET_ADDR_TEXT];
	struct str where;
	uint64_t fd;

	if (digits == line.len || num_parse((struct str){line.p, digits}, FD_MAX, &fd) != 0 ||
	    fd < ACTIVATED_FIRST || socket_table_has(out, (int)fd))
		return ERR_PROTO;
	where = (struct str){line.p + digits + 1, line.len - digits - 1};
	if (net_addr_parse(where, &addr) != 0 ||
	    !str_eq(where, str_of(net_addr_format(&addr, text))))
		return ERR_PROTO;
	return socket_table_add(out, (int)fd, line.p[digits] == '+', text);
}

int socket_table_parse(struct str text, struct socket_table *out)
{
	struct str line;
	int e = 0;

	out->n = 0;
	if (text.len > 0 && text.p[text.len - 1] != '\n')
		return ERR_PROTO;
	while (text.len > 0 && e == 0 && str_next(&text, '\n', &line))
		e = socket_table_parse_line(line, out);
	if (e != 0)
		out->n = 0;
	return e;
}

void socket_table_inherit(const struct socket_table *t, bool on)
{
	for (size_t i = 0; i < t->n; i++)
		net_listen_inherit(t->v[i].fd, on);
}

int socket_table_activate(struct socket_table *t, const char *pid, const char *fds, char *why)
{
	uint64_t whose, n;

	if (pid == NULL || fds == NULL || num_parse(str_of(pid), UINT32_MAX, &whose) != 0 ||
	    whose != (uint64_t)getpid())
		return 0;
	if (num_parse(str_of(fds), SOCKET_TABLE_MAX, &n) != 0) {
		str_printf(why, SOCKET_TABLE_WHY, "LISTEN_FDS is no number from 0 to %d",
			   SOCKET_TABLE_MAX);
		return ERR_INVAL;
	}
	for (int fd = ACTIVATED_FIRST; fd < ACTIVATED_FIRST + (int)n; fd++) {
		struct net_addr addr;
		char text[NET_ADDR_TEXT];
		int e = net_listen_adopt(fd, &addr);

		if (e == 0)
			e = socket_table_add(t, fd, true, net_addr_format(&addr, text));
		if (e != 0) {
			str_printf(why, SOCKET_TABLE_WHY,
				   "descriptor %d of the service manager is no stream socket that "
				   "listens",
				   fd);
			return e;
		}
	}
	return 0;
}

static void socket_table_close_one(const struct socket_entry *s)
{
	struct str path = str_of(s->addr);

	if (!s->foreign && str_starts(path, STR("unix:")))
		(void)!unlink(path.p + 5);
	net_close(s->fd, false);
}

void socket_table_close(struct socket_table *t, const struct socket_table *keep)
{
	for (size_t i = 0; i < t->n; i++)
		if (keep == NULL || !socket_table_has(keep, t->v[i].fd))
			socket_table_close_one(&t->v[i]);
	t->n = 0;
}
