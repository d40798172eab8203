/* The roster: what it believes, what it tells and what it keeps. */
#include "unit/cluster/roster_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* What was on the bus. */
struct tape {
	struct buf messages[4096];
	size_t n;
	size_t n_hellos, most; /* bytes of the longest */
	char nonce[NODE_MESSAGE_NONCE + 1];
	size_t n_pieces;
};

static void tape_on_sent(void *arg, const char *from, const char *to, struct str message)
{
	struct tape *t = arg;
	struct node_message m;
	struct str sealed, seal;

	assert_true(node_message_split(message, &sealed, &seal));
	assert_int_equal(node_message_parse(sealed, &m), 0);
	if (m.kind == NODE_MESSAGE_HELLO) {
		t->n_hellos++;
		memcpy(t->nonce, m.nonce, sizeof t->nonce);
	}
	t->n_pieces += m.kind == NODE_MESSAGE_CHANGES;
	t->most = MAX(t->most, message.len);
	if (t->n < ARRAY_LEN(t->messages))
		assert_int_equal(buf_add(&t->messages[t->n++], message.p, message.len,
					 BUS_MESSAGE_MAX),
				 0);
}

static struct tape *tape_new(struct roster_rig *g)
{
	struct tape *t = must_calloc(1, sizeof *t);

	lossy_net_rule(g->net, &(struct lossy_rules){.tap = tape_on_sent, .arg = t});
	return t;
}

static void tape_free(struct roster_rig *g, struct tape *t)
{
	lossy_net_rule(g->net, &(struct lossy_rules){0});
	for (size_t i = 0; i < t->n; i++)
		buf_free(&t->messages[i]);
	free(t);
}

/* A message that some other process with the key has sealed. */
static void forge(struct roster_rig *g, const struct rig_node *to, const struct node_message *m,
		  const char *more)
{
	char out[8192];
	struct pen pen = pen_on(out, sizeof out - NODE_MESSAGE_SEAL);
	uint8_t key[DIGEST_LEN];
	struct str sealed;

	node_message_write(&pen, m);
	pen_str(&pen, str_of(more));
	assert_int_equal(roster_seal_key(rig_key, key), 0);
	assert_int_equal(roster_seal(key, &pen, &sealed), 0);
	lossy_net_inject(g->net, to->id, sealed);
	ev_sim_run_for(g->ev, 2);
}

static void run(struct roster_rig *g, uint64_t ms)
{
	ev_sim_run_for(g->ev, ms);
}

/* Two nodes learn all of each other, and all that changes, without a beat in between. */
static void test_meet(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct roster_node said;

	rig_new(&g, 1, 8);
	a = rig_join(&g, NULL);
	for (size_t t = 0; t < 5; t++)
		rig_tell(a, t, true);
	run(&g, 10);
	b = rig_join(&g, NULL);
	rig_tell(b, 7, true);
	run(&g, 20);
	assert_true(rig_agrees(&g));
	assert_int_equal(roster_n(a->roster), 1);
	assert_string_equal(b->said[a->number].hop, "127.0.0.1:1");
	assert_int_equal(b->said[a->number].sessions, 1);

	print_message("changes come at once\n");
	rig_tell(a, 0, false);
	rig_tell(a, 1, true);
	rig_tell(a, 6, true);
	run(&g, 3);
	assert_true(rig_agrees(&g));

	print_message("so does draining; load comes with the next beat\n");
	said = *roster_self(a->roster);
	said.draining = a->draining = true;
	roster_set(a->roster, &said);
	a->visitors = 9;
	run(&g, 3);
	assert_true(b->said[a->number].draining);
	a->visitors = 10;
	run(&g, BUS_BEAT_MS);
	assert_int_equal(b->said[a->number].visitors, 10);

	print_message("who leaves in order is gone at once\n");
	rig_leave(a);
	run(&g, 5);
	assert_int_equal(b->n_gone, 1);
	assert_int_equal(roster_n(b->roster), 0);
	rig_free(&g);
}

