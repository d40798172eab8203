/* A directory of its own, a net that shows it, and a visitor who asks: on virtual time. */
#ifndef KAREZ_TEST_UNIT_AGENT_SITE_RIG_H
#define KAREZ_TEST_UNIT_AGENT_SITE_RIG_H

#include "agent/site_net.h"

#define SITE_RIG_GOT (4 << 20)

struct site_rig {
	struct ev *ev;
	struct agent_net inner; /* counts what is passed on, and fails it with ERR_REFUSED */
	unsigned n_inner, n_inner_cancelled;
	struct agent_net *net;
	struct site_net_opt opt; /* to be changed before site_rig_net() */
	char dir[64];		 /* the directory that is shown: "/tmp/x/root" */
	char base[64];		 /* the one around it */

	/* the visitor */
	struct agent_dial *dial;
	struct wire *wire; /* NULL: not there, or not any more */
	unsigned n_done;
	int dial_e, why; /* why: its wire broke */
	bool eof, lazy;	 /* lazy: does not read */
	size_t n_got;
	char *got; /* owned: [SITE_RIG_GOT], NUL-terminated */
};

/* A tree to be filled; nothing is dialled yet. */
void site_rig_open(struct site_rig *r);
void site_rig_net(struct site_rig *r);
void site_rig_close(struct site_rig *r);

/* A file of the tree around the directory: "root/a.txt". text NULL: a directory. */
void site_rig_file(struct site_rig *r, const char *name, const char *text);

/* Its time, in seconds since 1970. */
void site_rig_touch(struct site_rig *r, const char *name, int64_t s);

/* A path in that tree. */
const char *site_rig_path(struct site_rig *r, const char *name, char out[256]);

/* Dial what is shown, or another URL; a moment passes. */
void site_rig_dial(struct site_rig *r);
void site_rig_dial_url(struct site_rig *r, const char *url);

/* Leave, if the visitor is there. */
void site_rig_leave(struct site_rig *r, int why);

/* Send some bytes; what was got before is forgotten, and a moment passes. */
void site_rig_say(struct site_rig *r, const char *text);

/* GET of a path, with more fields ("A: b\r\n") or "". Dials if nobody is there. */
void site_rig_get(struct site_rig *r, const char *path, const char *fields);

/* The status of the (first) answer that came, 0 if none did; the bytes behind its head. */
int site_rig_status(const struct site_rig *r);
const char *site_rig_body(const struct site_rig *r);

/* Is this in what came? */
bool site_rig_has(const struct site_rig *r, const char *text);

#endif
