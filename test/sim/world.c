/* Builds a world, lets it live, and holds it to its promises at the end. */
#include "sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* How long visitors that still run may take after everything else is well: their own bound. */
#define SETTLE_MS (VISITOR_BOUND_MS + 1000)
/* Idle streams, lingering wires and ghosts are gone after so long, in milliseconds. */
#define QUIET_MS 45000
/* Everything that is closed is really gone after so long. */
#define END_MS 300000

/* ---- trace ---- */

static void world_log(void *arg, enum log_level level, const char *line, size_t len)
{
	world_note(arg, "log " STR_FMT, STR_ARG(((struct str){line, len})));
}

void world_note(struct world *w, const char *fmt, ...)
{
	char text[512];
	size_t len = str_printf(text, sizeof text, "%8llu ", (unsigned long long)ev_now_ms(w->ev));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + len, sizeof text - len, fmt, ap);
	va_end(ap);
	for (const char *p = text; *p != '\0'; p++) /* FNV-1a */
		w->trace = (w->trace ^ (uint8_t)*p) * 0x100000001b3;
	if (w->verbose)
		puts(text);
}

void world_fail(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->failed)
		return;
	w->failed = true;
	printf("seed %llu, %llu ms: ", (unsigned long long)w->seed,
	       (unsigned long long)ev_now_ms(w->ev));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	ev_stop(w->ev);
}

/* ---- names ---- */

static struct world_name *world_find(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->n_names; i++)
		if (strcmp(w->names[i].text, name) == 0)
			return (struct world_name *)(uintptr_t)&w->names[i];
	return NULL;
}

static struct world_name *world_add_name(struct world *w, const char *name)
{
	struct world_name *n = &w->names[w->n_names++];

	CHECK(w->n_names < WORLD_NAMES_MAX);
	str_printf(n->text, sizeof n->text, "%s", name);
	return n;
}

void world_own(struct world *w, const char *name, int account)
{
	struct world_name *n = world_find(w, name);

	if (n == NULL) {
		n = world_add_name(w, name);
		n->known = true;
		n->account = account;
	}
	if (n->account != account)
		world_fail(w, "two accounts have the name %s", name);
}

int world_owner(const struct world *w, const char *name)
{
	const struct world_name *n = world_find(w, name);

	return n == NULL ? WORLD_NOBODY : n->account;
}

bool world_may_serve(const struct world *w, unsigned name, unsigned host, unsigned seat)
{
	const struct world_name *n = &w->names[name];
	const struct host *h = &w->hosts[host];
	const struct seat *s;

	if (!n->known || host >= w->n_hosts || seat >= h->n_seats)
		return false;
	s = &h->seats[seat];
	if (h->account == n->account && strcmp(s->asked, n->text) == 0)
		return true; /* attached, though it may not have heard of it yet */
	for (unsigned i = 0; i < s->n_had; i++)
		if (strcmp(s->had[i], n->text) == 0)
			return true;
	return false;
}

/* ---- the server ---- */

void world_ip(unsigned n, char out[32])
{
	str_printf(out, 32, "10.%u.%u.%u", 1 + n / 62500, n / 250 % 250, 1 + n % 250);
}

static void world_start_node(struct world *w)
{
	struct node_opt opt = {
		.log = &w->log,
		.store = w->store,
		.domain = WORLD_DOMAIN,
		.url_scheme = "http",
		.registration = CORE_OPEN,
		.deadlines = {.head_ms = 5000, .idle_ms = 8000},
		.sessions_max = 64,
		.window_total = 64 * 1024 * 1024,
	};

	world_note(w, "server starts");
	CHECK(node_new(w->ev, &opt, &w->node) == 0);
}

static void world_on_up(void *arg)
{
	struct world *w = arg;

	if (w->node == NULL)
		world_start_node(w);
}

void world_stop_node(struct world *w, uint32_t back_ms)
{
	world_note(w, "server stops back_ms=%u", back_ms);
	ev_timer_stop(w->ev, &w->drain);
	w->draining = false;
	node_free(w->node);
	w->node = NULL;
	ev_timer_set(w->ev, &w->up, back_ms);
}

struct wire *world_dial_node(struct world *w, enum cable_kind kind, unsigned number)
{
	struct node_visitor who = {.tls = false};
	struct wire *a, *b;
	char ip[32];

