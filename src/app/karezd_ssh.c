/* The door for SSH has more to be made ready than the others; so it stands beside karezd_main.c. */
#include "app/karezd_ssh.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "app/ssh_door.h"
#include "app/state_dir.h"
#include "base/buf.h"
#include "base/err.h"

struct karezd_ssh {
	const struct karezd_settings *set; /* borrowed */
	struct secsh_keys *keys;	   /* owned */
	struct ssh_ca *ca;		   /* owned, NULL without --ssh-ca */
	struct gateway_ssh_opt gateway;
	struct api_ssh api;
	struct ssh_door *doors[KAREZD_SSH_LISTEN_MAX]; /* owned */
	size_t n_doors;
};

/* ---- host keys ---- */

_Static_assert(SECSH_KEYS <= API_SSH_KEYS_MAX, "all host keys are told");
_Static_assert(KAREZD_SSH_LISTEN_MAX <= API_SSH_PORTS_MAX, "all ports of its own are told");

static int karezd_ssh_open_keys(struct karezd_ssh *s, const char *dir, char *why)
{
	char path[1100], text[SECSH_WHY_TEXT];
	int e;

	if (str_printf(path, sizeof path, "%s/ssh", dir) >= sizeof path - 1) {
		str_printf(why, KAREZD_SSH_WHY, "the path of --state-dir is too long");
		return ERR_TOOBIG;
	}
	path[strlen(dir)] = '\0';
	state_dir_make(path);
	path[strlen(dir)] = '/';
	state_dir_make(path);
	if ((e = secsh_keys_open(path, &s->keys, text)) != 0) {
		str_printf(why, KAREZD_SSH_WHY, "%s (see --state-dir)", text);
		return e;
	}
	for (size_t i = 0; i < SECSH_KEYS; i++) {
		const struct secsh_host_key *key = secsh_keys_at(s->keys, i);

		s->api.keys[s->api.n_keys++] =
			(struct api_ssh_key){key->type, key->fingerprint, key->line};
	}
	return 0;
}

void karezd_ssh_say_keys(const struct karezd_ssh *s, FILE *out)
{
	for (size_t i = 0; i < s->api.n_keys; i++)
		fprintf(out, "ssh host key %s (%s)\n", s->api.keys[i].fingerprint,
			s->api.keys[i].type);
	fflush(out);
}

/* ---- authorities ---- */

/*
 * Read a whole file.
 *   text  set on success; the caller frees text->p.
 */
static int karezd_ssh_read(const char *file, struct str *text, char *why)
{
	char *p = must_calloc(1, KAREZD_SSH_CA_MAX + 1);
	FILE *f = fopen(file, "re");
	size_t n = f != NULL ? fread(p, 1, KAREZD_SSH_CA_MAX + 1, f) : 0;
	int e = 0;

	if (f == NULL || ferror(f)) {
		str_printf(why, KAREZD_SSH_WHY, "--ssh-ca: cannot read the file %s: %s", file,
			   strerror(errno));
		e = ERR_IO;
	} else if (n > KAREZD_SSH_CA_MAX) {
		str_printf(why, KAREZD_SSH_WHY, "--ssh-ca: the file %s is too long", file);
		e = ERR_TOOBIG;
	}
	if (f != NULL)
		fclose(f);
	if (e != 0)
		free(p);
	else
		*text = (struct str){p, n};
	return e;
}

static int karezd_ssh_open_ca(struct karezd_ssh *s, char *why)
{
	char reason[SSH_CA_WHY];
	struct str text;
	int e;

	if (s->set->ssh_ca == NULL)
		return 0;
	if ((e = karezd_ssh_read(s->set->ssh_ca, &text, why)) != 0)
		return e;
	if ((e = ssh_ca_new(text, &s->ca, reason)) != 0)
		str_printf(why, KAREZD_SSH_WHY, "--ssh-ca: the file %s: %s", s->set->ssh_ca,
			   reason);
	free((char *)(uintptr_t)text.p);
	return e;
}

/* ---- life ---- */

int karezd_ssh_check_ca(const struct karezd_settings *set, char *why)
{
	struct karezd_ssh s = {.set = set};
	int e = karezd_ssh_open_ca(&s, why);

	ssh_ca_free(s.ca);
	return e;
}

