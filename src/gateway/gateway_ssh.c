/*
 * The door for stock SSH clients: how many may stand in front of it and for how long, and how what
 * they show becomes an account.
 *
 * Whoever is refused learns nothing: the same words, whether a key is not known, is a certificate
 * that has ended, or belongs to nobody. What it was stands in the log.
 */
#include "gateway/gateway_ssh.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/show.h"
#include "net/net_sock.h"
#include "proto/cidr.h"
#include "proto/ssh_blob.h"
#include "proto/ssh_key.h"

/* What a credential is in the log. */
static const char *const gateway_ssh_methods[SECSH_METHODS] = {"none", "key", "token"};

/* Users that say that they are nobody. */
static const char *const gateway_ssh_nobody[] = {"anonymous", "nokey"};

static const char gateway_ssh_key_refused[] =
	"karez: this key is not known here. Upload it with: karez key add "
	"~/.ssh/id_ed25519.pub\n";
static const char gateway_ssh_key_or_token[] =
	"karez: this key is not known here. Upload it with: karez key add "
	"~/.ssh/id_ed25519.pub\nor type a token of your account when you are asked for it.\n";
static const char gateway_ssh_token_refused[] = "karez: this token is not known here.\n";

bool gateway_ssh_may_log(const struct gateway_ssh *s)
{
	struct gateway *g = s->entry.gateway;

	return log_pace_take(&g->ssh_pace, g->ev, g->opt.log);
}

/* ---- in front of the door ---- */

static void gateway_ssh_set_net(const struct visit_end *peer, uint8_t net[16])
{
	if (cidr_ip_parse(str_of(peer->ip), net) != 0)
		memset(net, 0, 16);
	else if (!cidr_ip_is_v4(net))
		memset(net + 8, 0, 8);
}

/* Returns 0 or why nobody is let in. There are few of them: starts_max. */
static int gateway_ssh_judge(const struct gateway *g, const uint8_t net[16])
{
	size_t n = 0;

	if (g->draining)
		return ERR_DRAIN;
	if (gateway_is_full(g) || g->n_starts >= g->opt.ssh->starts_max)
		return ERR_LIMIT;
	LIST_FOR_EACH (link, &g->starts)
		n += memcmp(CONTAINER_OF(link, struct gateway_ssh, entry.link)->net, net, 16) == 0;
	return n >= g->opt.ssh->starts_per_ip ? ERR_LIMIT : 0;
}

static void gateway_ssh_on_grace(void *arg)
{
	gateway_ssh_end(arg, ERR_TIMEOUT, STR("nobody has logged in in time"));
}

static int gateway_ssh_new(struct gateway *g, int fd, const struct visit_end *peer,
			   struct gateway_ssh **out)
{
	const struct gateway_ssh_opt *opt = g->opt.ssh;
	struct secsh_node_opt node = {.keys = opt->keys,
				      .share = g->share,
				      .methods = 1u << SECSH_KEY,
				      .tries_max = opt->tries_max,
				      .prompt = "token of your account: ",
				      .owner = &gateway_ssh_owner};
	struct gateway_ssh *s = calloc(1, sizeof *s);
	int e = ERR_NOMEM;

	if (s == NULL)
		return e;
	if (opt->anonymous)
		node.prompt = "token of your account (none: a new account): ";
	node.methods |= opt->ask_token ? 1u << SECSH_TOKEN : 0;
	node.methods |= opt->anonymous ? 1u << SECSH_NONE : 0;
	node.arg = s;
	s->entry.gateway = g;
	s->entry.who.peer = *peer;
	list_init(&s->forwards);
	if ((e = secsh_node_new(g->ev, fd, &node, &s->entry.session)) != 0)
		free(s);
	else
		*out = s;
	return e;
}

