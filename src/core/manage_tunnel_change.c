/*
 * Making and changing one tunnel. A random name that turns out to be taken is another name and
 * another transaction; so is a domain that the DNS had to be asked about.
 */
#include "core/manage.h"

#include <string.h>

#include "base/err.h"
#include "core/names.h"
#include "core/tunnel_edit.h"
#include "core/tunnel_proofs.h"

struct change {
	struct manage m; /* first */
	struct record_tunnel to, old, r;
	struct tunnel_edit edit;
	struct tunnel_proofs proofs;
	struct txn *txn;  /* borrowed: for its own end */
	uint64_t version; /* of what was there; 0: nothing */
	bool written;
};

static int change_run(struct txn *t, void *arg)
{
	struct change *c = arg;
	struct tunnel_edit *x = &c->edit;
	int e;

	c->txn = t;
	c->m.reason[0] = '\0';
	c->m.answer.field = NULL;
	tunnel_proofs_begin(&c->proofs);
	if ((e = tunnel_edit_find(x, t)) != 0 || (e = tunnel_edit_check(x)) != 0 ||
	    (e = tunnel_edit_merge(x)) != 0)
		return e;
	c->version = x->made ? 0 : x->rec->version;
	/* whoever is to serve a temporary one writes it: see temporary.c */
	c->written = x->mode != MANAGE_ENSURE || !x->same || (!x->made && c->old.temporary);
	if (!c->written) {
		c->r = c->old;
		return 0;
	}
	e = tunnel_edit_port(x, t);
	/* what was taken for it must become its own, and nobody forgets to drop it */
	c->m.to_the_end = x->held != NULL || c->r.temporary;
	if (e != 0 || (e = tunnel_edit_write(x, t)) != 0 ||
	    (e = tunnel_proofs_need(&c->proofs, t, x->r, x->made ? NULL : x->old)) != 0)
		return e;
	return tunnel_edit_write_domains(x, t);
}

static void change_done(struct change *c)
{
	uint64_t version = txn_version(c->txn, RECORD_TUNNEL, str_of(c->r.name));

	if (c->written && !c->edit.same)
		log_info(c->m.core->opt.log, "event=%s tunnel=%s account=%s by=%s",
			 c->edit.made ? "tunnel-made" : "tunnel-changed", c->r.name, c->r.account,
			 c->m.who.account);
	c->m.answer.created = c->edit.made;
	c->m.answer.version = version != 0 ? version : c->version;
	c->m.answer.tunnels = &c->r;
	c->m.answer.n = 1;
}

/* Whoever wanted to serve it may be gone, or not be let. */
static void change_end(struct change *c, int e)
{
	struct core *core = c->m.core;
	struct record_tunnel r = c->r;
	uint64_t version = c->m.answer.version;

	manage_end(&c->m, e);
	if (e == 0 && temporary_is_idle(core, &r))
		temporary_left(core, r.name, version);
}

static void change_next(struct manage *m, int e)
{
	struct change *c = (struct change *)m;
	bool again = e == ERR_EXISTS && c->edit.random && c->edit.taken;

	if (e == ERR_RESOLVE && tunnel_proofs_asks(&c->proofs)) {
		tunnel_proofs_ask(&c->proofs);
		return;
	}
	if (again && c->edit.n_names < CORE_TRIES_MAX) {
		tunnel_edit_name(&c->edit, STR(""));
		manage_go(m, change_run);
		return;
	}
	if (again)
		e = manage_refuse(m, ERR_LIMIT, "name",
				  "no free name was found for this tunnel; choose one");
	else if (e == 0)
		change_done(c);
	change_end(c, e);
}

static void change_clean(struct manage *m)
{
	struct change *c = (struct change *)m;

	tunnel_proofs_clean(&c->proofs);
	tunnel_edit_release(&c->edit);
}

struct manage *manage_tunnel_change(struct core *core, const struct manage_asker *by,
				    struct str name, const struct manage_tunnel_change *ch)
{
	struct change *c = manage_new(core, by, sizeof *c);
	struct tunnel_edit *x;

	if (c == NULL)
		return NULL;
	CHECK(ch->to.n_alt_names <= RECORD_ALT_NAMES_MAX);
	c->to = ch->to;
	c->m.next = change_next;
	c->m.clean = change_clean;
	if (ch->mode == MANAGE_ENSURE)
		c->m.kind = CORE_ATTACH;
	c->proofs.m = &c->m;
	c->proofs.run = change_run;
	x = &c->edit;
	x->m = &c->m;
	x->mode = ch->mode;
	x->keep = ch->mode == MANAGE_ENSURE && ch->keep;
	x->by_route = ch->mode == MANAGE_ENSURE && ch->by_route && name.len == 0;
	x->temporary = ch->mode == MANAGE_ENSURE && ch->temporary;
	x->set = ch->set;
	x->to = &c->to;
	x->old = &c->old;
	x->r = &c->r;
	x->expected = ch->mode == MANAGE_ENSURE ? STORE_ANY : ch->expected;
	memcpy(x->account, c->m.who.account, sizeof x->account);
	tunnel_edit_name(x, name);
	if (x->random && ch->mode != MANAGE_CREATE && ch->mode != MANAGE_ENSURE) {
		x->random = false; /* what is changed has a name */
		x->name_e = names_check(name, core->opt.domain, x->name, x->name_reason);
	}
	return manage_begin(&c->m, change_run);
}
