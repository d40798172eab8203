/* What the API asks of a node besides its records: does the store answer, who serves what now. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/peer_internal.h"

struct core_check {
	struct core_call call; /* first: the two are the same pointer */
	void (*done)(void *arg, int e);
	void *arg;
};

static void check_answer(struct core_check *k, int e)
{
	void (*done)(void *, int) = k->done;
	void *arg = k->arg;

	core_check_cancel(k);
	done(arg, e);
}

static void check_on_core_gone(struct core_call *call)
{
	check_answer((struct core_check *)call, ERR_CLOSED);
}

static void check_on_record(struct core_call *call, const struct store_answer *answer)
{
	int e = answer->e == ERR_NOTFOUND ? 0 : core_store_err(answer->e);

	check_answer((struct core_check *)call, e);
}

static void check_on_start(void *arg)
{
	struct core_check *k = arg;
	int e = core_call_get(&k->call, RECORD_META, STR("schema"), check_on_record);

	if (e != 0)
		check_answer(k, e);
}

struct core_check *core_check(struct core *c, void (*done)(void *arg, int e), void *arg)
{
	struct core_check *k = calloc(1, sizeof *k);

	if (k == NULL)
		return NULL;
	k->call.closed = check_on_core_gone;
	k->done = done;
	k->arg = arg;
	if (core_call_begin(c, &k->call, CORE_LOOKUP, check_on_start) != 0) {
		free(k);
		return NULL;
	}
	return k;
}

void core_check_cancel(struct core_check *k)
{
	if (k == NULL)
		return;
	core_call_end(&k->call);
	free(k);
}

int core_fingerprint(const struct core *c, struct str secret, char out[DIGEST_HEX_TEXT])
{
	return c->secret.loaded ? digest_keyed(c->secret.key, secret, out) : ERR_AGAIN;
}

/* ---- who serves what now ---- */

static int check_compare(const void *a, const void *b)
{
	return strcmp((*(struct core_serving *const *)a)->name,
		      (*(struct core_serving *const *)b)->name);
}

static void check_count_visitors(struct core *c, struct core_serving **sorted, size_t n)
{
	LIST_FOR_EACH (link, &c->visitors) {
		const struct visit *visit = CONTAINER_OF(link, struct core_visitor, link)->visit;
		struct core_serving key = {.name = visit->tunnel}, *want = &key, **found;

		found = bsearch(&want, sorted, n, sizeof *sorted, check_compare);
		if (found != NULL)
			(*found)->n_visitors++;
	}
}

static void check_count_sessions(const struct tunnel *t, struct core_serving *s)
{
	if (t == NULL)
		return;
	LIST_FOR_EACH (link, &t->serving) {
		const struct serving *place = CONTAINER_OF(link, struct serving, of_tunnel);

		if (s->n_sessions == 0 || place->member->since_ms < s->since_ms)
			s->since_ms = place->member->since_ms;
		s->n_sessions++;
	}
}

void core_serving(struct core *c, struct core_serving *v, size_t n)
{
	struct core_serving *sorted[CORE_SERVING_MAX];
	size_t served = 0;

	CHECK(n <= CORE_SERVING_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct tunnel *t = tunnel_find(c, str_of(v[i].name));
		const struct remotes *rs = peer_find(c, str_of(v[i].name));

		v[i].n_sessions = v[i].n_visitors = 0;
		v[i].since_ms = 0;
		if (t == NULL && rs == NULL)
			continue;
		check_count_sessions(t, &v[i]);
		if (rs != NULL)
			v[i].n_sessions += peer_count(rs);
		sorted[served++] = &v[i];
	}
	if (served == 0)
		return;
	qsort(sorted, served, sizeof sorted[0], check_compare);
	check_count_visitors(c, sorted, served);
}
