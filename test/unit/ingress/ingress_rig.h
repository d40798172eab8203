/*
 * A visitor, an ingress, a target and the services that hooks lead to, all in memory and on virtual
 * time. The core is a fake one: one tunnel, "demo", whose streams are memory wires.
 */
#ifndef KAREZ_TEST_INGRESS_RIG_H
#define KAREZ_TEST_INGRESS_RIG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ingress/http_ingress.h"

#define RIG_TARGETS 4
#define RIG_HOOKS   40

/* One wire's far end, whoever reads it. */
struct far {
	struct wire *wire;
	char got[200000];
	size_t n_got;
	int why;
	bool eof;
};

struct tunnel {
	int n_dials, dial_error;
	int n_used;	     /* streams that were used again */
	uint64_t n_sessions; /* 1 at first; their places are 7, 8, ... */
	struct tunnel_settings settings;
	struct rights rights;
	char target[RIGHTS_URL_TEXT], host[64];
	struct header_edits edits; /* settings.edits is to be set anew when it changes */
};

struct core {
	struct ev *ev;
	struct tunnel demo;
	bool connected;
	bool leaves; /* the node that has the tunnel's sessions */
	int lookup_answer;
	size_t n_remote;	/* tunnels of other nodes */
	size_t n_lookups;	/* that were answered */
	bool connect_by_lookup; /* then the tunnel is known */
	bool hold_lookups;	/* they are never answered */
	int fingerprint_error;
	const char *denied_hook; /* a host; NULL: every one is allowed */
	enum core_sni sni;	 /* what names under tls.example are */
	size_t n_visitors;
	struct visit seen;	   /* the visitor that came last */
	struct core_visitor *last; /* the same, while it is there */
	bool watched;
	char served[4096]; /* what a watcher was told, a line each */
};

struct rig {
	struct ev *ev;
	struct core core;
	struct http_ingress *ingress;
	struct http_conn *conn;
	struct passwords *passwords;
	struct far visitor, target[RIG_TARGETS];
	struct wire *stream[RIG_TARGETS]; /* our end of those; weak: only for rig_break() */
	bool conn_closed;
	size_t mem_cap, max_write;     /* of the wires, see wire_mem_opt */
	void (*on_request)(void *arg); /* a request comes; may be NULL */
	void *on_request_arg;
	bool at; /* requests come for the custom domain */
	struct hook_net net;
	struct far *hook[RIG_HOOKS]; /* owned: in the order of dialling */
	int n_hooks, n_cancelled;
	int hook_error;	     /* what dialling a hook gives */
	bool hook_never;     /* it is dialled for ever */
	bool hook_stalled;   /* it does not read */
	struct url hook_url; /* dialled last */
	struct visit_end peer;
	struct log log;
	char logged[4096];
};

extern struct rig *W;

/* The rig with an ingress of such options; core, net, passwords and log are the rig's own. */
void rig_open_with(const struct http_ingress_opt *opt);
void rig_open(void);
void rig_close(void);

/* The rig without an HTTP ingress and without a visitor. */
void rig_open_bare(void);

/* A visitor whose connection, which is returned, is for the test to give away. */
struct wire *rig_visit(void);

/* End the ingress, as when the server goes. */
void rig_end_ingress(void);

/* A visitor of W->peer, in place of the one before. */
void rig_connect(void);

/* Forget what came so far. */
void far_clear(struct far *f);

/* Write, and let 10 ms pass. */
void far_say(struct far *f, const char *text);

void far_close(struct far *f, int why);

/* A stream breaks for a reason that only a session could give. */
void rig_break(int target, int why);

/* The rights of the tunnel have changed. */
void rig_changed(void);

void expect_in(const char *haystack, const char *needle);
void expect_not_in(const char *haystack, const char *needle);

/* How often does it stand there? */
size_t count_in(const char *haystack, const char *needle);

#define GET "GET /p?q=1 HTTP/1.1\r\nHost: demo.example\r\n"

#endif
