/*
 * `karez up`: what a services file says is what its agent serves. The file is read again when it
 * changes, and what differs comes, changes and goes; the rest is not touched. An edit that is wrong
 * is told, and changes nothing.
 */
#ifndef KAREZ_APP_KAREZ_UP_H
#define KAREZ_APP_KAREZ_UP_H

#include "agent/site_index.h"
#include "app/karez_options.h"
#include "app/karez_say.h"
#include "cli/services.h"
#include "proto/json.h"

struct karez_up;

struct karez_up_opt {
	const struct karez_options *set; /* borrowed, as all here: outlives it */
	const struct karez_say *say;
	struct log *log;
};

/*
 * Read the file and look its host names up; what is wrong is said. Runs the loop meanwhile.
 *   *code  set on failure: of the exit.
 * Returns 0, or an ERR_* after a sentence.
 */
int karez_up_load(struct ev *ev, const struct karez_up_opt *opt, struct karez_up **out,
		  int *code) MUST_CHECK;

/* The servers that the file names: [*n], may be none; see agent_opt.server and others. Borrowed. */
const struct url *karez_up_servers(const struct karez_up *u, size_t *n);

/* Serve what was read by an agent that stays, from now on. Returns 0, or an ERR_* after a sentence.
 * a: borrowed: outlives it, or agent_free() comes after karez_up_free(). */
int karez_up_start(struct karez_up *u, struct agent *a) MUST_CHECK;

/* Read the file now. */
void karez_up_reload(struct karez_up *u);

/* It ends soon; the service manager is told. */
void karez_up_stopping(struct karez_up *u);

/* Nothing is served for it any more, and another one may serve the file. NULL is allowed. */
void karez_up_free(struct karez_up *u);

/* ---- the agent's events ---- */

void karez_up_online(struct karez_up *u, const struct agent_online *o);
void karez_up_offline(struct karez_up *u);
void karez_up_no(struct karez_up *u, enum karez_no no, uint32_t id, int code, const char *reason);

/* A site_net_opt.services; arg: the struct karez_up *. */
void karez_up_list(void *arg, struct site_index *x);

/* How it is doing, as STATUS_PLACE_PATH tells it: doc/services.md. Returns 0 or ERR_NOMEM. */
int karez_up_tell(const struct karez_up *u, struct json **out) MUST_CHECK;

#endif
