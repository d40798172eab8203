/*
 * What API and agents say alike of a tunnel, as JSON: whom it lets in, and what it changes in
 * heads. Read here only, with all bounds, since no schema has looked at what an agent says.
 */
#ifndef KAREZ_CORE_TUNNEL_JSON_H
#define KAREZ_CORE_TUNNEL_JSON_H

#include "core/manage.h"
#include "proto/json.h"

/* Bytes of the path of a member, NUL included. */
#define TUNNEL_JSON_FIELD 80

/* Being read. A value. */
struct tunnel_json {
	const struct core *core; /* borrowed: for fingerprints of tokens */
	/*
	 * Users may come with passwords, to be hashed by the caller (`basic`), and tokens with
	 * their number alone (`keeps_bearers`). Else a hash must have been made already.
	 */
	bool plain;

	/* What was said. */
	struct record_tunnel *to; /* borrowed */
	unsigned set;		  /* MANAGE_T_*, of *to: added to what is there */
	const struct json *basic; /* plain: the list of users; borrowed; NULL: none */
	bool keeps_bearers;	  /* plain: there are so many as were said, and not which */

	/* On failure: "visitors.allow.0", "must be ..."; field "": the sentence stands alone. */
	char field[TUNNEL_JSON_FIELD];
	char detail[CORE_REASON_TEXT];
};

/*
 * Read {"basic":[{"user","hash"}],"bearer":[..],"allow":[..],"deny":[..],"auth_url":".."}; of what
 * is not there nothing is set. Unknown members are refused: what they mean to keep out would get
 * in. visitors  NULL: nothing is said. Returns 0, ERR_INVAL, ERR_AGAIN (the server is starting),
 * ERR_NOMEM.
 */
int tunnel_json_visitors(struct tunnel_json *t, const struct json *visitors) MUST_CHECK;

/*
 * The same of {"rewrite":bool,"host":"..","request_remove":[..],"request_add":[..],
 * "response_remove":[..],"response_add":[..]}.
 */
int tunnel_json_headers(struct tunnel_json *t, const struct json *headers) MUST_CHECK;

#endif