void gateway_ssh(struct gateway *g, int fd, const struct visit_end *peer)
{
	struct gateway_ssh *s = NULL;
	uint8_t net[16];
	int e;

	gateway_ssh_set_net(peer, net);
	if ((e = gateway_ssh_judge(g, net)) == 0)
		e = gateway_ssh_new(g, fd, peer, &s);
	if (e != 0) {
		if (log_pace_take(&g->ssh_pace, g->ev, g->opt.log))
			log_info(g->opt.log, "event=ssh-refused peer=%s peer_port=%u code=%s",
				 peer->ip, peer->port, err_name(e));
		net_close(fd, false);
		return;
	}
	memcpy(s->net, net, sizeof s->net);
	s->grace = (struct ev_timer){.fn = gateway_ssh_on_grace, .arg = s};
	list_push(&g->starts, &s->entry.link);
	g->n_starts++;
	ev_timer_set(g->ev, &s->grace, g->opt.ssh->grace_ms);
}

void gateway_ssh_end_starts(struct gateway *g, int why, struct str reason)
{
	while (!list_empty(&g->starts))
		gateway_ssh_end(CONTAINER_OF(g->starts.next, struct gateway_ssh, entry.link), why,
				reason);
}

/* ---- refusals ---- */

/* reason: for the log alone. */
static void gateway_ssh_log_refusal(const struct gateway_ssh *s, int e, const char *reason)
{
	char user[GATEWAY_SSH_SHOWN], peer[GATEWAY_SSH_SHOWN], words[CORE_REASON_TEXT];

	if (!gateway_ssh_may_log(s))
		return;
	show_quoted(user, sizeof user, (struct str){s->user, s->user_len});
	show_quoted(peer, sizeof peer, str_of(secsh_node_peer(s->entry.session)));
	show_quoted(words, sizeof words, str_of(reason));
	log_info(s->entry.gateway->opt.log,
		 "event=ssh-refused peer=%s peer_port=%u user=\"%s\" method=%s%s%s code=%s "
		 "software=\"%s\" reason=\"%s\"",
		 s->entry.who.peer.ip, s->entry.who.peer.port, user,
		 s->certificate.len > 0 ? "certificate" : gateway_ssh_methods[s->method],
		 s->fingerprint[0] != '\0' ? " key=" : "", s->fingerprint, err_name(e), peer,
		 words);
}

/*
 * What the person is told before the next try.
 *   room  where words that are not always the same are written.
 */
static const char *gateway_ssh_banner(const struct gateway_ssh *s, int e, const char *reason,
				      char room[CORE_REASON_TEXT + 16])
{
	if (e == ERR_AUTH && s->method == SECSH_TOKEN)
		return gateway_ssh_token_refused;
	if (e == ERR_AUTH)
		return s->entry.gateway->opt.ssh->ask_token ? gateway_ssh_key_or_token
							    : gateway_ssh_key_refused;
	/* the proof was good, or was not even looked at: nothing is given away */
	str_printf(room, CORE_REASON_TEXT + 16, "karez: %s\n", reason);
	return room;
}

static void gateway_ssh_refuse(struct gateway_ssh *s, int e, const char *reason)
{
	char room[CORE_REASON_TEXT + 16];

	gateway_ssh_log_refusal(s, e, reason);
	secsh_node_admit(s->entry.session, false, gateway_ssh_banner(s, e, reason, room));
}

/* ---- what is shown at the door ---- */

static void gateway_ssh_on_login(void *arg, const struct core_login *login)
{
	struct gateway_ssh *s = arg;

	s->login = NULL;
	if (login->e != 0)
		gateway_ssh_refuse(s, login->e, login->reason);
	else
		gateway_ssh_begin(s, login);
}

static void gateway_ssh_ask(struct gateway_ssh *s, const struct core_proof *proof)
{
	s->login = core_login(s->entry.gateway->opt.core, proof, gateway_ssh_on_login, s);
	if (s->login == NULL)
		gateway_ssh_refuse(s, ERR_LIMIT, "too many log in at once; try again");
}

static bool gateway_ssh_is_nobody(struct str user)
{
	for (size_t i = 0; i < ARRAY_LEN(gateway_ssh_nobody); i++)
		if (str_eq(user, str_of(gateway_ssh_nobody[i])))
			return true;
	return false;
}

