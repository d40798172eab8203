/*
 * Being admitted, on the node's side of SSH (RFC 4252, RFC 4256).
 *
 * Every well-formed key that is offered gets "sign with it", so that nobody learns which keys are
 * known; only what was signed is shown to the owner, who takes its time, and meanwhile nothing more
 * is read. libssh checks signatures, and says nothing, to anybody, when one is wrong or a key is of
 * a kind it does not know: the peer would wait for ever, so such a silence is ended here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "session/secsh_inside.h"

/* Bytes of a key or a certificate in base64. */
#define BLOB_TEXT_MAX (48 * 1024)

/* ---- answers ---- */

static void login_refuse(struct secsh_node *n, ssh_message m)
{
	int methods = 0;

	if (n->methods & (1u << SECSH_KEY))
		methods |= SSH_AUTH_METHOD_PUBLICKEY;
	if (n->methods & (1u << SECSH_TOKEN))
		methods |= SSH_AUTH_METHOD_INTERACTIVE;
	if (methods == 0)
		methods = SSH_AUTH_METHOD_PUBLICKEY; /* an empty list cannot be said */
	(void)ssh_message_auth_set_methods(m, methods);
	(void)ssh_message_reply_default(m);
	ssh_message_free(m);
}

/* Refused, and one try less. */
static void login_count(struct secsh_node *n, ssh_message m)
{
	login_refuse(n, m);
	if (++n->n_refused >= n->tries_max)
		secsh_link_fail(&n->link, ERR_AUTH, STR("Too many authentication failures"));
}

static void login_show_banner(struct secsh_node *n, const char *banner)
{
	ssh_string text;

	if (banner == NULL || (n->banner != NULL && strcmp(n->banner, banner) == 0))
		return;
	free(n->banner);
	n->banner = str_dup(str_of(banner));
	if ((text = ssh_string_from_char(banner)) != NULL)
		(void)ssh_send_issue_banner(n->link.ssh, text);
	ssh_string_free(text);
}

void secsh_node_admit(struct session *s, bool ok, const char *banner)
{
	struct secsh_node *n = secsh_node_of(s);
	ssh_message m = n->login;

	if (m == NULL || n->link.dead)
		return;
	n->login = NULL;
	if (ok) {
		(void)ssh_message_auth_reply_success(m, 0);
		ssh_message_free(m);
		n->admitted = true;
		ev_timer_stop(s->ev, &n->silence);
		secsh_link_up(&n->link);
	} else {
		login_show_banner(n, banner);
		if (n->method == SECSH_NONE && !n->none_tried) {
			n->none_tried = true;
			login_refuse(n, m);
		} else {
			login_count(n, m);
		}
	}
	if (n->link.paused)
		secsh_link_pause(&n->link, false);
	secsh_link_touch(&n->link);
}

/* ---- requests ---- */

static void login_try(struct secsh_node *n, ssh_message m, const struct secsh_login *l)
{
	n->login = m;
	n->method = l->method;
	n->owner->login(n->arg, l);
	if (n->login != NULL && !n->link.dead)
		secsh_link_pause(&n->link, true);
}

static struct secsh_login login_of(struct secsh_node *n, enum secsh_method method)
{
	return (struct secsh_login){.method = method, .user = str_of(n->user)};
}

static void login_none(struct secsh_node *n, ssh_message m)
{
	struct secsh_login l = login_of(n, SECSH_NONE);

	if (n->methods & (1u << SECSH_NONE)) {
		login_try(n, m, &l);
	} else if (!n->none_tried) {
		n->none_tried = true;
		login_refuse(n, m);
	} else {
		login_count(n, m);
	}
}

/* The signature is good: whose key is it? */
static void login_key(struct secsh_node *n, ssh_message m)
{
	struct secsh_login l = login_of(n, SECSH_KEY);
	char *text = NULL;
	uint8_t *blob = NULL;
	size_t len = 0;

	if (ssh_pki_export_pubkey_base64(ssh_message_auth_pubkey(m), &text) != SSH_OK ||
	    strlen(text) > BLOB_TEXT_MAX || (blob = malloc(strlen(text))) == NULL ||
	    base64_decode(str_of(text), blob, strlen(text), &len) != 0) {
		login_count(n, m);
	} else {
		l.blob = (struct str){(const char *)blob, len};
		login_try(n, m, &l);
	}
	free(blob);
	ssh_string_free_char(text);
}

