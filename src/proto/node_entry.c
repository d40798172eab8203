/*
 * What is told of a tunnel, or of an account, has to be small, since every node keeps it for every
 * tunnel of every other: the agents' processes as numbers, and which of their sessions. It is read
 * strictly, so that one entry has one text only.
 */
#include "proto/node_entry.h"

#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "base/num.h"

uint64_t node_entry_agent_id(const char *account, const char *id)
{
	/* No secret: all nodes must find the same number. Who finds two ids with one number is
	 * taken for one agent by tunnels of its own. */
	static const uint64_t key[2] = {0x6b6172657a20616eULL, 0x6167656e74206964ULL};
	uint64_t parts[2] = {siphash(key, account, strlen(account)), siphash(key, id, strlen(id))};

	return siphash(key, parts, sizeof parts);
}

/* Its place, n if it is none of them. */
static unsigned node_entry_find(const struct node_entry_agent *all, unsigned n,
				const struct node_entry_agent *a)
{
	unsigned i = 0;

	while (i < n && (all[i].agent != a->agent || all[i].epoch != a->epoch))
		i++;
	return i;
}

bool node_entry_add(struct node_entry_agent *all, unsigned *n_all, unsigned max,
		    const struct node_entry_agent *a)
{
	unsigned i = node_entry_find(all, *n_all, a);

	if (i == max)
		return false;
	if (i < *n_all)
		all[i].carriers |= a->carriers;
	else
		all[(*n_all)++] = *a;
	return true;
}

unsigned node_entry_sessions(const struct node_entry *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->n_agents; i++)
		n += (unsigned)__builtin_popcountll(e->agents[i].carriers);
	return n;
}

/* Returns the bytes. */
static size_t node_entry_format_agents(const struct node_entry_agent *a, unsigned n_a, char *out,
				       size_t cap)
{
	size_t n = 0;

	for (unsigned i = 0; i < n_a; i++)
		n += str_printf(out + n, cap - n, "%s%llx:%llx:%llx", i > 0 ? "," : "",
				(unsigned long long)a[i].agent, (unsigned long long)a[i].epoch,
				(unsigned long long)a[i].carriers);
	return n;
}

size_t node_entry_format(const struct node_entry *e, char out[NODE_ENTRY_TEXT])
{
	size_t n;

	CHECK(e->n_agents > 0 && e->n_agents <= NODE_ENTRY_AGENTS_MAX);
	n = str_printf(out, NODE_ENTRY_TEXT, "%d;%lx;", e->up + 2 * e->route,
		       (unsigned long)e->priority);
	return n + node_entry_format_agents(e->agents, e->n_agents, out + n, NODE_ENTRY_TEXT - n);
}

/* "<agent>:<epoch>:<carriers>" */
static int node_entry_parse_agent(struct str s, struct node_entry_agent *a)
{
	struct str agent, epoch;

	if (!str_next(&s, ':', &agent) || !str_next(&s, ':', &epoch) || s.p == NULL)
		return ERR_PROTO;
	if (num_parse_hex_exact(agent, &a->agent) != 0 ||
	    num_parse_hex_exact(epoch, &a->epoch) != 0 ||
	    num_parse_hex_exact(s, &a->carriers) != 0 || a->carriers == 0)
		return ERR_PROTO;
	return 0;
}

/* All of s, at most max of them. */
static int node_entry_parse_agents(struct str s, struct node_entry_agent *out, unsigned max,
				   unsigned *n)
{
	struct node_entry_agent a;
	struct str agent;

	*n = 0;
	while (str_next(&s, ',', &agent)) {
		if (*n == max || node_entry_parse_agent(agent, &a) != 0 ||
		    node_entry_find(out, *n, &a) < *n)
			return ERR_PROTO;
		out[(*n)++] = a;
	}
	return 0;
}

int node_entry_parse(struct str s, struct node_entry *out)
{
	struct str flags, priority;
	uint64_t n;

	if (!str_next(&s, ';', &flags) || !str_next(&s, ';', &priority) || s.p == NULL)
		return ERR_PROTO;
	if (flags.len != 1 || flags.p[0] < '0' || flags.p[0] > '3')
		return ERR_PROTO;
	if (num_parse_hex_exact(priority, &n) != 0 || n > UINT32_MAX)
		return ERR_PROTO;
	out->up = ((flags.p[0] - '0') & 1) != 0;
	out->route = ((flags.p[0] - '0') & 2) != 0;
	out->priority = (uint32_t)n;
	return node_entry_parse_agents(s, out->agents, NODE_ENTRY_AGENTS_MAX, &out->n_agents);
}

/* ---- of an account ---- */

size_t node_held_format(const struct node_held *h, char out[NODE_HELD_TEXT])
{
	size_t n;

	CHECK(h->n_agents <= NODE_HELD_AGENTS_MAX);
	n = str_printf(out, NODE_HELD_TEXT, "%lx;", (unsigned long)h->n);
	return n + node_entry_format_agents(h->agents, h->n_agents, out + n, NODE_HELD_TEXT - n);
}

int node_held_parse(struct str s, struct node_held *out)
{
	uint64_t n, of_agents = 0;
	struct str number;

	if (!str_next(&s, ';', &number) || s.p == NULL || num_parse_hex_exact(number, &n) != 0 ||
	    n > UINT32_MAX)
		return ERR_PROTO;
	out->n = (uint32_t)n;
	out->n_agents = 0;
	if (s.len > 0 &&
	    node_entry_parse_agents(s, out->agents, NODE_HELD_AGENTS_MAX, &out->n_agents) != 0)
		return ERR_PROTO;
	for (unsigned i = 0; i < out->n_agents; i++)
		of_agents += (unsigned)__builtin_popcountll(out->agents[i].carriers);
	return of_agents <= n ? 0 : ERR_PROTO;
}