	if (w->node == NULL)
		return NULL;
	world_ip(number, ip);
	CHECK(visit_end_set(&who.peer, str_of(ip), 40000) == 0);
	CHECK(visit_end_set(&who.local, STR("192.0.2.1"), 80) == 0);
	cable_new(w, kind, number, &a, &b);
	node_serve(w->node, b, &who);
	return a;
}

/* ---- accounts ---- */

static void world_on_login(void *arg, const struct core_login *login)
{
	struct world *w = arg;

	CHECK(login->e == 0);
	memcpy(w->tokens[w->n_tokens++], login->token, CORE_TOKEN_TEXT);
}

/* The accounts that hosts share were made long ago. */
static void world_make_accounts(struct world *w)
{
	struct core_opt opt = {.log = &w->log,
			       .store = w->store,
			       .domain = WORLD_DOMAIN,
			       .url_scheme = "http",
			       .registration = CORE_OPEN};
	struct core_proof nobody = {.type = CORE_PROOF_NONE};
	struct core *c;

	CHECK(core_new(w->ev, &opt, &c) == 0);
	for (unsigned i = 0; i < WORLD_ACCOUNTS; i++)
		CHECK(core_login(c, &nobody, world_on_login, w) != NULL);
	ev_sim_run_for(w->ev, 1);
	CHECK(w->n_tokens == WORLD_ACCOUNTS);
	core_free(c);
}

/* ---- life ---- */

static struct world *world_open(uint64_t seed, bool verbose)
{
	struct world *w = must_calloc(1, sizeof *w);
	struct store_why why;

	w->seed = w->dice.state = seed;
	w->verbose = verbose;
	w->trace = 0xcbf29ce484222325;
	CHECK(ev_sim_new(seed, &w->ev) == 0);
	w->log = (struct log){.level = LOG_INFO, .write = world_log, .arg = w};
	CHECK(store_open(w->ev, &w->log, "memory:", &w->store, &why) == 0);
	list_init(&w->cables);
	list_init(&w->visitors);
	w->up = (struct ev_timer){.fn = world_on_up, .arg = w};
	world_make_accounts(w);
	world_add_name(w, "nobody");
	world_start_node(w);
	w->n_hosts = dice_range(&w->dice, 1, WORLD_HOSTS_MAX);
	for (unsigned i = 0; i < w->n_hosts; i++)
		host_init(w, i);
	return w;
}

/* The tunnel must answer under its name: ask it. Returns false when it is not to be had. */
static bool world_probe_seat(struct world *w, const struct run *r, size_t seat)
{
	const struct host *h = r->host;
	const char *name = r->name[seat][0] != '\0' ? r->name[seat] : h->seats[seat].asked;

	if (r->lost[seat])
		return false;
	for (unsigned i = 0; i < w->n_names; i++)
		if (w->names[i].known && strcmp(w->names[i].text, name) == 0) {
			visitor_probe(w, i);
			return true;
		}
	return false; /* never online: the names are counted below */
}

static size_t world_count_probes(const struct world *w)
{
	size_t n = 0;

	LIST_FOR_EACH (link, &w->visitors)
		n += CONTAINER_OF(link, struct visitor, link)->probe;
	return n;
}

/* Every agent that lives must be reachable under its names within WORLD_HEAL_MS. */
static uint32_t world_heal(struct world *w)
{
	uint64_t since = ev_now_ms(w->ev);

	for (unsigned i = 0; i < w->n_hosts; i++)
		for (size_t s = 0; w->hosts[i].run != NULL && s < w->hosts[i].n_seats; s++)
			(void)!world_probe_seat(w, w->hosts[i].run, s);
	while (!w->failed && world_count_probes(w) > 0) {
		if (ev_now_ms(w->ev) - since > WORLD_HEAL_MS) {
			LIST_FOR_EACH (link, &w->visitors) {
				struct visitor *v = CONTAINER_OF(link, struct visitor, link);

				if (v->probe)
					world_fail(w,
						   "%s does not answer %d s after the last "
						   "fault: status=%u",
						   w->names[v->name].text, WORLD_HEAL_MS / 1000,
						   v->status);
			}
			break;
		}
		ev_sim_run_for(w->ev, 100);
	}
	return (uint32_t)(ev_now_ms(w->ev) - since);
}

