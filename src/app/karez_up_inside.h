/* The inside of struct karez_up: for karez_up*.c only. */
#ifndef KAREZ_APP_KAREZ_UP_INSIDE_H
#define KAREZ_APP_KAREZ_UP_INSIDE_H

#include "app/file_watch.h"
#include "app/karez_status.h"
#include "app/karez_up.h"
#include "app/karez_up_file.h"
#include "app/notify.h"

/* Refusals that are told one by one; more are told as many. */
#define KAREZ_UP_NOS 10

struct karez_up {
	struct ev *ev;
	struct karez_up_opt opt;
	char path[SERVICES_PATH];
	struct karez_up_file *file; /* owned, as those below */
	struct file_watch *watch;
	struct karez_status *status;
	struct agent *agent;	/* borrowed; NULL before karez_up_start() */
	struct services now;	/* owned: what runs; all zero before it was read */
	uint32_t *ids;		/* owned: [now.n] of its tunnels; 0: could not be added */
	uint32_t index_id;	/* of the page; 0: there is none */
	char *wrong;		/* owned: why the file cannot be used as it is; NULL: it can */
	struct ev_timer reload; /* to karez_up_reload()'s reading */
	bool back;		/* that the server is there again was told */
	unsigned n_told;	/* refusals, since the server was lost or the file changed */
	int e;			/* of the last reading */
	struct notify notify;
	struct ev_timer news;	  /* since the last count */
	struct ev_timer patience; /* of whoever waits for the start */
	bool stopping;
};

/* How the tunnel of entry i is; all that is known of one that could not be added is its target. */
void karez_up_look(const struct karez_up *u, size_t i, struct agent_look *look);

/* Tell the service manager how it goes from now on, until the end. */
void karez_up_notify_begin(struct karez_up *u);
void karez_up_notify_end(struct karez_up *u);

/* Something may have come online or gone, or be another one. */
void karez_up_news(struct karez_up *u);

/* What runs there, in words: "online", "connecting", "refused", "target down". */
const char *karez_up_state(const struct agent_look *look);

/* Is it as it should be? */
bool karez_up_well(const struct agent_look *look);

/* The word for a kind: "http", "tcp", "tls". */
const char *karez_up_kind(enum agent_kind kind);

#endif
