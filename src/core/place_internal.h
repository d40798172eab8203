/* What the files of the places share: private to core/place*.c. */
#ifndef KAREZ_CORE_PLACE_INTERNAL_H
#define KAREZ_CORE_PLACE_INTERNAL_H

#include "core/place.h"

/* A port that a tunnel has, that a change will give to one, or both. */
struct port_hold {
	struct map_entry entry; /* in core->ports */
	struct core *core;
	struct place *place;		 /* weak: its end clears it; NULL: only reserved */
	struct reservation *reservation; /* weak: its release clears it; may be NULL */
	struct port *taken;		 /* owned; NULL: it could not be had */
	char bind[RECORD_BIND_TEXT];	 /* where taken is */
	uint16_t port;
	int said; /* why it could not be had, as the log was told; 0: all is well */
	char key[8];
};

/* A name under which visitors of a tls tunnel come. */
struct place_name {
	struct map_entry entry; /* in core->snis */
	struct list link;	/* in place->names */
	struct place *place;
	char host[];
};

struct place {
	struct map_entry entry; /* in core->places */
	struct core *core;
	struct list todo;	/* in places->todo */
	struct list names;	/* of place_name.link, owned */
	struct port_hold *hold; /* the port that it has; NULL: none, or a later record has it */
	uint16_t port;		/* that its record says */
	char bind[RECORD_BIND_TEXT];
	enum tunnel_kind kind;
	enum tunnel_tls tls;
	bool enabled, temporary;
	bool served; /* by a session, here or elsewhere, with a working target */
	bool room;   /* a session has left it: those that were too many are asked again */
	uint64_t version;
	char *record; /* owned: its bytes */
	size_t record_len;
	char (*agents)[CORE_AGENT_TEXT]; /* owned; [n_agents] */
	size_t n_agents;
	char service[RECORD_SERVICE_TEXT];
	char account[CORE_ID_TEXT];
	char name[HOSTNAME_MAX + 1];
};

/* What is to be done at the end of the turn, and the reading of the routes. */
struct places {
	struct core *core;
	struct list todo; /* of place.todo */
	struct ev_task task;

	struct core_call listing; /* a page of the routes is asked for */
	struct list waiting;	  /* of place_read.link: tunnels that are not known yet */
	size_t n_reading;	  /* of those, asked for now */
	struct ev_timer timer;	  /* until the next round */
	uint64_t begun_ms;	  /* when the last round began */
	bool running;		  /* a round */
	bool more;		  /* the page is not the last one */
	bool ending;		  /* the core is going */
	int e;			  /* what went wrong in this round */
	char after[STORE_KEY_MAX];
	size_t after_len;
	void (*done)(void *arg, int e); /* NULL: told */
	void *arg;
};

/* ---- place.c ---- */

struct place *place_find(struct core *c, struct str name);

/* ---- place_port.c ---- */

/*
 * Let its record's port be this one (0: none): take it, keep it, or move it to another address.
 * What two records claim is the later one's. place_port_show() comes next.
 *   bind  not p's own.
 */
void place_port_set(struct place *p, uint16_t port, const char *bind);

/* Try again what could not be had. The same comes next. */
void place_port_retry(struct place *p);

/* Let visitors in or refuse them, as it should be now. */
void place_port_show(struct place *p);

/* ---- place_list.c ---- */

void place_list_init(struct places *l);
void place_list_end(struct places *l);

#endif
