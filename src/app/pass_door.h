/*
 * At a door, with workers: whose visitor is this? The first bytes are looked at and left where they
 * are; when they name a tunnel of another worker of this machine the connection is handed to it,
 * and never touched here again. Whatever is unclear is served here, by a hop if need be: a look is
 * a hint, and whoever serves the connection reads it anew and strictly.
 *
 * Agents that come for a session are handed to a worker that they have none with.
 */
#ifndef KAREZ_APP_PASS_DOOR_H
#define KAREZ_APP_PASS_DOOR_H

#include "cluster/pass.h"
#include "ingress/port_socket.h"
#include "ingress/proxy_reader.h"

struct node;
struct pass_door;

/* Bytes that are looked at, at most: a ClientHello of today with all its keys has about 2000. */
#define PASS_DOOR_LOOK 16384
/* How long it is waited for the rest of what decides, in milliseconds. */
#define PASS_DOOR_WAIT_MS 1000
/* Connections of one door that are waited for; for one more the oldest is served here. */
#define PASS_DOOR_WAITING_MAX 4096

/*
 * What all doors of a process have in common; borrowed: outlives them. The questions return another
 * worker's id, NUL-terminated and valid until the loop next turns, or NULL: it is served here, or
 * nobody knows.
 */
struct pass_way {
	struct pass *pass;
	const char *domain, *api_host; /* normalised */
	/* Who serves a visitor of this host over HTTP in clear; host: normalised. */
	const char *(*host)(void *arg, struct str host);
	/* Who serves a ClientHello with this name? An http tunnel's is ended there. */
	const char *(*sni)(void *arg, struct str sni);
	/* Who serves this tunnel? NUL-terminated. */
	const char *(*tunnel)(void *arg, const char *name);
	/* Who may take a session of an agent that has sessions with these nodes already?
	 *   nodes  what it says in Karez-Nodes, any bytes; empty: with none, or it does not say. */
	const char *(*agent)(void *arg, struct str nodes);
	/* Any other worker that does not go. */
	const char *(*heir)(void *arg);
	void *arg;
};

struct pass_door_opt {
	const struct pass_way *way; /* borrowed */
	/*
	 * It is served here.
	 *   fd  the callee's; nothing was read from it.
	 *   v   borrowed for the call.
	 */
	void (*here)(void *arg, int fd, enum pass_kind kind, const struct proxy_visitor *v);
	void *arg;
};

int pass_door_new(struct ev *ev, const struct pass_door_opt *opt,
		  struct pass_door **out) MUST_CHECK;

/*
 * Hand somebody on, or serve him; here() may be called before this returns.
 *   fd    taken over.
 *   kind  PASS_HTTP or PASS_TLS.
 *   v     who comes; borrowed for the call.
 */
void pass_door_serve(struct pass_door *d, int fd, enum pass_kind kind,
		     const struct proxy_visitor *v);

/* Connections that are waited for. */
size_t pass_door_load(const struct pass_door *d);

/* Those are closed. NULL is allowed. */
void pass_door_free(struct pass_door *d);

/* For port_socket_opt.elsewhere; arg: a struct pass_way. */
bool pass_door_port(void *arg, int fd, const struct proxy_visitor *v, const char *tunnel);

/* For port_socket_opt.hand_over; arg: a struct pass_way. */
bool pass_door_hand_over(void *arg, int fd, const char *tunnel);

/* Where those go that other workers hand over: for pass_opt.taken. A value. */
struct pass_home {
	struct ev *ev;
	struct node *node;	   /* borrowed, as ports */
	struct port_socket *ports; /* NULL: there are none */
	bool tls;		   /* node_open_tls() came before */
};

/* arg: a struct pass_home. */
void pass_door_taken(void *arg, int fd, const struct pass_visitor *v);

#endif
