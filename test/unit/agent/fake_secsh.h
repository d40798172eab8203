/*
 * An SSH server that answers as a test says: it takes the place of session/secsh_agent.c, whose
 * functions it has.
 */
#ifndef KAREZ_TEST_UNIT_AGENT_FAKE_SECSH_H
#define KAREZ_TEST_UNIT_AGENT_FAKE_SECSH_H

#include "session/secsh_agent.h"

#define FAKE_SECSH_STARTS 64

/* How it behaves, and what happened. There is one, for the tests of one program. */
struct fake_secsh {
	/* How it behaves; to be changed at any time. */
	bool dialled; /* somebody has to dial, to this port of 127.0.0.1: */
	uint16_t port;
	int new_error;	   /* secsh_agent_new() fails so */
	int dies;	   /* instead of answering, each session ends so */
	bool silent;	   /* forwards are never answered */
	bool all_or_none;  /* ExitOnForwardFailure */
	uint16_t free;	   /* the port for whoever asks for any */
	uint16_t taken[4]; /* ports that are refused */
	bool refuse_all;

	/* What happened. */
	unsigned n_starts, n_closed;
	uint64_t start_ms[FAKE_SECSH_STARTS];
	char asked[256]; /* by the last session: "localhost:8080 :0" */
	int fd;		 /* of the last session; owned */
	bool up;	 /* there is a session */
	unsigned n_accepted;
};
extern struct fake_secsh fake_secsh;

/* The session ends, as the server says. */
void fake_secsh_die(int why, const char *reason);

/* A visitor comes. Returns his end. */
struct wire *fake_secsh_visit(size_t i);

#endif
