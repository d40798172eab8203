/*
 * Whoever can write to the bus may have kept what was said there: by processes that live, and by
 * those that are dead. Said again it must change nothing.
 */
#include <string.h>

#include "base/err.h"
#include "proto/node_message.h"
#include "sim/fleet.h"

void fleet_tape_add(struct fleet *f, struct str message)
{
	struct str sealed, seal;
	struct node_message m;
	struct fleet_tape *t;
	struct fleet_taped *at;

	CHECK(node_message_split(message, &sealed, &seal));
	CHECK(node_message_parse(sealed, &m) == 0);
	t = &f->tapes[m.kind];
	at = &t->all[t->n++ % FLEET_TAPE];
	buf_free(&at->message);
	memcpy(at->from, m.from, sizeof at->from);
	memcpy(at->to, m.to, sizeof at->to);
	CHECK(buf_add(&at->message, message.p, message.len, BUS_MESSAGE_MAX) == 0);
}

static unsigned tape_n(const struct fleet_tape *t)
{
	return MIN(t->n, FLEET_TAPE);
}

/* Again, to a node that it was meant for. */
static void tape_say(struct fleet *f, const struct fleet_taped *t, const struct fleet_node *n)
{
	if (n->node != NULL && t->message.len > 0 &&
	    (t->to[0] == '\0' || strcmp(t->to, n->id) == 0))
		lossy_net_inject(f->bus, n->id, buf_str(&t->message));
}

void fleet_tape_some(struct fleet *f, unsigned many)
{
	stage_note(&f->stage, "%u messages come again", many);
	for (unsigned i = 0; i < many; i++) {
		const struct fleet_tape *t =
			&f->tapes[dice_range(&f->stage.dice, 0, ARRAY_LEN(f->tapes) - 1)];
		unsigned to = dice_range(&f->stage.dice, 0, f->n_nodes - 1);

		if (t->n > 0)
			tape_say(f, &t->all[dice_range(&f->stage.dice, 0, tape_n(t) - 1)],
				 &f->nodes[to]);
	}
}

static void tape_say_all(struct fleet *f, enum node_message_kind kind)
{
	const struct fleet_tape *t = &f->tapes[kind];

	for (unsigned i = 0; i < tape_n(t); i++)
		for (unsigned k = 0; k < f->n_nodes; k++)
			tape_say(f, &t->all[i], &f->nodes[k]);
}

void fleet_tape_all(struct fleet *f)
{
	stage_note(&f->stage, "everything comes again");
	/* who hears a beat of the dead asks for a proof; then an old proof comes */
	tape_say_all(f, NODE_MESSAGE_BEAT);
	tape_say_all(f, NODE_MESSAGE_WELCOME);
	for (enum node_message_kind k = 0; k < NODE_MESSAGE_OTHER; k++)
		if (k != NODE_MESSAGE_BEAT && k != NODE_MESSAGE_WELCOME)
			tape_say_all(f, k);
}

void fleet_tape_calm(struct fleet *f)
{
	struct fleet_tape *t = &f->tapes[NODE_MESSAGE_ORDER];

	for (unsigned i = 0; i < tape_n(t); i++)
		if (fleet_node_find(f, t->all[i].from) != NULL)
			buf_free(&t->all[i].message);
}

void fleet_tape_free(struct fleet *f)
{
	for (size_t k = 0; k < ARRAY_LEN(f->tapes); k++)
		for (size_t i = 0; i < FLEET_TAPE; i++)
			buf_free(&f->tapes[k].all[i].message);
}
