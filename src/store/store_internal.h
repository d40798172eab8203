/* What the kinds of store share: private to store/. */
#ifndef KAREZ_STORE_STORE_INTERNAL_H
#define KAREZ_STORE_STORE_INTERNAL_H

#include "store/store.h"

enum store_verb { STORE_GET, STORE_LIST, STORE_CHANGES, STORE_WRITE };

/* Bytes that belong to an answer and go with it. */
struct store_block {
	struct store_block *next;
	char bytes[];
};

/*
 * One call. fn and arg belong to the loop; everything below them belongs to whoever runs the
 * request, which may be another thread, until it is answered.
 */
struct store_req {
	struct list link;
	store_fn fn; /* NULL: nobody wants to know any more */
	void *arg;
	size_t bytes;	/* what it counts among the pending bytes */
	uint64_t asked; /* see store_cache.c */

	enum store_verb verb;
	size_t limit;		    /* STORE_LIST, STORE_CHANGES */
	uint64_t after;		    /* STORE_CHANGES */
	struct store_write *writes; /* [n_writes]; get and list keep their kind and key in [0] */
	size_t n_writes;

	struct store_record *recs; /* room for [n_writes] or [limit] records of the answer */
	struct store_answer answer;
	struct store_block *blocks; /* owned */
};

struct store_cache;

struct store_ops {
	/* Something was queued: see that it is run and answered, after this returns. */
	void (*kick)(struct store *s);

	/* All callers have been answered: end what runs, free what is there, s as well. */
	void (*close)(struct store *s);

	bool remembers; /* STORE_CHANGES may be asked for */
};

struct store {
	const struct store_ops *ops;
	struct ev *ev;		   /* borrowed: outlives every store */
	struct log *log;	   /* borrowed: see store_open */
	char *where;		   /* owned; as given to store_open */
	struct store_cache *cache; /* owned */
	struct list queue;	   /* of store_req: not begun */
	struct list running;	   /* of store_req: another thread is at it */
	size_t n_pending, pending_bytes;
	struct ev_task close_task;
	void (*rewound)(void *arg); /* see store_on_rewind(); may be NULL */
	void *rewound_arg;
	bool closed;
	bool failing; /* the last answer that touched the medium was an error of it */
};

/* Fill what all kinds share. Returns 0 or ERR_NOMEM. */
int store_init(struct store *s, const struct store_ops *ops, struct ev *ev, struct log *log,
	       const char *where) MUST_CHECK;

/* Free what store_init made and the requests that are left; not s. */
void store_fini(struct store *s);

/* Tell the caller req->answer and free the request, which is in no list any more. */
void store_req_answer(struct store *s, struct store_req *req);
void store_req_free(struct store_req *req);

/* Records may be older than before: forget what was read, tell the listener. */
void store_rewound(struct store *s);

/* [size] bytes that live as long as the request; NULL when memory is gone. */
char *store_req_keep(struct store_req *req, size_t size);

/* Is a record that has this version (0: not there) what the writer has seen? */
static inline bool store_expects(uint64_t expected, uint64_t version)
{
	return expected == STORE_ANY || expected == version;
}

static inline bool store_is_over(int64_t expires_ms, int64_t now_ms)
{
	return expires_ms != 0 && expires_ms <= now_ms;
}

/* The answer's record for line i of a write. */
static inline void store_req_wrote(struct store_req *req, size_t i, uint64_t version)
{
	const struct store_record *rec = &req->writes[i].rec;

	req->recs[i] = (struct store_record){.kind = rec->kind,
					     .key = rec->key,
					     .version = version,
					     .expires_ms = rec->expires_ms};
}

/* printf into why->text. */
void store_why_say(struct store_why *why, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The kinds. Contracts as store_open; path is what follows the colon. */
int store_memory_open(struct ev *ev, struct log *log, const char *where,
		      struct store **out) MUST_CHECK;
int store_thread_open(struct ev *ev, struct log *log, const char *where, struct store **out,
		      struct store_why *why) MUST_CHECK;

#endif
