/* What the files of the API share: private to api/. */
#ifndef KAREZ_API_API_INTERNAL_H
#define KAREZ_API_API_INTERNAL_H

#include "api/api.h"
#include "api/api_body.h"
#include "api/api_route.h"
#include "proto/json.h"

/* Bytes of the body of an answer: a page of the largest items, or a list that came in one body. */
#define API_ANSWER_MAX (8 * 1024 * 1024)
/* Items of one page unless the request says how many. */
#define API_LIMIT_USUAL 25
/* Bytes of an ETag as text, and of a URL of a tunnel or of the API, NUL included. */
#define API_ETAG_TEXT 24
#define API_URL_TEXT  (HOSTNAME_MAX + 64)

struct api {
	struct ev *ev;
	struct api_opt opt;
	struct list calls;	  /* of api_call.link */
	size_t n_calls, n_bodies; /* n_bodies: of those that are collecting */
	uint64_t started_ms;
	bool ending;
	struct buf document;	 /* the OpenAPI document */
	char base[API_URL_TEXT]; /* "http://api.example.org:8080" */
};

/* What the request said of versions. */
struct api_condition {
	bool match, match_any; /* If-Match: of one version, or "*" */
	uint64_t version;      /* with match */
	bool none_any;	       /* If-None-Match: * */
	struct str none;       /* If-None-Match, as it came; empty: none */
};

/*
 * One call, from its request to its answer. Waits for one thing at a time: its body, its login, a
 * management call, a password, the store.
 */
struct api_call {
	struct list link;
	struct api *api;
	struct http_conn *conn; /* weak: api_call_on_gone() comes when it goes */
	const struct api_route *route;
	struct login *login;
	struct manage *manage;
	struct password_job *job;
	struct core_check *check;
	struct ev_timer deadline;
	bool known; /* who has proven something */
	struct access_who who;
	struct core_login *made;   /* owned; the account that the login made on the fly, or NULL */
	bool collecting;	   /* its body is being read */
	bool collected;		   /* its body has been read */
	bool large;		   /* it is a long one: read when its sender is known */
	enum http_framing framing; /* what the head says of the body */
	uint64_t content_length;   /* the same */
	bool expects;		   /* the same: a 100 Continue */
	struct buf raw;		   /* owned: its body, of a large one */
	/* How and what was presented; BEARER: in text[]; CERTIFICATE: its name, the connection's.
	 */
	enum core_proof_type proof;
	struct str credential;
	struct str params[API_PARAMS_MAX];
	struct str query[API_QUERIES]; /* decoded; p NULL: not there */
	size_t limit;
	struct str after; /* of the cursor */
	struct api_condition when;
	struct json *body; /* owned; NULL when the route takes none */
	void (*tell)(struct api_call *call, const struct manage_answer *answer);
	void *state;			 /* owned: the handler's own */
	void (*state_free)(void *state); /* what is in it besides itself; may be NULL */
	char after_text[STORE_KEY_MAX + 1];
	char text[]; /* what the texts above point to */
};

/* ---- api.c ---- */

/* The answer is out, or nobody waits for it: cancel what is under way, free the call. */
void api_call_free(struct api_call *call);

/* Who asks, for a manage_*() call whose answer goes to `tell`; errors are refused before. */
struct manage_asker api_asker(struct api_call *call);

/* Wait for such a call; NULL (too many, no memory) is refused. */
void api_wait(struct api_call *call, struct manage *m,
	      void (*tell)(struct api_call *call, const struct manage_answer *answer));

/* A request for a route: the start of a call. */
void api_start(struct api *a, struct http_conn *c, const struct http_request *req,
	       const struct api_route_match *match);

/* ---- api_answer.c: the ways to end a call ---- */

struct api_answer {
	unsigned status;
	struct json **body;   /* NULL: none; taken over in any case */
	uint64_t version;     /* for the ETag; 0: none */
	const char *location; /* NULL: none */
};

/* Answer and free the call. */
void api_reply(struct api_call *call, const struct api_answer *a);

/* It is done, and there is nothing to tell: 204. For api_wait(). */
void api_tell_none(struct api_call *call, const struct manage_answer *answer);
void api_reply_bytes(struct api_call *call, struct str type, struct str body);

/* One item: 200, or 304 when the request has this version already. */
void api_reply_item(struct api_call *call, const struct manage_answer *answer, struct json **body);

/* A list or a page of one, as the route's table calls it; e: why it could not be written, or 0. */
void api_reply_list(struct api_call *call, const struct manage_answer *answer, int e,
		    struct json **list);

