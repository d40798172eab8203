/* What karez prints: lines for people, or JSON objects for programs. */
#ifndef KAREZ_APP_KAREZ_SAY_H
#define KAREZ_APP_KAREZ_SAY_H

#include <stdio.h>

#include "agent/agent.h"
#include "agent/rforward.h"

/* How to print. A value; all borrowed. */
struct karez_say {
	FILE *out, *err;  /* results and requests; problems */
	bool json;	  /* everything to out, one object a line */
	bool quiet;	  /* problems only */
	bool verbose;	  /* more words about each request */
	bool bare;	  /* the target was given as a port alone */
	bool certificate; /* it is what proves who we are */
	const char *server;
	const char *agent;	  /* what we call ourselves */
	const char *cert_name;	  /* whom the certificate is for; may be "" */
	const char *const *names; /* [n_names] of the services that are offered */
	size_t n_names;
};

/* Visitors come from now on. */
void karez_say_online(const struct karez_say *say, const struct agent_online *o);

/* The server is not there; trying: another attempt follows. */
void karez_say_offline(const struct karez_say *say, const struct agent_offline *o, bool trying);

/* It has ended; code as in agent_events.ended. */
void karez_say_ended(const struct karez_say *say, int code, const char *reason);

/* The state of the target has changed, as a visitor, or a health check, has found. */
void karez_say_target(const struct karez_say *say, const struct url *to, int e);
void karez_say_health(const struct karez_say *say, const struct url *to, bool up, const char *why);

/* Services are on offer, a tunnel was given to one or taken away again, one is not here. */
void karez_say_offering(const struct karez_say *say, bool again);
void karez_say_assigned(const struct karez_say *say, const struct agent_assigned *t);
void karez_say_taken(const struct karez_say *say, const char *name, int code, const char *reason);
void karez_say_unknown(const struct karez_say *say, const char *tunnel, const char *service);

/* A request is over; wall_ms: since 1970. */
void karez_say_request(const struct karez_say *say, const struct peek_request *r, int64_t wall_ms);

/* A connection is over; wall_ms: since 1970. */
void karez_say_connection(const struct karez_say *say, const struct target_connection *c,
			  int64_t wall_ms);

/* No server is named, and none was found at the guessed place: how to name one or run one. */
void karez_say_no_server(const struct karez_say *say);

/* The server has answered a forward; host: its name. Where it listens is said as it was asked for:
 * it has not said what it made of that. */
void karez_say_forward(const struct karez_say *say, const char *host,
		       const struct rforward_answer *a);

/* A session of SSH is up, perhaps again; it has ended for good, code as in rforward_events.ended.
 */
void karez_say_ssh_up(const struct karez_say *say, bool again);
void karez_say_ssh_ended(const struct karez_say *say, int code, const char *reason);

/* ---- karez up ---- */

/* A service is there for visitors from now on. */
void karez_say_service(const struct karez_say *say, const char *service,
		       const struct agent_online *o);

/* The server is there again, and so are all services. */
void karez_say_back(const struct karez_say *say);

/* What an edit of the services file has done to a service. */
enum karez_edit { KAREZ_EDIT_ADDED, KAREZ_EDIT_CHANGED, KAREZ_EDIT_REMOVED };
void karez_say_edit(const struct karez_say *say, enum karez_edit edit, const char *service,
		    const struct url *target);

/* The services file cannot be used as it is. why: a line with the place; stays: what ran before is
 * served on. */
void karez_say_file(const struct karez_say *say, const char *why, bool stays);

/* A service was refused or taken away for good; what its record shall say was refused, and it goes
 * on as it was; it is refused for now, and asked for again and again. */
enum karez_no { KAREZ_NO_LOST, KAREZ_NO_KEPT, KAREZ_NO_DELAYED };
void karez_say_no(const struct karez_say *say, enum karez_no no, const char *service, int code,
		  const char *reason);

/* Something worth knowing, which may hold what others have sent. */
void karez_say_notice(const struct karez_say *say, const char *text);

/* Any other problem: a sentence without a full stop. */
void karez_say_problem(const struct karez_say *say, const char *text);

#endif
