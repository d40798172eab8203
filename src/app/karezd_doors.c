/* Where visitors and agents come in: all addresses that a process listens at, opened as one, and
 * left as one. */
#include "app/karezd_inside.h"

#include <stdlib.h>
#include <string.h>

#include "app/socket_plan.h"
#include "base/err.h"

static int karezd_doors_open_one(struct karezd *k, const char *listen, struct tls_context *manage)
{
	struct door_opt opt = {.listen = listen,
			       .node = k->node,
			       .proxy = k->proxy,
			       .ssh = k->ssh != NULL && k->set.ssh_auto == KAREZD_SSH_AUTO_ON,
			       .tls = k->tls.serve != NULL,
			       .manage = manage,
			       .way = worker_pass_way(&k->pass),
			       .handshake_ms = (uint32_t)k->set.handshake_ms,
			       .log = &k->log};
	struct door **door = &k->doors[k->n_doors];
	char text[NET_ADDR_TEXT];
	struct door_where where;
	int e = door_parse(str_of(listen), &where);

	if (e == 0)
		opt.fd = socket_table_take(&k->worker.sockets, &where.addr, NULL);
	if (e == 0)
		e = door_open(k->ev, &opt, door);
	if (e == ERR_INUSE)
		return karezd_fail(k, opt.listen,
				   "cannot listen: address already in use; is another karezd "
				   "running? choose another with --listen");
	if (e != 0)
		return karezd_fail(k, opt.listen, err_text(e));
	if (!k->worker.on) /* the supervisor has said so */
		log_info(&k->log, "event=listen address=%s tls=%d%s%s domain=%s",
			 net_addr_format(door_addr(*door), text), door_is_tls(*door),
			 door_is_ssh(*door) ? " ssh=1" : "", manage != NULL ? " manage=1" : "",
			 k->domain);
	if (door_is_ssh(*door))
		karezd_ssh_tell_port(k->ssh, net_addr_port(door_addr(*door)));
	k->n_doors++;
	return 0;
}

/* After the others: whoever waits for karezd to listen waits for HTTP. */
static int karezd_doors_open_ssh(struct karezd *k)
{
	struct karezd_ssh_place at = {k->ev, &k->log, &k->worker.sockets, k->worker.on};
	char why[KAREZD_SSH_WHY];

	if (k->ssh == NULL || karezd_ssh_listen(k->ssh, k->node, &at, why) == 0)
		return 0;
	return karezd_fail(k, "cannot start", why);
}

/* Sockets of a service manager that nobody has asked for are a mistake. */
static int karezd_doors_match(struct karezd *k)
{
	struct socket_plan *plan = must_calloc(1, sizeof *plan);
	char why[SOCKET_TABLE_WHY];
	int e;

	socket_plan_of(&k->set, plan);
	e = socket_plan_match(plan, &k->worker.sockets, why);
	free(plan);
	return e == 0 || k->worker.on ? 0 : karezd_fail(k, "cannot start", why);
}

int karezd_doors_open(struct karezd *k)
{
	int code = karezd_doors_match(k);

	for (size_t i = 0; i < k->set.listen.n && i < KAREZD_DOORS_MAX && code == 0; i++)
		code = karezd_doors_open_one(k, k->set.listen.v[i], NULL);
	if (code == 0 && k->set.manage_listen != NULL)
		code = karezd_doors_open_one(k, k->set.manage_listen, k->tls.manage);
	if (code == 0)
		code = karezd_doors_open_ssh(k);
	worker_close_rest(&k->worker);
	k->open = true;
	return code;
}

void karezd_doors_leave(struct karezd *k)
{
	for (size_t i = 0; i < k->n_doors; i++)
		door_leave(k->doors[i]);
	if (k->ssh != NULL)
		karezd_ssh_close(k->ssh);
}

void karezd_doors_close(struct karezd *k)
{
	while (k->n_doors > 0)
		door_close(k->doors[--k->n_doors]);
	if (k->ssh != NULL)
		karezd_ssh_close(k->ssh);
}
