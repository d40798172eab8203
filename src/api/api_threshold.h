/* Entries of threshold's list of tunnels, and how they are records here. Private to api/. */
#ifndef KAREZ_API_API_THRESHOLD_H
#define KAREZ_API_API_THRESHOLD_H

#include "core/manage.h"
#include "proto/json.h"

/* Bytes of an answer in words, NUL included. */
#define API_THRESHOLD_WORDS 512

/* One entry as it was written. */
struct api_threshold_entry {
	const struct json *json; /* borrowed */
	struct record_tunnel to;
	uint16_t port; /* as it says */
};

/*
 * Read an entry: {"ClientId" or "ClientIdentifier", "ListenPort" or "FrontEndListenPort",
 * "ListenAddress", "ListenHostnameGlob", "BackEndService" or "BackEndPort",
 * "HaProxyProxyProtocol"}.
 *   tls_port  where tls tunnels are reached; 0: nowhere.
 *   words     filled on failure.
 * Returns 0, ERR_PROTO (an entry that threshold could not have read), ERR_NOTFOUND (a client that
 * cannot be), ERR_INVAL. Source: doc/api.md, "For threshold's automation".
 */
int api_threshold_read(const struct json *json, uint16_t tls_port, struct api_threshold_entry *out,
		       char words[API_THRESHOLD_WORDS]) MUST_CHECK;

/* What MANAGE_T_* api_threshold_read() sets. */
#define API_THRESHOLD_SET                                                                  \
	(MANAGE_T_KIND | MANAGE_T_ENABLED | MANAGE_T_PORT | MANAGE_T_BIND | MANAGE_T_TLS | \
	 MANAGE_T_ALT_NAMES | MANAGE_T_SERVICE | MANAGE_T_AGENTS | MANAGE_T_PROXY)

/*
 * Append a tunnel as entries of a list.
 *   like      the entry that it was asked for by, whose member names are used; NULL: those of 2021,
 *             and one entry for each custom domain.
 * A tunnel that cannot be said so (http, no agent, no service) adds nothing. Returns 0 or
 * ERR_NOMEM.
 */
int api_threshold_write(const struct record_tunnel *r, uint16_t tls_port, const struct json *like,
			struct json *list) MUST_CHECK;

#endif
