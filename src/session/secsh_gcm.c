/*
 * Is this libssh's AES-GCM sound? CVE-2026-59847: the tag was not checked, and a flipped bit of
 * ciphertext was delivered as if nothing had happened. A distribution carries the fix back without
 * a new version number, so it has to be tried: two sessions in memory exchange keys, then one bit
 * of a packet's padding is changed on the way. A libssh that is not sound takes the packet.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "session/secsh_inside.h"

/* Rounds in which the two get to an end; a handful are needed. */
#define ROUNDS 100
/* Bytes of the tag of a packet: RFC 5647 6.2. */
#define TAG 16

struct gcm {
	int near[2], far[2]; /* the sessions have [0], we carry bytes between the [1] */
	ssh_session client, server;
	ssh_bind bind;
};

static int gcm_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd);
}

static bool gcm_new_server(struct gcm *g)
{
	ssh_key key = NULL;

	if ((g->bind = ssh_bind_new()) == NULL || !secsh_keys_offer(g->bind) ||
	    ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK ||
	    ssh_bind_options_set(g->bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != 0) {
		ssh_key_free(key);
		return false;
	}
	if ((g->server = ssh_new()) == NULL)
		return false;
	ssh_set_blocking(g->server, 0);
	if (ssh_bind_accept_fd(g->bind, g->server, g->far[0]) != SSH_OK)
		return false;
	g->far[0] = -1; /* its own now */
	return true;
}

static bool gcm_new_client(struct gcm *g)
{
	int process_config = 0;

	if ((g->client = ssh_new()) == NULL)
		return false;
	ssh_set_blocking(g->client, 0);
	if (ssh_options_set(g->client, SSH_OPTIONS_PROCESS_CONFIG, &process_config) != SSH_OK ||
	    ssh_options_set(g->client, SSH_OPTIONS_HOST, "localhost") != SSH_OK ||
	    ssh_options_set(g->client, SSH_OPTIONS_USER, "karez") != SSH_OK ||
	    ssh_options_set(g->client, SSH_OPTIONS_KNOWNHOSTS, "/dev/null") != SSH_OK ||
	    ssh_options_set(g->client, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") != SSH_OK ||
	    ssh_options_set(g->client, SSH_OPTIONS_CIPHERS_C_S, "aes128-gcm@openssh.com") !=
		    SSH_OK ||
	    ssh_options_set(g->client, SSH_OPTIONS_CIPHERS_S_C, "aes128-gcm@openssh.com") !=
		    SSH_OK ||
	    ssh_options_set(g->client, SSH_OPTIONS_FD, &g->near[0]) != SSH_OK)
		return false;
	return true;
}

/* Carry bytes; flip a bit of the last byte before the last tag. Returns false if there are none. */
static bool gcm_carry(int from, int to, bool flip)
{
	char bytes[16 * 1024];
	ssize_t n = read(from, bytes, sizeof bytes);

	if (n <= 0)
		return false;
	if (flip && n > TAG)
		bytes[n - TAG - 1] ^= 1;
	return write(to, bytes, (size_t)n) == n;
}

/* Until the client has been told that it may go on to authentication. */
static bool gcm_exchange_keys(struct gcm *g)
{
	for (int i = 0; i < ROUNDS; i++) {
		int e = ssh_connect(g->client);

		/* libssh closes what it was given, and has just made it blocking */
		g->near[0] = -1;
		(void)fcntl(ssh_get_fd(g->client), F_SETFL, O_NONBLOCK);
		if (e == SSH_ERROR || ssh_handle_key_exchange(g->server) == SSH_ERROR)
			return false;
		(void)gcm_carry(g->near[1], g->far[1], false);
		(void)gcm_carry(g->far[1], g->near[1], false);
		if (e == SSH_OK && ssh_handle_key_exchange(g->server) == SSH_OK)
			return true;
	}
	return false;
}

/* Does the server take a packet of which a bit was flipped? */
static bool gcm_notices(struct gcm *g, bool flip)
{
	bool carried = false;

	for (int i = 0; i < ROUNDS; i++) {
		ssh_message m;

		(void)ssh_service_request(g->client, "ssh-userauth");
		carried |= gcm_carry(g->near[1], g->far[1], flip);
		if ((m = ssh_message_get(g->server)) != NULL) {
			ssh_message_free(m);
			return false;
		}
		if (carried && (ssh_get_status(g->server) & SSH_CLOSED_ERROR))
			return true;
	}
	return false;
}

/* One connection with, or without, a bit changed. Returns true if the change was noticed. */
static bool gcm_try(bool flip, bool *worked)
{
	struct gcm g = {.near = {-1, -1}, .far = {-1, -1}};
	bool noticed = false;

	*worked = gcm_pair(g.near) == 0 && gcm_pair(g.far) == 0 && gcm_new_server(&g) &&
		  gcm_new_client(&g) && gcm_exchange_keys(&g);
	if (*worked)
		noticed = gcm_notices(&g, flip);
	ssh_free(g.client);
	ssh_free(g.server);
	ssh_bind_free(g.bind);
	for (int i = 0; i < 2; i++) {
		if (g.near[i] >= 0)
			close(g.near[i]);
		if (g.far[i] >= 0)
			close(g.far[i]);
	}
	return noticed;
}

bool secsh_gcm_is_sound(void)
{
	bool worked;

	/* The same without the change has to pass, or something else would look like notice taken.
	 */
	if (gcm_try(false, &worked) || !worked)
		return false;
	return gcm_try(true, &worked) && worked;
}
