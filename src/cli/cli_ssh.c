/* Somebody who has ssh and nothing else is told what to type. */
#include "cli/cli_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

/* What is known about the server's SSH; borrowed from the answer. */
struct cli_ssh {
	uint64_t port;
	struct str type, fingerprint, key; /* of the best host key */
};

/* The first of the usual public keys that is there; the one to be made if none is. */
static const char *cli_ssh_file(bool *exists)
{
	static const char *const names[] = {"id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"};
	static const char *const shown[] = {"~/.ssh/id_ed25519.pub", "~/.ssh/id_ecdsa.pub",
					    "~/.ssh/id_rsa.pub"};
	const char *home = getenv("HOME");
	char path[4096];

	*exists = true;
	for (size_t i = 0; i < ARRAY_LEN(names) && home != NULL; i++) {
		str_printf(path, sizeof path, "%s/.ssh/%s", home, names[i]);
		if (access(path, R_OK) == 0)
			return shown[i];
	}
	*exists = false;
	return shown[0];
}

/* ed25519 is what ssh asks for first. */
static int cli_ssh_read(const struct json *j, struct cli_ssh *out)
{
	const struct json *keys, *ports, *best;

	if (json_get_list(j, "host_keys", &keys) != 0 || json_get_list(j, "ports", &ports) != 0 ||
	    json_count(keys) == 0 || json_count(ports) == 0)
		return ERR_PROTO;
	best = json_at(keys, 0);
	for (size_t i = 0; i < json_count(keys); i++)
		if (strcmp(cli_show_text(json_at(keys, i), "type"), "ssh-ed25519") == 0)
			best = json_at(keys, i);
	if (json_number(json_at(ports, 0), 65535, &out->port) != 0 || out->port == 0 ||
	    json_get_text(best, "type", &out->type) != 0 ||
	    json_get_text(best, "fingerprint", &out->fingerprint) != 0 ||
	    json_get_text(best, "key", &out->key) != 0)
		return ERR_PROTO;
	return 0;
}

static void cli_ssh_tell(struct cli *cli, const struct cli_ssh *ssh)
{
	const char *host = cli->server.host;
	bool exists;
	const char *file = cli_ssh_file(&exists);
	char port[16] = "", name[HOSTNAME_MAX + 16];

	str_printf(name, sizeof name, "%s", host);
	if (ssh->port != 22) {
		str_printf(port, sizeof port, "-p %u ", (unsigned)ssh->port);
		str_printf(name, sizeof name, "[%s]:%u", host, (unsigned)ssh->port);
	}
	cli_say(cli, "1. Let the server know your key:  %skarez key add %s%s%s",
		exists ? "" : "ssh-keygen -t ed25519 && ", file,
		cli->set->servers.n > 0 ? " --server " : "",
		cli->set->servers.n > 0 ? cli->server_text : "");
	cli_say(cli, "2. Publish what listens on port 3000:  ssh %s-R 80:localhost:3000 %s", port,
		host);
	cli_say(cli, "3. Its host key is " STR_FMT "; in ~/.ssh/known_hosts:  %s " STR_FMT,
		STR_ARG(ssh->fingerprint), name, STR_ARG(ssh->key));
}

int cli_do_ssh_setup(struct cli *cli)
{
	struct cli_call call = {.method = "GET", .path = "/v1/ssh", .anonymous = true};
	struct cli_answer answer = {0};
	struct cli_ssh ssh;
	int e;

	cli->token_from = CLI_TOKEN_NONE; /* what is open to everybody needs no credential */
	cli->warned = true;		  /* so none can be read on the way; a key can be changed */
	if (cli_way_is_open(&cli->way, &cli->server))
		cli_problem(cli,
			    "warning: the way to %s is not encrypted: the host key may be somebody "
			    "else's; use https://",
			    cli->server_text);
	if ((e = cli_call(cli, &call, &answer)) != 0)
		goto out;
	if (cli->set->json)
		e = cli_show_json(cli, answer.json);
	else if ((e = cli_ssh_read(answer.json, &ssh)) == 0)
		cli_ssh_tell(cli, &ssh);
	else
		cli_problem(cli, "%s does not tell by which port and key its SSH is reached",
			    cli->server_text);
out:
	cli_answer_free(&answer);
	return e;
}