/* Most clients begin so, to learn what else there is: refusing it is no event. */
static void gateway_ssh_try_none(struct gateway_ssh *s, const struct secsh_login *l)
{
	const struct core_proof proof = {.type = CORE_PROOF_NONE};

	if (s->entry.gateway->opt.ssh->anonymous && gateway_ssh_is_nobody(l->user))
		gateway_ssh_ask(s, &proof);
	else
		secsh_node_admit(s->entry.session, false, NULL);
}

static void gateway_ssh_try_token(struct gateway_ssh *s, const struct secsh_login *l)
{
	struct core_proof proof = {.type = CORE_PROOF_BEARER, .text = str_trim(l->text)};

	if (proof.text.len == 0 && s->entry.gateway->opt.ssh->anonymous)
		proof.type = CORE_PROOF_NONE;
	gateway_ssh_ask(s, &proof);
}

/* A key as a line; empty: it is not of a kind that is taken. */
static struct str gateway_ssh_key_line(struct str blob, struct ssh_key *key)
{
	char text[SSH_KEY_LINE_TEXT];
	struct str rest = blob, type;
	size_t n;

	if (blob.len > SSH_KEY_BLOB_MAX || !ssh_blob_string(&rest, &type) ||
	    type.len >= SSH_KEY_TYPE_TEXT)
		return STR("");
	n = str_printf(text, sizeof text, STR_FMT " ", STR_ARG(type));
	n += base64_encode(BASE64, blob.p, blob.len, text + n);
	return ssh_key_parse((struct str){text, n}, key, NULL) == 0 ? str_of(key->line) : STR("");
}

static void gateway_ssh_try_key(struct gateway_ssh *s, const struct secsh_login *l)
{
	struct core_proof proof = {.type = CORE_PROOF_SSH_KEY};
	char fingerprint[DIGEST_SSH_TEXT];
	struct ssh_key key;

	if (digest_ssh(l->blob, fingerprint) != 0) {
		gateway_ssh_refuse(s, ERR_NOMEM, "the server is out of memory; try again later");
		return;
	}
	str_printf(s->fingerprint, sizeof s->fingerprint, "%s", fingerprint);
	proof.text = str_of(fingerprint);
	if (s->entry.gateway->opt.ssh->anonymous)
		proof.line = gateway_ssh_key_line(l->blob, &key);
	gateway_ssh_ask(s, &proof);
}

static void gateway_ssh_try_certificate(struct gateway_ssh *s, const struct secsh_login *l)
{
	const struct gateway *g = s->entry.gateway;
	struct ssh_ca_ask ask = {.blob = l->blob,
				 .user = l->user,
				 .ip = s->entry.who.peer.ip,
				 .now_ms = ev_wall_ms(g->ev)};
	struct core_proof proof = {.type = CORE_PROOF_CERTIFICATE};
	char principal[SSH_CA_NAME_TEXT], why[SSH_CA_WHY] = "certificates prove nothing here";
	int e = buf_add(&s->certificate, l->blob.p, l->blob.len, SSH_CERT_MAX);

	if (e == 0)
		e = g->opt.ssh->ca == NULL ? ERR_AUTH
					   : ssh_ca_check(g->opt.ssh->ca, &ask, principal, why);
	if (e == ERR_TOOBIG)
		e = ERR_AUTH;
	if (e != 0) {
		gateway_ssh_refuse(s, e, e == ERR_AUTH ? why : "the server is out of memory");
		return;
	}
	proof.text = str_of(principal);
	gateway_ssh_ask(s, &proof);
}

void gateway_ssh_on_try(void *arg, const struct secsh_login *l)
{
	struct gateway_ssh *s = arg;

	s->method = l->method;
	s->user_len = MIN(l->user.len, sizeof s->user);
	if (s->user_len > 0)
		memcpy(s->user, l->user.p, s->user_len);
	s->fingerprint[0] = '\0';
	buf_free(&s->certificate);
	switch (l->method) {
	case SECSH_KEY:
		if (ssh_cert_is(l->blob))
			gateway_ssh_try_certificate(s, l);
		else
			gateway_ssh_try_key(s, l);
		break;
	case SECSH_TOKEN: gateway_ssh_try_token(s, l); break;
	default: gateway_ssh_try_none(s, l); break;
	}
}
