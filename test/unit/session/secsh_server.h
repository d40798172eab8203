/* An SSH server for tests of the agent's side: raw libssh, blocking, on a thread of its own, on one
 * end of a pair of sockets. It does what a script says and notes what it was told. */
#ifndef KAREZ_TEST_SECSH_SERVER_H
#define KAREZ_TEST_SECSH_SERVER_H

#include <pthread.h>

#include "session/secsh_link.h"

struct secsh_server {
	/* the script */
	ssh_key host_key;     /* borrowed */
	int methods;	      /* SSH_AUTH_METHOD_*: offered; 0: everybody comes in */
	ssh_key user_key;     /* borrowed, public; NULL: none is good */
	const char *password; /* NULL: none is good */
	const char *answer;   /* to "Code: " of keyboard-interactive */
	bool both;	      /* a key is not enough: the password, too */
	int tries_max;	      /* refused logins, then it says goodbye; 0: any number */
	const char *goodbye;  /* NULL: that these were too many */
	bool is_deaf;	      /* it answers no login */
	int thinks_ms;	      /* before it answers a login that proves something */
	bool is_mute;	      /* it answers no forward, and goes on to the rest */
	unsigned refuse;      /* bits: forwards that are refused */
	uint16_t allocated;   /* what port 0 becomes */
	size_t n_forwards;    /* after so many the rest begins */
	void (*rest)(struct secsh_server *s); /* on the thread; the connection ends with it */

	/* what it was told; for the test when the thread has ended */
	char user[64], addresses[256]; /* "address:port " of each forward */
	size_t n_asked;
	int n_refused;	/* logins */
	int n_offered;	/* keys that were shown without a signature */
	char seen[256]; /* for rest() */

	int fd; /* the agent's end */
	ssh_session ssh;
	pthread_t thread;
};

/* Starts the thread; s->fd is the agent's end, non-blocking. */
void secsh_server_start(struct secsh_server *s);

/* Wait for the thread, which ends when the connection does. */
void secsh_server_end(struct secsh_server *s);

/* For rest(). A channel for a visitor; NULL when the agent refuses. */
ssh_channel secsh_server_visit(struct secsh_server *s, const char *address, int port);

/* For rest(). Add to s->seen. */
void secsh_server_note(struct secsh_server *s, const char *text);

#endif
