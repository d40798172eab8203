/* A port is another program's at its address, or at all of them; our own may stand side by side. */
#include "unit/core/place_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct port {
	struct list link;
	struct place_rig *rig;
	uint16_t port;
	char bind[RECORD_BIND_TEXT];
	char tunnel[HOSTNAME_MAX + 1]; /* "": it refuses */
};

static void place_rig_say(struct place_rig *g, const char *word, const struct port *p,
			  const char *more)
{
	size_t n = strlen(g->said);

	str_printf(g->said + n, sizeof g->said - n, "%s %u%s ", word, p->port, more);
}

const char *place_rig_said(struct place_rig *g)
{
	static char said[sizeof g->said];

	memcpy(said, g->said, sizeof said);
	g->said[0] = '\0';
	return said;
}

static bool place_rig_overlaps(const char *a, const char *b)
{
	return a[0] == '\0' || b[0] == '\0' || strcmp(a, b) == 0;
}

static int place_rig_take(void *arg, const char *bind, uint16_t port, struct port **out)
{
	struct place_rig *g = arg;
	struct port *p;
	char at[64];

	if (g->take_e != 0)
		return g->take_e;
	if (g->other_bind != NULL && place_rig_overlaps(g->other_bind, bind))
		return ERR_INUSE;
	LIST_FOR_EACH (link, &g->taken) {
		p = CONTAINER_OF(link, struct port, link);
		assert_false(p->port == port && strcmp(p->bind, bind) == 0); /* it is held once */
	}
	p = calloc(1, sizeof *p);
	assert_non_null(p);
	p->rig = g;
	p->port = port;
	assert_int_equal(str_copy(p->bind, sizeof p->bind, str_of(bind)), 0);
	list_push(&g->taken, &p->link);
	g->n_taken++;
	str_printf(at, sizeof at, "@%s", bind);
	place_rig_say(g, "take", p, at);
	*out = p;
	return 0;
}

static int place_rig_let(struct port *p, const char *tunnel)
{
	char to[HOSTNAME_MAX + 2];

	if (tunnel == NULL)
		tunnel = "";
	if (strcmp(p->tunnel, tunnel) == 0)
		return 0;
	if (tunnel[0] != '\0' && p->rig->let_e != 0)
		return p->rig->let_e;
	str_printf(p->tunnel, sizeof p->tunnel, "%s", tunnel);
	str_printf(to, sizeof to, "=%s", tunnel);
	place_rig_say(p->rig, tunnel[0] != '\0' ? "let" : "shut", p, tunnel[0] != '\0' ? to : "");
	return 0;
}

static void place_rig_give_up(struct port *p)
{
	char at[64];

	if (p == NULL)
		return;
	str_printf(at, sizeof at, "@%s", p->bind);
	place_rig_say(p->rig, "give", p, at);
	list_del(&p->link);
	p->rig->n_taken--;
	free(p);
}

/* ---- life ---- */

static void place_rig_on_started(void *arg, const struct core_started *result)
{
	int *e = arg;

	*e = result->e;
}

void place_rig_restart(struct place_rig *g)
{
	int e = -1;

	core_free(g->r.core);
	assert_int_equal(core_new(g->r.ev, &g->r.opt, &g->r.core), 0);
	assert_int_equal(core_start(g->r.core, place_rig_on_started, &e), 0);
	for (int i = 0; i < 100 && e == -1; i++)
		core_rig_run(&g->r);
	assert_int_equal(e, 0);
}

void place_rig_new(struct place_rig *g)
{
	static const struct access_ports ports[] = {{9000, 9100}};

	memset(g, 0, sizeof *g);
	list_init(&g->taken);
	core_rig_new(&g->r, true);
	g->r.opt.ports = (struct core_ports){place_rig_take, place_rig_let, place_rig_give_up, g};
	g->r.opt.tcp_ports = ports;
	g->r.opt.n_tcp_ports = ARRAY_LEN(ports);
	g->r.opt.tls_port = 443;
	place_rig_restart(g);
	core_rig_account(&g->r, &g->ann);
	core_rig_account(&g->r, &g->bob);
}

void place_rig_free(struct place_rig *g)
{
	core_rig_free(&g->r);
	assert_int_equal(g->n_taken, 0);
}

/* ---- records ---- */

static void place_rig_on_written(void *arg, const struct store_answer *answer)
{
	uint64_t *version = arg;

	assert_int_equal(answer->e, 0);
	*version = answer->recs[0].version;
}

void place_rig_hear(struct place_rig *g, const char *name, const struct access_who *who,
		    const char *members)
{
	struct store_record rec = {.kind = RECORD_TUNNEL, .key = str_of(name)};
	struct store_id id = {rec.kind, rec.key, STORE_ANY};
	char value[2048];
	int e;

	if (members != NULL) {
		str_printf(value, sizeof value, "{\"account\":\"%s\",%s}", who->account, members);
		rec.value = str_of(value);
		e = store_put(g->r.store, &rec, STORE_ANY, place_rig_on_written, &rec.version);
	} else {
		e = store_drop(g->r.store, id, place_rig_on_written, &rec.version);
	}
	assert_int_equal(e, 0);
	core_rig_run(&g->r);
	if (members == NULL)
		rec.version = 0;
	core_on_record(g->r.core, &rec);
}

void place_rig_store(struct place_rig *g, const char *name, const char *route, const char *members)
{
	char value[2048];

	str_printf(value, sizeof value, "{\"account\":\"%s\",%s}", g->ann.account, members);
	core_rig_put(&g->r, "tunnel", name, value);
	str_printf(value, sizeof value, "{\"account\":\"%s\",\"tunnel\":\"%s\"}", g->ann.account,
		   name);
	core_rig_put(&g->r, "route", route, value);
}

/* ---- agents ---- */

void place_rig_join(struct place_rig *g, struct fake *f, const char *agent)
{
	struct core_agent who = {.epoch = 1};

	assert_int_equal(str_copy(who.id, sizeof who.id, str_of(agent)), 0);
	fake_join(f, &g->r, &g->ann, &who);
}

void place_rig_offer(struct fake *f, const char *services, unsigned priority)
{
	struct str list[8], rest = str_of(services);
	size_t n = 0;

	while (n < ARRAY_LEN(list) && str_next(&rest, ' ', &list[n]))
		n += list[n].len > 0;
	assert_int_equal(member_offer(f->member, list, n, priority), 0);
	core_rig_run(f->rig);
}
