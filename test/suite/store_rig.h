/* A store on a loop of its own, to ask from a test and to wait for the answers. */
#ifndef KAREZ_TEST_SUITE_STORE_RIG_H
#define KAREZ_TEST_SUITE_STORE_RIG_H

#include "store/store.h"

/* How to make stores of one kind. */
struct store_maker {
	const char *name;

	/* A loop such as this kind runs on. Returns 0 or an ERR_*. */
	int (*loop)(struct ev **out);

	/* A name for store_open that no test has used. */
	void (*fresh)(char *where, size_t cap);

	/* Remove what a store of that name left. */
	void (*clean)(const char *where);
};

#define STORE_TOLD_MAX 4096

/* What a call was answered; a copy. */
struct store_told {
	struct store_rig *rig;
	unsigned calls; /* how often: 1 is right */
	unsigned order; /* its place among all answers, from 1 */
	struct store_answer answer;
	struct store_record *recs;	       /* owned; [answer.n], into bytes */
	char *bytes;			       /* owned */
	void (*then)(struct store_told *told); /* NULL, or what to do inside the callback */
};

/* A store on a loop of its own, and what it told. Every told[] is used once. */
struct store_rig {
	const struct store_maker *maker;
	struct ev *ev;
	struct store *store;
	struct log log;
	unsigned n_errors, n_warns, n_infos; /* lines written to the log */
	char said[1024];		     /* the last of them */
	char where[512];
	struct ev_timer watch;
	unsigned n_asked, n_told, n_wanted;
	struct store_told told[STORE_TOLD_MAX];
};

/* A loop, no store. Fails the test when it cannot. */
struct store_rig *store_rig_new(const struct store_maker *maker);

/* Open t->where as t->store. */
void store_rig_open(struct store_rig *t);

/* Close t->store and see the end of it: the loop goes as well, and a new one comes. */
void store_rig_end(struct store_rig *t);

/* That, and open the store again. */
void store_rig_reopen(struct store_rig *t);
void store_rig_free(struct store_rig *t);

/* A told[] to pass to a call, with store_rig_on_answer as the callback. */
struct store_told *store_rig_ask(struct store_rig *t);
void store_rig_on_answer(void *arg, const struct store_answer *answer);

/* Run the loop until everything asked so far is answered. */
void store_rig_wait(struct store_rig *t);

/* One call and its answer. kind and key NUL-terminated. */
struct store_told *store_rig_get(struct store_rig *t, const char *kind, const char *key);
struct store_told *store_rig_put(struct store_rig *t, struct store_record rec, uint64_t expected);
struct store_told *store_rig_drop(struct store_rig *t, const char *kind, const char *key,
				  uint64_t expected);
struct store_told *store_rig_list(struct store_rig *t, struct store_page page);
struct store_told *store_rig_batch(struct store_rig *t, const struct store_write *writes, size_t n);

/* A record of texts that never expires. */
struct store_record store_rig_rec(const char *kind, const char *key, const char *value);

/* Fail unless a get answers with this text. */
void store_rig_expect(struct store_rig *t, const char *kind, const char *key, const char *value);

/* Fail unless the answer is one record with this value. */
void store_rig_expect_value(const struct store_told *told, struct str value);

/* For cmocka: *state is a maker before and a rig with an open store after. */
int store_rig_setup(void **state);
int store_rig_teardown(void **state);

/* A row of a table of tests that get such a rig. */
#define STORE_RIG_TEST(maker, fn)                                                        \
	{                                                                                \
#fn, fn, store_rig_setup, store_rig_teardown, (void *)(uintptr_t)(maker) \
	}

#endif
