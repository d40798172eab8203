/* Two contexts at most: one for visitors and agents, one for where the server is managed. */
#include "app/karezd_tls.h"

#include <stdio.h>
#include <string.h>

#include "app/door.h"
#include "app/karezd_cluster.h"
#include "app/karezd_try.h"
#include "base/err.h"

/* What an agent that trusts no authority compares (--server-fingerprint of karez): told at the
 * start and when it changes. */
static void karezd_tls_say_key(struct karezd_tls *t)
{
	uint8_t sha256[KEY_PIN_LEN];
	char text[KEY_PIN_TEXT];
	bool first;

	if (t->serve == NULL || tls_context_fingerprint(t->serve, t->domain, sha256) != 0)
		return; /* no certificate for our own name: agents find none either */
	key_pin_format(sha256, text);
	if (strcmp(text, t->told) == 0)
		return;
	first = t->told[0] == '\0';
	memcpy(t->told, text, sizeof t->told);
	if (first ? !t->worker->says : t->worker->on && t->worker->index != 0)
		return; /* one is enough */
	printf("tls key %s (%s)\n", text, t->domain);
	fflush(stdout);
}

/* See tls_reload_opt.recheck. */
static void karezd_tls_on_recheck(void *arg)
{
	struct karezd_tls *t = arg;

	karezd_tls_say_key(t);
	node_recheck(t->node);
}

_Static_assert(CLUSTER_KEY_LEN == TLS_TICKET_ROOT, "a key is what tickets can be made by");

/* A context by whose tickets visitors come back to any worker and node. */
static int karezd_tls_make(const struct karezd_tls *t, bool manage, struct tls_context **out,
			   char *why)
{
	uint8_t key[CLUSTER_KEY_LEN];
	char key_why[KAREZD_CLUSTER_WHY];
	struct tls_context_server opt;
	int e = karezd_cluster_key(t->set, t->worker, key, key_why);

	karezd_try_tls(t->set, manage ? NULL : t->asked, t->log, &opt);
	if (e == 0) {
		opt.ticket_root = key;
		opt.ticket_label = manage ? "manage" : "serve";
	}
	if (e == 0 || e == ERR_NOTFOUND)
		e = tls_context_new_server(&opt, out, why);
	else
		str_printf(why, TLS_CONTEXT_WHY, "%s", key_why);
	explicit_bzero(key, sizeof key);
	return e;
}

/* Such a context with the certificates of the options, that follows its files. */
static int karezd_tls_new(struct karezd_tls *t, struct ev *ev, bool manage, char *why)
{
	struct tls_context **out = manage ? &t->manage : &t->serve;
	struct tls_reload_opt follow = {.recheck = karezd_tls_on_recheck, .arg = t};
	int e;

	if ((e = karezd_tls_make(t, manage, out, why)) != 0)
		return e;
	follow.ctx = *out;
	if ((e = tls_reload_new(ev, &follow, &t->reloads[manage])) != 0)
		str_printf(why, TLS_CONTEXT_WHY, "%s", err_text(e));
	return e;
}

bool karezd_tls_find(const struct karezd_settings *set, uint16_t *port)
{
	for (size_t i = 0; i < set->listen.n; i++) {
		struct door_where where;

		if (door_parse(str_of(set->listen.v[i]), &where) == 0 &&
		    karezd_serves_tls(set, &where)) {
			*port = net_addr_port(&where.addr);
			return true;
		}
	}
	return false;
}

int karezd_tls_open(struct karezd_tls *t, struct ev *ev, char *why)
{
	uint16_t port;
	int e;

	t->asked[0] = t->domain;
	str_printf(t->api_host, sizeof t->api_host, "%s", node_api_host(t->node));
	t->asked[1] = t->api_host; /* contexts outlive the node */
	if (t->set->manage_listen != NULL && (e = karezd_tls_new(t, ev, true, why)) != 0)
		return e;
	if (!karezd_tls_find(t->set, &port))
		return 0;
	if ((e = karezd_tls_new(t, ev, false, why)) != 0)
		return e;
	if ((e = node_open_tls(t->node, t->serve, (uint32_t)t->set->handshake_ms)) != 0)
		str_printf(why, TLS_CONTEXT_WHY, "%s", err_text(e));
	else
		karezd_tls_say_key(t);
	return e;
}

void karezd_tls_reload(struct karezd_tls *t)
{
	for (size_t i = 0; i < ARRAY_LEN(t->reloads); i++)
		if (t->reloads[i] != NULL)
			tls_reload_now(t->reloads[i]);
}

void karezd_tls_stop(struct karezd_tls *t)
{
	for (size_t i = 0; i < ARRAY_LEN(t->reloads); i++) {
		tls_reload_free(t->reloads[i]);
		t->reloads[i] = NULL;
	}
}

void karezd_tls_free(struct karezd_tls *t)
{
	tls_context_free(t->serve);
	tls_context_free(t->manage);
}