static void login_public_key(struct secsh_node *n, ssh_message m)
{
	switch (n->methods & (1u << SECSH_KEY) ? ssh_message_auth_publickey_state(m)
					       : SSH_PUBLICKEY_STATE_ERROR) {
	case SSH_PUBLICKEY_STATE_NONE:
		if (ssh_message_auth_reply_pk_ok_simple(m) == SSH_OK)
			ssh_message_free(m);
		else
			login_count(n, m);
		break;
	case SSH_PUBLICKEY_STATE_VALID: login_key(n, m); break;
	default: login_count(n, m); break;
	}
}

static void login_token(struct secsh_node *n, ssh_message m)
{
	struct secsh_login l = login_of(n, SECSH_TOKEN);
	const char *prompts[] = {n->prompt};
	char echo[] = {0};

	if (!(n->methods & (1u << SECSH_TOKEN))) {
		login_count(n, m);
	} else if (!ssh_message_auth_kbdint_is_response(m)) {
		n->asked = true;
		(void)ssh_message_auth_interactive_request(m, "", "", 1, prompts, echo);
		ssh_message_free(m);
	} else if (!n->asked || ssh_userauth_kbdint_getnanswers(n->link.ssh) != 1) {
		login_count(n, m);
	} else {
		n->asked = false;
		l.text = str_of(ssh_userauth_kbdint_getanswer(n->link.ssh, 0));
		login_try(n, m, &l);
	}
}

static void login_on_auth(struct secsh_node *n, ssh_message m)
{
	const char *user = ssh_message_auth_user(m);

	if (++n->n_requests > SECSH_AUTH_REQUESTS_MAX ||
	    (user != NULL && str_copy(n->user, sizeof n->user, str_of(user)) != 0)) {
		ssh_message_free(m);
		secsh_link_fail(&n->link, ERR_LIMIT, STR("too many, or too long requests"));
		return;
	}
	switch (ssh_message_subtype(m)) {
	case SSH_AUTH_METHOD_NONE: login_none(n, m); break;
	case SSH_AUTH_METHOD_PUBLICKEY: login_public_key(n, m); break;
	case SSH_AUTH_METHOD_INTERACTIVE: login_token(n, m); break;
	default: login_count(n, m); break;
	}
}

void secsh_login_on_message(struct secsh_node *n, ssh_message m)
{
	const char *service;

	n->seen_packets = n->link.raw.in_packets;
	n->seen_bytes = n->link.raw.in_bytes;
	ev_timer_stop(n->link.session.ev, &n->silence);
	switch (ssh_message_type(m)) {
	case SSH_REQUEST_AUTH: login_on_auth(n, m); return;
	case SSH_REQUEST_SERVICE:
		service = ssh_message_service_service(m);
		n->n_requests++;
		if (service != NULL && strcmp(service, "ssh-userauth") == 0 &&
		    n->n_requests <= SECSH_AUTH_REQUESTS_MAX) {
			(void)ssh_message_service_reply_success(m);
			ssh_message_free(m);
			return;
		}
		break;
	default: break;
	}
	ssh_message_free(m);
	secsh_link_fail(&n->link, ERR_PROTO, STR("a request that does not belong here"));
}

/* ---- silence ---- */

static void login_on_silence(void *arg)
{
	struct secsh_node *n = arg;

	if (n->link.part.waits) { /* what came with it has not been looked at */
		ev_timer_set(n->link.session.ev, &n->silence, SECSH_AUTH_SILENCE_MS);
		return;
	}
	secsh_link_fail(&n->link, ERR_AUTH,
			STR("a key of a kind that is not supported here, or a wrong signature"));
}

void secsh_login_on_turn(struct secsh_node *n)
{
	struct secsh_link *l = &n->link;

	if (l->raw.in_packets > SECSH_AUTH_PACKETS_MAX) {
		secsh_link_fail(l, ERR_LIMIT, STR("too many requests"));
		return;
	}
	if (n->login != NULL || n->n_requests == 0 || l->raw.in_packets == n->seen_packets)
		return;
	if (l->raw.in_bytes - n->seen_bytes >= SECSH_AUTH_REQUEST_LEAST &&
	    !ev_timer_is_set(&n->silence)) {
		n->silence = (struct ev_timer){.fn = login_on_silence, .arg = n};
		ev_timer_set(l->session.ev, &n->silence, SECSH_AUTH_SILENCE_MS);
	}
	n->seen_packets = l->raw.in_packets;
	n->seen_bytes = l->raw.in_bytes;
}

void secsh_login_release(struct secsh_node *n)
{
	ev_timer_stop(n->link.session.ev, &n->silence);
	ssh_message_free(n->login);
	n->login = NULL;
	free(n->banner);
	n->banner = NULL;
}
