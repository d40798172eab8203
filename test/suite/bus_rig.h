/* Some nodes on a bus, on one loop, and what each of them was told. */
#ifndef KAREZ_TEST_SUITE_BUS_RIG_H
#define KAREZ_TEST_SUITE_BUS_RIG_H

#include "cluster/bus.h"

/* How to make buses of one kind. */
struct bus_maker {
	const char *name;

	/* A place where nobody is, for the next test; and its end. */
	void (*begin)(void);
	void (*end)(void);

	/* One more node there. Returns 0 or an ERR_*. */
	int (*make)(struct ev *ev, struct log *log, const char *id, struct bus **out);
};

#define BUS_RIG_NODES 8
#define BUS_RIG_HEARD 20000

struct bus_rig;

struct bus_rig_node {
	struct bus_rig *rig;
	struct bus *bus; /* NULL: it is not there */
	char id[NODE_ID_TEXT];
	struct ev_timer beat;
	bool silent; /* it does not beat */
	unsigned n_beats;
	bool up;
	unsigned n_up, n_down;
	bool inside; /* a call to the bus is on the stack */
	struct {
		char *bytes; /* owned */
		size_t len;
	} heard[BUS_RIG_HEARD];
	size_t n_heard;
	char gone[BUS_RIG_NODES * 4][NODE_ID_TEXT];
	size_t n_gone;
	/* What to do inside the next callback of a kind; NULL: nothing. */
	void (*on_heard)(struct bus_rig_node *n);
	void (*on_gone)(struct bus_rig_node *n);
	void (*on_up)(struct bus_rig_node *n);
};

struct bus_rig {
	const struct bus_maker *maker;
	struct ev *ev;
	struct log log;
	unsigned n_errors, n_warns, n_infos; /* lines written to the log */
	char said[1024];		     /* the last of them */
	struct ev_timer watch;
	struct bus_rig_node nodes[BUS_RIG_NODES];
};

/* Node i comes, and beats as nodes do; its id is "000000000000000i". Not waited for. */
struct bus_rig_node *bus_rig_come(struct bus_rig *t, unsigned i);

/* Nodes 0 to n - 1 come, and all have heard of each other. */
void bus_rig_meet(struct bus_rig *t, unsigned n);

/* It closes its bus. */
void bus_rig_leave(struct bus_rig_node *n);

/* How often a node was told this, exactly. */
unsigned bus_rig_heard(const struct bus_rig_node *n, struct str message);
unsigned bus_rig_gone(const struct bus_rig_node *n, unsigned i);

/* Has it heard a beat of node i? */
bool bus_rig_knows(const struct bus_rig_node *n, unsigned i);

/* Forget what it was told so far. */
void bus_rig_forget(struct bus_rig_node *n);

int bus_rig_send(struct bus_rig_node *n, const char *to, struct str message);

/* Let time pass. */
void bus_rig_run(struct bus_rig *t, uint64_t ms);

/* Let time pass until this is so; fails the test after `ms`. */
#define bus_rig_until(t, ms, cond)                                                       \
	do {                                                                             \
		uint64_t bus_rig_end_ms = ev_now_ms((t)->ev) + (ms);                     \
		while (!(cond)) {                                                        \
			if (ev_now_ms((t)->ev) > bus_rig_end_ms)                         \
				fail_msg("not within %u ms: %s", (unsigned)(ms), #cond); \
			bus_rig_run(t, 5);                                               \
		}                                                                        \
	} while (0)

/* For cmocka: *state is a maker before and a rig without nodes after. */
int bus_rig_setup(void **state);
int bus_rig_teardown(void **state);

/* A row of a table of tests that get such a rig. */
#define BUS_RIG_TEST(maker, fn)                                                      \
	{                                                                            \
#fn, fn, bus_rig_setup, bus_rig_teardown, (void *)(uintptr_t)(maker) \
	}

#endif