/* All is well and nobody asks: nothing may be left of what was. */
static void world_check_quiet(struct world *w)
{
	struct node_stats stats;
	size_t n_sessions = 0, n_conns = 0;

	node_stats(w->node, &stats);
	for (unsigned i = 0; i < w->n_hosts; i++) {
		const struct host *h = &w->hosts[i];

		if (h->run == NULL && !h->over)
			world_fail(w, "host %u has no agent", i);
		if (h->run != NULL && !h->run->online)
			world_fail(w, "the agent of host %u was never told that it is back", i);
		n_sessions += h->run != NULL ? h->n_sessions : 0;
		for (size_t s = 0; s < h->n_seats; s++) {
			n_conns += h->seats[s].site.n_conns;
			if (h->run != NULL && !h->run->lost[s] && h->run->name[s][0] == '\0')
				world_fail(w, "seat %u.%zu has never been online", i, s);
		}
		LIST_FOR_EACH (link, &h->runs)
			if (CONTAINER_OF(link, struct run, link) != h->run)
				world_fail(w, "a twin of host %u's agent still lives", i);
	}
	if (n_conns > 0)
		world_fail(w, "%zu connections to targets are left over", n_conns);
	if (stats.n_conns > 0 || stats.n_exchanges > 0)
		world_fail(w, "%zu connections and %zu exchanges are left over", stats.n_conns,
			   stats.n_exchanges);
	if (stats.n_sessions != n_sessions)
		world_fail(w, "%zu sessions instead of %zu", stats.n_sessions, n_sessions);
	if (stats.n_streams != stats.n_sessions)
		world_fail(w, "%zu streams in %zu sessions are left over", stats.n_streams,
			   stats.n_sessions);
	if (stats.window_used != 0)
		world_fail(w, "%llu bytes of windows are left over",
			   (unsigned long long)stats.window_used);
}

static void world_on_drained(void *arg)
{
	*(bool *)arg = true;
}

/* Agents stop, the server drains, everything closes; nothing may be left that could ever happen. */
static void world_close_all(struct world *w)
{
	bool drained = false;

	for (unsigned i = 0; i < w->n_hosts; i++) {
		w->hosts[i].over = true;
		if (dice_chance(&w->dice, 50))
			host_stop(&w->hosts[i], 0);
	}
	if (dice_chance(&w->dice, 50)) {
		node_drain(w->node, world_on_drained, &drained);
		ev_sim_run_for(w->ev, 5000);
		if (!drained)
			world_fail(w, "an idle server does not drain");
	}
	ev_sim_run_for(w->ev, dice_length(&w->dice, 3000));
	for (unsigned i = 0; i < w->n_hosts; i++)
		host_end(&w->hosts[i]);
	ev_sim_run_for(w->ev, dice_length(&w->dice, 100));
	node_free(w->node);
	w->node = NULL;
	ev_timer_stop(w->ev, &w->up);
	store_close(w->store);
	if (!w->failed && ev_sim_run_for(w->ev, END_MS))
		world_fail(w, "something still happens after the end");
	if (!w->failed && !list_empty(&w->cables))
		world_fail(w, "a wire is left over");
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < w->n_quests; i++)
		free(w->quests[i]);
	ev_free(w->ev);
	free(w);
}

bool world_run(uint64_t seed, bool verbose, struct world_result *out)
{
	struct world *w = world_open(seed, verbose);
	bool ok;

	faults_begin(w);
	while (!w->failed && ev_now_ms(w->ev) < w->calm_at_ms)
		ev_sim_run_for(w->ev, w->calm_at_ms - ev_now_ms(w->ev));
	faults_end(w);
	if (!w->failed)
		out->heal_ms = world_heal(w);
	for (uint64_t ms = 0; !w->failed && w->n_visitors > 0 && ms < SETTLE_MS; ms += 1000)
		ev_sim_run_for(w->ev, 1000);
	if (!w->failed)
		ev_sim_run_for(w->ev, QUIET_MS);
	if (!w->failed)
		world_check_quiet(w);
	if (!w->failed)
		world_close_all(w);
	out->virtual_ms = ev_now_ms(w->ev);
	out->n_quests = w->n_quests;
	out->trace = w->trace;
	ok = !w->failed;
	if (ok)
		world_free(w);
	return ok;
}
