/*
 * Opens idle ssh sessions, each with one port forwarded, says "up", and keeps them until its input
 * ends.
 *
 *	sessions ADDRESS PORT N KEY-FILE...
 */
#include <libssh/libssh.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void fail(const char *what, ssh_session s)
{
	fprintf(stderr, "sessions: %s: %s\n", what, s != NULL ? ssh_get_error(s) : "");
	exit(1);
}

static ssh_session session_open(const char *address, unsigned port, ssh_key key)
{
	ssh_session s = ssh_new();
	int config = 0, bound = 0;

	if (s == NULL)
		fail("no memory", NULL);
	ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &config);
	ssh_options_set(s, SSH_OPTIONS_HOST, address);
	ssh_options_set(s, SSH_OPTIONS_PORT, &port);
	ssh_options_set(s, SSH_OPTIONS_USER, getenv("USER") != NULL ? getenv("USER") : "root");
	ssh_options_set(s, SSH_OPTIONS_CIPHERS_C_S, "aes128-gcm@openssh.com");
	ssh_options_set(s, SSH_OPTIONS_CIPHERS_S_C, "aes128-gcm@openssh.com");
	if (ssh_connect(s) != SSH_OK)
		fail("connecting", s);
	if (ssh_userauth_publickey(s, NULL, key) != SSH_AUTH_SUCCESS)
		fail("logging in", s);
	if (ssh_channel_listen_forward(s, "localhost", 0, &bound) != SSH_OK)
		fail("forwarding", s);
	return s;
}

/* The keys take turns: a server may limit what one of them has. */
static ssh_key key_read(const char *file)
{
	ssh_key key = NULL;

	if (ssh_pki_import_privkey_file(file, NULL, NULL, NULL, &key) != SSH_OK)
		fail("a key cannot be read", NULL);
	return key;
}

int main(int argc, char **argv)
{
	int n, n_keys = argc - 4;
	ssh_key *keys;

	if (argc < 5 || (n = atoi(argv[3])) <= 0)
		fail("usage: sessions ADDRESS PORT N KEY-FILE...", NULL);
	if ((keys = calloc(n_keys, sizeof *keys)) == NULL)
		fail("no memory", NULL);
	for (int i = 0; i < n_keys; i++)
		keys[i] = key_read(argv[4 + i]);
	for (int i = 0; i < n; i++)
		(void)session_open(argv[1], (unsigned)atoi(argv[2]), keys[i % n_keys]);
	puts("up");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