static void karezd_ssh_set_gateway(struct karezd_ssh *s, const char *domain)
{
	const struct karezd_settings *set = s->set;

	s->gateway = (struct gateway_ssh_opt){
		.keys = s->keys,
		.ca = s->ca,
		.domain = domain,
		.ask_token = set->ssh_token == KAREZD_SSH_TOKEN_ON,
		.anonymous = set->registration == CORE_OPEN,
		.everywhere = set->ssh_gateway_ports == KAREZD_SSH_PORTS_YES,
		.grace_ms = (uint32_t)set->ssh_grace_ms,
		.starts_max = (size_t)set->ssh_starts_max,
		.starts_per_ip = (size_t)set->ssh_starts_per_ip,
		.tries_max = (unsigned)set->ssh_tries_max,
	};
}

int karezd_ssh_new(const struct karezd_settings *set, const char *dir, const char *domain,
		   struct karezd_ssh **out, char *why)
{
	struct karezd_ssh *s = must_calloc(1, sizeof *s);
	int e;

	s->set = set;
	if ((e = karezd_ssh_open_ca(s, why)) != 0 || (e = karezd_ssh_open_keys(s, dir, why)) != 0)
		goto out;
	karezd_ssh_set_gateway(s, domain);
	MOVE(*out, s);
out:
	karezd_ssh_free(s);
	return e;
}

const struct gateway_ssh_opt *karezd_ssh_gateway(const struct karezd_ssh *s)
{
	return &s->gateway;
}

const struct api_ssh *karezd_ssh_api(const struct karezd_ssh *s)
{
	return &s->api;
}

/* A port is told once, however many addresses have it. */
void karezd_ssh_tell_port(struct karezd_ssh *s, uint16_t port)
{
	for (size_t i = 0; i < s->api.n_ports; i++)
		if (s->api.ports[i] == port)
			return;
	if (s->api.n_ports < API_SSH_PORTS_MAX)
		s->api.ports[s->api.n_ports++] = port;
}

static const char *karezd_ssh_why(int e)
{
	switch (e) {
	case ERR_INUSE: return "address already in use; is an sshd running there?";
	case ERR_DENIED: return "not permitted; ports below 1024 need CAP_NET_BIND_SERVICE";
	case ERR_INVAL: return "this machine has no such address";
	default: return err_text(e);
	}
}

static int karezd_ssh_open_door(struct karezd_ssh *s, struct node *node,
				const struct karezd_ssh_place *at, const char *listen)
{
	struct ssh_door_opt opt = {.listen = listen, .node = node, .log = at->log};
	struct ssh_door **door = &s->doors[s->n_doors];
	char text[NET_ADDR_TEXT];
	struct net_addr addr;
	int e = ssh_door_parse(str_of(listen), &addr);

	if (e == 0)
		opt.fd = socket_table_take(at->had, &addr, NULL);
	if (e != 0 || (e = ssh_door_open(at->ev, &opt, door)) != 0)
		return e;
	s->n_doors++;
	karezd_ssh_tell_port(s, net_addr_port(ssh_door_addr(*door)));
	if (!at->quiet)
		log_info(at->log, "event=listen address=%s ssh=1",
			 net_addr_format(ssh_door_addr(*door), text));
	return 0;
}

int karezd_ssh_listen(struct karezd_ssh *s, struct node *node, const struct karezd_ssh_place *at,
		      char *why)
{
	for (size_t i = 0; i < s->set->ssh_listen.n && i < KAREZD_SSH_LISTEN_MAX; i++) {
		const char *listen = s->set->ssh_listen.v[i];
		int e = karezd_ssh_open_door(s, node, at, listen);

		if (e != 0) {
			str_printf(why, KAREZD_SSH_WHY, "--ssh-listen %s: cannot listen: %s",
				   listen, karezd_ssh_why(e));
			return e;
		}
	}
	return 0;
}

void karezd_ssh_close(struct karezd_ssh *s)
{
	while (s->n_doors > 0)
		ssh_door_close(s->doors[--s->n_doors]);
}

void karezd_ssh_free(struct karezd_ssh *s)
{
	if (s == NULL)
		return;
	karezd_ssh_close(s);
	secsh_keys_free(s->keys);
	ssh_ca_free(s->ca);
	free(s);
}
