/* The net between nodes in memory and on virtual time: for tests of the hop, and for simulations of
 * whole clusters. It proves nothing by keys: who has dialled is known. */
#ifndef KAREZ_SIM_MEM_HOP_H
#define KAREZ_SIM_MEM_HOP_H

#include "cluster/hop_net.h"
#include "proto/node_entry.h"
#include "wire/wire_mem.h"

/* What becomes of those who dial. */
enum mem_way { MEM_OPEN, MEM_REFUSED, MEM_SILENT };

/* A value that the test owns; outlives its ends, and all that was dialled. */
struct mem_hop {
	struct hop_net net; /* first: the two are the same pointer */
	struct wire_mem_opt mem;
	struct list ends, conns;
	uint16_t last_port;
	/* Faults; may be changed at any time. */
	int refuse;	  /* those who dial get this error, NULL the other side */
	bool silent;	  /* those who dial get no answer at all */
	const char *says; /* what every dialler is proven to be; NULL: what it is */
	/* How it is between two nodes, by their ids, besides. NULL: open. */
	enum mem_way (*way)(void *arg, const char *from, const char *to);
	void *arg;
	size_t n_dials; /* so far */
};

void mem_hop_init(struct mem_hop *m);

/* All connections that are there now break / swallow everything, or work again. */
void mem_hop_cut(struct mem_hop *m);
void mem_hop_freeze(struct mem_hop *m, bool frozen);

/* The same for those between two nodes, by their ids; b: NULL: between a and anybody. */
void mem_hop_cut_between(struct mem_hop *m, const char *a, const char *b);
void mem_hop_freeze_between(struct mem_hop *m, const char *a, const char *b, bool frozen);

/* How many connections are there now. */
size_t mem_hop_n(const struct mem_hop *m);

/* Has one node a connection to another that it has dialled itself? By their ids. */
bool mem_hop_has(const struct mem_hop *m, const char *from, const char *to);

/* As a stranger: a raw wire to whoever listens at addr; NULL: nobody does. */
struct wire *mem_hop_connect(struct mem_hop *m, struct ev *ev, const char *addr, const char *name);

#endif
