/*
 * What a tunnel costs that other nodes serve: 10,000 of them, each by two nodes. Bytes of memory on
 * a node that only knows of them, microseconds of each change that it hears, and of each visitor's
 * question for a tunnel and the node to go to (median, 99th of 100, worst), in random order: of
 * tunnels that nobody has asked for yet (no), and of those whose records have been read. Then the
 * same of as many accounts with an agent of two sessions at one of these nodes, as the roster keeps
 * them: memory, a change, and what a login asks.
 * Build: cc -O2 -D_GNU_SOURCE -Isrc bench/micro/peer.c <build>/src/libkarez.a, and its libraries
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster/roster_internal.h"
#include "core/core.h"
#include "store/store.h"

#define TUNNELS 10000
#define ROUNDS	20

static char names[TUNNELS][32];
static double took[TUNNELS * ROUNDS];
static unsigned n_answers;

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(int e)
{
	if (e != 0)
		abort();
}

static int on_open(void *arg, const struct visit *visit, struct wire **out)
{
	*out = NULL;
	return 0;
}

static void on_serves(void *arg, struct str tunnel, const struct node_entry *entry)
{
}

static void on_written(void *arg, const struct store_answer *answer)
{
	must(answer->e);
	n_answers++;
}

static void on_lookup(void *arg, int e)
{
	must(e);
	n_answers++;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void show(const char *what, size_t n)
{
	qsort(took, n, sizeof took[0], by_size);
	printf("%-36s %7.2f %7.2f %7.2f us\n", what, took[n / 2], took[n * 99 / 100], took[n - 1]);
}

/* All of them once, in random order; made: they are there. */
static void ask(struct ev *ev, struct core *c, double *out, bool made)
{
	for (size_t i = 0; i < TUNNELS; i++) {
		struct str name = str_of(names[ev_random_below(ev, TUNNELS)]);
		double begin = now_us();
		struct tunnel *t = core_tunnel(c, name);
		uint64_t place = t != NULL ? tunnel_choose(t) : 0;

		out[i] = now_us() - begin;
		if (made != (t != NULL) || made != (place != 0))
			abort();
	}
}

static void read_records(struct ev *ev, struct store *store, struct core *c)
{
	for (size_t i = 0; i < TUNNELS; i++) {
		struct store_record rec = {.kind = RECORD_TUNNEL,
					   .key = str_of(names[i]),
					   .value = STR("{\"account\":\"a\",\"kind\":\"http\"}")};

		must(store_put(store, &rec, STORE_ANY, on_written, NULL));
		if (core_lookup(c, rec.key, on_lookup, NULL) == NULL)
			abort();
		ev_sim_run_for(ev, 1);
	}
	if (n_answers != 2 * TUNNELS)
		abort();
}

static void serve(struct core_peer *peers[2], struct node_entry *e, double *out)
{
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i < TUNNELS; i++) {
			double begin = now_us();

			e->agents[0].agent = i * 0x9e3779b97f4a7c15;
			must(core_peer_serves(peers[k], str_of(names[i]), e));
			out[k * TUNNELS + i] = now_us() - begin;
		}
}

/* ---- accounts ---- */

static struct roster roster;
static struct roster_peer teller;

static void on_holds(void *arg, const char *id, struct str account)
{
}

/* The teller says what it has of an account. */
static void tell(size_t i, uint64_t epoch)
{
	struct node_message_item item = {.kind = NODE_ITEM_HOLDS, .name = str_of(names[i])};
	struct node_held held = {.n = 2, .n_agents = 1, .agents = {{i, epoch, 3}}};
	struct node_message m = {.kind = NODE_MESSAGE_CHANGES, .count = 1};
	char held_text[NODE_HELD_TEXT], text[512];
	struct pen pen = pen_on(text, sizeof text);

	memcpy(m.from, "bbbbbbbbbbbbbbbb", sizeof m.from);
	m.after = teller.copy.at;
	m.upto = m.head = m.after + 1;
	item.text = (struct str){held_text, node_held_format(&held, held_text)};
	node_message_write(&pen, &m);
	if (!node_message_add(&pen, &item))
		abort();
	must(node_message_parse((struct str){text, pen_len(&pen)}, &m));
	roster_copy_changes(&teller, &m);
}

