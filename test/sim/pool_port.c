/* A port is held once on a node, and by nobody while another program has it. */
#include "sim/pool_port.h"

#include <stdlib.h>
#include <string.h>

#include "sim/pool.h"

struct port *pool_port_find(const struct pool_node *n, uint16_t number)
{
	LIST_FOR_EACH (link, &n->ports) {
		struct port *p = CONTAINER_OF(link, struct port, link);

		if (p->number == number)
			return p;
	}
	return NULL;
}

static int pool_port_take(void *arg, const char *bind, uint16_t number, struct port **out)
{
	struct pool_node *n = arg;
	struct stage *s = &n->pool->stage;
	struct port *p;

	CHECK(number >= POOL_PORT_FIRST && number < POOL_PORT_FIRST + POOL_PORTS);
	if (pool_port_find(n, number) != NULL)
		stage_fail(s, "node %u takes port %u twice", n->index, number);
	if (ev_now_ms(s->ev) < n->foreign_ms[number - POOL_PORT_FIRST])
		return ERR_INUSE;
	stage_note(s, "node %u takes port %u", n->index, number);
	p = must_calloc(1, sizeof *p);
	p->node = n;
	p->number = number;
	list_push(&n->ports, &p->link);
	*out = p;
	return 0;
}

static int pool_port_let(struct port *p, const char *tunnel)
{
	if (tunnel == NULL || p->node->draining)
		tunnel = "";
	if (strcmp(p->tunnel, tunnel) != 0)
		stage_note(&p->node->pool->stage, "node %u port %u for %s", p->node->index,
			   p->number, tunnel[0] != '\0' ? tunnel : "nobody");
	str_printf(p->tunnel, sizeof p->tunnel, "%s", tunnel);
	return 0;
}

static void pool_port_give_up(struct port *p)
{
	if (p == NULL)
		return;
	stage_note(&p->node->pool->stage, "node %u gives up port %u", p->node->index, p->number);
	list_del(&p->link);
	free(p);
}

void pool_port_init(struct pool_node *n, struct core_ports *out)
{
	list_init(&n->ports);
	*out = (struct core_ports){.take = pool_port_take,
				   .let = pool_port_let,
				   .give_up = pool_port_give_up,
				   .arg = n};
}

void pool_port_shut_all(struct pool_node *n)
{
	LIST_FOR_EACH (link, &n->ports)
		CHECK(pool_port_let(CONTAINER_OF(link, struct port, link), NULL) == 0);
}
