/*
 * What is told of a tunnel has to be small, since every node keeps it for every tunnel of every
 * other: the agents' processes as numbers, and which of their sessions. It is read strictly, so
 * that one entry has one text only.
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

unsigned node_entry_sessions(const struct node_entry *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->n_agents; i++)
		n += (unsigned)__builtin_popcountll(e->agents[i].carriers);
	return n;
}

size_t node_entry_format(const struct node_entry *e, char out[NODE_ENTRY_TEXT])
{
	size_t n;

	CHECK(e->n_agents > 0 && e->n_agents <= NODE_ENTRY_AGENTS_MAX);
	n = str_printf(out, NODE_ENTRY_TEXT, "%d;%lx;", e->up + 2 * e->route,
		       (unsigned long)e->priority);
	for (unsigned i = 0; i < e->n_agents; i++)
		n += str_printf(out + n, NODE_ENTRY_TEXT - n, "%s%llx:%llx:%llx", i > 0 ? "," : "",
				(unsigned long long)e->agents[i].agent,
				(unsigned long long)e->agents[i].epoch,
				(unsigned long long)e->agents[i].carriers);
	return n;
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

static bool node_entry_has(const struct node_entry *e, const struct node_entry_agent *a)
{
	for (unsigned i = 0; i < e->n_agents; i++)
		if (e->agents[i].agent == a->agent && e->agents[i].epoch == a->epoch)
			return true;
	return false;
}

int node_entry_parse(struct str s, struct node_entry *out)
{
	struct str flags, priority, agent;
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
	out->n_agents = 0;
	while (str_next(&s, ',', &agent)) {
		struct node_entry_agent a;

		if (out->n_agents == NODE_ENTRY_AGENTS_MAX ||
		    node_entry_parse_agent(agent, &a) != 0 || node_entry_has(out, &a))
			return ERR_PROTO;
		out->agents[out->n_agents++] = a;
	}
	return 0;
}
