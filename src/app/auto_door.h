/*
 * What stands behind an "auto:" address: TLS, HTTP, SSH and PROXY headers are told apart by the
 * first bytes, which are only looked at. So the one who serves the connection finds all of it, and
 * SSH gets a plain descriptor.
 *
 * An SSH client may wait for the server to speak first. Who says nothing for AUTO_DOOR_SILENCE_MS
 * is taken for one.
 */
#ifndef KAREZ_APP_AUTO_DOOR_H
#define KAREZ_APP_AUTO_DOOR_H

#include "ingress/proxy_reader.h"
#include "proto/first_words.h"

struct auto_door;

/* How long somebody may say nothing before he is taken for an SSH client, in milliseconds. Others
 * speak at once, so only a lost packet makes them late: it comes again within this. */
#define AUTO_DOOR_SILENCE_MS 1000

/* Connections of one door of which it is not known what they are; each holds a descriptor and a few
 * words of memory. For one more the oldest is not waited for any longer. */
#define AUTO_DOOR_WAITING_MAX 4096

/* All that is borrowed outlives it. */
struct auto_door_opt {
	struct proxy_reader *proxy; /* borrowed: who may speak the PROXY protocol */
	bool must_proxy;	    /* nobody comes without such a header */
	bool ssh;		    /* silence is SSH, and "SSH-" as well: else it is HTTP */
	uint32_t wait_ms;	    /* for a header, or for the bytes that decide, to be complete */
	uint32_t silence_ms;	    /* 0: AUTO_DOOR_SILENCE_MS */
	size_t waiting_max;	    /* 0: AUTO_DOOR_WAITING_MAX */
	struct log *log;	    /* borrowed: the process's */
	/*
	 * It is known what it is: never FIRST_PROXY.
	 *   fd  owned by the callee; nothing was read from it but the header.
	 *   v   who comes; borrowed for the call.
	 */
	void (*come)(void *arg, int fd, enum first_words what, const struct proxy_visitor *v);
	void *arg;
};

/* Returns 0 or ERR_NOMEM. */
int auto_door_new(struct ev *ev, const struct auto_door_opt *opt,
		  struct auto_door **out) MUST_CHECK;

/*
 * Find out what somebody speaks; come() may be called before this returns.
 *   fd    taken over: an IP socket, non-blocking.
 *   ends  its own ends; borrowed for the call.
 */
void auto_door_serve(struct auto_door *d, int fd, const struct proxy_visitor *ends);

/* Connections of which it is not known yet. */
size_t auto_door_load(const struct auto_door *d);

/* Those are closed. NULL is allowed. */
void auto_door_free(struct auto_door *d);

#endif
