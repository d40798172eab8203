/*
 * An answer on its way to a visitor: a head, parts of a file, as fast as they are taken. At any
 * moment one piece of the file is in memory, however slow the visitor is.
 */
#ifndef KAREZ_AGENT_SITE_SEND_H
#define KAREZ_AGENT_SITE_SEND_H

#include "agent/site_work.h"
#include "http/http_conn.h"
#include "proto/http_range.h"

/* Bytes of a file that are read at a time. */
#define SITE_PIECE (64 * 1024)

/* A visitor who takes no byte for so long is left, in milliseconds: pausing a film takes longer. */
#define SITE_STALL_MS 300000

/* Bytes of what stands before a part of several, NUL included; of a boundary. */
#define SITE_PART_MAX	  256
#define SITE_BOUNDARY_MAX 33

/* The parts of a file that are sent. A value. */
struct site_parts {
	struct http_ranges ranges; /* n 0: nothing of it */
	struct str type;	   /* of the file; static */
	uint64_t size;		   /* of the file */
	/* Not empty: as multipart/byteranges. Source: RFC 9110 14.6. */
	char boundary[SITE_BOUNDARY_MAX];
};

struct site_send_opt {
	struct ev *ev;
	struct site_work *work; /* borrowed: outlives it */
	struct http_conn *conn; /* its request is in hand */
	struct buf out;		/* the head and what else stands before the parts */
	int fd;			/* the file, or -1 when there are no parts */
	struct site_parts parts;
	enum http_after after; /* how the connection goes on */
};

/* Bytes of content that the parts come to. */
uint64_t site_parts_length(const struct site_parts *p);

/*
 * Send it and give the request back. If the file ends early or cannot be read, the answer is
 * aborted, so that nobody takes it for whole.
 *   opt  out and fd are taken over on success.
 * Returns 0 or ERR_NOMEM: the request is still in hand.
 */
int site_send(struct site_send_opt *opt) MUST_CHECK;

#endif
