/* The sockets of all processes that serve are opened in one place, so that a process may come and
 * go without one of them being closed. */
#include "app/socket_plan.h"

#include <string.h>

#include "app/door.h"
#include "app/ssh_door.h"
#include "base/err.h"
#include "net/net_listen.h"

static void socket_plan_add(struct socket_plan *p, const struct socket_plan_row *row)
{
	if (p->n < SOCKET_TABLE_MAX)
		p->v[p->n++] = *row;
}

void socket_plan_of(const struct karezd_settings *set, struct socket_plan *out)
{
	struct socket_plan_row row = {.option = "--listen"};
	bool ssh = set->ssh_auto == KAREZD_SSH_AUTO_ON;
	struct door_where where;

	out->n = 0;
	for (size_t i = 0; i < set->listen.n && i < SOCKET_PLAN_LISTEN_MAX; i++) {
		row.text = set->listen.v[i];
		if (door_parse(str_of(row.text), &where) != 0)
			continue;
		row.addr = where.addr;
		row.spoken_to = !where.any || !ssh;
		socket_plan_add(out, &row);
	}
	row = (struct socket_plan_row){.option = "--manage-listen", .text = set->manage_listen};
	row.spoken_to = true;
	if (row.text != NULL && net_addr_parse(str_of(row.text), &row.addr) == 0)
		socket_plan_add(out, &row);
	row = (struct socket_plan_row){.option = "--ssh-listen"};
	for (size_t i = 0; i < set->ssh_listen.n && i < KAREZD_SSH_LISTEN_MAX; i++) {
		row.text = set->ssh_listen.v[i];
		if (ssh_door_parse(str_of(row.text), &row.addr) == 0)
			socket_plan_add(out, &row);
	}
}

static bool socket_plan_wants(const struct socket_plan *p, const char *addr)
{
	char text[NET_ADDR_TEXT];

	for (size_t i = 0; i < p->n; i++)
		if (strcmp(net_addr_format(&p->v[i].addr, text), addr) == 0)
			return true;
	return false;
}

int socket_plan_match(const struct socket_plan *p, const struct socket_table *t, char *why)
{
	for (size_t i = 0; i < t->n; i++) {
		if (socket_plan_wants(p, t->v[i].addr))
			continue;
		str_printf(why, SOCKET_TABLE_WHY,
			   "socket activation: descriptor %d listens at %s, which no --listen, "
			   "--manage-listen or --ssh-listen names",
			   t->v[i].fd, t->v[i].addr);
		return ERR_INVAL;
	}
	return 0;
}

const char *socket_plan_reason(int e)
{
	switch (e) {
	case ERR_INUSE:
		return "address already in use; is another karezd running? choose another address";
	case ERR_DENIED: return "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE";
	case ERR_INVAL: return "this machine has no such address";
	default: return err_text(e);
	}
}

static int socket_plan_open_row(const struct socket_plan_row *row, struct socket_table *left,
				struct socket_table *out, char *why)
{
	struct net_listen_opt opt = {.addr = row->addr, .spoken_to = row->spoken_to};
	char text[NET_ADDR_TEXT];
	bool foreign = false;
	int fd = socket_table_take(left, &row->addr, &foreign), e = 0;

	if (fd == 0)
		e = net_listen_open(&opt, &fd);
	if (e != 0) {
		str_printf(why, SOCKET_TABLE_WHY, "%s %s: cannot listen: %s", row->option,
			   row->text, socket_plan_reason(e));
		return e;
	}
	e = socket_table_add(out, fd, foreign, net_addr_format(&row->addr, text));
	CHECK(e == 0); /* a plan is no longer than a table */
	return 0;
}

int socket_plan_open(const struct socket_plan *p, const struct socket_table *have,
		     struct socket_table *out, char *why)
{
	struct socket_table left = *have;
	int e = 0;

	out->n = 0;
	for (size_t i = 0; i < p->n && e == 0; i++)
		e = socket_plan_open_row(&p->v[i], &left, out, why);
	if (e != 0)
		socket_table_close(out, have);
	return e;
}
