/* A core on virtual time with a memory store that can be told to fail, to wait or to conflict. */
#ifndef KAREZ_TEST_UNIT_CORE_CORE_RIG_H
#define KAREZ_TEST_UNIT_CORE_CORE_RIG_H

#include "core/core.h"
#include "store/store_internal.h"

/* What to do with a request to the store: 0 let it pass, CORE_RIG_HOLD, or an ERR_* to answer. */
#define CORE_RIG_HOLD (-1)

struct core_rig {
	struct ev *ev;
	struct log log;
	struct store *store;
	struct core *core;
	struct core_opt opt;
	const struct store_ops *real;
	struct store_ops ops; /* ours, in front of the real ones; what was written lately it does
			       * not tell unless a test says ops.remembers */
	int (*judge)(struct core_rig *r, const struct store_req *req);
	int judge_e;	     /* for a judge's use */
	unsigned n_asked;    /* requests since somebody set it to 0 */
	struct list failing; /* of store_req */
	struct ev_task fail;
	const char *secret; /* must not turn up in the log; may be NULL */
	unsigned n_lines;
	char last_line[1024];
};

/* What a login or an attach was answered. */
struct told_login {
	unsigned calls;
	struct core_login result;
	char reason[CORE_REASON_TEXT];
};

struct told_attach {
	unsigned calls;
	struct core_attached result;
	char reason[CORE_REASON_TEXT];
};

/* A session that counts, and the member that stands for it. */
struct fake {
	struct session session; /* first */
	struct core_rig *rig;
	struct member *member;
	int open_e; /* what open() returns */
	unsigned n_opened, n_pinged;
	uint32_t deadline_ms;	       /* of the last ping */
	char tunnel[HOSTNAME_MAX + 1]; /* of the last visit */
	char service[VISIT_SERVICE_TEXT];
	unsigned n_assigned, n_detached, n_expelled, n_served;
	char served[256];   /* the last one, as "tunnel method path status up down" */
	char assigned[512]; /* "name=service " for each */
	int why;
	char detached[HOSTNAME_MAX + 1], reason[CORE_REASON_TEXT];
	uint64_t drain_ms;    /* as it was told with detached */
	bool leave_when_told; /* as a gateway does */
};

void core_rig_new(struct core_rig *r, bool allow_registration);
void core_rig_free(struct core_rig *r);
void core_rig_run(struct core_rig *r);

/* Let what was held go on. */
void core_rig_release(struct core_rig *r);

/* Answers every request with judge_e. */
int core_rig_fail_all(struct core_rig *r, const struct store_req *req);
int core_rig_hold_all(struct core_rig *r, const struct store_req *req);

/* Write a record past the core. */
void core_rig_put(struct core_rig *r, const char *kind, const char *key, const char *value);
/* Read one; NULL when there is none. The caller frees it. */
char *core_rig_get(struct core_rig *r, const char *kind, const char *key);

/* Ask and wait for the answer. */
struct told_login core_rig_login(struct core_rig *r, struct str token);
struct told_attach core_rig_attach(struct fake *f, const char *name, const char *target);
/* As member_attach() of an http tunnel with nothing special. */
int core_rig_ask(struct fake *f, const char *name, const char *target, struct told_attach *told);
void core_rig_on_login(void *arg, const struct core_login *result);
void core_rig_on_attached(void *arg, const struct core_attached *result);

/* Register. */
void core_rig_account(struct core_rig *r, struct access_who *who);

void fake_join(struct fake *f, struct core_rig *r, const struct access_who *who,
	       const struct core_agent *agent);
/* The same by SSH. */
void fake_join_ssh(struct fake *f, struct core_rig *r, const struct access_who *who,
		   const struct core_agent *agent);
void fake_leave(struct fake *f);

#endif