static void tell_all(uint64_t epoch, double *out)
{
	for (size_t i = 0; i < TUNNELS; i++) {
		double begin = now_us();

		tell(i, epoch);
		out[i] = now_us() - begin;
	}
}

static void accounts(struct ev *ev)
{
	static const struct roster_owner owner = {.holds = on_holds};
	struct node_entry_agent own = {.agent = 7};
	size_t before, after;

	roster.ev = ev;
	roster.owner = &owner;
	teller.r = &roster;
	roster_copy_init(&teller);
	for (size_t i = 0; i < TUNNELS; i++)
		snprintf(names[i], sizeof names[i], "account%05zu", i); /* as long as they are */
	before = mallinfo2().uordblks;
	tell_all(1, took);
	after = mallinfo2().uordblks;
	printf("%zu accounts of a node: %.0f bytes each\n", teller.copy.accounts.n,
	       (double)(after - before) / TUNNELS);
	show("it has sessions now", TUNNELS);
	tell_all(2, took);
	show("it has others", TUNNELS);
	for (size_t i = 0; i < TUNNELS; i++) {
		struct str name = str_of(names[ev_random_below(ev, TUNNELS)]);
		double begin = now_us();
		struct core_held held = {0};

		roster_copy_held(&teller.copy, name, &own, &held);
		took[i] = now_us() - begin;
		if (held.n != 2)
			abort();
	}
	show("how many it has", TUNNELS);
	roster_copy_free(&teller);
}

int main(void)
{
	struct core_peer_opt peer[2] = {{.id = "bbbbbbbbbbbbbbbb", .open = on_open},
					{.id = "cccccccccccccccc", .open = on_open}};
	struct node_entry e = {.up = true, .n_agents = 1, .agents = {{0, 1, 1}}};
	struct log log = {.level = LOG_ERROR};
	struct core_opt opt = {.log = &log,
			       .domain = "localhost",
			       .url_scheme = "http",
			       .cluster = {.self = "aaaaaaaaaaaaaaaa", .serves = on_serves}};
	struct core_peer *peers[2];
	struct store_why why;
	struct core *c;
	struct ev *ev;
	size_t before, after;

	must(ev_sim_new(1, &ev));
	must(store_open(ev, &log, "memory:", &opt.store, &why));
	must(core_new(ev, &opt, &c));
	for (int k = 0; k < 2; k++)
		must(core_peer_new(c, &peer[k], &peers[k]));
	for (size_t i = 0; i < TUNNELS; i++)
		snprintf(names[i], sizeof names[i], "tunnel-%06zu", i);

	before = mallinfo2().uordblks;
	serve(peers, &e, took);
	after = mallinfo2().uordblks;
	printf("%zu tunnels of two nodes: %.0f bytes each\n", core_n_remote(c),
	       (double)(after - before) / TUNNELS);
	show("it is served now", 2 * TUNNELS);
	serve(peers, &e, took);
	show("it is served otherwise", 2 * TUNNELS);
	for (int r = 0; r < ROUNDS; r++)
		ask(ev, c, took + r * TUNNELS, false);
	show("which tunnel, none being known", TUNNELS * ROUNDS);

	before = mallinfo2().uordblks;
	read_records(ev, opt.store, c);
	after = mallinfo2().uordblks;
	printf("their records in memory, and the tunnels: %.0f bytes each more\n",
	       (double)(after - before) / TUNNELS);
	for (int r = 0; r < ROUNDS; r++)
		ask(ev, c, took + r * TUNNELS, true);
	show("which tunnel, and which node", TUNNELS * ROUNDS);
	for (int k = 0; k < 2; k++)
		core_peer_free(peers[k]);
	core_free(c);
	accounts(ev);
	store_close(opt.store);
	ev_free(ev);
	return 0;
}
