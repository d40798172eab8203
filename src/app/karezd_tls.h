/* karezd's certificates: the contexts that its doors speak TLS by, which follow their files. */
#ifndef KAREZ_APP_KAREZD_TLS_H
#define KAREZ_APP_KAREZD_TLS_H

#include "app/karezd_options.h"
#include "app/node.h"
#include "app/worker.h"
#include "wire/tls_reload.h"

/* Embedded in its owner, where it stays; all zero before it is opened. */
struct karezd_tls {
	struct tls_context *serve;	   /* owned, NULL without addresses for TLS */
	struct tls_context *manage;	   /* owned, NULL without --manage-listen */
	struct tls_reload *reloads[2];	   /* owned, of those two */
	const struct karezd_settings *set; /* borrowed, as these */
	const struct worker *worker;
	struct log *log;
	struct node *node;
	const char *domain;
	char api_host[HOSTNAME_MAX + 1];
	const char *asked[3];	 /* names under which clients are asked for certificates */
	char told[KEY_PIN_TEXT]; /* the key's fingerprint, as it was told last */
};

/*
 * Read what the settings name, and let the node speak TLS where an address is for that.
 *   t    set, worker, log, node and domain count.
 *   why  [TLS_CONTEXT_WHY] set on failure.
 * Returns 0 or an ERR_*.
 */
int karezd_tls_open(struct karezd_tls *t, struct ev *ev, char *why) MUST_CHECK;

/* Read the files again now. */
void karezd_tls_reload(struct karezd_tls *t);

/* Files are not followed any more: before the loop ends. */
void karezd_tls_stop(struct karezd_tls *t);

/* After the loop's end: wires are gone. */
void karezd_tls_free(struct karezd_tls *t);

/*
 * Is there an address where TLS is spoken?
 *   *port  set to the first one's; 0 when it has none; left alone when there is no such address.
 */
bool karezd_tls_find(const struct karezd_settings *set, uint16_t *port);

#endif
