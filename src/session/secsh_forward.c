/*
 * Forwards, on the node's side of SSH (RFC 4254 7.1): asked for, answered in the order of the
 * requests, ended, and opened for visitors.
 *
 * The replies to global requests carry no number, so the order is all that the peer has. libssh
 * answers keepalives by itself and at once; a peer that hears from us does not send any, so while
 * an answer is due we send what is to be ignored, and read nothing if we can.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "session/secsh_inside.h"

/* ---- answers ---- */

static struct secsh_forward *forward_find(struct secsh_node *n, const char *address, int port)
{
	LIST_FOR_EACH (it, &n->forwards) {
		struct secsh_forward *f = CONTAINER_OF(it, struct secsh_forward, link);

		if (f->port == port && strcmp(f->address, address) == 0)
			return f;
	}
	return NULL;
}

static void forward_free(struct secsh_node *n, struct secsh_forward *f)
{
	list_del(&f->link);
	n->n_forwards--;
	free(f->address);
	free(f);
}

static void request_free(struct secsh_node *n, struct secsh_request *r)
{
	list_del(&r->link);
	n->n_waiting--;
	ssh_message_free(r->message);
	free(r);
}

/* Returns 0, or ERR_NOMEM: nothing is granted. */
static int forward_grant(struct secsh_node *n, const struct secsh_request *r)
{
	struct secsh_forward *f = calloc(1, sizeof *f);

	if (f == NULL ||
	    (f->address = str_dup(str_of(ssh_message_global_request_address(r->message)))) ==
		    NULL) {
		free(f);
		return ERR_NOMEM;
	}
	f->id = r->id;
	f->port = (uint16_t)ssh_message_global_request_port(r->message);
	if (f->port == 0)
		f->port = r->port;
	memcpy(f->tunnel, r->tunnel, sizeof f->tunnel);
	list_push(&n->forwards, &f->link);
	n->n_forwards++;
	return 0;
}

static void forward_reply(struct secsh_node *n, struct secsh_request *r)
{
	struct secsh_forward *f;
	uint64_t id = 0;

	if (r->cancel) {
		f = forward_find(n, ssh_message_global_request_address(r->message),
				 ssh_message_global_request_port(r->message));
		r->e = f == NULL ? ERR_NOTFOUND : 0;
		if (f != NULL) {
			id = f->id;
			forward_free(n, f);
		}
	} else if (r->e == 0) {
		r->e = forward_grant(n, r);
	}
	if (r->e == 0)
		(void)ssh_message_global_request_reply_success(r->message, r->port);
	else
		(void)ssh_message_reply_default(r->message);
	request_free(n, r);
	if (id != 0)
		n->owner->cancelled(n->arg, id);
}

/* Read on. */
static void forward_listen(struct secsh_node *n)
{
	if (!ev_timer_is_set(&n->hush))
		return;
	ev_timer_stop(n->link.session.ev, &n->hush);
	secsh_link_pause(&n->link, false);
}

static void forward_on_hushed(void *arg)
{
	struct secsh_node *n = arg;

	secsh_link_pause(&n->link, false);
}

/* Send the answers that are due now. */
static void forward_answer(struct secsh_node *n)
{
	if (n->answering)
		return;
	n->answering = true;
	while (!list_empty(&n->waiting) && !n->link.dead) {
		struct secsh_request *r = CONTAINER_OF(n->waiting.next, struct secsh_request, link);

		if (!r->answered)
			break;
		forward_reply(n, r);
	}
	n->answering = false;
	if (list_empty(&n->waiting)) {
		ev_timer_stop(n->link.session.ev, &n->calm);
		forward_listen(n);
	}
	secsh_link_touch(&n->link);
}

void secsh_node_forwarded(struct session *s, uint64_t id, int e, uint16_t port, const char *tunnel)
{
	struct secsh_node *n = secsh_node_of(s);

	if (n->link.dead)
		return;
	LIST_FOR_EACH (it, &n->waiting) {
		struct secsh_request *r = CONTAINER_OF(it, struct secsh_request, link);

		if (r->id != id || r->answered)
			continue;
		r->answered = true;
		r->e = e;
		r->port = port;
		if (e == 0 && str_copy(r->tunnel, sizeof r->tunnel, str_of(tunnel)) != 0)
			r->e = ERR_TOOBIG;
		break;
	}
	forward_answer(n);
}

void secsh_node_hush(struct session *s, uint64_t id)
{
	struct secsh_node *n = secsh_node_of(s);

	if (n->link.dead || ev_timer_is_set(&n->hush))
		return;
	LIST_FOR_EACH (it, &n->waiting) {
		struct secsh_request *r = CONTAINER_OF(it, struct secsh_request, link);

		if (r->id != id || r->answered)
			continue;
		n->hush = (struct ev_timer){.fn = forward_on_hushed, .arg = n};
		ev_timer_set(s->ev, &n->hush, SECSH_HUSH_MS);
		secsh_link_pause(&n->link, true);
		break;
	}
}

