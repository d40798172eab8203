/* Lines of text over a wire: the control channel inside a session. */
#ifndef KAREZ_SESSION_LINES_H
#define KAREZ_SESSION_LINES_H

#include "wire/wire.h"

/* Bytes of lines that wait for the peer to read, at most. */
#define LINES_QUEUE_MAX (512 * 1024)

struct lines;

struct lines_opt {
	size_t line_max;			  /* bytes of one line without its newline */
	void (*line)(void *arg, struct str line); /* borrowed for the call */
	/* No more lines will come: ERR_EOF, ERR_TOOBIG, or why the wire broke. Told once. */
	void (*ended)(void *arg, int why);
	void *arg;
};

/* Returns 0 or ERR_NOMEM. Lines may be sent at once; they leave when there is a wire. */
int lines_new(struct ev *ev, const struct lines_opt *opt, struct lines **out) MUST_CHECK;

/* Speak on this wire from now on, which becomes the channel's; once. */
void lines_start(struct lines *l, struct wire *w);

bool lines_started(const struct lines *l);

/* Returns 0, ERR_TOOBIG, ERR_INVAL (a newline in it), ERR_LIMIT (LINES_QUEUE_MAX), ERR_NOMEM. */
int lines_send(struct lines *l, struct str line) MUST_CHECK;

/* What waits for the end of the turn goes to the wire now, as far as that takes it. */
void lines_push(struct lines *l);

/* No callback afterwards. NULL is allowed. */
void lines_close(struct lines *l);

#endif