/* The same text again is no change; a turn's changes are one message. */
static void test_economy(void **state)
{
	struct roster_rig g;
	struct rig_node *a;
	struct tape *t;
	size_t before;

	rig_new(&g, 2, 100);
	a = rig_join(&g, NULL);
	rig_join(&g, NULL);
	run(&g, 20);
	t = tape_new(&g);
	for (size_t i = 0; i < 100; i++)
		rig_tell(a, i, true);
	run(&g, 3);
	assert_true(rig_agrees(&g));
	assert_int_equal(t->n, 1);
	before = t->n;
	for (size_t i = 0; i < 100; i++) {
		struct node_entry entry = {.up = true, .n_agents = 1};
		char name[16];
		size_t len = str_printf(name, sizeof name, "t%zu", i);

		entry.agents[0] = (struct node_entry_agent){7, a->serves[i], 1};
		roster_tell(a->roster, (struct str){name, len}, &entry);
	}
	run(&g, 3);
	assert_int_equal(t->n, before);
	tape_free(&g, t);
	rig_free(&g);
}

/* Nothing that somebody without the key makes out of a message counts. */
static void test_forged(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct tape *t;
	uint64_t n = 0;
	unsigned heard;

	rig_new(&g, 3, 8);
	t = tape_new(&g);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	run(&g, 20);
	rig_tell(a, 0, true);
	run(&g, 5);
	assert_true(rig_agrees(&g));
	heard = b->n_node + b->n_gone + b->n_serves;
	for (size_t i = 0; i < t->n; i++) {
		struct str s = buf_str(&t->messages[i]);

		for (size_t at = 0; at < s.len; at += 1 + at % 7, n++) {
			t->messages[i].mem[t->messages[i].off + at] ^= 1;
			lossy_net_inject(g.net, b->id, s);
			run(&g, 1);
			t->messages[i].mem[t->messages[i].off + at] ^= 1;
		}
		for (size_t len = 1; len < s.len; len += 13, n++)
			lossy_net_inject(g.net, b->id, (struct str){s.p, len});
	}
	run(&g, 5);
	assert_int_equal(roster_counts(b->roster)->forged, n);
	assert_int_equal(b->n_node + b->n_gone + b->n_serves, heard);
	assert_true(rig_agrees(&g));
	tape_free(&g, t);
	rig_free(&g);
}

/* A recording changes nothing: not while its author lives, not when it is dead, not for somebody
 * new. */
static void test_replayed(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b, *c;
	struct tape *t;
	unsigned heard;
	size_t n;

	rig_new(&g, 4, 8);
	t = tape_new(&g);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	run(&g, BUS_GONE_MS + 2000);
	for (size_t i = 0; i < 8; i++) {
		rig_tell(a, i, true);
		run(&g, 10);
		rig_tell(a, i, i % 2 == 0);
		run(&g, 10);
	}
	roster_order(a->roster, &(struct core_order){.tunnel = "x", .account = "acc"});
	run(&g, 100);
	n = t->n;
	heard = b->n_node + b->n_gone + b->n_serves + b->n_orders;
	for (size_t i = 0; i < n; i++)
		lossy_net_inject(g.net, b->id, buf_str(&t->messages[i]));
	run(&g, 5);
	assert_int_equal(b->n_node + b->n_gone + b->n_serves + b->n_orders, heard);
	assert_true(roster_counts(b->roster)->replayed > 20);
	assert_true(roster_counts(b->roster)->own > 5);

	print_message("its author is dead\n");
	rig_kill(a);
	run(&g, BUS_GONE_MS + 500);
	assert_int_equal(b->n_gone, 1);
	c = rig_join(&g, NULL);
	run(&g, 100);
	heard = b->n_node + b->n_serves + c->n_node + c->n_serves;
	for (size_t i = 0; i < n; i++) {
		lossy_net_inject(g.net, b->id, buf_str(&t->messages[i]));
		lossy_net_inject(g.net, c->id, buf_str(&t->messages[i]));
	}
	run(&g, 1900);
	assert_int_equal(b->n_node + b->n_serves + c->n_node + c->n_serves, heard);
	assert_false(b->knows[a->number] || c->knows[a->number]);
	assert_true(rig_agrees(&g));
	tape_free(&g, t);
	rig_free(&g);
}

/* The same id with a greater epoch replaces the old process, once it has proven itself; the old
 * one's words count for nothing then. */