/* ---- requests ---- */

static void forward_on_calm(void *arg)
{
	struct secsh_node *n = arg;

	(void)ssh_send_ignore(n->link.ssh, "");
	ev_timer_set(n->link.session.ev, &n->calm, SECSH_CALM_MS);
	secsh_link_touch(&n->link);
}

static struct secsh_request *request_new(struct secsh_node *n, ssh_message m)
{
	struct secsh_request *r = calloc(1, sizeof *r);

	if (r == NULL)
		return NULL;
	r->id = ++n->last_id;
	r->message = m;
	r->cancel = ssh_message_subtype(m) == SSH_GLOBAL_REQUEST_CANCEL_TCPIP_FORWARD;
	list_push(&n->waiting, &r->link);
	n->n_waiting++;
	if (!ev_timer_is_set(&n->calm)) {
		n->calm = (struct ev_timer){.fn = forward_on_calm, .arg = n};
		ev_timer_set(n->link.session.ev, &n->calm, SECSH_CALM_MS);
	}
	return r;
}

/* It waits, and may still become a forward. */
static bool request_is_open(const struct secsh_request *r)
{
	return !r->cancel && (!r->answered || r->e == 0);
}

/*
 * What no owner has to be asked about. Whoever waits counts as if it were granted, so that what is
 * refused does not depend on how fast the answers come.
 *   r  one of those who wait.
 */
static int forward_check(struct secsh_node *n, const struct secsh_request *r)
{
	const char *address = ssh_message_global_request_address(r->message);
	int port = ssh_message_global_request_port(r->message);
	size_t n_open = n->n_forwards;
	bool twice;

	if (address == NULL || strlen(address) > SECSH_ADDRESS_MAX)
		return ERR_INVAL;
	twice = port != 0 && forward_find(n, address, port) != NULL;
	LIST_FOR_EACH (it, &n->waiting) {
		const struct secsh_request *o = CONTAINER_OF(it, struct secsh_request, link);

		if (!request_is_open(o))
			continue;
		n_open++;
		twice |= o != r && port != 0 &&
			 ssh_message_global_request_port(o->message) == port &&
			 strcmp(ssh_message_global_request_address(o->message), address) == 0;
	}
	if (n_open > SECSH_FORWARDS_MAX)
		return ERR_LIMIT;
	return twice ? ERR_INUSE : 0;
}

void secsh_forward_on_message(struct secsh_node *n, ssh_message m)
{
	const char *address = ssh_message_global_request_address(m);
	int port = ssh_message_global_request_port(m);
	struct secsh_request *r = NULL;

	if (n->n_waiting < SECSH_WAITING_MAX)
		r = request_new(n, m);
	if (r == NULL) {
		ssh_message_free(m);
		secsh_link_fail(&n->link, ERR_LIMIT, STR("too many requests at once"));
		return;
	}
	r->e = r->cancel ? 0 : forward_check(n, r);
	r->answered = r->cancel || r->e != 0;
	if (!r->answered)
		n->owner->forward(n->arg, r->id, str_of(address), (uint16_t)port);
	else if (!r->cancel)
		n->owner->unforwarded(n->arg, r->e, str_of(address != NULL ? address : ""),
				      (uint16_t)port);
	if (!n->link.dead)
		forward_answer(n);
}

/* ---- for visitors ---- */

void secsh_node_unforward(struct session *s, const char *tunnel)
{
	LIST_FOR_EACH (it, &secsh_node_of(s)->forwards) {
		struct secsh_forward *f = CONTAINER_OF(it, struct secsh_forward, link);

		if (strcmp(f->tunnel, tunnel) == 0)
			f->tunnel[0] = '\0'; /* the peer may still cancel it */
	}
}

int secsh_forward_open(struct session *s, const struct visit *visit, struct wire **out)
{
	struct secsh_node *n = secsh_node_of(s);
	struct secsh_wire_ends ends = {.origin = visit->visitor.ip,
				       .origin_port = visit->visitor.port};

	if (n->link.dead || s->is_draining)
		return ERR_DRAIN;
	if (ends.origin[0] == '\0')
		ends.origin = "0.0.0.0";
	LIST_FOR_EACH (it, &n->forwards) {
		struct secsh_forward *f = CONTAINER_OF(it, struct secsh_forward, link);

		if (strcmp(f->tunnel, visit->tunnel) != 0)
			continue;
		ends.address = f->address;
		ends.port = f->port;
		return secsh_wire_open(&n->link, &ends, out);
	}
	return ERR_NOTFOUND;
}

void secsh_forward_release(struct secsh_node *n)
{
	ev_timer_stop(n->link.session.ev, &n->calm);
	ev_timer_stop(n->link.session.ev, &n->hush);
	while (!list_empty(&n->waiting))
		request_free(n, CONTAINER_OF(n->waiting.next, struct secsh_request, link));
	while (!list_empty(&n->forwards))
		forward_free(n, CONTAINER_OF(n->forwards.next, struct secsh_forward, link));
}