/* Refuse and free the call. e also decides the status. */
void api_refuse(struct api_call *call, int e, const char *field, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
void api_refuse_fault(struct api_call *call, const struct api_fault *fault);
void api_refuse_answer(struct api_call *call, const struct manage_answer *answer);
void api_refuse_status(struct api_call *call, unsigned status, int e, const char *detail);
void api_refuse_memory(struct api_call *call);
void api_refuse_busy(struct api_call *call); /* too many calls are under way */

/* Refuse a request for which there is no call. */
struct api_early {
	unsigned status; /* 0: that of e */
	int e;
	const char *detail;
	const char *allow; /* NULL, or for 405 */
	bool words;	   /* in plain text: see API_WORDS */
};
void api_refuse_early(struct http_conn *c, const struct api_early *early);

/* ---- api_request.c: what a request says ---- */

/* Read path parameters, query, credential and conditions into a call that is as large as
 * api_request_room() said. Returns 0 or the fault's ERR_*. */
size_t api_request_room(const struct http_request *req);
int api_request_read(struct api_call *call, const struct http_request *req,
		     const struct api_route_match *match, struct api_fault *fault) MUST_CHECK;

/* Does it have a body, and is it said to be JSON? */
bool api_request_has_body(const struct http_request *req);
bool api_request_is_json(const struct http_request *req);

/* The version that the request wants to find; STORE_ANY: it does not say. */
uint64_t api_expected(const struct api_call *call);

/* ---- api_json.c: records as the API shows them ---- */

/* Return 0 or an ERR_*; *out is NULL then. */
int api_json_account(const struct record_account *r, struct json **out) MUST_CHECK;
int api_json_agent(const struct core_agent_there *there, struct json **out) MUST_CHECK;
int api_json_ports(const struct access_ports *ports, size_t n, struct json **list) MUST_CHECK;
int api_json_credential(const struct api_call *call, const struct record_credential *r,
			struct json **out) MUST_CHECK;
int api_json_tunnels(struct api *a, const struct record_tunnel *r, size_t n,
		     struct json **list) MUST_CHECK;
int api_json_tunnel(struct api *a, const struct record_tunnel *r, struct json **out) MUST_CHECK;
int api_json_session(const struct core_session_info *s, struct json **out) MUST_CHECK;
int api_json_peer(const struct api_peer *p, struct json **out) MUST_CHECK;
int api_json_visitor(const struct core_visitor_info *v, struct json **out) MUST_CHECK;
int api_json_invitation(const struct record_invite *r, struct json **out) MUST_CHECK;
int api_json_urls(const struct api *a, const struct record_tunnel *r,
		  struct json **list) MUST_CHECK;

/* A number "XXXX-XXXX-XXXX-XXXX" as two members: without and with its hyphens. */
int api_json_number(struct json *j, const char *number) MUST_CHECK;

/* Where visitors reach a host: scheme and port around it. */
void api_json_url(const struct api *a, struct str host, char out[API_URL_TEXT]);

/* ---- api_openapi.c ---- */

/* Write the document into a->document. Returns 0 or an ERR_*. */
int api_openapi_write(struct api *a) MUST_CHECK;

/* ---- api_credential.c, besides its handlers ---- */

/*
 * Read ports of a checked list of texts, "443" or "2000-2010".
 *   field  what the list is called, for the fault.
 *   out    [ACCESS_PORTS_MAX] the schema bounds the list by that.
 * Returns 0 or the fault's ERR_INVAL.
 */
int api_read_ports(const struct json *list, const char *field, struct access_ports *out, size_t *n,
		   struct api_fault *fault) MUST_CHECK;

/* ---- handlers, by room ---- */

/* api_account.c */
void api_account_make(struct api_call *call);
void api_account_get(struct api_call *call);
void api_account_rename(struct api_call *call);
void api_account_drop(struct api_call *call);
void api_account_renumber(struct api_call *call);
void api_account_old_token(struct api_call *call);

/* api_credential.c */
void api_credential_list(struct api_call *call);
void api_credential_make(struct api_call *call);
void api_credential_get(struct api_call *call);
void api_credential_change(struct api_call *call);
void api_credential_drop(struct api_call *call);

/* api_tunnel.c */
void api_tunnel_list(struct api_call *call);
void api_tunnel_list_all(struct api_call *call);
void api_tunnel_get(struct api_call *call);
void api_tunnel_drop(struct api_call *call);
void api_tunnel_disconnect(struct api_call *call);
void api_tunnel_sessions(struct api_call *call);
void api_tunnel_end_session(struct api_call *call);
void api_tunnel_visitors(struct api_call *call);
void api_tunnel_agents(struct api_call *call);

/* api_tunnel_edit.c */
void api_tunnel_make(struct api_call *call);
void api_tunnel_put(struct api_call *call);
void api_tunnel_patch(struct api_call *call);

/* api_list.c */
void api_list_put(struct api_call *call);

/* api_open.c */
void api_open_tunnel(struct api_call *call);

/* api_admin.c */
void api_admin_accounts(struct api_call *call);
void api_admin_account_get(struct api_call *call);
void api_admin_account_change(struct api_call *call);
void api_admin_account_disable(struct api_call *call);
void api_admin_account_drop(struct api_call *call);
void api_admin_invitations(struct api_call *call);
void api_admin_invitation_make(struct api_call *call);
void api_admin_invitation_drop(struct api_call *call);

/* api_node.c */
void api_node_facts(struct api_call *call);
void api_node_list(struct api_call *call);
void api_node_health(struct api_call *call);
void api_node_ready(struct api_call *call);
void api_node_ping(struct api_call *call);
void api_node_old_health(struct api_call *call);
void api_node_version(struct api_call *call);
void api_node_document(struct api_call *call);
void api_node_ssh(struct api_call *call);

#endif