static void test_replaced(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b, *again;
	struct tape *t;
	struct node_message m = {.kind = NODE_MESSAGE_BEAT, .count = 1};

	rig_new(&g, 5, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	rig_tell(a, 1, true);
	run(&g, 20);

	print_message("saying so is not enough\n");
	memcpy(m.from, a->id, sizeof m.from);
	m.epoch = 5000;
	forge(&g, b, &m, "");
	assert_int_equal(b->n_gone, 0);
	assert_true(b->knows[a->number]);

	t = tape_new(&g);
	rig_tell(a, 2, true);
	run(&g, 5);
	rig_kill(a);
	again = rig_join(&g, a->id);
	rig_tell(again, 3, true);
	run(&g, 20);
	assert_int_equal(b->n_gone, 1);
	assert_true(b->knows[again->number]);
	assert_true(rig_agrees(&g));

	print_message("the last words of the old one\n");
	lossy_net_inject(g.net, b->id, buf_str(&t->messages[0]));
	run(&g, 5);
	assert_int_equal(roster_counts(b->roster)->old, 1);
	assert_true(rig_agrees(&g));
	tape_free(&g, t);
	rig_free(&g);
}

/* What is sealed, but not for us, or not understood. */
static void test_odd(void **state)
{
	static const struct {
		const char *why, *more, *to;
		enum node_message_kind kind;
		size_t count; /* which one grows */
	} cases[] = {
		{"for another node", "", "ffffffffffffffff", NODE_MESSAGE_BEAT,
		 offsetof(struct roster_counts, astray)},
		{"a word twice", "at 0 0 0 0\n", "", NODE_MESSAGE_BEAT,
		 offsetof(struct roster_counts, bad)},
		{"an address longer than we keep",
		 "agents "
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
		 "", NODE_MESSAGE_BEAT, offsetof(struct roster_counts, bad)},
		{"a proof that nobody asked for", "", "", NODE_MESSAGE_WELCOME,
		 offsetof(struct roster_counts, strange)},
		{"a stranger goes", "", "", NODE_MESSAGE_BYE,
		 offsetof(struct roster_counts, strange)},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct roster_rig g;
		struct rig_node *a, *b;
		struct node_message m = {.kind = cases[i].kind, .count = 1000};
		const uint64_t *count;
		uint64_t before;

		print_message("%s\n", cases[i].why);
		rig_new(&g, 6, 8);
		a = rig_join(&g, NULL);
		b = rig_join(&g, NULL);
		run(&g, 20);
		count = (const uint64_t *)((const char *)roster_counts(b->roster) + cases[i].count);
		before = *count;
		memcpy(m.from, a->id, sizeof m.from);
		m.epoch = 1000;
		if (cases[i].count == offsetof(struct roster_counts, strange))
			memcpy(m.from, "eeeeeeeeeeeeeeee", sizeof m.from);
		memcpy(m.to, cases[i].to, strlen(cases[i].to));
		memset(m.nonce, 'a', NODE_MESSAGE_NONCE);
		forge(&g, b, &m, cases[i].more);
		assert_int_equal(*count, before + 1);
		assert_true(rig_agrees(&g));
		rig_free(&g);
	}
}

/* What a later version says more is no reason to refuse what we understand. */
static void test_later(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct node_message m = {.kind = NODE_MESSAGE_BEAT, .count = 1000, .epoch = 1000};

	rig_new(&g, 7, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	run(&g, 20);
	memcpy(m.from, a->id, sizeof m.from);
	m.visitors = 77;
	forge(&g, b, &m, "colour blue\n");
	assert_int_equal(b->said[a->number].visitors, 77);
	assert_int_equal(roster_counts(b->roster)->bad, 0);
	rig_free(&g);
}

/* An older beat that comes late does not undo what was said since. */
static void test_order_of_beats(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct node_message m = {.kind = NODE_MESSAGE_BEAT, .count = 1000, .epoch = 1000};

	rig_new(&g, 8, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	run(&g, 20);
	memcpy(m.from, a->id, sizeof m.from);
	m.draining = true;
	forge(&g, b, &m, "");
	m.draining = false;
	m.count = 999;
	forge(&g, b, &m, "");
	assert_true(b->said[a->number].draining);
	assert_int_equal(roster_counts(b->roster)->replayed, 0);
	rig_free(&g);
}

/* Who is gone while it is asked does not come in by the answer to that. */
static void test_gone_while_asked(void **state)
{
	struct roster_rig g;
	struct rig_node *a;
	struct node_message m = {.kind = NODE_MESSAGE_BEAT, .count = 1, .epoch = 5};
	struct tape *t;

	rig_new(&g, 18, 8);
	a = rig_join(&g, NULL);
	run(&g, 20);
	t = tape_new(&g);
	memcpy(m.from, "eeeeeeeeeeeeeeee", sizeof m.from);
	forge(&g, a, &m, "");
	assert_int_equal(t->n_hellos, 1);
	a->bus->owner->gone(a->bus->arg, m.from);
	m.kind = NODE_MESSAGE_WELCOME;
	m.count = 2;
	memcpy(m.nonce, t->nonce, sizeof m.nonce);
	forge(&g, a, &m, "");
	assert_int_equal(roster_n(a->roster), 0);

	print_message("nor by an answer that took too long\n");
	m.kind = NODE_MESSAGE_BEAT;
	m.count = 3;
	forge(&g, a, &m, "");
	assert_int_equal(t->n_hellos, 2);
	run(&g, BUS_GONE_MS);
	m.kind = NODE_MESSAGE_WELCOME;
	m.count = 4;
	memcpy(m.nonce, t->nonce, sizeof m.nonce);
	forge(&g, a, &m, "");
	assert_int_equal(roster_n(a->roster), 0);
	tape_free(&g, t);
	rig_free(&g);
}

/* Strangers in any number take a fixed place, and nobody's who is not one. */
static void test_strangers(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct node_message m = {.kind = NODE_MESSAGE_BEAT, .count = 1, .epoch = 5};
	struct tape *t;

	rig_new(&g, 9, 8);
	a = rig_join(&g, NULL);
	run(&g, 20);
	t = tape_new(&g);
	for (unsigned i = 0; i < 1000; i++) {
		str_printf(m.from, sizeof m.from, "%016x", 0xabc000 + i);
		forge(&g, a, &m, "");
	}
	assert_int_equal(a->n_node, 0);
	assert_int_equal(t->n_hellos, 1000);
	print_message("one that is real comes in\n");
	b = rig_join(&g, NULL);
	run(&g, 20);
	assert_true(a->knows[b->number]);
	print_message("challenges of strangers are answered so many times a second\n");
	m.kind = NODE_MESSAGE_HELLO;
	memset(m.nonce, 'b', NODE_MESSAGE_NONCE);
	lossy_net_rule(g.net, &(struct lossy_rules){0});
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t before = lossy_net_counts(g.net)->sent;

		str_printf(m.from, sizeof m.from, "%016x", 0xabd000 + i);
		forge(&g, a, &m, "");
		assert_true(lossy_net_counts(g.net)->sent - before <= 4);
	}
	assert_true(a->roster->n_answers <= 1000);
	tape_free(&g, t);
	rig_free(&g);
}

static void crowd_on_node(void *arg, const struct roster_node *n)
{
}

static void crowd_on_gone(void *arg, const char *id)
{
}

/* So many nodes, and no more. */
static void test_nodes_max(void **state)
{
	static const struct roster_owner owner = {.node = crowd_on_node, .gone = crowd_on_gone};
	const struct roster_owner *before;
	struct roster_rig g;
	struct rig_node *a;
	struct tape *t;
	struct node_message m = {.epoch = 5};

	rig_new(&g, 10, 8);
	a = rig_join(&g, NULL);
	t = tape_new(&g);
	run(&g, 20);
	before = a->roster->owner;
	a->roster->owner = &owner;
	for (unsigned i = 0; i < CORE_PEERS_MAX + 5; i++) {
		str_printf(m.from, sizeof m.from, "%016x", 0xabc000 + i);
		m.kind = NODE_MESSAGE_BEAT;
		m.count = 1;
		forge(&g, a, &m, "");
		m.kind = NODE_MESSAGE_WELCOME;
		m.count = 2;
		memcpy(m.nonce, t->nonce, sizeof m.nonce);
		forge(&g, a, &m, "");
		assert_int_equal(roster_n(a->roster), MIN(i + 1, CORE_PEERS_MAX));
	}
	print_message("one goes, and one may come\n");
	m.kind = NODE_MESSAGE_BYE;
	m.count = 3;
	str_printf(m.from, sizeof m.from, "%016x", 0xabc000);
	forge(&g, a, &m, "");
	assert_int_equal(roster_n(a->roster), CORE_PEERS_MAX - 1);
	a->roster->owner = before;
	tape_free(&g, t);
	rig_free(&g);
}

/* A long list comes whole to who comes late, in pieces, while it changes. */
static void test_long(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct tape *t;
	bool unsettled = false;

	rig_new(&g, 11, 10000);
	a = rig_join(&g, NULL);
	for (size_t i = 0; i < 10000; i++)
		rig_tell(a, i, true);
	run(&g, 100);
	t = tape_new(&g);
	b = rig_join(&g, NULL);
	for (size_t i = 0; i < 200; i++) {
		rig_tell(a, i * 37 % 10000, i % 3 != 0);
		rig_tell(a, 9999 - i, i % 2 == 0);
		run(&g, i % 2);
		unsettled |= !roster_settled(b->roster);
	}
	assert_true(unsettled);
	run(&g, 1000);
	assert_true(rig_agrees(&g));
	assert_true(roster_settled(b->roster));
	print_message("%zu pieces, the longest message has %zu bytes, asked %llu times\n",
		      t->n_pieces, t->most, (unsigned long long)roster_counts(b->roster)->asked);
	assert_true(t->most <= BUS_MESSAGE_MAX);
	assert_true(roster_counts(b->roster)->asked <= 3);

	print_message("who has missed a little is told a little\n");
	lossy_bus_cut(b->bus, true);
	run(&g, 100);
	for (size_t i = 0; i < 50; i++)
		rig_tell(a, i, i % 2 == 0);
	run(&g, 100);
	lossy_bus_cut(b->bus, false);
	t->n_pieces = 0;
	run(&g, 2 * BUS_BEAT_MS);
	assert_true(rig_agrees(&g));
	assert_int_equal(t->n_pieces, 1);
	tape_free(&g, t);
	rig_free(&g);
}

/* Removals that are forgotten: who missed them has the list told anew, and keeps what is in it. */
static void test_forgotten(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	unsigned heard;

	rig_new(&g, 12, 12000);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	for (size_t i = 0; i < 12000; i++)
		rig_tell(a, i, true);
	rig_hold(a, 1, 2);
	rig_hold(a, 2, 2);
	run(&g, 200);
	assert_true(rig_agrees(&g));
	lossy_bus_cut(b->bus, true);
	run(&g, 10);
	rig_hold(a, 2, 0);
	for (size_t i = 0; i < 11000; i++)
		rig_tell(a, i, false);
	run(&g, 2000);
	assert_true(a->roster->list.floor > 12000);
	assert_true(a->roster->list.items.n <= 2 * (1000 + 1) + ROSTER_REMOVED_MAX);
	heard = b->n_serves;
	lossy_bus_cut(b->bus, false);
	run(&g, 2 * BUS_BEAT_MS);
	assert_true(rig_agrees(&g));
	print_message("what stayed was not told again\n");
	assert_int_equal(b->n_serves, heard + 11000);
	assert_int_equal(b->n_gone, 0);

	print_message("somebody new is told, although much was forgotten\n");
	rig_join(&g, NULL);
	run(&g, 1000);
	assert_true(rig_agrees(&g));
	rig_free(&g);
}

/* The same, where the number of tunnels gives nothing away, and the list takes several pieces. */
static void test_forgotten_as_many(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	unsigned heard;

	rig_new(&g, 17, 15050);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	for (size_t i = 0; i < 5000; i++)
		rig_tell(a, i, true);
	run(&g, 200);
	assert_true(rig_agrees(&g));
	lossy_bus_cut(b->bus, true);
	run(&g, 10);
	for (size_t i = 0; i < 50; i++)
		rig_tell(a, i, false);
	for (size_t i = 5000; i < 15000; i++) {
		rig_tell(a, i, true);
		rig_tell(a, i, false);
	}
	for (size_t i = 15000; i < 15050; i++)
		rig_tell(a, i, true);
	run(&g, 1000);
	assert_int_equal(a->roster->list.n, 5000);
	heard = b->n_serves;
	print_message("one beat, the last one, is enough to see it\n");
	run(&g, BUS_BEAT_MS - ev_now_ms(g.ev) % BUS_BEAT_MS + 100);
	lossy_bus_cut(b->bus, false);
	run(&g, 300);
	assert_true(rig_agrees(&g));
	assert_int_equal(b->n_serves, heard + 100);
	rig_free(&g);
}

/* A copy that is wrong all the same is found by its number of tunnels, and made anew. */
static void test_differs(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct roster_peer *p;
	struct map_entry *lost;

	rig_new(&g, 13, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	for (size_t i = 0; i < 8; i++)
		rig_tell(a, i, true);
	run(&g, 20);
	p = roster_find(b->roster, a->id);
	lost = map_get(&p->copy.names, STR("t3"));
	map_del(&p->copy.names, lost);
	free(lost);		    /* it is the first member */
	b->heard[a->number][3] = 0; /* as if it had never come */
	run(&g, BUS_BEAT_MS + 100);
	assert_true(rig_agrees(&g));
	rig_free(&g);
}

/* An order is told again, and carried out once. */
static void test_orders(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;
	struct core_order o = {.tunnel = "t1", .account = "acc", .reason = "two\nlines"};

	rig_new(&g, 14, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	run(&g, 20);
	roster_order(a->roster, &o);
	run(&g, 4 * BUS_BEAT_MS);
	assert_int_equal(b->n_orders, 1);
	assert_string_equal(b->order.tunnel, "t1");
	assert_string_equal(b->order.account, "acc");
	assert_string_equal(b->order.reason, "two lines");
	assert_int_equal(a->n_orders, 0);

	assert_int_equal(b->order.kind, CORE_ORDER_DISCONNECT);
	assert_int_equal(b->order.session, 0);

	print_message("the first time is lost\n");
	lossy_net_rule(g.net, &(struct lossy_rules){.lose = 100});
	o.kind = CORE_ORDER_END;
	o.session = 1ULL << 52;
	roster_order(a->roster, &o);
	run(&g, 5);
	lossy_net_rule(g.net, &(struct lossy_rules){0});
	run(&g, 4 * BUS_BEAT_MS);
	assert_int_equal(b->n_orders, 2);
	assert_int_equal(a->roster->n_orders, 0);
	assert_int_equal(b->order.kind, CORE_ORDER_END);
	assert_int_equal(b->order.session, 1ULL << 52);

	print_message("while the bus is away they wait, so many\n");
	lossy_net_away(g.net, true);
	for (unsigned i = 0; i < ROSTER_ORDERS_MAX + 10; i++)
		roster_order(a->roster, &o);
	run(&g, 60000);
	assert_int_equal(a->roster->n_orders, ROSTER_ORDERS_MAX);
	lossy_net_away(g.net, false);
	run(&g, 4 * BUS_BEAT_MS);
	assert_int_equal(b->n_orders, 2 + ROSTER_ORDERS_MAX);
	rig_free(&g);
}

/* A bus that takes no more is tried again; nobody is gone while it is away. */
static void test_away(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;

	rig_new(&g, 16, 4000);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	run(&g, 20);
	lossy_net_rule(g.net, &(struct lossy_rules){.refuse = 70});
	for (size_t i = 0; i < 4000; i++)
		rig_tell(a, i, true);
	run(&g, 1900);
	lossy_net_rule(g.net, &(struct lossy_rules){0});
	run(&g, 2 * BUS_BEAT_MS);
	assert_true(rig_agrees(&g));

	lossy_net_away(g.net, true);
	rig_tell(a, 0, false);
	run(&g, 60000);
	rig_tell(a, 1, false);
	assert_int_equal(b->n_gone, 0);
	lossy_net_away(g.net, false);
	run(&g, 600);
	assert_int_equal(b->n_gone, 0);
	assert_true(rig_agrees(&g));

	print_message("one node alone is cut off; back it is known again\n");
	lossy_bus_cut(b->bus, true);
	run(&g, 20000);
	assert_int_equal(a->n_gone, 1);
	assert_int_equal(b->n_gone, 0);
	rig_tell(a, 2, false);
	lossy_bus_cut(b->bus, false);
	run(&g, 2 * BUS_BEAT_MS);
	assert_true(rig_agrees(&g));
	rig_free(&g);
}

/* What could not be kept, for want of memory, is asked for again. */
static void test_short(void **state)
{
	struct roster_rig g;
	struct rig_node *a, *b;

	rig_new(&g, 1, 8);
	a = rig_join(&g, NULL);
	b = rig_join(&g, NULL);
	rig_tell(a, 0, true);
	run(&g, 20);
	assert_true(rig_agrees(&g));

	print_message("one that is new, one that has changed\n");
	b->n_short = 2;
	rig_tell(a, 1, true);
	run(&g, 10);
	assert_int_equal(b->n_short, 1);
	assert_false(rig_agrees(&g));
	rig_tell(a, 0, true);
	run(&g, 3 * ROSTER_WANT_MS);
	assert_int_equal(b->n_short, 0);
	assert_true(rig_agrees(&g));
	rig_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meet),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_economy),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_replayed),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_odd),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_order_of_beats),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_nodes_max),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_differs),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_forgotten_as_many),
		cmocka_unit_test(test_gone_while_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
