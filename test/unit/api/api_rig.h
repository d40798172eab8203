/* An API over a real core and a memory store, asked over memory wires on virtual time. */
#ifndef KAREZ_TEST_UNIT_API_API_RIG_H
#define KAREZ_TEST_UNIT_API_API_RIG_H

#include "api/api.h"
#include "proto/json.h"
#include "unit/core/core_rig.h"

/* Who asks: places in api_rig.who. */
enum api_asker_kind { NOBODY, ADMIN, USER, OTHER, STRANGER, API_ASKERS };

struct api_rig {
	struct core_rig core; /* registration is open */
	struct api *api;
	struct api_opt opt;
	struct passwords *passwords;
	struct http_deadlines deadlines;
	bool ready;
	char token[API_ASKERS][CORE_TOKEN_TEXT];
	struct access_who who[API_ASKERS];
	char number[CORE_NUMBER_TEXT]; /* of USER */
	size_t n_ports;		       /* that tunnels have */
	/* the last answer */
	struct wire *peer; /* of the connection that it came on */
	struct http_conn *conn;
	bool open;   /* it asks open.<domain> */
	bool manage; /* it asks the management listener */
	unsigned status;
	char head[4096], field[1024], *got; /* got: all bytes, NUL behind them */
	size_t n_got, got_cap;
	struct json *body; /* NULL: none, or not JSON */
};

/* An administrator, two users, and STRANGER: a token that nobody has. */
void api_rig_new(struct api_rig *r, enum core_registration registration);

/*
 * The same, where tunnels may have ports from 1024 on and custom domains that nobody has proven,
 * and TLS is read on port 8443. Another program has port API_RIG_BUSY; no address of this machine
 * is API_RIG_NOWHERE.
 */
#define API_RIG_BUSY	9999
#define API_RIG_NOWHERE "203.0.113.9"
void api_rig_new_with_ports(struct api_rig *r);
void api_rig_free(struct api_rig *r);

/*
 * Send the bytes of a request on a connection of its own; what is left of it stays open until the
 * next one, or api_rig_hang_up(). Returns the status, 0 if there was no answer yet.
 */
unsigned api_rig_send(struct api_rig *r, const char *bytes, size_t len);
void api_rig_hang_up(struct api_rig *r);

/* Let time pass and look whether the answer has come. */
unsigned api_rig_wait(struct api_rig *r, uint64_t ms);

/*
 * Ask.
 *   what   "PUT /v1/tunnels/demo".
 *   extra  more lines of the head, each with its line end; "" none.
 *   body   sent as JSON; NULL: none.
 */
unsigned api_rig_ask_with(struct api_rig *r, enum api_asker_kind who, const char *what,
			  const char *extra, const char *body);
unsigned api_rig_ask(struct api_rig *r, enum api_asker_kind who, const char *what,
		     const char *body);

/*
 * A text member of the last answer by its dotted path ("ingress.http.url"); a list's entry by its
 * number. "" when it is not there. Borrowed until the next one.
 */
const char *api_rig_text(struct api_rig *r, const char *path);
/* The same for a number; UINT64_MAX when it is not there. */
uint64_t api_rig_number(struct api_rig *r, const char *path);
/* How many entries. */
size_t api_rig_count(struct api_rig *r, const char *path);
/* true and there. */
bool api_rig_bool(struct api_rig *r, const char *path);

/* A field of the last answer's head; "" when it is not there. Borrowed until the next call. */
const char *api_rig_field(struct api_rig *r, const char *name);

#endif
